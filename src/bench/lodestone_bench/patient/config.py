"""Section `patient` of the world: where the patient lies, how they are built, how they breathe."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class BreathingConfig:
    """How the liver moves; all times are world time. Motion is at zero at the end of a quiet expiration."""

    period_s: float = option(4.0, unit="s", doc="mean length of a breath", minimum=1.0)
    period_spread: float = option(0.10, doc="standard deviation of a breath's length over its mean", minimum=0.0, maximum=0.4)
    amplitude_spread: float = option(0.15, doc="standard deviation of a breath's depth over its mean", minimum=0.0, maximum=0.5)
    inspiration_share: float = option(0.40, doc="share of a breath that is inspiration", minimum=0.1, maximum=0.9)
    sharpness: int = option(2, doc="how long the end of expiration lasts: power n of sin^2n", minimum=1, maximum=6)
    inspired_mm: tuple[float, float, float] = option(
        (1.5, -4.0, -15.0), unit="mm", doc="shift of the liver in a mean inspiration: to the left, backward, headward"
    )
    inspired_deg: tuple[float, float, float] = option((2.0, 0.5, -0.7), unit="deg", doc="its rotation there, about the same axes")
    lag_s: float = option(0.2, unit="s", doc="by how much the chest wall leads the diaphragm: the way in is not the way out", minimum=0.0)
    deformation_mm: float = option(0.0, unit="mm", doc="largest smooth deformation on top of the rigid motion", minimum=0.0, maximum=15.0)
    drift_mm: tuple[float, float, float] = option((0.0, 0.5, -2.0), unit="mm", doc="where the liver has sunk to in the end")
    drift_s: float = option(300.0, unit="s", doc="time constant of the sinking", minimum=1.0)
    apnoea_s: tuple[float, ...] = option((), unit="s", doc="when breath-holds begin")
    apnoea_length_s: float = option(12.0, unit="s", doc="how long each lasts", minimum=1.0)
    apnoea_level: float = option(0.0, doc="where the breath is held: 0 end of expiration, 1 a mean inspiration")
    cough_s: tuple[float, ...] = option((), unit="s", doc="when coughs begin")
    cough_mm: float = option(9.0, unit="mm", doc="how far a cough throws the liver headward", minimum=0.0)


@dataclass(frozen=True, slots=True)
class VesselsConfig:
    """The trees in the liver."""

    generations: int = option(7, doc="how often a vessel divides", minimum=1, maximum=8)
    portal_radius_mm: float = option(6.5, unit="mm", doc="radius of the portal vein where it enters", minimum=0.5)
    hepatic_radius_mm: float = option(5.5, unit="mm", doc="radius of each of the three hepatic veins", minimum=0.5)
    least_radius_mm: float = option(0.7, unit="mm", doc="thinner vessels are not made", minimum=0.1)


@dataclass(frozen=True, slots=True)
class PatientConfig:
    """One patient. Lies on the back, head towards +x of the bench; the arm stands on the right-hand side."""

    position_mm: tuple[float, float, float] = option(
        (700.0, 0.0, 150.0), unit="mm", doc="middle of the liver on the bench at the end of expiration"
    )
    rotation_deg: tuple[float, float, float] = option((0.0, 0.0, 0.0), unit="deg", doc="turn of the patient about the bench's axes")
    body_half_mm: tuple[float, float] = option((165.0, 122.0), unit="mm", doc="half the width and half the depth of the body")
    fat_mm: float = option(11.0, unit="mm", doc="skin and fat", minimum=1.0)
    muscle_mm: float = option(10.0, unit="mm", doc="muscle below it", minimum=0.0)
    liver_grid_mm: float = option(
        0.6, unit="mm", doc="grid of the liver's tissue map; the body's is twice as coarse", minimum=0.2, maximum=4.0
    )
    vessels: VesselsConfig = section(VesselsConfig, doc="trees of vessels")
    breathing: BreathingConfig = section(BreathingConfig, doc="motion")
