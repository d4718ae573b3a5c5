"""Where a row is about to be, from where it was: an alpha-beta filter over the features of its place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
MEMORY_S = 0.1
"""A tool moves evenly for so long."""
GAP_S = 0.5
"""After a gap the track begins anew."""


class Track:
    """Features (rows, features) of constant rate; nothing before the first frame of a row."""

    def __init__(self, rows: int) -> None:
        self._at: Array = np.zeros((rows, 0))
        self._rate: Array = np.zeros((rows, 0))
        self._last_s = np.full(rows, -np.inf)

    def grown(self, rows: int) -> Track:
        """The same with further rows."""
        longer, n = Track(rows), len(self._last_s)
        longer._last_s[:n] = self._last_s
        longer._at, longer._rate = (np.concatenate([each, np.zeros((rows - n, each.shape[1]))]) for each in (self._at, self._rate))
        return longer

    def expect(self, stamp_s: float, place: Array, told: Mask) -> Array:
        """Where these rows were expected; where nothing was, where they are. Then take this frame in."""
        if not self._at.shape[1]:
            self._at, self._rate = np.zeros_like(place), np.zeros_like(place)
        elapsed_s = stamp_s - self._last_s
        known = (elapsed_s < GAP_S) & (elapsed_s > 0.0)
        steps_s = np.where(known, elapsed_s, 1.0)[:, None]
        expected = np.where(known[:, None], self._at + self._rate * steps_s, place)
        alpha = -np.expm1(-steps_s / MEMORY_S)
        missed = place - expected
        taken = told[:, None]
        self._rate = np.where(taken, np.where(known[:, None], self._rate + alpha**2 / (2.0 - alpha) * missed / steps_s, 0.0), self._rate)
        self._at = np.where(taken, expected + alpha * missed, self._at)
        self._last_s = np.where(told, stamp_s, self._last_s)
        return expected
