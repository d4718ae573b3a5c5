"""Frame number and time in the first pixels of an emulated image, so that tests count what is lost and late without trusting a driver.

128 pixels of the first row, from the left, one bit each, 0 or 255, most significant bit first: 16 bits mark (0xC0DE), 32 bits frame
number modulo 2^32, 64 bits world time of the acquisition in ns (two's complement), 16 bits low half of the CRC-32 of the 14 bytes before.
It survives an exact copy and nothing else: no compression, no scaling.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS: Final = 128
_MARK: Final = 0xC0DE
_LAYOUT: Final = struct.Struct(">HIq")
_COUNT: Final = 1 << 32


class PixelCode(NamedTuple):
    """What an image says of itself: its number modulo 2^32 and the world time of its acquisition in ns."""

    number: int
    world_ns: int


def write_code(image: NDArray[np.uint8], code: PixelCode) -> None:
    """Write the code over the first pixels of an image (h, w) that is at least 128 wide."""
    body = _LAYOUT.pack(_MARK, code.number % _COUNT, code.world_ns)
    word = body + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "big")
    image[0, :BITS] = np.unpackbits(np.frombuffer(word, np.uint8)) * np.uint8(255)


def read_code(image: NDArray[np.uint8]) -> PixelCode | None:
    """The code of an image; None when it carries none or a damaged one."""
    if image.ndim != 2 or image.shape[0] < 1 or image.shape[1] < BITS:
        return None
    word = np.packbits(image[0, :BITS] >= 128).tobytes()
    body = word[: _LAYOUT.size]
    mark, number, world_ns = _LAYOUT.unpack(body)
    if mark != _MARK or (zlib.crc32(body) & 0xFFFF).to_bytes(2, "big") != word[_LAYOUT.size :]:
        return None
    return PixelCode(number, world_ns)
