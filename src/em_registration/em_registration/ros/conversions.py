"""Writers of lodestone_msgs/Event and Fiducial; the readers are in em_registration/messages.py."""

from __future__ import annotations

from em_registration.messages import event_from_msg, fiducial_from_msg
from em_registration.types import Event, Fiducial
from lodestone_core.ros.conversions import header_to_msg, point_to_msg, pose_to_msg
from lodestone_core.units import m_from_mm
from lodestone_msgs.msg import Event as EventMsg
from lodestone_msgs.msg import Fiducial as FiducialMsg

__all__ = ["event_from_msg", "event_to_msg", "fiducial_from_msg", "fiducial_to_msg"]


def fiducial_to_msg(fiducial: Fiducial) -> FiducialMsg:
    """Message of a fiducial."""
    return FiducialMsg(
        name=fiducial.name,
        tool=fiducial.tool,
        point_image=point_to_msg(fiducial.image_mm),
        point_tracker=point_to_msg(fiducial.tracker_mm),
        pose_tool=pose_to_msg(fiducial.pose),
        spread=float(m_from_mm(fiducial.spread_mm)),
        samples=int(fiducial.samples),
        residual=float(m_from_mm(fiducial.residual_mm)),
    )


def event_to_msg(event: Event) -> EventMsg:
    """Message of an event; without a fiducial that field keeps an empty name."""
    return EventMsg(
        header=header_to_msg(event.stamp_ns, ""),
        kind=int(event.kind),
        fiducial=fiducial_to_msg(event.fiducial) if event.fiducial else FiducialMsg(),
        model_hash=event.model_sha256,
        model=event.model,
        epoch=int(event.epoch),
        count=int(event.count),
        detail=event.detail,
    )
