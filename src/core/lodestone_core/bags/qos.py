"""Offered QoS profiles as bags hold them, without a ROS installation."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2.metadata import dump_qos_v9

from lodestone_core.time import split_ns


def qos_from_profile(profile: Any) -> Qos:
    """The profile of a publisher (an rclpy QoSProfile) in the form that BagWriter takes."""
    return Qos(
        history=QosHistory[profile.history.name],
        depth=int(profile.depth),
        reliability=QosReliability[profile.reliability.name],
        durability=QosDurability[profile.durability.name],
        deadline=_time(profile.deadline),
        lifespan=_time(profile.lifespan),
        liveliness=QosLiveliness[profile.liveliness.name],
        liveliness_lease_duration=_time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=bool(profile.avoid_ros_namespace_conventions),
    )


def plain_qos(profiles: tuple[Qos, ...]) -> list[dict[str, Any]]:
    """The profiles as rosbag2 writes them from metadata version 9 on."""
    return [dict(profile) for profile in dump_qos_v9(list(profiles))]


def _time(duration: Any) -> QosTime:
    return QosTime(*split_ns(int(duration.nanoseconds)))
