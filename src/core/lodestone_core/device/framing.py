"""Frames of a microcontroller on a serial line: COBS between zero bytes, CRC-16/ARC over all that is in one. No I/O.

COBS (Cheshire and Baker, Consistent Overhead Byte Stuffing, IEEE/ACM ToN 7, 1999) leaves 0x00 to mark the end of a frame, so that a
reader finds the next frame after any damage. The last two bytes of a frame are the CRC of those before, low byte first. The first byte
is never zero (it is the version of what follows): this CRC begins at zero and does not see zeros that are lost at the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cobs import cobs

from lodestone_core.device.crc16 import crc16
from lodestone_core.errors import InputError

DELIMITER: Final = 0
CRC_BYTES: Final = 2


def encode_frame(body: bytes) -> bytes:
    """The bytes of one frame on the line: body and CRC, stuffed, with the zero byte at the end."""
    if not body or not body[0]:
        raise InputError("frame", expected="a body whose first byte, its version, is not zero", got=body[:4], remedy="begin at version 1")
    return bytes(cobs.encode(body + crc16(body).to_bytes(CRC_BYTES, "little"))) + b"\0"


@dataclass(slots=True)
class FrameCounters:
    """What a decoder has seen. `noise_bytes` lie in no good frame."""

    frames: int = 0
    bad_crc: int = 0
    bad_stuffing: int = 0
    too_long: int = 0
    noise_bytes: int = 0


class FrameDecoder:
    """Bytes in, bodies of good frames out. A frame longer than `longest` is dropped as it comes, so memory stays bounded.

    What comes before the first zero byte may be the end of a frame that began before the port was opened: it is dropped, uncounted,
    unless it is a good frame.
    """

    def __init__(self, longest: int = 4096) -> None:
        self.counters = FrameCounters()
        self._longest = longest
        self.clear()

    def clear(self) -> None:
        """Forget what was begun, as after the port was opened again."""
        self._begun = bytearray()
        self._overlong = False
        self._synchronised = False

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies of the frames that these bytes complete, oldest first."""
        *ends, rest = data.split(b"\0")
        bodies = [body for part in ends if (body := self._finish(part)) is not None]
        self._collect(rest)
        return bodies

    def _collect(self, part: bytes) -> None:
        self._begun += part
        if len(self._begun) > self._longest:
            self._overlong = True
            self.counters.noise_bytes += len(self._begun)
            self._begun.clear()

    def _finish(self, part: bytes) -> bytes | None:
        self._collect(part)
        stuffed, self._begun = bytes(self._begun), bytearray()
        first, self._synchronised = not self._synchronised, True
        if self._overlong:
            self._overlong = False
            self.counters.too_long += 1
            self.counters.noise_bytes += len(stuffed)
            return None
        if not stuffed:
            return None  # zero bytes in a row: a firmware may send one ahead of each frame
        body = self._unstuffed(stuffed, first)
        self.counters.noise_bytes += len(stuffed) if body is None else 0
        return body

    def _unstuffed(self, stuffed: bytes, first: bool) -> bytes | None:
        try:
            frame = bytes(cobs.decode(stuffed))
        except cobs.DecodeError:
            self.counters.bad_stuffing += not first
            return None
        if len(frame) <= CRC_BYTES or not frame[0] or crc16(frame[:-CRC_BYTES]).to_bytes(CRC_BYTES, "little") != frame[-CRC_BYTES:]:
            self.counters.bad_crc += not first
            return None
        self.counters.frames += 1
        return frame[:-CRC_BYTES]
