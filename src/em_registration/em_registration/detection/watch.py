"""The readable file: one frame in, how far each body is from the clean field out. Many bodies cost little more than one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.detection.baseline import Baseline
from em_registration.detection.channels import Channels, used_channels
from em_registration.detection.config import DetectorConfig
from em_registration.detection.layout import Layout
from em_registration.detection.lessons import Lessons
from em_registration.detection.smoothing import Smoother
from em_registration.detection.statistic import Group, normal_score
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
CLIP = 6.0
"""A residual counts for no more standard deviations: one bad sample is not an intrusion."""
MOVED_S = 0.2
"""Over which a disagreement in mm is averaged."""
FRESH_S = 0.5
"""A row that was not seen for so long says nothing of now."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """N tools at one time: poses (N, 4, 4) in mm, NaN where none; indicators (N,) in mm, NaN where none; which have 5 degrees of freedom.

    `known_score` (N,): distance of a known point from where it must be, as a standard normal deviate; NaN where none was touched.
    """

    stamp_s: float
    T_tracker_tool: Array
    indicator_mm: Array
    five_dof: Mask
    known_score: Array


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Of every body: `statistic` (scales, groups, bodies) in standard deviations of a quiet field, -inf where nothing is known.

    `learnt` (bodies,) is 1 when the clean field is known; `disagreement_mm` the change of the place of one sensor seen from another;
    `novelty` the variance of the learnt field at this place in units of the noise's: large where nobody was before.
    """

    statistic: Array
    learnt: Array
    disagreement_mm: Array
    novelty: Array

    @property
    def highest(self) -> Array:
        """The statistic that alarms are raised on (bodies,)."""
        highest: Array = self.statistic.max(axis=(0, 1))
        return highest


class Watch:
    """Learns the clean field of every row and says how unlikely what came last is. Memory is bounded by the chunk's length."""

    def __init__(self, layout: Layout, config: DetectorConfig) -> None:
        rows = len(layout.rows)
        self.layout = layout
        self._config = config
        self.channels = Channels(layout)
        self.baseline = Baseline(used_channels(layout, np.zeros(layout.tools, dtype=bool)).sum(axis=1))
        self._smoother = Smoother(rows, config.time_scales_s)
        self._known = Smoother(layout.tools, config.time_scales_s)
        self.lessons = Lessons(rows, config)
        self._last_s = np.full(rows, -np.inf)
        self._known_s = np.full(layout.tools, -np.inf)
        self._moved_mm = np.zeros((rows, 3))

    def grown(self, layout: Layout) -> Watch:
        """The same with the rows and bodies that were appended to the layout, which begin to learn."""
        longer, rows, tools = Watch(layout, self._config), len(self.layout.rows), self.layout.tools
        longer.channels = self.channels.grown(layout)
        longer.baseline = self.baseline.grown(longer.baseline.freedom)
        longer._smoother = self._smoother.grown(len(layout.rows))
        longer._known = self._known.grown(layout.tools)
        longer.lessons = self.lessons.grown(len(layout.rows))
        longer._last_s[:rows], longer._known_s[:tools] = self._last_s, self._known_s
        longer._moved_mm[:rows] = self._moved_mm
        return longer

    def step(self, frame: Frame) -> Reading:
        """Take one frame in. Stamps may not fall; see `forget_the_moment`."""
        values, place, told = self.channels.read(frame.stamp_s, frame.T_tracker_tool, frame.indicator_mm, frame.five_dof)
        used = used_channels(self.layout, frame.five_dof)
        self.baseline.freedom = used.sum(axis=1)
        mean, factor, spread = self.baseline.predict(place)
        begun = told & self.lessons.ready
        most = CLIP * np.sqrt(1.0 + spread)[:, None]
        away = np.where(begun[:, None], (values - mean) * used, 0.0)
        residual = np.clip(self.baseline.whitened(away, factor), -most, most)
        elapsed_s = np.minimum(frame.stamp_s - self._last_s, 60.0)
        self._last_s = np.where(told, frame.stamp_s, self._last_s)
        self._smoother.add(residual, spread, begun, elapsed_s)
        self._moved_mm += np.where(begun, -np.expm1(-elapsed_s / MOVED_S), 0.0)[:, None] * (away[:, :3] - self._moved_mm)
        expected = self._smoother.expected
        square = self._smoother.mean**2 / np.maximum(expected, 1e-12)[:, :, None]
        fresh = self.lessons.ready & (frame.stamp_s - self._last_s < FRESH_S)
        statistic = self._statistic(square, used, fresh, self._known_points(frame))
        highest = statistic.max(axis=(0, 1))
        self._learn(frame.stamp_s, place, np.where(begun[:, None], mean + self.baseline.coloured(residual, factor), values), told, highest)
        self._smoother.note((self._smoother.mean**2).sum(axis=2) / np.maximum(used.sum(axis=1), 1), begun, elapsed_s)
        return Reading(statistic, *self._more(fresh, factor, spread))

    def forget_the_moment(self) -> None:
        """The clock stepped: what was learnt stays, what was averaged goes."""
        self._smoother = self._smoother.emptied()
        self._known = self._known.emptied()
        self._last_s[:], self._known_s[:] = -np.inf, -np.inf
        self.lessons.drop_chunks()

    def _statistic(self, square: Array, used: Mask, fresh: Mask, known: Array) -> Array:
        members, relation = self.layout.members.T, self.layout.relation
        pairs, singles = (fresh & relation).astype(float), (fresh & ~relation).astype(float)
        signed = np.sign(self._smoother.mean[:, :, 0]) * np.sqrt(square[:, :, 0])
        pair_square, pair_freedom = (square.sum(axis=2) * pairs) @ members, (used.sum(axis=1) * pairs) @ members
        count = singles @ members
        rise = (signed * singles) @ members / np.sqrt(np.maximum(count, 1.0))
        # An indicator that falls is no sign of metal; one that rises adds to what the pair says.
        both_square = pair_square + (np.maximum(signed, 0.0) ** 2 * singles) @ members
        both = np.where((count > 0) & (pair_freedom > 0), pair_freedom + count, 0.0)
        statistic = np.full((len(square), len(Group), self.layout.bodies), -np.inf)
        statistic[:, Group.INDICATOR] = np.where(count > 0, rise, -np.inf)
        statistic[:, Group.PAIR] = normal_score(pair_square, pair_freedom)
        statistic[:, Group.TOGETHER] = normal_score(both_square, both)
        statistic[:, Group.KNOWN_POINT] = known
        return statistic

    def _known_points(self, frame: Frame) -> Array:
        """Scores (scales, bodies): the largest of a body's tools."""
        told = np.isfinite(frame.known_score)
        score = np.full((self._known.variance.shape[0], self.layout.bodies), -np.inf)
        if told.any():
            residual = np.zeros((self.layout.tools, self._known.mean.shape[2]))
            residual[told, 0] = np.clip(frame.known_score[told], -CLIP, CLIP)
            self._known.add(residual, np.zeros(len(told)), told, np.minimum(frame.stamp_s - self._known_s, 60.0))
            self._known_s[told] = frame.stamp_s
        for tool in np.flatnonzero(frame.stamp_s - self._known_s < FRESH_S):
            body = next(row.body for row in self.layout.rows if row.b is None and row.a == tool)
            mean, variance = self._known.mean[:, tool, 0], self._known.variance[:, tool]
            score[:, body] = np.maximum(score[:, body], mean / np.sqrt(variance))
        return score

    def _learn(self, stamp_s: float, place: Array, values: Array, told: Mask, highest: Array) -> None:
        disturbed = (highest > self._config.quiet * self._config.threshold) @ self.layout.members > 0
        self.lessons.add(stamp_s, place, values, told, disturbed)
        if self.lessons.complete:
            self.lessons.close(self.channels, self.baseline, self._smoother)

    def _more(self, fresh: Mask, factor: Array, spread: Array) -> tuple[Array, Array, Array]:
        """Learnt, disagreement and novelty of the bodies."""
        members = self.layout.members
        learnt = np.where(members > 0, self.lessons.progress, 0.0).max(axis=1, initial=0.0)
        by_chance_mm2 = self._smoother.expected[0] * factor**2 * (self.baseline.sigma[:, :3] ** 2).sum(axis=1)
        moved = np.sqrt(np.maximum((self._moved_mm**2).sum(axis=1) - by_chance_mm2, 0.0))
        disagreement = (members * np.where(fresh & self.layout.relation, moved, 0.0)).max(axis=1, initial=0.0)
        novelty = (members * np.where(fresh, spread, 0.0)).max(axis=1, initial=0.0)
        return learnt, disagreement, novelty
