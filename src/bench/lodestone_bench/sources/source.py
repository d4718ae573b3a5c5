"""What a tracker can measure, seen from the device: numbered samples, each of one or of all tools."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Volume(Enum):
    """Where a tool was in relation to the characterised volume."""

    INSIDE = "inside"
    PARTIAL = "partial"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Pose:
    """T_tracker_tool as the protocol carries it: unit quaternion w x y z, translation in mm."""

    q_wxyz: tuple[float, float, float, float]
    t_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one tool. `number` counts the source's samples from 1; `pose` is None where nothing could be solved."""

    number: int
    pose: Pose | None
    error_mm: float
    volume: Volume = Volume.INSIDE


class Source(Protocol):
    """Times are seconds since measuring began (the first TSTART); number 0 stands for "no sample yet"."""

    @property
    def end_s(self) -> float | None:
        """When the last sample comes; None if there is no last one."""
        ...

    def number_at(self, elapsed_s: float) -> int:
        """Number of the newest sample at that time."""
        ...

    def newest(self, tool: str, number: int) -> Sample | None:
        """The tool's newest sample whose number is at most `number`; None if it has none yet."""
        ...

    def count(self, tool: str, after: int, until: int) -> int:
        """How many samples the tool has with `after` < number <= `until`."""
        ...
