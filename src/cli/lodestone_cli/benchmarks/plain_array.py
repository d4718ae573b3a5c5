"""The peer of `bench_array`: one frame of the array from line to field in plain Python, as a driver without numpy would do it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any


class PlainDecoder:
    """Bytes of one frame in, field of every sensor out."""

    def __init__(self, values: dict[str, Any]) -> None:
        """`values` of a calibration file of kind `magnetometers`."""
        self._reference = values["reference_degc"]
        self._sensors = [
            (_product(s["rotation"], s["matrix"]), s["bias_T"], s["slope_T_per_K"]) if s is not None else None for s in values["sensors"]
        ]

    def field_T(self, frame: bytes) -> list[list[float] | None]:
        """Field of each sensor, None where it may not be used. Raises ValueError for a damaged frame."""
        body = _unframed(frame)
        n = body[16]
        return [self._sensor(body, 17 + 11 * i, self._sensors[i]) for i in range(n)]

    def _sensor(self, body: bytes, at: int, calibration: Any) -> list[float] | None:
        status = body[at + 10]
        raw = [_signed(body[at + 3 * axis] | body[at + 3 * axis + 1] << 8 | body[at + 3 * axis + 2] << 16) for axis in range(3)]
        if calibration is None or status & 0x1C or not status & 1 or any(value in (131071, -131072) for value in raw):
            return None
        gain, bias, slope = calibration
        warmth = 30.0 - struct.unpack_from("b", body, at + 9)[0] / 1.7 - self._reference
        shown = [raw[axis] * 1e-8 - bias[axis] - slope[axis] * warmth for axis in range(3)]
        return [sum(row[axis] * shown[axis] for axis in range(3)) for row in gain]


def _signed(word: int) -> int:
    word &= 0x3FFFF
    return word - 0x40000 if word & 0x20000 else word


def _product(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]


def _unframed(frame: bytes) -> bytes:
    data, at = bytearray(), 0
    while frame[at]:
        code = frame[at]
        data += frame[at + 1 : at + code]
        at += code
        if code < 255 and frame[at]:
            data.append(0)
    register = 0
    for byte in data[:-2]:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    if register != data[-2] | data[-1] << 8:
        raise ValueError("CRC")
    return bytes(data[:-2])
