"""Configuration of a calibration walk."""

from __future__ import annotations

from dataclasses import dataclass

from em_registration.field.config import PoseFieldConfig
from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class CalibrationConfig:
    """When a walk through the volume has collected enough, and what is taken from it."""

    limit_mm: float = option(1.5, unit="mm", doc="predicted error (95 %) at the targets that is good enough", minimum=0.0)
    share: float = option(0.95, doc="share of the targets at which it must be", minimum=0.0, maximum=1.0)
    at_least: int = option(12, doc="correspondences below which nothing is called enough", minimum=6)
    least_covered: float = option(0.5, doc="share of the volume's cells below which nothing is called enough", minimum=0.0, maximum=1.0)
    most: int = option(200, doc="correspondences that are collected at most", minimum=6)
    patience: int = option(15, doc="further correspondences that must lower the predicted error", minimum=1)
    least_gain: float = option(0.03, doc="share of the predicted error that they must take away", minimum=0.0, maximum=1.0)
    cells: int = option(3, doc="cells of the volume along each axis", minimum=1, maximum=6)
    tilt_rad: float = option(0.5, unit="rad", doc="tilt against how the tool is held on the whole that is asked for", minimum=0.0)
    straight_rad: float = option(0.25, unit="rad", doc="smaller tilts count as straight", minimum=0.0)
    looked_at: int = option(12, doc="places of the largest predicted error among which the most helpful is looked for", minimum=1)
    spacing_mm: float = option(15.0, unit="mm", doc="a pair nearer to another, and turned less, is passed over", minimum=0.0)
    spacing_rad: float = option(0.3, unit="rad", doc="that turn", minimum=0.0)
    max_speed_mm_s: float = option(80.0, unit="mm/s", doc="pairs of faster movement are passed over: time offsets would show", minimum=0.0)
    field: PoseFieldConfig = section(PoseFieldConfig, "what is believed of a distortion before any data")
