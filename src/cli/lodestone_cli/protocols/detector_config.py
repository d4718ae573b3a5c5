"""What `em_detector` draws and watches."""

from __future__ import annotations

from dataclasses import dataclass

from em_registration.detection.config import DetectorConfig
from lodestone_core.config import option, section
from lodestone_core.errors import InputError

KINDS = ("ball", "ball_pair", "rod", "ferrous_pair", "ring", "sheet", "c_arm", "tray")
SEEN = KINDS[:4]
"""On such metal the detector was made: balls, and rods."""


@dataclass(frozen=True, slots=True)
class EmDetectorConfig:
    """Calibration runs and test runs share no seed, no kind of metal and no speed."""

    calibration_seed: int = option(1, doc="seed of the clean runs that the limits of the single features are set on", minimum=0)
    calibration_runs: int = option(400, doc="how many", minimum=20)
    test_seed: int = option(2, doc="seed of everything that is scored", minimum=0)
    clean_runs: int = option(400, doc="runs without an intrusion", minimum=20)
    clean_s: float = option(60.0, unit="s", doc="length of a clean run, learning included", minimum=20.0)
    kinds: tuple[str, ...] = option(KINDS[4:], doc="what comes in", choices=KINDS)
    runs_a_kind: int = option(180, doc="runs with each; those that move a pose by less than the limit do not count", minimum=1)
    slow_mm_s: tuple[float, float] = option((12.0, 30.0), unit="mm/s", doc="speeds of half of them", minimum=1.0)
    fast_mm_s: tuple[float, float] = option((300.0, 600.0), unit="mm/s", doc="speeds of the others", minimum=1.0)
    gap_mm: tuple[float, float] = option((15.0, 90.0), unit="mm", doc="where the metal stops beside the body", minimum=5.0)
    quiet_s: tuple[float, float] = option((17.0, 25.0), unit="s", doc="clean time before the metal moves, learning included", minimum=0.0)
    error_mm: float = option(2.0, unit="mm", doc="change of a pose from which an intrusion must be found", minimum=0.0)
    false_alarm_share: float = option(0.01, doc="share of clean runs with an alarm at which features are compared", minimum=1e-4)
    batch: int = option(100, doc="runs watched side by side", minimum=1)
    detector: DetectorConfig = section(DetectorConfig, "the detector")

    def __post_init__(self) -> None:
        """Refuse a test on what the limits were set on."""
        if self.calibration_seed == self.test_seed or set(self.kinds) & set(SEEN):
            remedy = "choose another seed, and kinds other than " + ", ".join(SEEN)
            raise InputError("em_detector", expected="a test apart from the calibration", got=(self.test_seed, self.kinds), remedy=remedy)
        if self.quiet_s[0] <= self.detector.learn_s:
            remedy = "let the metal stay away until the field is learnt"
            raise InputError("quiet_s", expected=f"more than {self.detector.learn_s:g} s", got=self.quiet_s[0], remedy=remedy)
