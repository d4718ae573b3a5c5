"""A folder of tracked poses, one 4x4 matrix a text file (`pointer_pivot` of UCL/scikit-surgerycalibration)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.formats.text import malformed, nearest_rigid, parse_numbers, read_lines

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MatrixFolder:
    """Poses T_tracker_body (N, 4, 4) in mm, and the names of their files, in the order of the names."""

    names: tuple[str, ...]
    T_tracker_body: Array


def read_matrix_folder(folder: Path) -> MatrixFolder:
    """All `*.txt` files of a folder; each holds four lines of four numbers.

    Raises InputError when the folder is missing or has no such file, and with file and line for anything else in one.
    """
    what = "a folder of text files that hold one 4x4 matrix each"
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no such folder"
        raise InputError(str(folder), expected=what, got=got, remedy="check the path")
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise InputError(str(folder), expected=what, got="no *.txt file", remedy="check the path")
    return MatrixFolder(tuple(path.name for path in paths), np.stack([read_matrix(path) for path in paths]))


def read_matrix(path: Path) -> Array:
    """The rigid transform (4, 4) in mm of one file. Raises InputError with file and line."""
    rows = []
    lines = [(n, line.split()) for n, line in enumerate(read_lines(path, "a 4x4 matrix"), start=1) if line.strip()]
    for number, tokens in lines:
        if len(tokens) != 4:
            raise malformed(path, number, "four numbers", f"{len(tokens)} fields")
        rows.append(parse_numbers(path, number, tokens, "a number"))
    if len(rows) != 4:
        raise malformed(path, lines[-1][0], "four rows", f"{len(rows)} rows")
    return nearest_rigid(path, lines[0][0], np.array(rows))
