"""Calibration and navigation sets of a course on computer-integrated surgery (`pa1-*`, `pa2-*` of ahundt/cis).

A file starts with counts and its own name, `8, 8, 27, pa1-debug-a-calbody.txt`; then come the points, one `x, y, z`
in mm a line, frame by frame and body by body. The letters are the course's: lower case in a body's own frame, capitals
as a tracker sees them. D, d: markers on the EM base (optical); A, a: markers on the calibration object (optical);
C, c: its EM markers; G: EM markers of the EM probe; H: optical markers of the optical probe; b: fiducials in CT.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core.formats.text import malformed, parse_numbers, read_lines

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBody:
    """`calbody`: d (ND, 3) on the EM base, a (NA, 3) and c (NC, 3) on the calibration object, mm."""

    d: Array
    a: Array
    c: Array


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationReadings:
    """`calreadings`: D (F, ND, 3), A (F, NA, 3) in the optical tracker, C (F, NC, 3) in the EM tracker, mm."""

    D: Array
    A: Array
    C: Array


@dataclass(frozen=True, slots=True, eq=False)
class OpticalPivot:
    """`optpivot`: D (F, ND, 3) and H (F, NH, 3) in the optical tracker, mm."""

    D: Array
    H: Array


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedOutput:
    """`output1`: the posts of the two pivots (3,), and C_expected (F, NC, 3), all in the EM tracker, mm."""

    em_pivot: Array
    optical_pivot: Array
    C_expected: Array


def read_calbody(path: Path) -> CalibrationBody:
    """Points of a `calbody` file; every reader here raises InputError with file and line."""
    counts, points = _read(path, ("N_D", "N_A", "N_C"))
    d, a, c = _bodies(path, points, counts, 1)
    return CalibrationBody(d[0], a[0], c[0])


def read_calreadings(path: Path) -> CalibrationReadings:
    """Frames of a `calreadings` file."""
    (*counts, frames), points = _read(path, ("N_D", "N_A", "N_C", "N_frames"))
    return CalibrationReadings(*_bodies(path, points, counts, frames))


def read_empivot(path: Path) -> Array:
    """G (F, NG, 3) of an `empivot` file, mm in the EM tracker."""
    (markers, frames), points = _read(path, ("N_G", "N_frames"))
    return _bodies(path, points, [markers], frames)[0]


def read_optpivot(path: Path) -> OpticalPivot:
    """Frames of an `optpivot` file."""
    (*counts, frames), points = _read(path, ("N_D", "N_H", "N_frames"))
    return OpticalPivot(*_bodies(path, points, counts, frames))


def read_output1(path: Path) -> ExpectedOutput:
    """The expected output of assignment 1, `output1`."""
    (markers, frames), points = _read(path, ("N_C", "N_frames"))
    _check_count(path, points, 2 + markers * frames)
    return ExpectedOutput(points[0], points[1], points[2:].reshape(frames, markers, 3))


def read_ct_fiducials(path: Path) -> Array:
    """b (NB, 3) of a `ct-fiducials` file, mm in CT."""
    (fiducials,), points = _read(path, ("N_B",))
    return _bodies(path, points, [fiducials], 1)[0].reshape(-1, 3)


def read_em_fiducials(path: Path) -> Array:
    """G (NB, NG, 3) of an `em-fiducials` file: one frame for each fiducial touched, mm in the EM tracker."""
    (markers, fiducials), points = _read(path, ("N_G", "N_B"))
    return _bodies(path, points, [markers], fiducials)[0]


def read_em_nav(path: Path) -> Array:
    """G (F, NG, 3) of an `EM-nav` file, mm in the EM tracker."""
    return read_empivot(path)


def read_output2(path: Path) -> Array:
    """Probe tips (F, 3) in CT, mm: the expected output of assignment 2, `output2`."""
    (frames,), points = _read(path, ("N_frames",))
    return _bodies(path, points, [frames], 1)[0].reshape(-1, 3)


def _read(path: Path, names: tuple[str, ...]) -> tuple[list[int], Array]:
    """Counts of the first line and all points (N, 3) below it."""
    header = f"'{', '.join(names)}, file name'"
    lines = read_lines(path, f"a file that starts with {header}")
    tokens = [token.strip() for token in lines[0].split(",")]
    counts = tokens[: len(names)]
    if len(tokens) != len(names) + 1 or not all(re.fullmatch(r"[1-9][0-9]{0,6}", token) for token in counts):
        raise malformed(path, 1, header, repr(lines[0]))
    points = [_point(path, number, line) for number, line in enumerate(lines[1:], start=2) if line.strip()]
    return [int(count) for count in counts], np.array(points).reshape(-1, 3)


def _point(path: Path, line: int, text: str) -> list[float]:
    tokens = [token.strip() for token in text.split(",")]
    if len(tokens) != 3:
        raise malformed(path, line, "three numbers 'x, y, z'", f"{len(tokens)} fields")
    return parse_numbers(path, line, tokens, "a number")


def _bodies(path: Path, points: Array, counts: list[int], frames: int) -> list[Array]:
    """Points of each body, (frames, count, 3); within a frame the bodies follow one another."""
    _check_count(path, points, frames * sum(counts))
    by_frame = points.reshape(frames, sum(counts), 3)
    edges = [0, *np.cumsum(counts).tolist()]
    return [by_frame[:, start:end] for start, end in pairwise(edges)]


def _check_count(path: Path, points: Array, expected: int) -> None:
    if len(points) != expected:
        remedy = "the file is cut short or its first line is wrong: give a whole one"
        raise malformed(path, 1, f"{expected} points after this line", f"{len(points)}", remedy)
