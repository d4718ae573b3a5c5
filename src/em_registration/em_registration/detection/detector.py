"""Online distortion detection on the tracker's frames: tools by name in, one finding a body out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from em_registration.detection.config import DetectorConfig
from em_registration.detection.finding import CAUSES, Cause, Finding, sentence
from em_registration.detection.latch import Latch
from em_registration.detection.layout import NOBODY
from em_registration.detection.statistic import Group, normal_score
from em_registration.detection.watch import Frame, Reading, Watch
from lodestone_core.estimate import State
from lodestone_core.time import s_from_ns
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

NO_POSE = np.full((4, 4), np.nan)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What others know of one tool at this frame; NaN for what they do not.

    `domain_ratio`: share of its prior variance that the field's model keeps at this pose. `chi_square` with `freedom`: whitened square
    of the distance of a known point (a witness, a fiducial under the tip) from where it must be.
    """

    domain_ratio: float = float("nan")
    chi_square: float = float("nan")
    freedom: int = 3


class DistortionDetector:
    """Keeps what was learnt of every tool it has seen. Tools of `config.bodies` share a body, and so do the halves of a dual 5-DOF tool."""

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config
        self._watch = Watch(NOBODY, config)
        self._degraded = Latch(0, config.release, config.release_s)
        self._invalid = Latch(0, config.release, config.release_s)
        self._index: dict[str, int] = {}
        self._bodies: list[tuple[str, ...]] = []
        self._last_ns: int | None = None
        self._groups = {name: tuple(body.split("+")) for body in config.bodies for name in body.split("+")}

    def update(self, frame: TrackedFrame, evidence: Mapping[str, Evidence] | None = None) -> tuple[Finding, ...]:
        """One finding a body, in the order in which the bodies were first seen."""
        self._meet(frame.tools)
        stamp_s = s_from_ns(frame.stamp_ns)
        if self._last_ns is not None and frame.stamp_ns < self._last_ns:
            self._watch.forget_the_moment()
            for latch in (self._degraded, self._invalid):
                latch.forget_the_time(stamp_s)
        self._last_ns = frame.stamp_ns
        reading = self._watch.step(self._arrays(stamp_s, frame.tools, evidence or {}))
        highest = reading.highest
        degraded = self._degraded.update(stamp_s, highest, self._config.threshold)
        self._invalid.update(stamp_s, highest, self._config.invalid_threshold)
        far = degraded & (reading.disagreement_mm > self._config.invalid_mm)
        return tuple(
            self._finding(body, reading, bool(degraded[body]), bool(far[body] or self._invalid.on[body]), evidence or {})
            for body in range(len(self._bodies))
        )

    def _meet(self, tools: Sequence[ToolSample]) -> None:
        new = [tool for tool in tools if tool.name not in self._index]
        for tool in new:
            if tool.name in self._index:
                continue  # came with its partner
            names = self._groups.get(tool.name) or _dual(tool, new)
            for name in names:
                self._index[name] = len(self._index)
            layout = self._watch.layout.with_body([self._index[name] for name in names], fixed=tool.name in self._config.fixed)
            self._watch = self._watch.grown(layout)
            self._degraded, self._invalid = self._degraded.grown(layout.bodies), self._invalid.grown(layout.bodies)
            self._bodies.append(names)

    def _arrays(self, stamp_s: float, tools: Sequence[ToolSample], evidence: Mapping[str, Evidence]) -> Frame:
        n = self._watch.layout.tools
        T, indicator, five_dof, known = np.tile(NO_POSE, (n, 1, 1)), np.full(n, np.nan), np.zeros(n, dtype=bool), np.full(n, np.nan)
        for tool in tools:
            at = self._index[tool.name]
            if tool.status is ToolStatus.VALID and tool.T_tracker_tool is not None:
                T[at], indicator[at] = tool.T_tracker_tool, tool.rms_error_mm
            five_dof[at] = tool.degrees_of_freedom == 5
            told = evidence.get(tool.name)
            if told is not None and np.isfinite(told.chi_square):
                known[at] = normal_score(np.array(told.chi_square), np.array(told.freedom))
        return Frame(stamp_s, T, indicator, five_dof, known)

    def _finding(self, body: int, reading: Reading, degraded: bool, invalid: bool, evidence: Mapping[str, Evidence]) -> Finding:
        names, highest, learnt = self._bodies[body], float(reading.highest[body]), float(reading.learnt[body])
        causes = _causes(reading, body, self._config) if degraded or invalid else Cause.NONE
        if any(evidence[name].domain_ratio > self._config.max_domain_ratio for name in names if name in evidence):
            causes |= Cause.OUT_OF_DOMAIN
        state = State.INVALID if invalid else State.DEGRADED if causes else State.OK if learnt >= 1.0 else State.INITIALISING
        causes |= Cause.LEARNING if learnt < 1.0 else Cause.NONE
        disagreement = float(reading.disagreement_mm[body])
        detail = sentence(causes, disagreement, learnt, self._config)
        return Finding(names, state, causes, highest if np.isfinite(highest) else float("nan"), learnt, disagreement, detail)


def _causes(reading: Reading, body: int, config: DetectorConfig) -> Cause:
    """Every group that is above the threshold by itself; where none is (any more), the one that is highest."""
    highest = reading.statistic[:, :, body].max(axis=0)
    causes = Cause.NONE
    for group in (Group.INDICATOR, Group.PAIR, Group.KNOWN_POINT):
        if highest[group] > config.threshold:
            causes |= CAUSES[group]
    return causes or CAUSES[Group(int(np.argmax(highest)))]


def _dual(tool: ToolSample, new: Sequence[ToolSample]) -> tuple[str, ...]:
    """The tool and, where it is one half of a dual 5-DOF tool, the other half."""
    if tool.degrees_of_freedom != 5 or not tool.serial_number:
        return (tool.name,)
    return tuple(other.name for other in new if other.serial_number == tool.serial_number and other.degrees_of_freedom == 5)
