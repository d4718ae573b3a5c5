"""Readers of messages: SI in, millimetres out. They need attributes only, so rclpy messages and bag samples read alike.

The writers, which need the message classes, are in ros/conversions.py; together they are the only place that knows both
sides. A pose in a message is checked here: position finite, quaternion of unit length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_covariance, as_unit_quaternion
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.time import join_ns
from lodestone_core.types import PoseSample, ToolSample, ToolStatus, TrackedFrame
from lodestone_core.units import mm_from_m

Array = npt.NDArray[np.float64]
Message = Any
"""Anything with the attributes of the named message: an rclpy message or a sample of a bag."""


@dataclass(frozen=True, slots=True, eq=False)
class EstimateSet:
    """All that one registration says about one input sample: one estimate an edge.

    `stamp_ns` is the sample's acquisition, `received_ns` the arrival of its last byte.
    """

    stamp_ns: int
    received_ns: int
    estimates: tuple[Estimate, ...]


def stamp_from_msg(msg: Message) -> int:
    """Nanoseconds of a Time or Duration."""
    return join_ns(int(msg.sec), int(msg.nanosec))


def point_from_msg(msg: Message) -> Array:
    """(3,) in mm of a Point or Vector3, NaN where the message says NaN."""
    return mm_from_m(np.array([msg.x, msg.y, msg.z], dtype=np.float64))


def pose_from_msg(msg: Message) -> Array:
    """T_parent_child (4x4, mm) of a Pose. Raises InputError unless it is finite with a quaternion of unit length."""
    return _rigid("pose", msg.position, msg.orientation)


def transform_from_msg(msg: Message) -> Array:
    """T_parent_child (4x4, mm) of a Transform. Raises InputError as pose_from_msg does."""
    return _rigid("transform", msg.translation, msg.rotation)


def pose_sample_from_msg(msg: Message, child: str) -> PoseSample:
    """PoseSample of a PoseStamped, which does not name its child. Raises InputError as pose_from_msg does."""
    return PoseSample(stamp_from_msg(msg.header.stamp), str(msg.header.frame_id), child, pose_from_msg(msg.pose))


def transforms_from_msg(msg: Message) -> tuple[PoseSample, ...]:
    """All edges of a TFMessage. Raises InputError as pose_from_msg does."""
    return tuple(
        PoseSample(
            stamp_from_msg(edge.header.stamp),
            str(edge.header.frame_id),
            str(edge.child_frame_id),
            transform_from_msg(edge.transform),
        )
        for edge in msg.transforms
    )


def covariance_from_msg(values: Any) -> Array:
    """6x6 in mm^2, mm rad, rad^2 of the 36 values in m^2, m rad, rad^2."""
    C = np.array(values, dtype=np.float64).reshape(6, 6)
    C[:3, :] = mm_from_m(C[:3, :])
    C[:, :3] = mm_from_m(C[:, :3])
    return C


def pose_with_covariance_from_msg(msg: Message) -> tuple[Array, Array]:
    """T_parent_child (4x4, mm) and covariance (6x6, mm and rad). Raises InputError as pose_from_msg does."""
    return pose_from_msg(msg.pose), covariance_from_msg(msg.covariance)


def estimate_from_msg(msg: Message) -> Estimate:
    """Estimate of a RegistrationEstimate.

    Never raises for what the message holds: an unknown state, a pose that is no rigid transform or a matrix that is no
    covariance makes the estimate INVALID with the reason.
    """
    estimate = Estimate(
        stamp_ns=stamp_from_msg(msg.header.stamp),
        parent=str(msg.header.frame_id),
        child=str(msg.child_frame_id),
        state=State(msg.state) if msg.state in _STATES else State.INVALID,
        reasons=Reason(int(msg.reasons)),
        detail=str(msg.detail),
        target_mm=_triple(point_from_msg(msg.target)),
        expected_tre_mm=float(mm_from_m(float(msg.expected_tre))),
        epoch=int(msg.epoch),
        processing_latency_s=float(msg.processing_latency),
    )
    if msg.state not in _STATES:
        detail = f"state {msg.state} is unknown here: do both sides run the same version?"
        return _invalid(estimate, Reason.MALFORMED, detail)
    return _with_pose(estimate, msg.pose) if estimate.state.usable else estimate


def estimates_from_msg(msg: Message) -> EstimateSet:
    """EstimateSet of a RegistrationEstimates; see estimate_from_msg for malformed values."""
    estimates = tuple(estimate_from_msg(estimate) for estimate in msg.estimates)
    return EstimateSet(stamp_from_msg(msg.header.stamp), stamp_from_msg(msg.received), estimates)


def frame_from_msg(msg: Message) -> TrackedFrame:
    """TrackedFrame of a TrackedTools (its header.frame_id is the tracker's frame).

    A tool that is not VALID has no pose. A VALID tool whose pose is no rigid transform becomes a FAULT with the reason
    in `detail`.
    """
    return TrackedFrame(
        stamp_ns=stamp_from_msg(msg.header.stamp),
        received_ns=stamp_from_msg(msg.received),
        frame_number=int(msg.frame_number),
        tools=tuple(tool_from_msg(tool) for tool in msg.tools),
        frames_skipped=int(msg.frames_skipped),
        repeats_dropped=int(msg.repeats_dropped),
        system_status=int(msg.system_status),
        reply_kind=int(msg.reply_kind),
    )


def tool_from_msg(msg: Message) -> ToolSample:
    """ToolSample of a TrackedTool; see frame_from_msg."""
    tool = ToolSample(
        name=str(msg.name),
        status=ToolStatus(msg.status) if msg.status in _TOOL_STATUSES else ToolStatus.UNKNOWN,
        T_tracker_tool=None,
        rms_error_mm=float(mm_from_m(float(msg.rms_error))),
        degrees_of_freedom=int(msg.degrees_of_freedom),
        frame_number=int(msg.frame_number),
        port_handle=int(msg.port_handle),
        port_status=int(msg.port_status),
        serial_number=str(msg.serial_number),
        channel=int(msg.channel),
        detail=str(msg.detail),
    )
    if tool.status is not ToolStatus.VALID:
        return tool
    try:
        return replace(tool, T_tracker_tool=pose_from_msg(msg.pose))
    except InputError as error:
        return replace(tool, status=ToolStatus.FAULT, detail=str(error))


_STATES = frozenset(int(state) for state in State)
_TOOL_STATUSES = frozenset(int(status) for status in ToolStatus)


def _rigid(what: str, position: Message, orientation: Message) -> Array:
    t = point_from_msg(position)
    if not np.isfinite(t).all():
        raise InputError(
            f"{what} position",
            expected="three finite numbers in m",
            got=(position.x, position.y, position.z),
            remedy="use it only while its sender reports it as valid",
        )
    q = np.array([orientation.x, orientation.y, orientation.z, orientation.w], dtype=np.float64)
    return se3.from_quaternion(as_unit_quaternion(f"{what} orientation", q), t)


def _with_pose(estimate: Estimate, pose: Message) -> Estimate:
    try:
        T, C = pose_with_covariance_from_msg(pose)
    except InputError as error:
        return _invalid(estimate, Reason.MALFORMED, str(error))
    try:
        return replace(estimate, T_parent_child=T, covariance=as_covariance("covariance", C, 6))
    except InputError as error:
        return _invalid(estimate, Reason.COVARIANCE_INVALID, str(error))


def _invalid(estimate: Estimate, reason: Reason, detail: str) -> Estimate:
    return replace(estimate, state=State.INVALID, reasons=estimate.reasons | reason, detail=detail)


def _triple(values: Array) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
