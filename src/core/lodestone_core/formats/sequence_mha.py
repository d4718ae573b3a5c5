"""MetaImage sequences of PLUS (`.igs.mha`): per-frame transforms, status and stamps in a text header, then the pixels.

    Seq_Frame0000_StylusToTrackerTransform = r00 r01 ... 0 0 0 1      sixteen numbers, row by row, mm
    Seq_Frame0000_StylusToTrackerTransformStatus = OK
    Seq_Frame0000_Timestamp = 280.4611428572264                       seconds

`StylusToTracker` maps points of the stylus into the tracker, T_Tracker_Stylus here. A transform whose status is not OK
is a missing sample. The header is read at once, the pixels (raw or zlib-compressed) only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.formats.mha_pixels import PixelBlock, pixel_block, read_pixels
from lodestone_core.formats.text import malformed, nearest_rigid, parse_numbers, unreadable
from lodestone_core.time import ns_from_s

Array = npt.NDArray[np.float64]

_WHAT = "a MetaImage sequence (.mha) with its pixels in the same file"
# No header line comes near this; a binary file without line ends does.
_MAX_LINE_BYTES = 1 << 16
_FRAME_KEY = re.compile(r"Seq_Frame(\d+)_(\w+)")


@dataclass(frozen=True, slots=True, eq=False)
class TrackedPoses:
    """Poses (N, 4, 4) of one transform over the frames, mm; NaN where `valid` (N,) is False."""

    T_target_source: Array
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TransformField:
    """One transform over the frames as printed (N, 4, 4), maybe scaled; `lines` (N,) is 0 where it is missing."""

    matrices: Array
    lines: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """One sequence file: `header` of the image, `stamps_ns` (N,) of the frames, raw `fields` of each frame by name."""

    path: Path
    header: Mapping[str, str]
    stamps_ns: npt.NDArray[np.int64]
    fields: tuple[Mapping[str, str], ...]
    transforms: Mapping[tuple[str, str], TransformField]
    block: PixelBlock

    def poses(self, target: str, source: str) -> TrackedPoses:
        """Rigid poses T_target_source; raises InputError when the file does not hold them or when one is not rigid."""
        if (target, source) not in self.transforms:
            known = ", ".join(f"{s}To{t}Transform" for t, s in self.transforms) or "no transform"
            expected = f"{source}To{target}Transform in the frames"
            raise InputError(str(self.path), expected=expected, got=known, remedy="name one of those")
        field = self.transforms[target, source]
        valid = field.lines > 0
        T = np.full_like(field.matrices, np.nan)
        for index in np.flatnonzero(valid):
            T[index] = nearest_rigid(self.path, int(field.lines[index]), field.matrices[index])
        return TrackedPoses(T, valid)

    def pixels(self) -> npt.NDArray[np.generic]:
        """Images (N, rows, columns), with a last axis of channels where there are several. Raises InputError."""
        return read_pixels(self.path, self.block)


_Line = tuple[int, str]
_Frames = list[dict[str, _Line]]


def read_sequence(path: Path) -> Sequence:
    """Header and frame data of a sequence. Raises InputError with file and line."""
    lines, pixels_start = _header_lines(path)
    header = {key: (number, value) for number, key, value in lines if not key.startswith("Seq_Frame")}
    block = pixel_block(path, header, pixels_start)
    frames = _frames(path, lines, block.frames)
    return Sequence(
        path=path,
        header={key: value for key, (_, value) in header.items()},
        stamps_ns=np.array([_stamp_ns(path, index, frame) for index, frame in enumerate(frames)], dtype=np.int64),
        fields=tuple({key: value for key, (_, value) in frame.items()} for frame in frames),
        transforms=_transforms(path, frames),
        block=block,
    )


def _header_lines(path: Path) -> tuple[list[tuple[int, str, str]], int]:
    """(line number, key, value) of every header line, and the offset of the first byte after it."""
    found = []
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES), b""), start=1):
                key, value = _key_value(path, number, raw)
                found.append((number, key, value))
                if key == "ElementDataFile":
                    return found, stream.tell()
    except OSError as error:
        raise unreadable(path, _WHAT, error) from error
    raise InputError(str(path), expected=_WHAT, got="no ElementDataFile line", remedy="give a whole file")


def _key_value(path: Path, number: int, raw: bytes) -> tuple[str, str]:
    try:
        key, equals, value = raw.decode("utf-8").partition("=")
    except UnicodeDecodeError as error:
        raise malformed(path, number, "a header line 'Key = value'", "bytes that are no text") from error
    if not equals or not key.strip():
        raise malformed(path, number, "a header line 'Key = value'", repr(raw[:60].decode("utf-8", "replace")))
    return key.strip(), value.strip()


def _frames(path: Path, lines: list[tuple[int, str, str]], count: int) -> _Frames:
    """Fields of each frame with their line numbers; frames beyond DimSize and fields given twice are refused."""
    frames: _Frames = [{} for _ in range(count)]
    for number, key, value in lines:
        match = _FRAME_KEY.fullmatch(key)
        if match is None:
            if key.startswith("Seq_Frame"):
                raise malformed(path, number, "a key Seq_Frame<number>_<field>", key)
            continue
        index, name = int(match[1]), match[2]
        if index >= count:
            raise malformed(path, number, f"a frame number below {count} (DimSize)", index)
        if name in frames[index]:
            raise malformed(path, number, "each field once a frame", f"{key} a second time")
        frames[index][name] = (number, value)
    return frames


def _stamp_ns(path: Path, index: int, frame: dict[str, _Line]) -> int:
    if "Timestamp" not in frame:
        raise InputError(str(path), expected=f"Seq_Frame{index:04d}_Timestamp", got="none", remedy="give a whole sequence")
    number, value = frame["Timestamp"]
    return ns_from_s(parse_numbers(path, number, [value], "a time in seconds")[0])


def _transforms(path: Path, frames: _Frames) -> dict[tuple[str, str], TransformField]:
    """Every `<source>To<target>Transform` of the frames by (target, source)."""
    names = {name for frame in frames for name in frame if re.fullmatch(r"\w+To\w+Transform", name)}
    found = {}
    for name in sorted(names):
        source, _, target = name.removesuffix("Transform").partition("To")
        found[target, source] = _transform_field(path, frames, name)
    return found


def _transform_field(path: Path, frames: _Frames, name: str) -> TransformField:
    matrices = np.full((len(frames), 4, 4), np.nan)
    lines = np.zeros(len(frames), dtype=np.int64)
    for index, frame in enumerate(frames):
        _, status = frame.get(name + "Status", (0, "OK"))
        if name in frame and status == "OK":
            lines[index], value = frame[name]
            matrices[index] = _matrix(path, int(lines[index]), value)
    return TransformField(matrices, lines)


def _matrix(path: Path, number: int, value: str) -> Array:
    tokens = value.split()
    if len(tokens) != 16:
        raise malformed(path, number, "sixteen numbers", f"{len(tokens)} fields")
    return np.array(parse_numbers(path, number, tokens, "a number")).reshape(4, 4)
