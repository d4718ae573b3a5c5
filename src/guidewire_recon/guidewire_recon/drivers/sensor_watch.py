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
        # Repeats are counted, of which there is one fewer than of equal samples.
        self._stuck = stuck - 1
        self._stuck_axis = stuck_axis - 1
        self._dead_ns = ns_from_s(dead_s)
        self._raw: Counts | None = None
        self._repeats: Counts = np.zeros((0, 3), np.int32)
        self._whole_repeats: Counts = np.zeros(0, np.int32)
        self._usable_ns: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def update(self, raw: Counts, status: Words, now_ns: int) -> Words:
        """Status (n,) with what time tells; `now_ns` is steady time."""
        if self._raw is None or len(self._raw) != len(raw):
            self._repeats, self._whole_repeats = np.zeros(raw.shape, np.int32), np.zeros(len(raw), np.int32)
            self._usable_ns = np.full(len(raw), now_ns, np.int64)
            self._raw = raw
        else:
            self._raw = self._count(self._raw, raw, status)
        if self._whole_repeats.max() >= self._stuck or self._repeats.max() >= self._stuck_axis:
            stuck = (self._whole_repeats >= self._stuck) | (self._repeats >= self._stuck_axis).any(axis=1)
            status = status | np.where(stuck, _STUCK, np.uint16(0))
        if not status.any():
            self._usable_ns[:] = now_ns
            return status
        self._usable_ns[usable(status)] = now_ns
        return np.asarray(status | np.where(now_ns - self._usable_ns > self._dead_ns, _DEAD, np.uint16(0)), np.uint16)

    def _count(self, before: Counts, raw: Counts, status: Words) -> Counts:
        """Count repeats of sensors that have measured anew; of the others the data say nothing. Gives the last fresh values."""
        same = raw == before
        repeats, whole = (self._repeats + 1) * same, (self._whole_repeats + 1) * same.all(axis=1)
        stale = (status & _SPOILT_DATA) != 0
        if not stale.any():
            self._repeats, self._whole_repeats = repeats, whole
            return raw
        self._repeats = np.where(stale[:, None], self._repeats, repeats)
        self._whole_repeats = np.where(stale, self._whole_repeats, whole)
        return np.where(stale[:, None], before, raw)
