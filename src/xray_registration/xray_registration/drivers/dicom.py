"""X-ray pictures out of DICOM files, uncompressed, with the part of the header that is geometry.

Nothing that could name a patient leaves this module: errors give tags and numbers, never the text of another element.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lodestone_core.errors import InputError
from xray_registration.drivers.dicom_geometry import read_geometry
from xray_registration.drivers.dicom_values import element, integer, number, numbers, text
from xray_registration.drivers.header import XrayHeader

MAX_PIXELS = 64_000_000
"""Columns times rows times frames; a damaged header must not ask for all memory."""

# Its warnings quote what is in the file, patients' names too.
logging.getLogger("pydicom").disabled = True

_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_REDAMAGED = "write the file again; it may have been read while it was written"
_MAX_FRAME_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class DicomImage:
    """Frames (n, rows, columns) as uint8 or uint16, bright where the detector saw much (or as the device displays it).

    `headers` and `offsets_s` have one entry a frame; an offset is the time before the last frame (0 for that one), seconds.
    """

    frames: npt.NDArray[Any]
    headers: tuple[XrayHeader, ...]
    offsets_s: tuple[float, ...]


def read_dicom(content: bytes, increments: str = "unknown") -> DicomImage:
    """Decode a file. `increments`: how the device means the angle increments of a moving positioner (see dicom_geometry).

    Raises InputError for what is no DICOM, damaged, compressed, in colour, signed, or larger than MAX_PIXELS.
    """
    dataset = _parse(content)
    _check_kind(dataset)
    frames = _frames(dataset)
    headers = read_geometry(dataset, len(frames), increments)
    return DicomImage(frames, headers, _offsets_s(dataset, len(frames)))


def _parse(content: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dcmread(io.BytesIO(content))
    except Exception as error:
        # pydicom raises whatever a damaged file leads it into, and its texts may hold what the file says of the patient.
        got = f"what ends in {type(error).__name__}"
        raise InputError("file", expected="a DICOM file (with its 128-byte preamble)", got=got, remedy=_REDAMAGED) from None


def _check_kind(dataset: Any) -> None:
    syntax = element(dataset.file_meta, "TransferSyntaxUID")
    if syntax not in _PLAIN:
        remedy = "let the device export uncompressed pictures (Explicit VR Little Endian), or decompress with dcmdjpeg or gdcmconv --raw"
        got = "none" if syntax is None else "a compressed or private one"
        raise InputError("transfer syntax (0002,0010)", expected="an uncompressed one", got=got, remedy=remedy)
    samples = integer(dataset, "SamplesPerPixel", 1)
    if samples != 1:
        raise InputError(
            "samples per pixel (0028,0002)", expected=1, got=samples, remedy="export grey pictures, not a screen copy in colour"
        )
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        remedy = "export grey pictures"
        got = "none" if not photometric else "another one"
        raise InputError("photometric interpretation (0028,0004)", expected="MONOCHROME1 or MONOCHROME2", got=got, remedy=remedy)


def _frames(dataset: Any) -> npt.NDArray[Any]:
    columns, rows, count = (integer(dataset, key, default) for key, default in (("Columns", 0), ("Rows", 0), ("NumberOfFrames", 1)))
    if min(columns, rows, count) < 1 or columns * rows * count > MAX_PIXELS:
        expected = f"columns, rows and frames of at least 1 and at most {MAX_PIXELS} pixels together"
        raise InputError("size", expected=expected, got=f"{columns} x {rows} x {count}", remedy=_REDAMAGED)
    allocated, stored = integer(dataset, "BitsAllocated", 0), integer(dataset, "BitsStored", 0)
    high = integer(dataset, "HighBit", stored - 1)
    if allocated not in (8, 16) or not 1 <= stored <= allocated or high != stored - 1:
        expected = "8 or 16 bits allocated, the lowest of them stored"
        raise InputError("bits (0028,0100)", expected=expected, got=f"{stored} of {allocated}, high bit {high}", remedy=_REDAMAGED)
    pixels = _pixels(dataset, allocated, columns * rows * count)
    if integer(dataset, "PixelRepresentation", 0) != 0:
        remedy = "export unsigned pictures"
        raise InputError("pixel representation (0028,0103)", expected="0 (unsigned)", got="signed or damaged", remedy=remedy)
    top = (1 << stored) - 1
    if int(pixels.max()) > top:
        remedy = "the device leaves overlays in unused bits; export without them"
        raise InputError(
            "pixel data (7FE0,0010)", expected=f"values of at most {top} in {stored} bits", got=int(pixels.max()), remedy=remedy
        )
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        pixels = (top - pixels).astype(pixels.dtype)
    return _rescaled(dataset, pixels).reshape(count, rows, columns)


def _pixels(dataset: Any, allocated: int, count: int) -> npt.NDArray[Any]:
    raw = element(dataset, "PixelData")
    size = count * allocated // 8
    length = len(raw) if isinstance(raw, bytes) else 0
    if length not in (size, size + size % 2):
        raise InputError("pixel data (7FE0,0010)", expected=f"{size} bytes", got=length, remedy=_REDAMAGED)
    order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    pixels = np.frombuffer(raw[:size], dtype=f"{order}u{allocated // 8}")
    return pixels.astype(np.uint8 if allocated == 8 else np.uint16)


def _rescaled(dataset: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rescale slope and intercept are applied where they do something; the result must fit into 16 bits unsigned."""
    slope = number(dataset, "RescaleSlope")
    intercept = number(dataset, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if (slope, intercept) == (1.0, 0.0):
        return pixels
    low, high = sorted(slope * float(value) + intercept for value in (pixels.min(), pixels.max()))
    if slope == 0.0 or low < 0.0 or high > 65535.0:
        expected = "a rescaled picture within 0 and 65535"
        got = f"slope {slope:g}, intercept {intercept:g}"
        raise InputError("rescale (0028,1053)", expected=expected, got=got, remedy="export the picture without rescaling")
    return np.rint(slope * pixels.astype(np.float64) + intercept).astype(np.uint16)


def _offsets_s(dataset: Any, count: int) -> tuple[float, ...]:
    """Times before the last frame, from the frame time vector (0018,1065), else the frame time (0018,1063), ms."""
    vector = numbers(dataset, "FrameTimeVector")
    step = number(dataset, "FrameTime")
    if count == 1:
        return (0.0,)
    if vector is not None and len(vector) == count:
        steps_ms = vector[1:]
    elif step is not None:
        steps_ms = [step] * (count - 1)
    else:
        remedy = "let the device write the frame time"
        raise InputError("frame time (0018,1063)", expected=f"the time between {count} frames", got="none", remedy=remedy)
    if not all(math.isfinite(value) and 0.0 < value <= _MAX_FRAME_S * 1e3 for value in steps_ms):
        raise InputError("frame time (0018,1063)", expected="positive milliseconds", got="others", remedy=_REDAMAGED)
    ends = np.cumsum([0.0, *steps_ms]) * 1e-3
    return tuple(float(value - ends[-1]) for value in ends)
