"""Readers of messages: SI in, millimetres out. They need attributes only, so rclpy messages and bag samples read alike.

The writers, which need the message classes, are in ros/conversions.py; together they are the only place that knows both
sides. A pose in a message is checked here: position finite, quaternion of unit length.

The poses of one message are read all at once: a call costs more than the numbers of a pose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_covariance_stack, as_unit_quaternion_stack
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.time import join_ns
from lodestone_core.types import PoseSample, ToolSample, ToolStatus, TrackedFrame
from lodestone_core.units import MM_PER_M, mm_from_m

Array = npt.NDArray[np.float64]
Message = Any
"""Anything with the attributes of the named message: an rclpy message or a sample of a bag."""
_AXES = np.array([MM_PER_M] * 3 + [1.0] * 3)
COVARIANCE_UNITS = np.outer(_AXES, _AXES)
"""mm^2, mm rad, rad^2 (6x6) of one m^2, m rad, rad^2."""


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
    T: Array = poses_from_msg([msg])[0]
    return T


def poses_from_msg(messages: Sequence[Message]) -> Array:
    """T_parent_child (N, 4, 4; mm) of several Poses. Raises InputError as pose_from_msg does for the first that is wrong."""
    return _rigid("pose", [_seven(msg.position, msg.orientation) for msg in messages])


def transform_from_msg(msg: Message) -> Array:
    """T_parent_child (4x4, mm) of a Transform. Raises InputError as pose_from_msg does."""
    T: Array = _rigid("transform", [_seven(msg.translation, msg.rotation)])[0]
    return T


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
    return np.asarray(values, dtype=np.float64).reshape(6, 6) * COVARIANCE_UNITS


def pose_with_covariance_from_msg(msg: Message) -> tuple[Array, Array]:
    """T_parent_child (4x4, mm) and covariance (6x6, mm and rad). Raises InputError as pose_from_msg does."""
    return pose_from_msg(msg.pose), covariance_from_msg(msg.covariance)


def estimate_from_msg(msg: Message) -> Estimate:
    """Estimate of a RegistrationEstimate.

    Never raises for what the message holds: an unknown state, a pose that is no rigid transform or a matrix that is no
    covariance makes the estimate INVALID with the reason.
    """
    return _checked_estimate(msg)


def estimates_from_msg(msg: Message) -> EstimateSet:
    """EstimateSet of a RegistrationEstimates; see estimate_from_msg for malformed values."""
    return EstimateSet(stamp_from_msg(msg.header.stamp), stamp_from_msg(msg.received), tuple(_estimates(msg.estimates)))


def frame_from_msg(msg: Message) -> TrackedFrame:
    """TrackedFrame of a TrackedTools (its header.frame_id is the tracker's frame).

    A tool that is not VALID has no pose. A VALID tool whose pose is no rigid transform becomes a FAULT with the reason
    in `detail`.
    """
    return TrackedFrame(
        stamp_ns=stamp_from_msg(msg.header.stamp),
        received_ns=stamp_from_msg(msg.received),
        frame_number=int(msg.frame_number),
        tools=tuple(_tools(msg.tools)),
        frames_skipped=int(msg.frames_skipped),
        repeats_dropped=int(msg.repeats_dropped),
        system_status=int(msg.system_status),
        reply_kind=int(msg.reply_kind),
    )


def tool_from_msg(msg: Message) -> ToolSample:
    """ToolSample of a TrackedTool; see frame_from_msg."""
    return _checked_tool(msg)


_STATES = frozenset(int(state) for state in State)
_USABLE = frozenset(int(state) for state in State if state.usable)
_TOOL_STATUSES = frozenset(int(status) for status in ToolStatus)


def _tools(messages: Sequence[Message]) -> Iterable[ToolSample]:
    """As tool_from_msg one by one; in the common case, that no pose is malformed, much faster."""
    try:
        poses = iter(poses_from_msg([msg.pose for msg in messages if msg.status == ToolStatus.VALID]))
    except InputError:
        return map(_checked_tool, messages)
    return [_tool(msg, next(poses)) if msg.status == ToolStatus.VALID else _tool(msg, None) for msg in messages]


def _checked_tool(msg: Message) -> ToolSample:
    if msg.status != ToolStatus.VALID:
        return _tool(msg, None)
    try:
        return _tool(msg, pose_from_msg(msg.pose))
    except InputError as error:
        return replace(_tool(msg, None), status=ToolStatus.FAULT, detail=str(error))


def _tool(msg: Message, T_tracker_tool: Array | None) -> ToolSample:
    return ToolSample(
        name=str(msg.name),
        status=ToolStatus(msg.status) if msg.status in _TOOL_STATUSES else ToolStatus.UNKNOWN,
        T_tracker_tool=T_tracker_tool,
        rms_error_mm=mm_from_m(float(msg.rms_error)),
        degrees_of_freedom=int(msg.degrees_of_freedom),
        frame_number=int(msg.frame_number),
        port_handle=int(msg.port_handle),
        port_status=int(msg.port_status),
        serial_number=str(msg.serial_number),
        channel=int(msg.channel),
        detail=str(msg.detail),
    )


def _estimates(messages: Sequence[Message]) -> Iterable[Estimate]:
    """As estimate_from_msg one by one; in the common case, that nothing is malformed, much faster."""
    posed = [msg.pose for msg in messages if msg.state in _USABLE]
    try:
        T = poses_from_msg([pose.pose for pose in posed])
        C = _covariances(posed)
    except InputError:
        return map(_checked_estimate, messages)
    pairs = zip(T, C, strict=True)
    return [_estimate(msg, *next(pairs)) if msg.state in _USABLE else _checked_estimate(msg) for msg in messages]


def _checked_estimate(msg: Message) -> Estimate:
    estimate = _estimate(msg, None, None)
    if msg.state not in _STATES:
        detail = f"state {msg.state} is unknown here: do both sides run the same version?"
        return _invalid(estimate, Reason.MALFORMED, detail)
    if not estimate.state.usable:
        return estimate
    try:
        T = pose_from_msg(msg.pose.pose)
    except InputError as error:
        return _invalid(estimate, Reason.MALFORMED, str(error))
    try:
        return replace(estimate, T_parent_child=T, covariance=_covariances([msg.pose])[0])
    except InputError as error:
        return _invalid(estimate, Reason.COVARIANCE_INVALID, str(error))


def _estimate(msg: Message, T_parent_child: Array | None, C: Array | None) -> Estimate:
    return Estimate(
        stamp_ns=stamp_from_msg(msg.header.stamp),
        parent=str(msg.header.frame_id),
        child=str(msg.child_frame_id),
        state=State(msg.state) if msg.state in _STATES else State.INVALID,
        T_parent_child=T_parent_child,
        covariance=C,
        reasons=Reason(int(msg.reasons)),
        detail=str(msg.detail),
        target_mm=(mm_from_m(float(msg.target.x)), mm_from_m(float(msg.target.y)), mm_from_m(float(msg.target.z))),
        expected_tre_mm=mm_from_m(float(msg.expected_tre)),
        epoch=int(msg.epoch),
        processing_latency_s=float(msg.processing_latency),
    )


def _invalid(estimate: Estimate, reason: Reason, detail: str) -> Estimate:
    return replace(estimate, state=State.INVALID, reasons=estimate.reasons | reason, detail=detail)


def _covariances(messages: Sequence[Message]) -> Array:
    """C (N, 6, 6; mm and rad) of several PoseWithCovariance."""
    values = np.array([msg.covariance for msg in messages], dtype=np.float64).reshape(-1, 6, 6)
    return as_covariance_stack("covariance", values * COVARIANCE_UNITS, 6)


def _seven(position: Message, orientation: Message) -> tuple[float, ...]:
    return position.x, position.y, position.z, orientation.x, orientation.y, orientation.z, orientation.w


def _rigid(what: str, poses: Sequence[tuple[float, ...]]) -> Array:
    """T (N, 4, 4; mm) of positions in m and quaternions, seven numbers a pose."""
    values = np.array(poses, dtype=np.float64).reshape(-1, 7)
    finite = np.isfinite(values[:, :3]).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{what} position",
            expected="three finite numbers in m",
            got=tuple(values[np.argmin(finite), :3].tolist()),
            remedy="use it only while its sender reports it as valid",
        )
    q = as_unit_quaternion_stack(f"{what} orientation", values[:, 3:])
    return se3.from_quaternion(q, mm_from_m(values[:, :3]))
