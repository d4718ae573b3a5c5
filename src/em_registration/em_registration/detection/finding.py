"""What the detector says of one body: state, causes, and a sentence that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from em_registration.detection.config import DetectorConfig
from em_registration.detection.statistic import Group
from lodestone_core.estimate import State


class Cause(IntFlag):
    """What a finding rests on."""

    NONE = 0
    LEARNING = 1
    INDICATOR = 2
    PAIR = 4
    KNOWN_POINT = 8
    OUT_OF_DOMAIN = 16

    @property
    def distortion(self) -> bool:
        """Whether the field itself is called distorted."""
        return bool(self & (Cause.INDICATOR | Cause.PAIR | Cause.KNOWN_POINT))


CAUSES = {
    Group.INDICATOR: Cause.INDICATOR,
    Group.PAIR: Cause.PAIR,
    Group.KNOWN_POINT: Cause.KNOWN_POINT,
    Group.TOGETHER: Cause.INDICATOR | Cause.PAIR,
}
_SAID = {
    Cause.PAIR: "its sensors have moved by {disagreement:.1f} mm against one another",
    Cause.INDICATOR: "the tracker's error indicator is higher than it was here",
    Cause.KNOWN_POINT: "known points are not where they were",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One body (the tools in `tools`) at one frame.

    `state` is INITIALISING while the clean field is learnt, then OK, DEGRADED or INVALID. `statistic` is in standard deviations of a
    quiet field, NaN while nothing can be said; `learnt` goes from 0 to 1; `disagreement_mm` is the change of the place of one sensor
    seen from another.
    """

    tools: tuple[str, ...]
    state: State
    causes: Cause
    statistic: float
    learnt: float
    disagreement_mm: float
    detail: str


def sentence(causes: Cause, disagreement_mm: float, learnt: float, config: DetectorConfig) -> str:
    """What to do about it; empty when there is nothing to say."""
    parts = []
    if causes.distortion:
        why = " and ".join(text.format(disagreement=disagreement_mm) for cause, text in _SAID.items() if causes & cause)
        parts.append(f"the field is distorted ({why}): move metal away from the tool and the field generator")
    if causes & Cause.OUT_OF_DOMAIN:
        parts.append("the tool is where no fiducial was collected: bring it back, or collect fiducials here")
    if causes & Cause.LEARNING:
        left_s = (1.0 - learnt) * config.learn_s
        parts.append(f"learning the undisturbed field, distortion is not seen yet: keep metal away, move the tool about for {left_s:.0f} s")
    return "; ".join(parts)
