"""Configuration of the distortion detector."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What is watched, how the clean field is learnt, and from where on it is called distorted.

    The statistic is in standard deviations of a quiet field; its limits are calibrated on simulated clean runs (`em_detector`).
    """

    enabled: bool = option(True, doc="watch the field for distortion")
    bodies: tuple[str, ...] = option((), doc="tools that sit on one rigid body, names joined by +: sensor_0+sensor_1")
    fixed: tuple[str, ...] = option((), doc="tools that do not move in relation to the field generator (witnesses)")
    learn_s: float = option(15.0, unit="s", doc="clean tracking from which the undisturbed field is learnt", minimum=1.0)
    chunk_s: float = option(3.0, unit="s", doc="what was quiet for so long, and so long again, is learnt as well", minimum=0.2)
    memory_s: float = option(300.0, unit="s", doc="age after which what was learnt counts little", minimum=1.0)
    quiet: float = option(0.6, doc="share of the threshold up to which a chunk is quiet", minimum=0.0, maximum=1.0)
    time_scales_s: tuple[float, ...] = option(
        (0.1, 0.4, 1.6), unit="s", doc="over which the evidence is averaged: short for fast intrusions, long for slow ones", minimum=0.0
    )
    threshold: float = option(6.5, doc="statistic above which a body is DEGRADED", minimum=0.0)
    invalid_threshold: float = option(12.0, doc="statistic above which a body is INVALID", minimum=0.0)
    release: float = option(0.7, doc="share of a threshold below which the statistic must stay to be released", minimum=0.0, maximum=1.0)
    release_s: float = option(1.0, unit="s", doc="for how long", minimum=0.0)
    invalid_mm: float = option(2.0, unit="mm", doc="change of the place of one sensor seen from the other that is INVALID", minimum=0.0)
    max_domain_ratio: float = option(
        0.5, doc="share of its prior variance that the field's model keeps at a pose; above it is out of domain", minimum=0.0, maximum=1.0
    )

    def __post_init__(self) -> None:
        """Refuse limits in the wrong order and bodies of one tool."""
        if self.threshold > self.invalid_threshold:
            remedy = "set the DEGRADED limit below the INVALID one"
            raise InputError("detector.threshold", expected=f"at most {self.invalid_threshold}", got=self.threshold, remedy=remedy)
        if not self.time_scales_s or min(self.time_scales_s) <= 0.0:
            remedy = "give one or more times in seconds"
            raise InputError("detector.time_scales_s", expected="times above 0", got=self.time_scales_s, remedy=remedy)
        groups = [body.split("+") for body in self.bodies]
        names = [name for group in groups for name in group] + list(self.fixed)
        if any(len(group) < 2 or not all(group) for group in groups) or len(set(names)) < len(names):
            remedy = "write each tool once, as in sensor_0+sensor_1"
            raise InputError("detector.bodies", expected="two or more tools a body", got=self.bodies, remedy=remedy)
