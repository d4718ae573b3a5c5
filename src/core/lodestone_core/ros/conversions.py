"""Pairs of conversions between pure values (mm, rad, int ns) and messages (SI): `x_to_msg` here, `x_from_msg` there.

The readers live in lodestone_core.messages, which needs no ROS; nodes import both from here.

Every number passes through float(), int() or tolist(): message classes do not check their fields unless asked to, and
an int in a float64 field goes out as garbage. What does not hold is NaN in the message, never a plausible zero or
identity.

A message is made empty and then filled: a constructor makes every default, nested ones too, even for what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    Transform,
    TransformStamped,
)
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lodestone_core import se3
from lodestone_core.estimate import Estimate
from lodestone_core.messages import (
    COVARIANCE_UNITS,
    EstimateSet,
    covariance_from_msg,
    estimate_from_msg,
    estimates_from_msg,
    frame_from_msg,
    point_from_msg,
    pose_from_msg,
    pose_sample_from_msg,
    pose_with_covariance_from_msg,
    poses_from_msg,
    stamp_from_msg,
    tool_from_msg,
    transform_from_msg,
    transforms_from_msg,
)
from lodestone_core.time import split_ns
from lodestone_core.types import PoseSample, ToolSample, TrackedFrame
from lodestone_core.units import m_from_mm
from lodestone_msgs.msg import RegistrationEstimate, RegistrationEstimates, TrackedTool, TrackedTools

__all__ = [
    "covariance_from_msg",
    "covariance_to_msg",
    "duration_to_msg",
    "estimate_from_msg",
    "estimate_to_msg",
    "estimates_from_msg",
    "estimates_to_msg",
    "frame_from_msg",
    "frame_to_msg",
    "header_to_msg",
    "point_from_msg",
    "point_to_msg",
    "pose_from_msg",
    "pose_sample_from_msg",
    "pose_sample_to_msg",
    "pose_to_msg",
    "pose_with_covariance_from_msg",
    "pose_with_covariance_to_msg",
    "poses_from_msg",
    "poses_to_msg",
    "stamp_from_msg",
    "stamp_to_msg",
    "tool_from_msg",
    "tool_to_msg",
    "transform_from_msg",
    "transform_to_msg",
    "transforms_from_msg",
    "transforms_to_msg",
]

Array = npt.NDArray[np.float64]
_NAN = float("nan")
_NO_POSE = [_NAN] * 7
_NO_COVARIANCE = np.full((6, 6), _NAN)


def stamp_to_msg(stamp_ns: int) -> Time:
    """Time of nanoseconds since the epoch."""
    sec, nanosec = split_ns(int(stamp_ns))
    return Time(sec=sec, nanosec=nanosec)


def duration_to_msg(duration_ns: int) -> Duration:
    """Duration of nanoseconds, negative ones included."""
    sec, nanosec = split_ns(int(duration_ns))
    return Duration(sec=sec, nanosec=nanosec)


def header_to_msg(stamp_ns: int, frame_id: str) -> Header:
    """Header of a stamp in nanoseconds and a frame."""
    header = Header()
    _fill_header(header, stamp_ns, frame_id)
    return header


def point_to_msg(point_mm: Array | Iterable[float]) -> Point:
    """Point of three coordinates in mm."""
    point = Point()
    _fill_point(point, point_mm)
    return point


def pose_to_msg(T_parent_child: Array | None) -> Pose:
    """Pose of T (4x4, mm); all NaN for None."""
    return poses_to_msg([T_parent_child])[0]


def poses_to_msg(poses: Sequence[Array | None]) -> list[Pose]:
    """As pose_to_msg for several at once."""
    messages = [Pose() for _ in poses]
    for message, numbers in zip(messages, _sevens(poses), strict=True):
        _fill_pose(message.position, message.orientation, numbers)
    return messages


def transform_to_msg(T_parent_child: Array) -> Transform:
    """Transform of T (4x4, mm)."""
    message = Transform()
    _fill_pose(message.translation, message.rotation, _sevens([T_parent_child])[0])
    return message


def pose_sample_to_msg(sample: PoseSample) -> PoseStamped:
    """PoseStamped in the sample's parent frame; the name of the child does not fit in and belongs to the topic."""
    return PoseStamped(header=header_to_msg(sample.stamp_ns, sample.parent), pose=pose_to_msg(sample.T_parent_child))


def transforms_to_msg(samples: Iterable[PoseSample]) -> TFMessage:
    """TFMessage of edges parent -> child."""
    samples = list(samples)
    poses = _sevens([sample.T_parent_child for sample in samples])
    return TFMessage(transforms=[_edge(sample, numbers) for sample, numbers in zip(samples, poses, strict=True)])


def covariance_to_msg(C: Array | None) -> Array:
    """The 36 values in m^2, m rad, rad^2 of a covariance (6x6) in mm^2, mm rad, rad^2; all NaN for None."""
    return np.full(36, _NAN) if C is None else _covariances([C])[0]


def pose_with_covariance_to_msg(T_parent_child: Array | None, C: Array | None) -> PoseWithCovariance:
    """PoseWithCovariance of T (4x4, mm) and its covariance (6x6, mm and rad); NaN for what is None."""
    return PoseWithCovariance(pose=pose_to_msg(T_parent_child), covariance=covariance_to_msg(C))


def estimate_to_msg(estimate: Estimate) -> RegistrationEstimate:
    """RegistrationEstimate of an Estimate; pose and covariance are NaN when it has none."""
    return _estimates([estimate])[0]


def estimates_to_msg(estimates: EstimateSet) -> RegistrationEstimates:
    """RegistrationEstimates of all that a registration says about one sample."""
    message = RegistrationEstimates(estimates=_estimates(estimates.estimates))
    _fill_header(message.header, estimates.stamp_ns, "")
    _fill_stamp(message.received, estimates.received_ns)
    return message


def frame_to_msg(frame: TrackedFrame, frame_id: str) -> TrackedTools:
    """TrackedTools of a hardware frame; `frame_id` is the tracker's frame."""
    poses = _sevens([tool.T_tracker_tool for tool in frame.tools])
    message = TrackedTools(tools=[_tool(tool, numbers) for tool, numbers in zip(frame.tools, poses, strict=True)])
    _fill_header(message.header, frame.stamp_ns, frame_id)
    _fill_stamp(message.received, frame.received_ns)
    message.frame_number = int(frame.frame_number)
    message.frames_skipped = int(frame.frames_skipped)
    message.repeats_dropped = int(frame.repeats_dropped)
    message.system_status = int(frame.system_status)
    message.reply_kind = int(frame.reply_kind)
    return message


def tool_to_msg(tool: ToolSample) -> TrackedTool:
    """TrackedTool of one tool; the pose is NaN when it has none."""
    return _tool(tool, _sevens([tool.T_tracker_tool])[0])


def _estimates(estimates: Sequence[Estimate]) -> list[RegistrationEstimate]:
    poses = _sevens([estimate.T_parent_child for estimate in estimates])
    covariances = _covariances([estimate.covariance for estimate in estimates])
    return [_estimate(*one) for one in zip(estimates, poses, covariances, strict=True)]


def _estimate(estimate: Estimate, pose: list[float], C: Array) -> RegistrationEstimate:
    message = RegistrationEstimate()
    _fill_header(message.header, estimate.stamp_ns, estimate.parent)
    message.child_frame_id = estimate.child
    _fill_pose(message.pose.pose.position, message.pose.pose.orientation, pose)
    message.pose.covariance = C
    message.state = int(estimate.state)
    message.reasons = int(estimate.reasons)
    message.detail = estimate.detail
    _fill_point(message.target, estimate.target_mm)
    message.expected_tre = m_from_mm(float(estimate.expected_tre_mm))
    message.epoch = int(estimate.epoch)
    message.processing_latency = float(estimate.processing_latency_s)
    return message


def _tool(tool: ToolSample, pose: list[float]) -> TrackedTool:
    message = TrackedTool()
    message.name = tool.name
    message.serial_number = tool.serial_number
    message.channel = int(tool.channel)
    message.port_handle = int(tool.port_handle)
    message.degrees_of_freedom = int(tool.degrees_of_freedom)
    message.status = int(tool.status)
    message.port_status = int(tool.port_status)
    message.frame_number = int(tool.frame_number)
    _fill_pose(message.pose.position, message.pose.orientation, pose)
    message.rms_error = m_from_mm(float(tool.rms_error_mm))
    message.detail = tool.detail
    return message


def _edge(sample: PoseSample, pose: list[float]) -> TransformStamped:
    message = TransformStamped()
    _fill_header(message.header, sample.stamp_ns, sample.parent)
    message.child_frame_id = sample.child
    _fill_pose(message.transform.translation, message.transform.rotation, pose)
    return message


def _sevens(poses: Sequence[Array | None]) -> list[list[float]]:
    """Position in m and quaternion, seven numbers a pose, NaN for None; all at once, as a call costs more than a pose."""
    known = [T for T in poses if T is not None]
    if not known:
        return [_NO_POSE for _ in poses]
    q, t = se3.to_quaternion(np.array(known))
    numbers = iter(np.concatenate([m_from_mm(t), q], axis=1).tolist())
    return [_NO_POSE if T is None else next(numbers) for T in poses]


def _covariances(covariances: Sequence[Array | None]) -> Array:
    """As covariance_to_msg (N, 36) for several at once."""
    C = np.array([_NO_COVARIANCE if C is None else C for C in covariances], dtype=np.float64)
    return (C.reshape(-1, 6, 6) / COVARIANCE_UNITS).reshape(-1, 36)


def _fill_stamp(stamp: Time, stamp_ns: int) -> None:
    stamp.sec, stamp.nanosec = split_ns(int(stamp_ns))


def _fill_header(header: Header, stamp_ns: int, frame_id: str) -> None:
    _fill_stamp(header.stamp, stamp_ns)
    header.frame_id = frame_id


def _fill_point(point: Point, point_mm: Array | Iterable[float]) -> None:
    point.x, point.y, point.z = (m_from_mm(float(value)) for value in point_mm)


def _fill_pose(position: Any, orientation: Any, pose: list[float]) -> None:
    """Fill a Point or Vector3 and a Quaternion."""
    position.x, position.y, position.z, orientation.x, orientation.y, orientation.z, orientation.w = pose
