"""Samples of the magnetometer array."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

Counts = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bool_]


class SensorStatus(IntFlag):
    """What holds of one sensor at one trigger; values as in lodestone_msgs/MagnetometerSample. 0 is good."""

    OVERFLOW = 1
    NOT_READY = 2
    SKIPPED = 4
    INVALID = 8
    BUS_ERROR = 16
    STUCK = 32
    DEAD = 64
    UNCALIBRATED = 128


HARMLESS = SensorStatus.SKIPPED
"""Alone it leaves the sample usable: a measurement before this one was lost."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraySample:
    """All sensors of an array at one trigger, n of them in the order of their index.

    `stamp_ns` is the trigger, `received_ns` the arrival of the last byte; both on the host clock, `sigma_ns` the standard deviation
    of the stamp. `raw` (n, 3) are counts of 10 nT along each sensor's own axes, 0 where not usable; `status` (n,) bits of
    SensorStatus; `temperature_degc` (n,) is NaN where not measured. `skipped` counts the triggers since the sample before that never came.
    """

    stamp_ns: int
    received_ns: int
    sigma_ns: int
    array_id: int
    sequence: int
    skipped: int
    device_us: int
    raw: Counts
    status: Words
    temperature_degc: Array

    @property
    def valid(self) -> Flags:
        """Which sensors may be used (n,)."""
        return usable(self.status)


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedSample:
    """A sample with a calibration applied: `field_T` (n, 3) in the array's frame, NaN where a sensor may not be used; `status` (n,)."""

    sample: ArraySample
    field_T: Array
    status: Words

    @property
    def valid(self) -> Flags:
        """Which sensors may be used (n,)."""
        return usable(self.status)


def usable(status: Words) -> Flags:
    """Whether nothing that spoils a sample is set."""
    fine: Flags = (status & np.uint16(0xFFFF ^ HARMLESS)) == 0
    return fine
