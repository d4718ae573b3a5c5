"""Tracker recordings as text, one sample a line (`EMTracking*`, `OpticalTracking*` of 2amitshah/HybridTracking).

    SensorID: 0 Position: x y z Orientation: qx qy qz qw Time: t        electromagnetic, several sensors in one file
    Position: x y z Orientation: qx qy qz qw Time: t                    optical, one body

Millimetres, unit quaternion x y z w, host time in nanoseconds. A position of about 1e28 is the tracker's mark for "no
valid measurement"; it becomes a missing sample. The network reorders samples now and then: they are sorted by stamp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.formats.text import malformed, parse_numbers, read_lines

Array = npt.NDArray[np.float64]

# The marks are some 1e28 mm; no tracker reaches 100 m, so a position between the two is neither mark nor measurement.
_MARK_ABOVE_MM = 1e20
_MAX_POSITION_MM = 1e5
_MAX_NORM_ERROR = 1e-3

_BODY = r"Position: (\S+) (\S+) (\S+) Orientation: (\S+) (\S+) (\S+) (\S+) Time: (\S+)"
_EM_LINE = re.compile(r"SensorID: (\S+) " + _BODY)
_OPTICAL_LINE = re.compile(_BODY)
_EM_FORM = "'SensorID: n Position: x y z Orientation: qx qy qz qw Time: ns'"
_OPTICAL_FORM = "'Position: x y z Orientation: qx qy qz qw Time: ns'"


@dataclass(frozen=True, slots=True, eq=False)
class RecordedStream:
    """Samples of one tracked body in the order of their stamps.

    `stamps_ns` (N,) int64 rises strictly; `T_tracker_body` (N, 4, 4) in mm is NaN where `valid` (N,) is False.
    `repeats_dropped` counts samples whose stamp had come before.
    """

    stamps_ns: npt.NDArray[np.int64]
    T_tracker_body: Array
    valid: npt.NDArray[np.bool_]
    repeats_dropped: int = 0

    def valid_only(self) -> RecordedStream:
        """The same stream without the missing samples."""
        keep = self.valid
        return RecordedStream(self.stamps_ns[keep], self.T_tracker_body[keep], keep[keep], self.repeats_dropped)


_Sample = tuple[int, Array | None]


def read_em_tracking(path: Path) -> dict[int, RecordedStream]:
    """Streams of an EM recording by sensor number, in rising order. Raises InputError with file and line."""
    samples: dict[int, list[_Sample]] = {}
    for number, line in _sample_lines(path, "an EM tracking recording: lines " + _EM_FORM):
        match = _EM_LINE.fullmatch(line)
        if match is None:
            raise malformed(path, number, _EM_FORM, _shown(line))
        sensor = _whole(path, number, match[1], "a sensor number")
        samples.setdefault(sensor, []).append(_sample(path, number, list(match.groups()[1:])))
    return {sensor: _stream(samples[sensor]) for sensor in sorted(samples)}


def read_optical_tracking(path: Path) -> RecordedStream:
    """Stream of an optical recording. Raises InputError with file and line."""
    samples: list[_Sample] = []
    for number, line in _sample_lines(path, "an optical tracking recording: lines " + _OPTICAL_FORM):
        match = _OPTICAL_LINE.fullmatch(line)
        if match is None:
            raise malformed(path, number, _OPTICAL_FORM, _shown(line))
        samples.append(_sample(path, number, list(match.groups())))
    return _stream(samples)


def _sample_lines(path: Path, what: str) -> list[tuple[int, str]]:
    lines = enumerate(read_lines(path, what), start=1)
    return [(number, " ".join(line.split())) for number, line in lines if line.strip()]


def _sample(path: Path, line: int, tokens: list[str]) -> _Sample:
    """Stamp and pose of one line; the pose is None where the tracker marked the sample invalid."""
    values = np.array(parse_numbers(path, line, tokens[:7], "a number"))
    stamp_ns = _whole(path, line, tokens[7], "a time in whole nanoseconds")
    position, quaternion = values[:3], values[3:]
    farthest = np.abs(position).max()
    if farthest > _MARK_ABOVE_MM:
        return stamp_ns, None
    if farthest > _MAX_POSITION_MM:
        raise malformed(path, line, f"a position within {_MAX_POSITION_MM:g} mm", f"{farthest:g} mm")
    norm = float(np.linalg.norm(quaternion))
    if abs(norm - 1.0) > _MAX_NORM_ERROR:
        raise malformed(path, line, "a quaternion of length 1", f"length {norm:.4f}")
    return stamp_ns, se3.from_quaternion(quaternion, position)


def _stream(samples: list[_Sample]) -> RecordedStream:
    """Samples sorted by stamp; of several with one stamp the first valid one stays."""
    ordered = sorted(samples, key=lambda sample: sample[0])
    kept = [_first_valid(list(same)) for _, same in groupby(ordered, key=lambda sample: sample[0])]
    missing = np.full((4, 4), np.nan)
    return RecordedStream(
        stamps_ns=np.array([stamp for stamp, _ in kept], dtype=np.int64),
        T_tracker_body=np.stack([missing if T is None else T for _, T in kept]),
        valid=np.array([T is not None for _, T in kept]),
        repeats_dropped=len(samples) - len(kept),
    )


def _first_valid(same_stamp: list[_Sample]) -> _Sample:
    return next((sample for sample in same_stamp if sample[1] is not None), same_stamp[0])


def _whole(path: Path, line: int, token: str, expected: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", token):
        raise malformed(path, line, expected, repr(token))
    return int(token)


def _shown(line: str) -> str:
    return repr(line if len(line) <= 90 else line[:87] + "...")
