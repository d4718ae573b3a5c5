"""When what was seen becomes part of the clean field: all of it when there is enough, afterwards two quiet chunks later.

A chunk counts only when the one after it was quiet too: metal that creeps in would otherwise be learnt as part of the field.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from em_registration.detection.baseline import Baseline
from em_registration.detection.channels import FEATURES, Channels
from em_registration.detection.config import DetectorConfig
from em_registration.detection.smoothing import Smoother
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
MOST_FRAMES = 1024
"""A chunk is closed early when a fast tracker has sent so many."""
LEAST_SAMPLES = 2 * FEATURES
MOST_SIGMA_MM = 3.0
"""Two sensors whose relation is less steady do not sit on one rigid body, or the field is not clean."""


class Lessons:
    """The chunk that is being filled, the one that waits for it to end, those of the beginning, and which rows are known."""

    def __init__(self, rows: int, config: DetectorConfig) -> None:
        self._config = config
        self.ready = np.zeros(rows, dtype=bool)
        self._clean_s = np.zeros(rows)
        self._disturbed = np.zeros(rows, dtype=bool)
        self._filling: list[tuple[Array, Array, Mask]] = []
        self._begun_s = self._last_s = 0.0
        self._waiting: tuple[Array, Array, Mask, Array] | None = None
        self._school: deque[tuple[Array, Array, Mask]] = deque(maxlen=2 + int(2.0 * config.learn_s / config.chunk_s))

    def grown(self, rows: int) -> Lessons:
        """The same with further rows; the chunks begin anew."""
        longer, n = Lessons(rows, self._config), len(self.ready)
        longer.ready[:n] = self.ready
        return longer

    @property
    def progress(self) -> Array:
        """Share (rows,) of the clean tracking that is needed."""
        return np.where(self.ready, 1.0, np.minimum(self._clean_s / self._config.learn_s, 0.99))

    def know(self, row: int) -> None:
        """A row whose field came from a calibration."""
        self.ready[row] = True

    def drop_chunks(self) -> None:
        """Nothing that is not yet learnt counts."""
        self._filling, self._waiting = [], None
        self._disturbed[:] = False

    def add(self, stamp_s: float, place: Array, values: Array, told: Mask, disturbed: Mask) -> None:
        """One frame."""
        if not self._filling:
            self._begun_s = stamp_s
        self._filling.append((place, values, told))
        self._disturbed |= disturbed
        self._last_s = stamp_s

    @property
    def complete(self) -> bool:
        """Whether the chunk is full."""
        return self._last_s - self._begun_s >= self._config.chunk_s or len(self._filling) >= MOST_FRAMES

    def close(self, channels: Channels, baseline: Baseline, smoother: Smoother) -> None:
        """End the chunk: what counts is learnt, the rest waits or is dropped."""
        place, values, told = (np.array(each) for each in zip(*self._filling, strict=True))
        noted, length_s = smoother.take_pending(), self._last_s - self._begun_s
        self._filling = []
        if self._waiting is not None:
            quiet = self.ready & ~self._disturbed
            old_place, old_values, old_told, old_noted = self._waiting
            most = self._config.memory_s * len(told) / max(length_s, 1e-3)
            baseline.learn(old_place, old_values, old_told & quiet, most)
            smoother.learn(np.where(quiet, old_noted, 0.0), self._config.memory_s)
        # A chunk that was disturbed is not learnt itself, and neither is the one before it.
        self._waiting = place, values, told & self.ready & ~self._disturbed, np.where(self._disturbed, 0.0, noted)
        self._disturbed[:] = False
        if not self.ready.all():
            self._school.append((place, values, told))
            self._clean_s += np.where(told.any(axis=0), length_s, 0.0)
            self._begin(channels, baseline, smoother)
        else:
            self._school.clear()

    def _begin(self, channels: Channels, baseline: Baseline, smoother: Smoother) -> None:
        due = ~self.ready & (self._clean_s >= self._config.learn_s - 1e-6)
        due &= sum(told.sum(axis=0) for _, _, told in self._school) >= LEAST_SAMPLES
        if not due.any():
            return
        place, values, told = (np.concatenate(each) for each in zip(*self._school, strict=True))
        values = channels.recentred(due, place, values, told)
        baseline.begin(due, place, values, told)
        smoother.begin(due, *baseline.held_out(place, values, told & due), baseline.freedom, len(self._school) * self._config.chunk_s)
        steady = ~channels.layout.relation | (np.median(baseline.sigma[:, :3], axis=1) <= MOST_SIGMA_MM)
        self.ready |= due & steady
        self._clean_s[due & ~steady] = 0.0
