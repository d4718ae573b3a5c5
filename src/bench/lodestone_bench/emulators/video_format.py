"""How an emulated video device writes its stream: IVF, where each image carries its time, or Y4M, where none does. Grey values, row by row.

IVF is a header of 32 bytes, then for each frame 12 bytes, the size of the image and the time of its acquisition by the device's clock
(here in microseconds), and the image; its four letters say `Y800`: uncompressed grey values of 8 bit. Y4M (yuv4mpeg) is a line of text,
`YUV4MPEG2 W2048 H1536 F10:1 Ip A1:1 Cmono`, then for each frame the line `FRAME` and the image: what is lost leaves no gap, as with a
camera that only hands its images over.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final, Protocol

_IVF: Final = struct.Struct("<4sHH4sHHIIII")
_IVF_FRAME: Final = struct.Struct("<IQ")
_US_PER_S: Final = 1_000_000


class VideoFormat(Protocol):
    """The bytes around the images of one stream."""

    def header(self, width: int, height: int, rate_hz: float) -> bytes:
        """What comes before the first image."""

    def marker(self, image_bytes: int, device_us: int) -> bytes:
        """What comes before each image: its size, and its time on the device's clock where the format has one."""


class Ivf:
    """Images with times."""

    def header(self, width: int, height: int, rate_hz: float) -> bytes:
        """See VideoFormat."""
        return _IVF.pack(b"DKIF", 0, _IVF.size, b"Y800", width, height, _US_PER_S, 1, 0, 0)

    def marker(self, image_bytes: int, device_us: int) -> bytes:
        """See VideoFormat."""
        return _IVF_FRAME.pack(image_bytes, device_us)


class Y4m:
    """Images without times."""

    def header(self, width: int, height: int, rate_hz: float) -> bytes:
        """See VideoFormat."""
        rate = Fraction(rate_hz).limit_denominator(1001)
        return f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 Cmono\n".encode()

    def marker(self, image_bytes: int, device_us: int) -> bytes:
        """See VideoFormat."""
        return b"FRAME\n"
