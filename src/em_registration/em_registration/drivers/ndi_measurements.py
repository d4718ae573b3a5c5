"""TX and BX replies as typed records: the same record from either. Lengths in mm, quaternions w x y z, as on the wire.

A decoder reports what the device sent; whether it makes a pose is decided in frames.py. It raises MalformedReply where the
CRC held but the content does not fit its own layout.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from em_registration.drivers.ndi_codes import HandleStatus
from em_registration.drivers.ndi_commands import ReplyKind

BX_START: Final = b"\xc4\xa5"
BX_HEADER_BYTES: Final = 6
BX_OVERHEAD_BYTES: Final = 8
_FLOATS = struct.Struct("<8f")
_STATUS_FRAME = struct.Struct("<II")
# A handle, a status byte and, for a visible tool, the floats and the two words; 255 handles at most.
BX_MAX_BODY_BYTES: Final = 3 + 255 * (2 + _FLOATS.size + _STATUS_FRAME.size)

_TX_NUMBERS = rb"(?:[+-]\d{5}){4}(?:[+-]\d{6}){3}[+-]\d{5}"
_TX_RECORD = re.compile(rb"([0-9A-F]{2})(?:(" + _TX_NUMBERS + rb")|(MISSING)|(DISABLED|UNOCCUPIED))(?:([0-9A-F]{8})([0-9A-F]{8}))?")
_TX_WIDTHS = ((0, 6, 1e4), (6, 12, 1e4), (12, 18, 1e4), (18, 24, 1e4), (24, 31, 1e2), (31, 38, 1e2), (38, 45, 1e2), (45, 51, 1e4))


class MalformedReply(ValueError):
    """A reply whose CRC holds and whose content does not fit its own layout."""


@dataclass(frozen=True, slots=True)
class ToolReading:
    """One handle in one measurement reply; the pose is None unless `status` is VALID, status word and frame may be absent when disabled."""

    handle: int
    status: HandleStatus
    q_wxyz: tuple[float, float, float, float] | None = None
    t_mm: tuple[float, float, float] | None = None
    error_mm: float = float("nan")
    port_status: int | None = None
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One TX or BX reply."""

    kind: ReplyKind
    readings: tuple[ToolReading, ...]
    system_status: int


def parse_bx(body: bytes | memoryview) -> Measurement:
    """The body of a BX reply (between header and trailing CRC)."""
    try:
        readings, at = [], 1
        for _ in range(body[0]):
            reading, at = _bx_reading(body, at)
            readings.append(reading)
        (system_status,) = struct.unpack_from("<H", body, at)
    except (struct.error, IndexError, ValueError) as error:
        raise MalformedReply(f"BX: {error}") from error
    if at + 2 != len(body):
        raise MalformedReply(f"BX: {len(body) - at - 2} bytes left over")
    return Measurement(ReplyKind.BX, tuple(readings), system_status)


def _bx_reading(body: bytes | memoryview, at: int) -> tuple[ToolReading, int]:
    """The reading at `at` and where the next one begins. What follows the status is told by the status alone."""
    handle, status = body[at], HandleStatus(body[at + 1])
    at += 2
    if status is HandleStatus.UNOCCUPIED:
        raise ValueError("handle status 08 does not occur in BX")
    if status is HandleStatus.DISABLED:
        return ToolReading(handle, status), at
    if status is HandleStatus.MISSING:
        port_status, frame = _STATUS_FRAME.unpack_from(body, at)
        return ToolReading(handle, status, port_status=port_status, frame=frame), at + _STATUS_FRAME.size
    w, qx, qy, qz, x, y, z, error = _FLOATS.unpack_from(body, at)
    port_status, frame = _STATUS_FRAME.unpack_from(body, at + _FLOATS.size)
    reading = ToolReading(handle, status, (w, qx, qy, qz), (x, y, z), error, port_status, frame)
    return reading, at + _FLOATS.size + _STATUS_FRAME.size


def parse_tx(payload: bytes) -> Measurement:
    """A TX reply without CRC: a count, one line a handle, the system status."""
    *lines, last = payload[2:].split(b"\n")
    count = payload[:2]
    if not re.fullmatch(rb"[0-9A-F]{2}", count) or int(count, 16) != len(lines) or not re.fullmatch(rb"[0-9A-F]{4}", last):
        raise MalformedReply(f"TX: {len(lines)} lines where {count!r} were announced")
    return Measurement(ReplyKind.TX, tuple(_tx_reading(line) for line in lines), int(last, 16))


def _tx_reading(line: bytes) -> ToolReading:
    """One line. Drivers disagree on whether status and frame follow DISABLED and UNOCCUPIED: both are taken."""
    match = _TX_RECORD.fullmatch(line)
    if match is None:
        raise MalformedReply(f"TX: {line[:90]!r}")
    handle = int(match[1], 16)
    port_status, frame = (int(match[5], 16), int(match[6], 16)) if match[5] else (None, None)
    if match[4]:
        return ToolReading(handle, HandleStatus[match[4].decode()], port_status=port_status, frame=frame)
    if port_status is None:
        raise MalformedReply(f"TX: {line[:90]!r} has neither status nor frame number")
    if match[3]:
        return ToolReading(handle, HandleStatus.MISSING, port_status=port_status, frame=frame)
    w, qx, qy, qz, x, y, z, error = (int(match[2][begin:end]) / scale for begin, end, scale in _TX_WIDTHS)
    return ToolReading(handle, HandleStatus.VALID, (w, qx, qy, qz), (x, y, z), error, port_status, frame)
