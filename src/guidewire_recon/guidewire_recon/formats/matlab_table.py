"""A MATLAB `table` out of a level 5 MAT file, without MATLAB.

A table is an object: the variable itself holds a reference only, the contents lie in the file's hidden workspace, which is a MAT file of
its own, less its text header. There the cells of a table's properties follow one another; its columns are the cell with as many entries as
the cell with its names. Numeric columns are read, all others left out. scipy reads the bytes; nothing in them is executed. It does so in a
process of its own: some damaged files make its compiled reader (1.17) end the process that reads them.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy.io import loadmat

from lodestone_core.errors import InputError
from lodestone_core.types import Array

_WORKSPACE = "__function_workspace__"
_MOST_BYTES = 200_000_000
_LONGEST_S = 60.0
_REFUSED = 3
# What scipy's reader raises for damaged files.
_DAMAGE = (
    ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, AttributeError, EOFError, OSError, NotImplementedError,
    AssertionError, UnicodeError, zlib.error, struct.error, SystemError,
)  # fmt: skip


def read_matlab_table(path: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Plain numeric variables (2-D), and the numeric columns (N,) of the one table, by their names.

    Raises InputError for a file that cannot be read, or holds no table.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), expected="a MATLAB file", got=str(error.strerror), remedy="check the path") from error
    return parse_apart(data, str(path))


def parse_apart(data: bytes, where: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """As parse_matlab_table, in a process of its own, which may break."""
    command = [sys.executable, "-m", "guidewire_recon.formats.matlab_table", where]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(where, expected=f"a file that is read in {_LONGEST_S:g} s", got="more", remedy="save it again (-v7)") from error
    if done.returncode == _REFUSED:
        told = json.loads(done.stderr.decode().splitlines()[-1])
        raise InputError(told["what"], expected=told["expected"], got=told["got"], remedy=told["remedy"])
    if done.returncode:
        got = f"one on which its reader breaks (exit code {done.returncode})"
        raise InputError(where, expected="a MAT file of level 5", got=got, remedy="save it again (-v7)")
    with np.load(BytesIO(done.stdout), allow_pickle=False) as found:
        plain, columns = ({name[1:]: found[name] for name in found.files if name[0] == kind} for kind in "pc")
    return plain, columns


def main() -> int:
    """Standard input to a file of arrays on standard output; for parse_apart."""
    try:
        plain, columns = parse_matlab_table(sys.stdin.buffer.read(), sys.argv[1])
    except InputError as error:
        told = {name: str(getattr(error, name)) for name in ("what", "expected", "got", "remedy")}
        sys.stderr.write(json.dumps(told) + "\n")
        return _REFUSED
    arrays: dict[str, Any] = {kind + name: value for kind, part in (("p", plain), ("c", columns)) for name, value in part.items()}
    held = BytesIO()
    np.savez(held, **arrays)
    sys.stdout.buffer.write(held.getvalue())
    return 0


def parse_matlab_table(data: bytes, where: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """As read_matlab_table, from the bytes of a file; `where` names it in errors."""
    if len(data) > _MOST_BYTES:
        raise InputError(where, expected=f"at most {_MOST_BYTES} bytes", got=len(data), remedy="give one recording")
    found = _load(data, where)
    plain = {name: np.asarray(v, dtype=np.float64) for name, v in found.items() if _numeric(v) and name != _WORKSPACE}
    hidden = found.get(_WORKSPACE)
    if not isinstance(hidden, np.ndarray) or hidden.dtype != np.uint8 or hidden.size < 16:
        raise InputError(where, expected="a table", got="variables " + ", ".join(plain), remedy="save the recording as a table (-v7)")
    return plain, _columns(_load(_unpacked(hidden.tobytes()), where).get(_WORKSPACE), where)


def _unpacked(hidden: bytes) -> bytes:
    """The hidden workspace as a file: version and byte order stand first in it; of its elements only the first holds objects."""
    order = hidden[2:4]
    size = int.from_bytes(hidden[12:16], "little" if order == b"IM" else "big")
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01" + order + hidden[8 : 16 + size]


def _load(data: bytes, where: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {str(name): value for name, value in loadmat(cast(Any, BytesIO(data))).items()}
    except _DAMAGE as error:
        raise InputError(
            where, expected="a MAT file of level 5", got=f"{type(error).__name__}: {error}", remedy="save it again (-v7)"
        ) from error


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.ndim == 2


def _columns(workspace: Any, where: str) -> dict[str, Array]:
    """The columns out of the objects' cells: lists of names, and the lists of as many values."""
    cells = [cell for cell in _cells(workspace) if isinstance(cell, np.ndarray) and cell.dtype == object]
    for names in cells:
        words = [_text(entry) for entry in names.ravel()]
        if len(words) < 2 or not all(words):
            continue
        for values in cells:
            columns = values.ravel()
            if values is names or len(columns) != len(words):
                continue
            rows = columns[0].size if _numeric(columns[0]) else 0
            found = {
                w: np.asarray(c, dtype=np.float64).ravel() for w, c in zip(words, columns, strict=True) if _numeric(c) and c.size == rows
            }
            if rows and len(found) >= 2:
                return found
    raise InputError(where, expected="a table with numeric columns", got="none", remedy="save the recording as a table (-v7)")


def _cells(workspace: Any) -> list[Any]:
    """Entries of `MCOS.arr`, whichever way they are wrapped."""
    try:
        return list(workspace["MCOS"].ravel()[0]["arr"].ravel()[0].ravel())
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        return []


def _text(entry: Any) -> str:
    return str(entry.ravel()[0]) if isinstance(entry, np.ndarray) and entry.dtype.kind == "U" and entry.size == 1 else ""


if __name__ == "__main__":
    sys.exit(main())
