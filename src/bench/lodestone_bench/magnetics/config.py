"""Sections `magnets` and `wire` of the world's file."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class MagnetConfig:
    """One magnet below the platform, magnetised along its own z."""

    shape: str = option("cuboid", doc="cuboid, or cylinder about its z axis", choices=("cuboid", "cylinder"))
    position_mm: Vector = option((0.0, 0.0, -45.0), unit="mm", doc="its middle in bench")
    rotation_deg: Vector = option((0.0, 0.0, 0.0), unit="deg", doc="its orientation in bench as a rotation vector")
    size_mm: Vector = option((20.0, 20.0, 20.0), unit="mm", doc="edges of a cuboid", minimum=0.1)
    radius_mm: float = option(10.0, unit="mm", doc="of a cylinder", minimum=0.1)
    length_mm: float = option(20.0, unit="mm", doc="of a cylinder", minimum=0.1)
    polarisation_t: float = option(1.3, unit="T", doc="remanent flux density", minimum=0.0, maximum=2.0)


@dataclass(frozen=True, slots=True)
class SurroundingsConfig:
    """What the seed changes of the magnets, and the Earth; the magnets themselves stand under `magnets: pieces:` by name."""

    earth_t: Vector = option((18.0e-6, 6.0e-6, -44.0e-6), unit="T", doc="uniform field of the Earth in bench")
    position_sigma_mm: float = option(1.0, unit="mm", doc="how far each magnet lies from where it is said to lie, each axis", minimum=0.0)
    rotation_sigma_deg: float = option(2.0, unit="deg", doc="the same for its orientation", minimum=0.0)
    strength_sigma: float = option(0.03, doc="the same for its strength, as a share", minimum=0.0, maximum=0.3)


@dataclass(frozen=True, slots=True)
class WireConfig:
    """The magnetisable end of the guidewire, and how it moves."""

    present: bool = option(True, doc="whether there is one")
    length_mm: float = option(80.0, unit="mm", doc="length of the part that is magnetisable and seen", minimum=1.0, maximum=200.0)
    radius_mm: float = option(0.45, unit="mm", doc="of its round core", minimum=0.01, maximum=2.0)
    elements: int = option(480, doc="cylinders into which it is cut to solve for its magnetisation", minimum=2, maximum=4000)
    susceptibility: float = option(1500.0, doc="of its material, at small fields", minimum=0.0)
    saturation_t: float = option(1.2, unit="T", doc="polarisation that it cannot exceed", minimum=1e-3)
    remanence_t: float = option(0.02, unit="T", doc="axial polarisation that it keeps without a field, towards its tip when positive")
    shape: str = option(
        "tour",
        doc="what it is bent to; tour: one after the other",
        choices=("tour", "straight", "arc", "s_bend", "hook", "helix", "rise"),
    )
    hold_s: float = option(12.0, unit="s", doc="tour: time from one shape to the next", minimum=1.0)
    center_mm: Vector = option((0.0, 0.0, 70.0), unit="mm", doc="about where its middle moves, in bench")
    insertion_mm: float = option(14.0, unit="mm", doc="amplitude of pushing and pulling along x", minimum=0.0)
    sway_mm: float = option(5.0, unit="mm", doc="amplitude of the motion across", minimum=0.0)
    bending: float = option(0.3, doc="share by which a bend opens and closes", minimum=0.0, maximum=1.0)
    period_s: float = option(9.0, unit="s", doc="shortest period of the motion", minimum=0.5)
    knots_hz: float = option(2.0, unit="Hz", doc="how often the magnetisation is solved; cubic in between", minimum=0.5)
