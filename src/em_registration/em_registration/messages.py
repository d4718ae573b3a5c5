"""Readers of lodestone_msgs/Event and Fiducial: SI in, millimetres out, for rclpy messages and bag samples alike."""

from __future__ import annotations

import math
from typing import Any

from em_registration.types import Event, EventKind, Fiducial, Point, Rows, rows
from lodestone_core.messages import point_from_msg, pose_from_msg, stamp_from_msg
from lodestone_core.units import mm_from_m


def fiducial_from_msg(msg: Any) -> Fiducial:
    """Fiducial of a message; a side that was not collected is NaN."""
    return Fiducial(
        name=str(msg.name),
        image_mm=_triple(msg.point_image),
        tracker_mm=_triple(msg.point_tracker),
        tool=str(msg.tool),
        spread_mm=mm_from_m(float(msg.spread)),
        samples=int(msg.samples),
        residual_mm=mm_from_m(float(msg.residual)),
        # Bags of older benches lack the field.
        T_tracker_tool=_pose(getattr(msg, "pose_tool", None)),
    )


def event_from_msg(msg: Any) -> Event:
    """Event of a message. Raises ValueError for a kind that this version does not know: such a bag cannot be replayed."""
    return Event(
        kind=EventKind(int(msg.kind)),
        stamp_ns=stamp_from_msg(msg.header.stamp),
        fiducial=fiducial_from_msg(msg.fiducial) if msg.fiducial.name else None,
        model=str(msg.model),
        model_sha256=str(msg.model_hash),
        epoch=int(msg.epoch),
        count=int(msg.count),
        detail=str(msg.detail),
    )


def _pose(msg: Any) -> Rows | None:
    return None if msg is None or math.isnan(msg.position.x) else rows(pose_from_msg(msg))


def _triple(msg: Any) -> Point:
    x, y, z = point_from_msg(msg).tolist()
    return (x, y, z)
