"""Pairs of conversions, there and back, on real message classes (run with ROS_PYTHON_CHECK_FIELDS=1)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from lodestone_core import se3
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.messages import EstimateSet
from lodestone_core.ros import conversions as convert
from lodestone_core.types import PoseSample, ToolSample, ToolStatus, TrackedFrame
from lodestone_msgs.msg import RegistrationEstimate, TrackedTool, TrackedTools

pytestmark = pytest.mark.ros

STAMP_NS = 1_795_178_488_999_999_999


def poses() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    drawn = [se3.exp(np.concatenate([rng.normal(0, 300, 3), rng.normal(0, 1, 3)])) for _ in range(20)]
    # By hand: nothing, a tiny turn, half a turn (the quaternion's sign is free there), and far away.
    return [
        np.eye(4),
        se3.exp(np.array([1e-7, 0, 0, 1e-7, 0, 0])),
        se3.exp(np.array([1.0, 2, 3, 0, 0, np.pi])),
        se3.exp(np.array([1e6, 0, 0, 0, 1, 0])),
        *drawn,
    ]


def covariance() -> np.ndarray:
    A = np.random.default_rng(5).normal(size=(6, 6)) * np.array([0.3, 0.4, 0.5, 1e-3, 2e-3, 3e-3])[:, None]
    return A @ A.T


def estimate(T: np.ndarray | None = None) -> Estimate:
    return Estimate(
        stamp_ns=STAMP_NS,
        parent="em_field_generator",
        child="image",
        state=State.DEGRADED,
        T_parent_child=poses()[-1] if T is None else T,
        covariance=covariance(),
        reasons=Reason.EXPECTED_TRE_HIGH | Reason.UNOBSERVED_DIRECTION,
        detail="collect fiducials nearer the target",
        target_mm=(0.0, 0.0, 120.0),
        expected_tre_mm=1.25,
        epoch=7,
        processing_latency_s=0.0015,
    )


def over_the_wire(msg: Any) -> Any:
    return deserialize_message(serialize_message(msg), type(msg))


def assert_same(before: object, after: object) -> None:
    """Every field equal; floats to 1e-12 of their size (one division and one multiplication by 1000)."""
    for field in fields(before):  # type: ignore[arg-type]
        old, new = getattr(before, field.name), getattr(after, field.name)
        if isinstance(old, (np.ndarray, float)) or field.name == "target_mm":
            np.testing.assert_allclose(new, old, rtol=1e-12, atol=1e-10, err_msg=field.name)
        elif isinstance(old, tuple):
            assert len(old) == len(new)
            for a, b in zip(old, new, strict=True):
                assert_same(a, b)
        else:
            assert new == old, field.name


def test_the_factor_between_metres_and_millimetres_is_exactly_1000() -> None:
    T = se3.make(np.eye(3), np.array([1.0, -3.0, 1000.0]))
    position = convert.pose_to_msg(T).position
    assert (position.x, position.y, position.z) == (0.001, -0.003, 1.0)
    translation = convert.transform_to_msg(T).translation
    assert (translation.x, translation.y, translation.z) == (0.001, -0.003, 1.0)


def test_covariance_units_are_exactly_a_millionth_a_thousandth_and_one() -> None:
    C_si = np.asarray(convert.covariance_to_msg(np.ones((6, 6)))).reshape(6, 6)
    assert (C_si[:3, :3] == 1e-6).all()
    assert (C_si[:3, 3:] == 1e-3).all()
    assert (C_si[3:, :3] == 1e-3).all()
    assert (C_si[3:, 3:] == 1.0).all()


def test_covariance_goes_there_and_back() -> None:
    C = covariance()
    np.testing.assert_allclose(convert.covariance_from_msg(convert.covariance_to_msg(C)), C, rtol=1e-14)


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, STAMP_NS, -1])
def test_stamps_and_durations_go_there_and_back(stamp_ns: int) -> None:
    assert convert.stamp_from_msg(convert.stamp_to_msg(stamp_ns)) == stamp_ns
    assert convert.stamp_from_msg(convert.duration_to_msg(stamp_ns)) == stamp_ns


@pytest.mark.parametrize("T", poses())
def test_poses_and_transforms_go_there_and_back(T: np.ndarray) -> None:
    np.testing.assert_allclose(convert.pose_from_msg(convert.pose_to_msg(T)), T, rtol=1e-14, atol=1e-10)
    np.testing.assert_allclose(convert.transform_from_msg(convert.transform_to_msg(T)), T, rtol=1e-14, atol=1e-10)


def test_quaternions_are_in_the_order_of_the_message() -> None:
    half = np.sqrt(0.5)
    q = convert.pose_to_msg(se3.exp(np.array([0.0, 0, 0, np.pi / 2, 0, 0]))).orientation
    np.testing.assert_allclose([q.x, q.y, q.z, q.w], [half, 0.0, 0.0, half], atol=1e-15)


def test_a_pose_sample_goes_there_and_back_over_the_wire() -> None:
    sample = PoseSample(STAMP_NS, "image", "em_tool_tip_corrected", poses()[-1])
    assert_same(sample, convert.pose_sample_from_msg(over_the_wire(convert.pose_sample_to_msg(sample)), sample.child))


def test_edges_go_there_and_back_over_the_wire() -> None:
    edges = [PoseSample(STAMP_NS, "bench", f"frame_{i}", T) for i, T in enumerate(poses())]
    back = convert.transforms_from_msg(over_the_wire(convert.transforms_to_msg(edges)))
    assert len(back) == len(edges)
    for before, after in zip(edges, back, strict=True):
        assert_same(before, after)


def test_an_estimate_goes_there_and_back_over_the_wire() -> None:
    assert_same(estimate(), convert.estimate_from_msg(over_the_wire(convert.estimate_to_msg(estimate()))))


def test_an_estimate_without_a_pose_is_nan_in_the_message_and_none_again() -> None:
    nothing = replace(estimate(), state=State.INVALID, T_parent_child=None, covariance=None)
    msg = over_the_wire(convert.estimate_to_msg(nothing))
    assert np.isnan([msg.pose.pose.position.x, msg.pose.pose.orientation.w, msg.pose.covariance[0]]).all()
    back = convert.estimate_from_msg(msg)
    assert (back.state, back.T_parent_child, back.covariance) == (State.INVALID, None, None)


def test_all_estimates_of_a_sample_go_there_and_back() -> None:
    before = EstimateSet(STAMP_NS, STAMP_NS + 5, (estimate(), replace(estimate(), child="em_tool_tip_corrected")))
    assert_same(before, convert.estimates_from_msg(over_the_wire(convert.estimates_to_msg(before))))


def test_a_hardware_frame_goes_there_and_back_over_the_wire() -> None:
    valid = ToolSample("tip", ToolStatus.VALID, poses()[-1], 0.4, 5, 2**32 - 1, 255, 2**32 - 1, "3D4C7A00", 1, "")
    missing = replace(valid, name="probe", status=ToolStatus.MISSING, T_tracker_tool=None, detail="not in view")
    before = TrackedFrame(STAMP_NS, STAMP_NS + 9, 2**32 - 1, (valid, missing), 3, 4, 0xFFFF, 2)
    msg = over_the_wire(convert.frame_to_msg(before, "em_field_generator"))
    assert msg.header.frame_id == "em_field_generator"
    assert np.isnan(msg.tools[1].pose.position.x)
    after = convert.frame_from_msg(msg)
    assert after.tools[1].T_tracker_tool is None
    assert_same(replace(before, tools=(valid,)), replace(after, tools=after.tools[:1]))


def test_numpy_scalars_do_not_reach_a_message_field() -> None:
    shaky = replace(estimate(), expected_tre_mm=np.float32(1.5), epoch=np.int64(2), target_mm=np.zeros(3, np.float32))
    msg = convert.estimate_to_msg(shaky)  # type: ignore[arg-type]
    assert (type(msg.expected_tre), type(msg.epoch)) == (float, int)


@pytest.mark.parametrize(
    ("enum", "message", "prefix"),
    [
        (State, RegistrationEstimate, "STATE_"),
        (Reason, RegistrationEstimate, "REASON_"),
        (ToolStatus, TrackedTool, "STATUS_"),
    ],
)
def test_enumerations_equal_the_constants_of_the_messages(enum: Any, message: Any, prefix: str) -> None:
    constants = {name: getattr(message, name) for name in dir(type(message)) if name.startswith(prefix)}
    members = {prefix + name: int(member) for name, member in enum.__members__.items() if name != "NONE"}
    assert members == constants


def test_a_default_message_is_no_valid_pose() -> None:
    assert convert.estimate_from_msg(RegistrationEstimate()).state is State.UNKNOWN
    tools = TrackedTools(tools=[TrackedTool()])
    assert convert.frame_from_msg(tools).tools[0].T_tracker_tool is None


def test_a_pose_comes_through_among_others_as_it_does_alone_to_the_last_bit() -> None:
    # Replay takes poses one by one through a hop that live takes all of a sample at once.
    made = tuple(replace(estimate(T), child=f"tool_{i}") for i, T in enumerate(poses()))
    together = convert.estimates_from_msg(over_the_wire(convert.estimates_to_msg(EstimateSet(STAMP_NS, STAMP_NS, made)))).estimates
    for before, among in zip(made, together, strict=True):
        alone = convert.pose_from_msg(over_the_wire(convert.pose_to_msg(before.T_parent_child)))
        np.testing.assert_array_equal(among.T_parent_child, alone)


def test_an_estimate_without_a_pose_among_others_leaves_them_theirs() -> None:
    nothing = replace(estimate(), child="lost", state=State.INVALID, T_parent_child=None, covariance=None)
    before = EstimateSet(STAMP_NS, STAMP_NS, (estimate(), nothing, replace(estimate(poses()[3]), child="last")))
    assert_same(before, convert.estimates_from_msg(over_the_wire(convert.estimates_to_msg(before))))
