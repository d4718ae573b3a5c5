"""Settings of the calibration of an array."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class LayoutConfig:
    """How the sensors lie on the board as it was drawn: a grid about the middle, axes along those of the array."""

    columns: int = option(4, doc="sensors along x", minimum=1)
    rows: int = option(4, doc="sensors along y", minimum=1)
    pitch_mm: float = option(40.0, unit="mm", doc="distance of neighbours", minimum=0.1)
    position_sigma_mm: float = option(1.0, unit="mm", doc="how far a sensor is expected from there", minimum=1e-3)
    axes: tuple[str, ...] = option(
        (), doc="for each sensor the axes of the array that its x, y and z point along, such as '-y x z'; none: 'x y z' for all"
    )
    most_turn_deg: float = option(30.0, unit="deg", doc="a sensor turned by more than this from the drawing has swapped axes", minimum=1.0)


@dataclass(frozen=True, slots=True)
class MagnetConfig:
    """The magnet that is moved over the array: a cylinder magnetised along its axis."""

    strength_t_mm3: float | None = option(
        None, unit="T mm^3", doc="mu0 times its moment (remanence times volume); null when it is not known", minimum=1e-6
    )
    strength_sigma: float = option(0.01, doc="error of that, as a share; counts where the field's strength is known too", minimum=1e-6)
    length_mm: float = option(10.0, unit="mm", doc="its length", minimum=0.0)
    radius_mm: float = option(5.0, unit="mm", doc="its radius", minimum=0.0)
    position_sigma_mm: float = option(0.05, unit="mm", doc="error of its known places, each axis", minimum=1e-6)
    rotation_sigma_deg: float = option(0.3, unit="deg", doc="error of its known orientations, each axis", minimum=1e-6)


@dataclass(frozen=True, slots=True)
class CalibrationConfig:
    """What the recordings rest on, and what is refused."""

    field_strength_t: float | None = option(
        None, unit="T", doc="strength of the uniform field of the rotation recording; null when it is not known", minimum=1e-7
    )
    layout: LayoutConfig = section(LayoutConfig)
    magnet: MagnetConfig = section(MagnetConfig)
    least_samples: int = option(60, doc="fewest samples of the rotation recording", minimum=12)
    most_samples: int = option(400, doc="samples of the rotation recording that are used, spread evenly", minimum=12)
    least_coverage: float = option(
        0.6, doc="share of the directions of a sphere that must come within `near_deg` of a sample", minimum=0.0, maximum=1.0
    )
    near_deg: float = option(25.0, unit="deg", doc="how near counts as covered", minimum=1.0)
    least_valid: float = option(0.8, doc="share of a sensor's samples that must be usable (no overflow)", minimum=0.0, maximum=1.0)
    least_poses: int = option(12, doc="fewest places of the magnet", minimum=4)
    most_poses: int = option(250, doc="places of the magnet that are used, spread evenly", minimum=4)
    least_warming_k: float = option(4.0, unit="K", doc="smallest rise of temperature that gives a slope", minimum=0.1)
    held_out: int = option(5, doc="every so many-th place of the magnet is kept for the test", minimum=2)
    noise_t: float = option(1.2e-7, unit="T", doc="noise of one axis of one sample, where the recordings do not show it", minimum=1e-12)
    uniformity: float = option(5e-4, doc="how much the strength of the uniform field differs from place to place, as a share", minimum=1e-9)
    worst_residual: float = option(8.0, doc="residuals beyond this many times the noise refuse the calibration", minimum=1.0)
    iterations: int = option(60, doc="most steps of the joint refinement", minimum=1)
