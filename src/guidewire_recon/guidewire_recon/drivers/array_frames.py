"""Bodies of the array's frames: bytes in, records out. The layout for firmware writers is docs/magnetometer_stream.md.

A body that does not fit is not an exception but a sentence: it goes into the driver's status.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from guidewire_recon.drivers.ak09940a import Drive, counts, identity
from guidewire_recon.types import Counts, Words

MEASUREMENT, HELLO = 0x01, 0x11
ENCODERS: Final = (0x41, 0xC1)
HELLO_REQUEST: Final = bytes([0xF1, 0x01])
"""What is sent to be told what the device is."""

DRDY, DOR, INV, RANGE, BUS = 1, 2, 4, 8, 16
_HEAD: Final = struct.Struct("<BBHIQB")
_SENSOR_BYTES: Final = 11
_KNOWN_FLAGS: Final = 0x0003
_KNOWN_STATUS: Final = DRDY | DOR | INV | RANGE | BUS
_HELLO_HEAD: Final = struct.Struct("<BBHQBBI")
_HELLO_SENSOR_BYTES: Final = 3
_TRIGGERED: Final = 0x0001
SELF_TEST_PASSED, SELF_TEST_FAILED = 1, 2
_MOST_SENSORS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One trigger: `raw` (n, 3) counts of 10 nT, `tmps` (n,) and `st` (n,) as the firmware sent them."""

    array_id: int
    flags: int
    sequence: int
    device_us: int
    raw: Counts
    tmps: npt.NDArray[np.int8]
    st: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Hello:
    """What an array says of itself: `identities` (WIA1, WIA2) and `self_tests` (0 not made, 1 passed, 2 failed) of each sensor."""

    array_id: int
    triggered: bool
    device_us: int
    drive: Drive
    rate_hz: float
    identities: tuple[tuple[int, int], ...]
    self_tests: tuple[int, ...]
    firmware: str

    @property
    def count(self) -> int:
        """Sensors."""
        return len(self.identities)

    def strangers(self) -> tuple[int, ...]:
        """Sensors that do not identify themselves as an AK09940 or AK09940A."""
        return tuple(i for i, wia in enumerate(self.identities) if not identity(*wia))


def parse(body: bytes) -> Measurement | Hello | str:
    """The record in a body, or why there is none."""
    if body[0] == MEASUREMENT:
        return _measurement(body)
    if body[0] == HELLO:
        return _hello(body)
    if body[0] in ENCODERS:
        return "this is the stream of an encoder arm: the ports of the two devices are swapped"
    return f"frames begin with 0x{body[0]:02X}, which is no version known here (0x{MEASUREMENT:02X} measurement, 0x{HELLO:02X} hello)"


def _measurement(body: bytes) -> Measurement | str:
    if len(body) < _HEAD.size:
        return f"a measurement frame has at least {_HEAD.size} bytes before its CRC, this one {len(body)}"
    _, array_id, flags, sequence, device_us, n = _HEAD.unpack_from(body)
    expected = _HEAD.size + n * _SENSOR_BYTES
    if not 1 <= n <= _MOST_SENSORS or len(body) != expected:
        return f"a measurement frame of {n} sensors has {expected} bytes before its CRC, this one {len(body)}"
    table = np.frombuffer(body, np.uint8, offset=_HEAD.size).reshape(n, _SENSOR_BYTES)
    st = table[:, 10]
    if flags & ~_KNOWN_FLAGS or (st & ~np.uint8(_KNOWN_STATUS)).any():
        return "a measurement frame has bits set that are reserved: a newer firmware than this driver, or one that does not clear them"
    return Measurement(array_id, flags, sequence, device_us, counts(table[:, :9].reshape(n, 3, 3)), table[:, 9].view(np.int8), st)


def _hello(body: bytes) -> Hello | str:
    if len(body) < _HELLO_HEAD.size:
        return f"a hello frame has at least {_HELLO_HEAD.size} bytes before its CRC, this one {len(body)}"
    _, array_id, flags, device_us, n, drive, rate_mhz = _HELLO_HEAD.unpack_from(body)
    text_at = _HELLO_HEAD.size + n * _HELLO_SENSOR_BYTES
    if not 1 <= n <= _MOST_SENSORS or len(body) <= text_at or len(body) != text_at + 1 + body[text_at]:
        return f"a hello frame of {n} sensors does not have {len(body)} bytes before its CRC"
    if drive not in set(Drive):
        return f"drive {drive} in a hello frame is none (0 to {max(Drive)})"
    sensors = [body[at : at + _HELLO_SENSOR_BYTES] for at in range(_HELLO_HEAD.size, text_at, _HELLO_SENSOR_BYTES)]
    return Hello(
        array_id=array_id,
        triggered=bool(flags & _TRIGGERED),
        device_us=device_us,
        drive=Drive(drive),
        rate_hz=rate_mhz * 1e-3,
        identities=tuple((sensor[0], sensor[1]) for sensor in sensors),
        self_tests=tuple(sensor[2] for sensor in sensors),
        firmware=body[text_at + 1 :].decode("ascii", "replace"),
    )


def status_words(st: npt.NDArray[np.uint8]) -> Words:
    """Bits of SensorStatus (n,) of the frame's status bytes."""
    return _STATUS_OF_BYTE[st]


def _status_of_byte(st: int) -> int:
    # NOT_READY 2, SKIPPED 4, INVALID 8, OVERFLOW 1, BUS_ERROR 16; after a bus error nothing else is known.
    if st & BUS:
        return 16
    return (not st & DRDY) * 2 + bool(st & DOR) * 4 + bool(st & INV) * 8 + bool(st & RANGE) * 1


_STATUS_OF_BYTE: Final[Words] = np.array([_status_of_byte(st) for st in range(256)], dtype=np.uint16)
