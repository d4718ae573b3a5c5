"""Frozen data of the registration: fiducials, events, the output of one update."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from lodestone_core.checks import as_points, as_se3
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate
from lodestone_core.types import Array

if TYPE_CHECKING:
    from em_registration.registration import Registration

Point = tuple[float, float, float]
Rows = tuple[tuple[float, ...], ...]
"""A 4x4 matrix, row by row."""
MISSING_POINT: Point = (math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Fiducial:
    """The same physical point in the image and in the tracker's frame, mm; the tracker's side is NaN until it is collected.

    `T_tracker_tool`: 4x4 in mm, mean pose of the tool while it touched, its tip at `tracker_mm`; None when it is not known.
    """

    name: str
    image_mm: Point
    tracker_mm: Point = MISSING_POINT
    tool: str = ""
    spread_mm: float = math.nan
    samples: int = 0
    residual_mm: float = math.nan
    T_tracker_tool: Rows | None = None

    @property
    def collected(self) -> bool:
        """Whether both sides are known."""
        return bool(np.isfinite([*self.image_mm, *self.tracker_mm]).all())

    @property
    def pose(self) -> Array | None:
        """`T_tracker_tool` as an array."""
        return None if self.T_tracker_tool is None else np.array(self.T_tracker_tool)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for YAML; a pose that is not known is left out."""
        known = {key: value for key, value in dataclasses.asdict(self).items() if key != "T_tracker_tool"}
        mapping = {**known, "image_mm": list(self.image_mm), "tracker_mm": list(self.tracker_mm)}
        return mapping if self.T_tracker_tool is None else {**mapping, "T_tracker_tool": [list(row) for row in self.T_tracker_tool]}

    @classmethod
    def from_mapping(cls, mapping: Any, where: str) -> Fiducial:
        """From plain values. Raises InputError when keys or types are wrong."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(mapping, dict) or not {"name", "image_mm"} <= set(mapping) <= known:
            raise InputError(
                f"{where}, fiducial",
                expected=f"keys among {sorted(known)}",
                got=repr(mapping)[:80],
                remedy="mend the entry",
            )
        points: dict[str, Any] = {
            key: point(f"{where}, fiducial {mapping['name']}, {key}", mapping[key]) for key in ("image_mm", "tracker_mm") if key in mapping
        }
        if mapping.get("T_tracker_tool") is not None:
            points["T_tracker_tool"] = rows(as_se3(f"{where}, fiducial {mapping['name']}, T_tracker_tool", mapping["T_tracker_tool"]))
        return cls(**{**mapping, **points})


def rows(T: Array) -> Rows:
    """A 4x4 matrix row by row."""
    return tuple(tuple(row) for row in T.tolist())


def point(name: str, value: Any) -> Point:
    """Three numbers as a point; NaN is allowed in all three together (not collected)."""
    try:
        x, y, z = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise InputError(name, expected="three numbers in mm", got=repr(value)[:60], remedy="give x, y and z") from error
    if math.isnan(x) and math.isnan(y) and math.isnan(z):
        return MISSING_POINT
    x, y, z = as_points(name, [[x, y, z]])[0]
    return (float(x), float(y), float(z))


class EventKind(IntEnum):
    """Values as in lodestone_msgs/Event."""

    UNKNOWN = 0
    FIDUCIAL_ADDED = 1
    FIDUCIAL_REMOVED = 2
    MODEL_ADOPTED = 3
    RESET = 4
    FRAME_SKIPPED = 5
    SESSION_STARTED = 6


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changes the pipeline's state from the sample with `stamp_ns` on; recorded, and applied again on replay.

    `stamp_ns` is 0 while the first sample that it applies to has not come. `model` is the registration's YAML text, `adopted` what
    reading it gives: where it is at hand, the data path need not read the text.
    """

    kind: EventKind
    stamp_ns: int = 0
    fiducial: Fiducial | None = None
    model: str = ""
    model_sha256: str = ""
    epoch: int = 0
    count: int = 0
    detail: str = ""
    adopted: Registration | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What one frame led to: one estimate an edge, and the events that took effect with it."""

    stamp_ns: int
    received_ns: int
    estimates: tuple[Estimate, ...]
    events: tuple[Event, ...] = ()
