"""Framed records as a microcontroller sends them: body, CRC-16/ARC low byte first, COBS, a zero byte. The bench's own."""

from __future__ import annotations

from lodestone_bench.emulators.crc16 import crc16

_LONGEST_RUN = 254
_LONGEST_FRAME = 4096


def framed(body: bytes) -> bytes:
    """The bytes of one frame on the line."""
    data = body + crc16(body).to_bytes(2, "little")
    line = bytearray()
    *inner, last = data.split(b"\0")
    for run in inner:
        line += _full_groups(run, len(run) // _LONGEST_RUN)
        rest = run[len(run) // _LONGEST_RUN * _LONGEST_RUN :]
        line += bytes([len(rest) + 1]) + rest
    # At the very end a group of full length stands without another one behind it.
    full = max(0, len(last) - 1) // _LONGEST_RUN
    rest = last[full * _LONGEST_RUN :]
    line += _full_groups(last, full) + bytes([len(rest) + 1]) + rest
    return bytes(line) + b"\0"


def _full_groups(run: bytes, count: int) -> bytes:
    groups = (run[i * _LONGEST_RUN : (i + 1) * _LONGEST_RUN] for i in range(count))
    return b"".join(b"\xff" + group for group in groups)


def unframed(stuffed: bytes) -> bytes | None:
    """The body of a frame without its zero byte; None when it is damaged."""
    data, at = bytearray(), 0
    while at < len(stuffed):
        code = stuffed[at]
        group = stuffed[at + 1 : at + code]
        if len(group) != code - 1 or not code:
            return None
        data += group
        at += code
        if code <= _LONGEST_RUN and at < len(stuffed):
            data.append(0)
    if len(data) < 3 or crc16(bytes(data[:-2])) != int.from_bytes(data[-2:], "little"):
        return None
    return bytes(data[:-2])


class HostBytes:
    """What the host has sent: bytes in, bodies out; a byte that was not well framed spoils the frame it is in."""

    def __init__(self) -> None:
        self._begun = bytearray()

    def take(self, heard: list[tuple[int, bool]]) -> list[bytes]:
        """The bodies that these bytes complete."""
        bodies = []
        for byte, well_framed in heard:
            if byte or not well_framed:
                self._begun.append(byte if well_framed else 0)
                del self._begun[:-_LONGEST_FRAME]
                continue
            body = unframed(bytes(self._begun))
            self._begun.clear()
            if body is not None:
                bodies.append(body)
        return bodies
