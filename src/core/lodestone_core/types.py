"""Frozen samples that drivers produce and pipelines take; the same objects live and from a bag."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class ToolStatus(IntEnum):
    """What a tracker says of one tool; values as in lodestone_msgs/TrackedTool."""

    UNKNOWN = 0
    VALID = 1
    MISSING = 2
    DISABLED = 3
    OUT_OF_VOLUME = 4
    PARTIALLY_OUT_OF_VOLUME = 5
    FAULT = 6
    UNPLUGGED = 7


@dataclass(frozen=True, slots=True, eq=False)
class ToolSample:
    """One tool in one hardware frame.

    `T_tracker_tool` is 4x4 in mm, None unless the status is VALID. `rms_error_mm` is the tracker's own indicator, NaN when absent.
    """

    name: str
    status: ToolStatus
    T_tracker_tool: Array | None
    rms_error_mm: float = float("nan")
    degrees_of_freedom: int = 0
    frame_number: int = 0
    port_handle: int = 0
    port_status: int = 0
    serial_number: str = ""
    channel: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """All tools of one new hardware frame.

    `stamp_ns` is acquisition, `received_ns` the arrival of the reply's last byte; both on the host clock.
    """

    stamp_ns: int
    received_ns: int
    frame_number: int
    tools: tuple[ToolSample, ...]
    frames_skipped: int = 0
    repeats_dropped: int = 0
    system_status: int = 0
    reply_kind: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PoseSample:
    """A stamped pose T_parent_child (4x4, mm)."""

    stamp_ns: int
    parent: str
    child: str
    T_parent_child: Array
