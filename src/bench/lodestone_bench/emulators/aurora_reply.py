"""Measurement replies of the device, TX and BX, byte for byte (layouts: NDI combined API as public drivers read it)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from lodestone_bench.emulators.crc16 import crc16, with_crc
from lodestone_bench.sources.source import Pose

# TX prints xxxx.xx mm: a translation beyond this has no representation, so the device does not report it.
MAX_TRANSLATION_MM = 9999.99
_MAX_ERROR_MM = 9.9999
_TAIL = b"0" * 16


class HandleState(Enum):
    """What the reply says of one handle: (word in TX, byte in BX)."""

    VALID = (b"", 1)
    MISSING = (b"MISSING", 2)
    DISABLED = (b"DISABLED", 4)
    UNOCCUPIED = (b"UNOCCUPIED", 4)


@dataclass(frozen=True, slots=True)
class HandleReport:
    """One port handle in one reply; `pose` and `error_mm` count only when the state is VALID."""

    handle: int
    state: HandleState
    port_status: int = 0
    frame: int = 0
    pose: Pose | None = None
    error_mm: float = 0.0


def tx_reply(reports: Sequence[HandleReport], system_status: int, *, tail: bool = False) -> bytes:
    """The ASCII reply. `tail`: eight and eight digits also follow DISABLED and UNOCCUPIED, as one public driver expects."""
    lines = b"".join(_tx_line(report, tail) for report in reports)
    return with_crc(b"%02X%s%04X" % (len(reports), lines, system_status))


def bx_reply(reports: Sequence[HandleReport], system_status: int) -> bytes:
    """The binary reply: header with its CRC over the first four bytes, body, CRC over everything before it."""
    body = bytes([len(reports)]) + b"".join(_bx_record(report) for report in reports) + struct.pack("<H", system_status)
    start = struct.pack("<HH", 0xA5C4, len(body))
    message = start + struct.pack("<H", crc16(start)) + body
    return message + struct.pack("<H", crc16(message))


def _tx_line(report: HandleReport, tail: bool) -> bytes:
    start = b"%02X%s" % (report.handle, report.state.value[0])
    if report.state in (HandleState.DISABLED, HandleState.UNOCCUPIED):
        return start + (_TAIL if tail else b"") + b"\n"
    return start + _tx_transform(report) + b"%08X%08X\n" % (report.port_status, report.frame)


def _tx_transform(report: HandleReport) -> bytes:
    if report.pose is None or report.state is not HandleState.VALID:
        return b""
    quaternion = "".join(f"{round(q * 1e4):+06d}" for q in report.pose.q_wxyz)
    translation = "".join(f"{round(t * 1e2):+07d}" for t in report.pose.t_mm)
    return f"{quaternion}{translation}{round(min(report.error_mm, _MAX_ERROR_MM) * 1e4):+06d}".encode()


def _bx_record(report: HandleReport) -> bytes:
    record = bytes([report.handle, report.state.value[1]])
    if report.state in (HandleState.DISABLED, HandleState.UNOCCUPIED):
        return record
    if report.pose is not None and report.state is HandleState.VALID:
        record += struct.pack("<8f", *report.pose.q_wxyz, *report.pose.t_mm, report.error_mm)
    return record + struct.pack("<II", report.port_status, report.frame)
