"""What the readers of line-by-line text share: opening a file and saying which line is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError

Array = npt.NDArray[np.float64]

# A rotation printed with six digits is off by 1e-6; a scaled or sheared matrix is off by far more than this.
MAX_ROTATION_ERROR = 1e-3
_REMEDY = "mend or remove that line, or give another file"


def read_lines(path: Path, what: str) -> list[str]:
    """Lines of a text file (CR LF and a byte order mark are taken off).

    `what` says what the file should be. Raises InputError when it is missing, unreadable, empty or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise unreadable(path, what, error) from error
    except UnicodeDecodeError as error:
        raise InputError(str(path), expected=what, got="a file that is not text", remedy="give another file") from error
    if not any(line.strip() for line in lines):
        raise InputError(str(path), expected=what, got="an empty file", remedy="record again, or give another file")
    return lines


def unreadable(path: Path, what: str, error: OSError) -> InputError:
    """The InputError for a file that the operating system refuses."""
    got = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
    return InputError(str(path), expected=what, got=got, remedy="check the path and its permissions")


def malformed(path: Path, line: int, expected: object, got: object, remedy: str = _REMEDY) -> InputError:
    """The InputError for one line (counted from 1)."""
    return InputError(f"{path}:{line}", expected=expected, got=got, remedy=remedy)


def parse_numbers(path: Path, line: int, tokens: list[str], expected: str) -> list[float]:
    """Finite numbers of the tokens; raises InputError that names the one that is none."""
    return [_number(path, line, token, expected) for token in tokens]


def nearest_rigid(path: Path, line: int, matrix: Array) -> Array:
    """The rigid transform (4, 4) nearest to a printed matrix (4, 4).

    Digits lost in print are repaired; raises InputError when the last row is not 0 0 0 1 or when the rotation is
    scaled, sheared or mirrored by more than `MAX_ROTATION_ERROR`.
    """
    if np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > MAX_ROTATION_ERROR:
        raise malformed(path, line, "a last row 0 0 0 1", " ".join(f"{x:g}" for x in matrix[3]))
    U, singular, Vt = np.linalg.svd(matrix[:3, :3])
    if np.abs(singular - 1.0).max() > MAX_ROTATION_ERROR:
        stretch = " ".join(f"{x:.4g}" for x in singular)
        raise malformed(path, line, "a rotation (all singular values 1)", f"singular values {stretch}")
    if np.linalg.det(U @ Vt) < 0.0:
        raise malformed(path, line, "a rotation", "a reflection (determinant -1)")
    rigid = np.eye(4)
    rigid[:3, :3] = U @ Vt
    rigid[:3, 3] = matrix[:3, 3]
    return rigid


def _number(path: Path, line: int, token: str, expected: str) -> float:
    try:
        value = float(token)
    except ValueError as error:
        raise malformed(path, line, expected, repr(token)) from error
    if not math.isfinite(value):
        raise malformed(path, line, expected, repr(token))
    return value
