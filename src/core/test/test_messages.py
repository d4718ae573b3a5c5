"""Readers of messages, without ROS: on plain objects and on the classes that a bag reader makes."""

from __future__ import annotations

from types import SimpleNamespace as Msg
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from lodestone_core.errors import InputError
from lodestone_core.estimate import Reason, State
from lodestone_core.messages import (
    covariance_from_msg,
    estimate_from_msg,
    estimates_from_msg,
    frame_from_msg,
    pose_from_msg,
    pose_sample_from_msg,
    stamp_from_msg,
)
from lodestone_core.types import ToolStatus

NAN = float("nan")


def pose(x: float = 0.1, y: float = -0.2, z: float = 0.3, w: float = 1.0) -> Msg:
    return Msg(position=Msg(x=x, y=y, z=z), orientation=Msg(x=0.0, y=0.0, z=0.0, w=w))


def estimate(**changes: Any) -> Msg:
    covariance = np.diag([1e-6, 1e-6, 1e-6, 1e-4, 1e-4, 1e-4]).reshape(36)
    fields = {
        "header": Msg(stamp=Msg(sec=12, nanosec=34), frame_id="em_field_generator"),
        "child_frame_id": "image",
        "pose": Msg(pose=pose(), covariance=covariance),
        "state": 2,
        "reasons": 0,
        "detail": "",
        "target": Msg(x=0.0, y=0.05, z=0.0),
        "expected_tre": 0.0008,
        "epoch": 3,
        "processing_latency": 0.002,
    }
    return Msg(**(fields | changes))


def tool(**changes: Any) -> Msg:
    fields = {
        "name": "tip",
        "serial_number": "3D4C7A00",
        "channel": 1,
        "port_handle": 10,
        "degrees_of_freedom": 5,
        "status": 1,
        "port_status": 49,
        "frame_number": 4000000000,
        "pose": pose(),
        "rms_error": 0.0005,
        "detail": "",
    }
    return Msg(**(fields | changes))


def frame(*tools: Msg) -> Msg:
    return Msg(
        header=Msg(stamp=Msg(sec=1, nanosec=2), frame_id="em_field_generator"),
        received=Msg(sec=1, nanosec=10_000_002),
        frame_number=4000000000,
        frames_skipped=1,
        repeats_dropped=2,
        system_status=0,
        reply_kind=2,
        tools=list(tools),
    )


def test_a_stamp_keeps_every_nanosecond_of_today() -> None:
    assert stamp_from_msg(Msg(sec=1_795_178_488, nanosec=999_999_999)) == 1_795_178_488_999_999_999


def test_one_metre_is_exactly_1000_millimetres() -> None:
    T = pose_from_msg(pose(1.0, -0.003, 0.25))
    assert T[:3, 3].tolist() == [1000.0, -3.0, 250.0]


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    half = np.sqrt(0.5)
    msg = Msg(position=Msg(x=0.0, y=0.0, z=0.0), orientation=Msg(x=0.0, y=0.0, z=half, w=half))
    np.testing.assert_allclose(pose_from_msg(msg)[:3, :3] @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-15)


@pytest.mark.parametrize("msg", [pose(x=NAN), pose(z=float("inf")), pose(w=0.0), pose(w=1.1), pose(w=NAN)])
def test_a_pose_that_is_no_rigid_transform_is_refused(msg: Msg) -> None:
    with pytest.raises(InputError):
        pose_from_msg(msg)


def test_covariance_blocks_scale_by_a_million_a_thousand_and_one() -> None:
    C = covariance_from_msg(np.ones(36))
    assert (C[:3, :3] == 1e6).all()
    assert (C[:3, 3:] == 1e3).all()
    assert (C[3:, :3] == 1e3).all()
    assert (C[3:, 3:] == 1.0).all()


def test_reading_a_covariance_leaves_the_message_as_it_was() -> None:
    values = np.ones(36)
    covariance_from_msg(values)
    assert (values == 1.0).all()


def test_an_estimate_is_read_in_millimetres() -> None:
    read = estimate_from_msg(estimate())
    assert (read.stamp_ns, read.parent, read.child) == (12_000_000_034, "em_field_generator", "image")
    assert (read.state, read.reasons, read.epoch) == (State.OK, Reason.NONE, 3)
    assert read.target_mm == (0.0, 50.0, 0.0)
    assert read.expected_tre_mm == pytest.approx(0.8)
    assert read.T_parent_child is not None and read.covariance is not None
    assert np.diag(read.covariance).tolist() == pytest.approx([1.0, 1.0, 1.0, 1e-4, 1e-4, 1e-4])


@pytest.mark.parametrize("state", [0, 1, 4])
def test_an_estimate_in_an_unusable_state_has_no_pose_whatever_the_message_holds(state: int) -> None:
    read = estimate_from_msg(estimate(state=state))
    assert read.state == state
    assert read.T_parent_child is None and read.covariance is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": 77}, Reason.MALFORMED),
        ({"pose": Msg(pose=pose(x=NAN), covariance=np.zeros(36))}, Reason.MALFORMED),
        ({"pose": Msg(pose=pose(w=0.0), covariance=np.zeros(36))}, Reason.MALFORMED),
        ({"pose": Msg(pose=pose(), covariance=np.full(36, NAN))}, Reason.COVARIANCE_INVALID),
        ({"pose": Msg(pose=pose(), covariance=-np.eye(6).reshape(36))}, Reason.COVARIANCE_INVALID),
    ],
)
def test_a_malformed_estimate_becomes_invalid_and_says_why(changes: dict[str, Any], reason: Reason) -> None:
    read = estimate_from_msg(estimate(**changes))
    assert read.state is State.INVALID
    assert reason in read.reasons
    assert read.T_parent_child is None
    assert read.detail


def test_reason_bits_of_a_newer_sender_are_kept() -> None:
    assert int(estimate_from_msg(estimate(reasons=1 << 30)).reasons) == 1 << 30


def test_a_tool_that_is_not_valid_has_no_pose() -> None:
    read = frame_from_msg(frame(tool(), tool(status=2, pose=pose(x=NAN, y=NAN, z=NAN)), tool(status=4)))
    assert [each.status for each in read.tools] == [ToolStatus.VALID, ToolStatus.MISSING, ToolStatus.OUT_OF_VOLUME]
    assert [each.T_tracker_tool is None for each in read.tools] == [False, True, True]
    assert read.received_ns - read.stamp_ns == 10_000_000


def test_a_valid_tool_without_a_rigid_pose_is_a_fault_with_a_reason() -> None:
    (read,) = frame_from_msg(frame(tool(pose=pose(x=NAN)))).tools
    assert read.status is ToolStatus.FAULT
    assert "finite" in read.detail


def test_a_status_of_a_newer_driver_is_unknown_and_has_no_pose() -> None:
    (read,) = frame_from_msg(frame(tool(status=99))).tools
    assert (read.status, read.T_tracker_tool) == (ToolStatus.UNKNOWN, None)


def test_classes_of_a_bag_reader_are_read_as_well() -> None:
    types = get_typestore(Stores.ROS2_JAZZY).types
    time = types["builtin_interfaces/msg/Time"](sec=5, nanosec=6)
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="image")
    position = types["geometry_msgs/msg/Point"](x=0.1, y=0.2, z=0.3)
    orientation = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
    body = types["geometry_msgs/msg/Pose"](position=position, orientation=orientation)
    sample = pose_sample_from_msg(types["geometry_msgs/msg/PoseStamped"](header=header, pose=body), child="reference")
    assert (sample.stamp_ns, sample.parent, sample.child) == (5_000_000_006, "image", "reference")
    np.testing.assert_allclose(sample.T_parent_child[:3, 3], [100.0, 200.0, 300.0], rtol=1e-15)


@pytest.mark.parametrize(
    "bad",
    [
        {"state": 77},
        {"state": 4},
        {"pose": Msg(pose=pose(x=NAN), covariance=np.zeros(36))},
        {"pose": Msg(pose=pose(), covariance=-np.eye(6).reshape(36))},
    ],
)
def test_one_bad_estimate_leaves_the_others_of_its_message_as_they_are(bad: dict[str, Any]) -> None:
    good = [estimate(child_frame_id=f"tool_{i}", pose=Msg(pose=pose(x=0.1 * i), covariance=np.eye(6).reshape(36))) for i in range(3)]
    stamp = Msg(sec=12, nanosec=34)
    read = estimates_from_msg(Msg(header=Msg(stamp=stamp), received=stamp, estimates=[*good, estimate(**bad)])).estimates
    assert not read[-1].state.usable
    assert read[-1].reasons or bad["state"] == 4
    for one, msg in zip(read, good, strict=False):
        alone = estimate_from_msg(msg)
        assert (one.child, one.state) == (alone.child, State.OK)
        np.testing.assert_array_equal(one.T_parent_child, alone.T_parent_child)
        np.testing.assert_array_equal(one.covariance, alone.covariance)


def test_one_malformed_tool_is_a_fault_and_leaves_the_others_of_its_frame_as_they_are() -> None:
    read = frame_from_msg(frame(tool(), tool(name="hit", pose=pose(z=NAN)), tool(name="gone", status=2), tool(name="last"))).tools
    assert [one.status for one in read] == [ToolStatus.VALID, ToolStatus.FAULT, ToolStatus.MISSING, ToolStatus.VALID]
    assert read[1].T_tracker_tool is None and "finite" in read[1].detail
    np.testing.assert_array_equal(read[3].T_tracker_tool, pose_from_msg(pose()))
