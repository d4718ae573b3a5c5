"""The pixels of a MetaImage file: what its header says of them, and reading them, raw or zlib-compressed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.formats.text import malformed, unreadable

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


@dataclass(frozen=True, slots=True)
class PixelBlock:
    """Where the pixels lie and what they are; `dtype` is None for a sequence without images (transforms only)."""

    offset: int
    frames: int
    rows: int
    columns: int
    channels: int
    dtype: str | None
    compressed: bool


def pixel_block(path: Path, header: Mapping[str, tuple[int, str]], offset: int) -> PixelBlock:
    """The block that a header (key: line number and value) describes. Raises InputError with file and line."""
    number, place = _required(path, header, "ElementDataFile")
    if place != "LOCAL":
        raise malformed(path, number, "ElementDataFile = LOCAL", place, "save as one .mha file")
    number, kind = _required(path, header, "ElementType")
    columns, rows, frames = _sizes(path, *_required(path, header, "DimSize"))
    if kind not in _TYPES and rows * columns > 0:
        raise malformed(path, number, "an ElementType out of " + ", ".join(_TYPES), kind, "save in one of those types")
    big_endian = _flag(path, header, "BinaryDataByteOrderMSB") or _flag(path, header, "ElementByteOrderMSB")
    return PixelBlock(
        offset=offset,
        frames=frames,
        rows=rows,
        columns=columns,
        channels=_count(path, *header.get("ElementNumberOfChannels", (0, "1"))),
        dtype=(">" if big_endian else "<") + _TYPES[kind] if rows * columns > 0 else None,
        compressed=_flag(path, header, "CompressedData"),
    )


def read_pixels(path: Path, block: PixelBlock) -> npt.NDArray[np.generic]:
    """Images (frames, rows, columns[, channels]). Raises InputError when there are none or when they are cut short."""
    if block.dtype is None:
        raise InputError(str(path), expected="images", got="transforms only", remedy="give a sequence with images")
    shape = (block.frames, block.rows, block.columns) + ((block.channels,) if block.channels > 1 else ())
    expected = math.prod(shape) * np.dtype(block.dtype).itemsize
    try:
        with path.open("rb") as stream:
            stream.seek(block.offset)
            data = _inflate(path, stream.read(), expected) if block.compressed else stream.read(expected)
    except OSError as error:
        raise unreadable(path, "a MetaImage file", error) from error
    if len(data) < expected:
        raise InputError(str(path), expected=f"{expected} bytes of pixels", got=len(data), remedy="give a whole file")
    return np.frombuffer(data, dtype=block.dtype, count=math.prod(shape)).reshape(shape)


def _inflate(path: Path, data: bytes, expected: int) -> bytes:
    # The limit keeps a damaged or hostile file from filling the memory.
    try:
        return zlib.decompressobj().decompress(data, expected)
    except zlib.error as error:
        raise InputError(str(path), expected="zlib-compressed pixels", got=str(error), remedy="give a whole file") from error


def _sizes(path: Path, number: int, text: str) -> tuple[int, int, int]:
    """Columns, rows and frames; older files write three sizes, newer ones a slice count of 1 before the frames."""
    expected = "DimSize = columns rows frames (or columns rows 1 frames)"
    tokens = text.split()
    known_layout = len(tokens) == 3 or (len(tokens) == 4 and tokens[2] == "1")
    if not known_layout or not all(token.isdigit() for token in tokens):
        raise malformed(path, number, expected, text)
    if int(tokens[-1]) == 0:
        raise malformed(path, number, "at least one frame", text)
    return int(tokens[0]), int(tokens[1]), int(tokens[-1])


def _required(path: Path, header: Mapping[str, tuple[int, str]], key: str) -> tuple[int, str]:
    if key not in header:
        raise InputError(str(path), expected=f"a header line {key} = ...", got="none", remedy="give a MetaImage file")
    return header[key]


def _flag(path: Path, header: Mapping[str, tuple[int, str]], key: str) -> bool:
    number, value = header.get(key, (0, "False"))
    if value not in ("True", "False"):
        raise malformed(path, number, f"{key} = True or False", value)
    return value == "True"


def _count(path: Path, number: int, value: str) -> int:
    if not value.isdigit() or int(value) == 0:
        raise malformed(path, number, "a count of at least 1", value)
    return int(value)
