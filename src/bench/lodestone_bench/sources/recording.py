"""A recorded EM track played at its own times: one sample number for each recorded line, whichever sensor it belongs to."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_bench.sources.source import Pose, Sample
from lodestone_core import se3
from lodestone_core.formats.tracking_text import RecordedStream, read_em_tracking

NS_PER_S = 1e9


class RecordingSource:
    """Plays `EMTracking*.txt`; sensor n of the file is the tool `sensor_n`.

    A line that the tracker marked invalid is a sample without a pose. The file holds no error indicator: `error_mm` is sent
    for every pose. With `loop` the track begins again after its last sample and one median gap.
    """

    def __init__(self, streams: dict[int, RecordedStream], *, error_mm: float = 0.25, loop: bool = False) -> None:
        merged = sorted((int(stamp), sensor, row) for sensor, s in streams.items() for row, stamp in enumerate(s.stamps_ns))
        self.tools = tuple(f"sensor_{sensor}" for sensor in sorted(streams))
        self.first_ns = merged[0][0]
        self._times_s = [(stamp - self.first_ns) / NS_PER_S for stamp, _, _ in merged]
        self._numbers: dict[str, list[int]] = {tool: [] for tool in self.tools}
        self._poses: dict[int, Pose | None] = {}
        for number, (_, sensor, row) in enumerate(merged, start=1):
            self._numbers[f"sensor_{sensor}"].append(number)
            self._poses[number] = _pose(streams[sensor].T_tracker_body[row], bool(streams[sensor].valid[row]))
        self._error_mm = error_mm
        gaps = np.diff(self._times_s)
        self.period_s = self._times_s[-1] + (float(np.median(gaps)) if gaps.size else 1.0)
        self._loop = loop

    @classmethod
    def read(cls, path: Path, *, error_mm: float = 0.25, loop: bool = False) -> RecordingSource:
        """Source of a recording file. Raises InputError with file and line."""
        return cls(read_em_tracking(path), error_mm=error_mm, loop=loop)

    @property
    def end_s(self) -> float | None:
        """When the last sample comes; None in a loop."""
        return None if self._loop else self._times_s[-1]

    def number_at(self, elapsed_s: float) -> int:
        """Number of the newest sample; numbers go on rising from lap to lap."""
        lap, rest_s = divmod(elapsed_s, self.period_s) if self._loop else (0.0, elapsed_s)
        return int(lap) * len(self._times_s) + bisect_right(self._times_s, rest_s)

    def newest(self, tool: str, number: int) -> Sample | None:
        """The tool's newest sample up to that number."""
        rank = self._rank(tool, number)
        if rank == 0:
            return None
        own = self._numbers[tool]
        lap, place = divmod(rank - 1, len(own))
        return Sample(lap * len(self._times_s) + own[place], self._poses[own[place]], self._error_mm)

    def count(self, tool: str, after: int, until: int) -> int:
        """How many samples of the tool lie in (after, until]."""
        return self._rank(tool, until) - self._rank(tool, after)

    def _rank(self, tool: str, number: int) -> int:
        """How many samples of the tool have a number up to this one, all laps together."""
        lap, place = divmod(number, len(self._times_s))
        own = self._numbers.get(tool, [])
        return lap * len(own) + bisect_right(own, place)


def _pose(T: npt.NDArray[np.float64], valid: bool) -> Pose | None:
    if not valid:
        return None
    (x, y, z, w), t = se3.to_quaternion(T)
    return Pose((float(w), float(x), float(y), float(z)), (float(t[0]), float(t[1]), float(t[2])))
