"""On above a threshold, off when it has been clear of it for a while."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]


class Latch:
    """One switch a body. It goes on at once, and off after `release_s` below `release` times the threshold."""

    def __init__(self, bodies: int, release: float, release_s: float) -> None:
        self.on: Mask = np.zeros(bodies, dtype=bool)
        self._release, self._release_s = release, release_s
        self._above_s = np.full(bodies, -np.inf)

    def grown(self, bodies: int) -> Latch:
        """The same with further bodies, which are off."""
        longer, n = Latch(bodies, self._release, self._release_s), len(self.on)
        longer.on[:n], longer._above_s[:n] = self.on, self._above_s
        return longer

    def update(self, stamp_s: float, value: Array, threshold: float) -> Mask:
        """Which are on, after values (bodies,) at a time that does not fall."""
        self._above_s = np.where(value > self._release * threshold, stamp_s, self._above_s)
        self.on = (value > threshold) | (self.on & (stamp_s - self._above_s < self._release_s))
        return self.on

    def forget_the_time(self, stamp_s: float) -> None:
        """The clock stepped: what is on stays on for its time from here."""
        self._above_s[self.on] = stamp_s
