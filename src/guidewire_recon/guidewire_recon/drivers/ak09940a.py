"""Facts of the AK09940A magnetometer: registers, modes, units. Both ways to it (stream, I2C) decode with what stands here.

Sources: six independent public drivers that agree; of the datasheet only the first page was at hand. Which drive the noise of 120 nT
belongs to is not stated there; for the other drives it is scaled with the square root of the measurement time: an assumption.
"""

from __future__ import annotations

from enum import IntEnum
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from guidewire_recon.types import Counts, Flags
from lodestone_core.types import Array

T_PER_COUNT: Final = 1e-8
MOST, LEAST = 131071, -131072
"""Ends of the 18-bit output; a field at either is out of range."""
COMPANY: Final = 0x48
DEVICES: Final = {0xA1: "AK09940", 0xA3: "AK09940A"}

BURST_START, BURST_BYTES = 0x10, 12
"""ST1, three axes of three bytes, TMPS, ST2: read as one, since ST2 at its end releases the data protection."""


class Register(IntEnum):
    """Addresses."""

    WIA1 = 0x00
    WIA2 = 0x01
    ST = 0x0F
    ST1 = 0x10
    ST2 = 0x1B
    SELF_TEST = 0x20
    CNTL1 = 0x30
    CNTL2 = 0x31
    CNTL3 = 0x32
    CNTL4 = 0x33


class Mode(IntEnum):
    """MODE bits of CNTL3."""

    POWER_DOWN = 0x00
    SINGLE = 0x01
    CONTINUOUS_10_HZ = 0x02
    CONTINUOUS_20_HZ = 0x04
    CONTINUOUS_50_HZ = 0x06
    CONTINUOUS_100_HZ = 0x08
    CONTINUOUS_200_HZ = 0x0A
    CONTINUOUS_400_HZ = 0x0C
    CONTINUOUS_1000_HZ = 0x0E
    CONTINUOUS_2500_HZ = 0x0F
    SELF_TEST = 0x10
    EXTERNAL_TRIGGER = 0x18


CONTINUOUS_HZ: Final = {
    10: Mode.CONTINUOUS_10_HZ,
    20: Mode.CONTINUOUS_20_HZ,
    50: Mode.CONTINUOUS_50_HZ,
    100: Mode.CONTINUOUS_100_HZ,
    200: Mode.CONTINUOUS_200_HZ,
    400: Mode.CONTINUOUS_400_HZ,
    1000: Mode.CONTINUOUS_1000_HZ,
    2500: Mode.CONTINUOUS_2500_HZ,
}


class Drive(IntEnum):
    """How much current a measurement is given; the value stands in hello frames."""

    ULTRA_LOW_POWER = 0
    LOW_POWER_1 = 1
    LOW_POWER_2 = 2
    LOW_NOISE_1 = 3
    LOW_NOISE_2 = 4

    @property
    def measurement_s(self) -> float:
        """From the trigger to the data."""
        return (0.4e-3, 0.7e-3, 1.0e-3, 1.7e-3, 3.1e-3)[self]

    @property
    def most_hz(self) -> int:
        """Highest rate."""
        return (2500, 1000, 400, 200, 200)[self]

    @property
    def noise_T(self) -> float:
        """Standard deviation of one axis; see the head of this file."""
        return 120e-9 * sqrt(Drive.LOW_NOISE_2.measurement_s / self.measurement_s)


SELF_TEST_COUNTS: Final = ((-1200, -300), (300, 1200), (-1600, -400))
"""Allowed range of each axis, at low-noise drive 2."""


def counts(axis_bytes: npt.NDArray[np.uint8]) -> Counts:
    """18-bit counts of three bytes each, low byte first (..., 3): the upper six bits are not looked at, the sign is bit 17."""
    wide = axis_bytes.astype(np.int32)
    word = wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16
    signed: Counts = (word << 14) >> 14
    return signed


def temperature_degc(tmps: npt.NDArray[np.int8]) -> Array:
    """Degrees Celsius of TMPS."""
    return 30.0 - tmps / 1.7


def at_an_end(raw: Counts) -> Flags:
    """Which sensors (..., 3) -> (...) have an axis at an end of its range."""
    return np.asarray(((raw >= MOST) | (raw <= LEAST)).any(axis=-1))


def identity(wia1: int, wia2: int) -> str:
    """Name of the chip that identifies itself so; "" for one that is neither AK09940 nor AK09940A."""
    return DEVICES.get(wia2, "") if wia1 == COMPANY else ""
