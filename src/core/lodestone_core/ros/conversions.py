"""Pairs of conversions between pure values (mm, rad, int ns) and messages (SI): `x_to_msg` here, `x_from_msg` there.

The readers live in lodestone_core.messages, which needs no ROS; nodes import both from here.

Every number passes through float() or int(): message classes do not check their fields unless asked to, and an int in a
float64 field goes out as garbage. What does not hold is NaN in the message, never a plausible zero or identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lodestone_core import se3
from lodestone_core.estimate import Estimate
from lodestone_core.messages import (
    EstimateSet,
    covariance_from_msg,
    estimate_from_msg,
    estimates_from_msg,
    frame_from_msg,
    point_from_msg,
    pose_from_msg,
    pose_sample_from_msg,
    pose_with_covariance_from_msg,
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
    return Header(stamp=stamp_to_msg(stamp_ns), frame_id=frame_id)


def point_to_msg(point_mm: Array | Iterable[float]) -> Point:
    """Point of three coordinates in mm."""
    x, y, z = (float(m_from_mm(float(value))) for value in point_mm)
    return Point(x=x, y=y, z=z)


def pose_to_msg(T_parent_child: Array | None) -> Pose:
    """Pose of T (4x4, mm); all NaN for None."""
    return poses_to_msg([T_parent_child])[0]


def poses_to_msg(poses: Sequence[Array | None]) -> list[Pose]:
    """As pose_to_msg for several at once: most of the time goes into the call of scipy, not into the pose."""
    messages = [_nan_pose() for _ in poses]
    known = {i: T for i, T in enumerate(poses) if T is not None}
    if known:
        for i, q, t in zip(known, *se3.to_quaternion(np.stack(list(known.values()))), strict=True):
            messages[i] = Pose(position=point_to_msg(t), orientation=_quaternion_to_msg(q))
    return messages


def transform_to_msg(T_parent_child: Array) -> Transform:
    """Transform of T (4x4, mm)."""
    return _transform(pose_to_msg(T_parent_child))


def pose_sample_to_msg(sample: PoseSample) -> PoseStamped:
    """PoseStamped in the sample's parent frame; the name of the child does not fit in and belongs to the topic."""
    return PoseStamped(header=header_to_msg(sample.stamp_ns, sample.parent), pose=pose_to_msg(sample.T_parent_child))


def transforms_to_msg(samples: Iterable[PoseSample]) -> TFMessage:
    """TFMessage of edges parent -> child."""
    samples = list(samples)
    poses = poses_to_msg([sample.T_parent_child for sample in samples])
    edges = [
        TransformStamped(
            header=header_to_msg(sample.stamp_ns, sample.parent),
            child_frame_id=sample.child,
            transform=_transform(pose),
        )
        for sample, pose in zip(samples, poses, strict=True)
    ]
    return TFMessage(transforms=edges)


def covariance_to_msg(C: Array | None) -> Array:
    """The 36 values in m^2, m rad, rad^2 of a covariance (6x6) in mm^2, mm rad, rad^2; all NaN for None."""
    if C is None:
        return np.full(36, _NAN)
    C_si = np.array(C, dtype=np.float64).reshape(6, 6)
    C_si[:3, :] = m_from_mm(C_si[:3, :])
    C_si[:, :3] = m_from_mm(C_si[:, :3])
    return C_si.reshape(36)


def pose_with_covariance_to_msg(T_parent_child: Array | None, C: Array | None) -> PoseWithCovariance:
    """PoseWithCovariance of T (4x4, mm) and its covariance (6x6, mm and rad); NaN for what is None."""
    return PoseWithCovariance(pose=pose_to_msg(T_parent_child), covariance=covariance_to_msg(C))


def estimate_to_msg(estimate: Estimate) -> RegistrationEstimate:
    """RegistrationEstimate of an Estimate; pose and covariance are NaN when it has none."""
    return _estimate(estimate, pose_to_msg(estimate.T_parent_child))


def estimates_to_msg(estimates: EstimateSet) -> RegistrationEstimates:
    """RegistrationEstimates of all that a registration says about one sample."""
    poses = poses_to_msg([estimate.T_parent_child for estimate in estimates.estimates])
    return RegistrationEstimates(
        header=header_to_msg(estimates.stamp_ns, ""),
        received=stamp_to_msg(estimates.received_ns),
        estimates=[_estimate(estimate, pose) for estimate, pose in zip(estimates.estimates, poses, strict=True)],
    )


def frame_to_msg(frame: TrackedFrame, frame_id: str) -> TrackedTools:
    """TrackedTools of a hardware frame; `frame_id` is the tracker's frame."""
    poses = poses_to_msg([tool.T_tracker_tool for tool in frame.tools])
    return TrackedTools(
        header=header_to_msg(frame.stamp_ns, frame_id),
        received=stamp_to_msg(frame.received_ns),
        frame_number=int(frame.frame_number),
        frames_skipped=int(frame.frames_skipped),
        repeats_dropped=int(frame.repeats_dropped),
        system_status=int(frame.system_status),
        reply_kind=int(frame.reply_kind),
        tools=[_tool(tool, pose) for tool, pose in zip(frame.tools, poses, strict=True)],
    )


def tool_to_msg(tool: ToolSample) -> TrackedTool:
    """TrackedTool of one tool; the pose is NaN when it has none."""
    return _tool(tool, pose_to_msg(tool.T_tracker_tool))


def _tool(tool: ToolSample, pose: Pose) -> TrackedTool:
    return TrackedTool(
        name=tool.name,
        serial_number=tool.serial_number,
        channel=int(tool.channel),
        port_handle=int(tool.port_handle),
        degrees_of_freedom=int(tool.degrees_of_freedom),
        status=int(tool.status),
        port_status=int(tool.port_status),
        frame_number=int(tool.frame_number),
        pose=pose,
        rms_error=float(m_from_mm(float(tool.rms_error_mm))),
        detail=tool.detail,
    )


def _estimate(estimate: Estimate, pose: Pose) -> RegistrationEstimate:
    return RegistrationEstimate(
        header=header_to_msg(estimate.stamp_ns, estimate.parent),
        child_frame_id=estimate.child,
        pose=PoseWithCovariance(pose=pose, covariance=covariance_to_msg(estimate.covariance)),
        state=int(estimate.state),
        reasons=int(estimate.reasons),
        detail=estimate.detail,
        target=point_to_msg(estimate.target_mm),
        expected_tre=float(m_from_mm(float(estimate.expected_tre_mm))),
        epoch=int(estimate.epoch),
        processing_latency=float(estimate.processing_latency_s),
    )


def _transform(pose: Pose) -> Transform:
    t = pose.position
    return Transform(translation=Vector3(x=t.x, y=t.y, z=t.z), rotation=pose.orientation)


def _nan_pose() -> Pose:
    return Pose(position=Point(x=_NAN, y=_NAN, z=_NAN), orientation=Quaternion(x=_NAN, y=_NAN, z=_NAN, w=_NAN))


def _quaternion_to_msg(q_xyzw: Array) -> Quaternion:
    x, y, z, w = (float(value) for value in q_xyzw)
    return Quaternion(x=x, y=y, z=z, w=w)
