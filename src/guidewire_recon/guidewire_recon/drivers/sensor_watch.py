"""What only time tells of a sensor: bit for bit the same for longer than its noise allows, or unusable for longer than one waits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guidewire_recon.types import Counts, SensorStatus, Words, usable
from lodestone_core.time import ns_from_s

_STUCK, _DEAD = np.uint16(SensorStatus.STUCK), np.uint16(SensorStatus.DEAD)
_SPOILT_DATA = np.uint16(SensorStatus.NOT_READY | SensorStatus.BUS_ERROR | SensorStatus.INVALID | SensorStatus.OVERFLOW)


class SensorWatch:
    """Adds STUCK and DEAD to the status of each sensor.

    Two measurements of all three axes agree by chance with a probability of (2 sigma sqrt(pi))^-3 for noise of sigma counts: 4e-4 at
    4 counts, 1e-5 at 12. One axis alone may agree more often, so it takes `stuck_axis` samples where all three take `stuck`.
    """

    def __init__(self, stuck: int, stuck_axis: int, dead_s: float) -> None:
        self._stuck = stuck
        self._stuck_axis = stuck_axis
        self._dead_ns = ns_from_s(dead_s)
        self._raw: Counts | None = None
        self._usable_ns: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def update(self, raw: Counts, status: Words, now_ns: int) -> Words:
        """Status (n,) with what time tells; `now_ns` is steady time."""
        if self._raw is None or len(self._raw) != len(raw):
            self._runs = np.ones(raw.shape, np.int32)
            self._whole_runs = np.ones(len(raw), np.int32)
            self._usable_ns = np.full(len(raw), now_ns, np.int64)
        else:
            self._count(raw, status)
        self._raw = raw if self._raw is None else np.where(self._fresh(status)[:, None], raw, self._raw)
        stuck = (self._whole_runs >= self._stuck) | (self._runs >= self._stuck_axis).any(axis=1)
        status = status | np.where(stuck, _STUCK, np.uint16(0))
        self._usable_ns[usable(status)] = now_ns
        return np.asarray(status | np.where(now_ns - self._usable_ns > self._dead_ns, _DEAD, np.uint16(0)), np.uint16)

    @staticmethod
    def _fresh(status: Words) -> npt.NDArray[np.bool_]:
        """Which sensors have measured anew: of the others the data say nothing about being stuck."""
        fresh: npt.NDArray[np.bool_] = (status & _SPOILT_DATA) == 0
        return fresh

    def _count(self, raw: Counts, status: Words) -> None:
        same = raw == self._raw
        fresh = self._fresh(status)
        self._runs = np.where(fresh[:, None], np.where(same, self._runs + 1, 1), self._runs)
        self._whole_runs = np.where(fresh, np.where(same.all(axis=1), self._whole_runs + 1, 1), self._whole_runs)
