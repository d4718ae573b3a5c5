"""Frozen samples of the arm; the same objects live and from a bag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

Counts = npt.NDArray[np.int64]


class JointStatus(IntFlag):
    """Why the angle of a joint does not hold; values as in lodestone_msgs/ArmEncoders."""

    OK = 0
    NOT_HOMED = 1
    MISSED_COUNTS = 2
    SIGNAL = 4
    MISSING = 8
    LIMIT = 16


@dataclass(frozen=True, slots=True, eq=False)
class ArmSample:
    """All encoders of the arm at one trigger.

    `stamp_ns` is the trigger, `received_ns` the arrival of the last byte, both on the host clock. `positions` are in rad, NaN where the
    joint's status is not good. `epoch` rises whenever the reference of a joint has changed: angles of two epochs do not belong together.
    """

    stamp_ns: int
    received_ns: int
    sequence: int
    skipped: int
    device_time_us: int
    names: tuple[str, ...]
    counts: Counts
    index_counts: Counts
    status: tuple[JointStatus, ...]
    positions: Array
    epoch: int = 0
    detail: str = ""

    @property
    def valid(self) -> bool:
        """Whether all joints hold."""
        return not any(self.status)

    def positions_of(self, names: Sequence[str]) -> Array:
        """Angles in rad in the order of these names, NaN where one does not hold. Raises ValueError for a name that no joint has."""
        return self.positions[[self.names.index(name) for name in names]]
