"""The optical track that runs beside an EM source, on the same clock."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lodestone_bench.sources.recording import RecordingSource
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_core.formats.tracking_text import read_optical_tracking
from lodestone_core.time import ns_from_s

Array = npt.NDArray[np.float64]


class ReferenceTrack(Protocol):
    """Samples by their time since the EM source's first sample, ns."""

    def between(self, after_ns: int, until_ns: int) -> Iterator[tuple[int, Array]]:
        """Times and poses T_image_marker (4x4, mm) with after < time <= until, in order."""
        ...

    @property
    def end_ns(self) -> int | None:
        """When the last sample comes; None if there is no last one."""
        ...


class RecordedReference:
    """An `OpticalTracking*.txt` beside the EM recording it was made with; it loops with it.

    Samples from before the first EM sample have no place in the playback and are left out.
    """

    def __init__(self, path: Path, source: RecordingSource) -> None:
        stream = read_optical_tracking(path).valid_only()
        offsets_ns = stream.stamps_ns - source.first_ns
        self._period_ns = None if source.end_s is not None else ns_from_s(source.period_s)
        keep = (offsets_ns >= 0) & (offsets_ns < (self._period_ns or np.iinfo(np.int64).max))
        self._offsets_ns, self._poses = offsets_ns[keep], stream.T_tracker_body[keep]

    @property
    def end_ns(self) -> int | None:
        """Time of the last sample; None in a loop."""
        return None if self._period_ns is not None or not len(self._offsets_ns) else int(self._offsets_ns[-1])

    def between(self, after_ns: int, until_ns: int) -> Iterator[tuple[int, Array]]:
        """Samples of the interval, lap by lap."""
        period_ns = self._period_ns
        laps = range(1) if period_ns is None else range(max(0, after_ns // period_ns), until_ns // period_ns + 1)
        for start_ns in (lap * (period_ns or 0) for lap in laps):
            first, last = np.searchsorted(self._offsets_ns, [after_ns - start_ns, until_ns - start_ns], side="right")
            for i in range(int(first), int(last)):
                yield start_ns + int(self._offsets_ns[i]), self._poses[i]


class ScriptedReference:
    """The marker of the scripted world, with its noise, at the reference's own rate."""

    def __init__(self, world: ScriptedWorld) -> None:
        self._world = world
        self._rate_hz = world.script.world.reference.rate_hz
        self._duration_s = world.script.world.duration_s

    @property
    def end_ns(self) -> int | None:
        """Time of the last sample."""
        return None if self._duration_s is None else ns_from_s(floor(self._duration_s * self._rate_hz) / self._rate_hz)

    def between(self, after_ns: int, until_ns: int) -> Iterator[tuple[int, Array]]:
        """Samples of the interval, computed."""
        until_ns = until_ns if self.end_ns is None else min(until_ns, self.end_ns)
        candidates = range(max(1, floor(after_ns * 1e-9 * self._rate_hz)), ceil(until_ns * 1e-9 * self._rate_hz) + 1)
        numbers = np.array([n for n in candidates if after_ns < self._time_ns(n) <= until_ns], dtype=np.int64)
        if numbers.size:
            poses = self._world.measured_marker(numbers / self._rate_hz, numbers)
            yield from ((self._time_ns(int(n)), T) for n, T in zip(numbers, poses, strict=True))

    def _time_ns(self, number: int) -> int:
        return ns_from_s(number / self._rate_hz)
