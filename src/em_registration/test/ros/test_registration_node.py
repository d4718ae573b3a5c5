"""The registration node's callback: what comes out, in which order, and that replay gives it again to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message

from em_registration.config import RegistrationConfig
from em_registration.pipeline import Pipeline, adoption
from em_registration.protocols.em_bag import as_received
from em_registration.registration import Registration
from em_registration.ros.registration_node import RegistrationNode
from lodestone_core import se3
from lodestone_core.messages import EstimateSet, estimate_from_msg, estimates_from_msg, frame_from_msg
from lodestone_core.ros.conversions import estimates_to_msg, frame_to_msg
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

pytestmark = pytest.mark.ros
T_TRACKER_IMAGE = se3.exp(np.array([10.0, -20.0, 300.0, 0.1, -0.2, 0.3]))
MODEL = Registration(
    "test", T_TRACKER_IMAGE, np.diag([0.01] * 3 + [1e-6] * 3), 0.2, 10, created="2026-01-01T00:00:00+00:00", version="0.1.0"
)


class Recorder:
    """In the place of a publisher: what was published, in the order of all topics, as it comes off the wire."""

    def __init__(self, topic: str, log: list[tuple[str, Any]]) -> None:
        self.topic, self.log = topic, log

    def get_subscription_count(self) -> int:
        return 1

    def publish(self, msg: Any) -> None:
        self.log.append((self.topic, over_the_wire(msg)))


def over_the_wire(msg: Any) -> Any:
    return deserialize_message(serialize_message(msg), type(msg))


def frame_msg(number: int) -> Any:
    """Three tools, one of which the tracker does not see."""
    rng = np.random.default_rng(number)
    poses = se3.exp(rng.normal(size=(3, 6)) * [80.0, 80.0, 80.0, 1.0, 1.0, 1.0])
    tools = [ToolSample(str(i), ToolStatus.VALID, T, 0.2, 6) for i, T in enumerate(poses)]
    tools.insert(1, ToolSample("gone", ToolStatus.MISSING, None))
    stamp_ns = number * 25_000_000
    return over_the_wire(frame_to_msg(TrackedFrame(stamp_ns, stamp_ns + 9, number, tuple(tools)), "em_field_generator"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RegistrationNode]:
    rclpy.init()
    MODEL.save(tmp_path / "registration.yaml")
    made = RegistrationNode(parameter_overrides=[Parameter("registration_file", value=str(tmp_path / "registration.yaml"))])
    made.trigger_configure()
    made.trigger_activate()
    yield made
    made.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def log(node: RegistrationNode) -> list[tuple[str, Any]]:
    """Everything that the node publishes from a frame."""
    recorded: list[tuple[str, Any]] = []
    node._estimates, node._events = Recorder("estimates", recorded), Recorder("events", recorded)
    node.create_publisher = lambda kind, topic, profile: Recorder(topic, recorded)  # type: ignore[method-assign]
    return recorded


def test_the_estimates_go_out_before_anything_else(node: RegistrationNode, log: list[tuple[str, Any]]) -> None:
    node._on_tools(frame_msg(1))
    poses = [f"~/em_tool_{name}_corrected/measured_cp" for name in "012"]
    assert [topic for topic, _ in log] == ["estimates", "events", *poses]


def test_corrected_poses_are_those_of_the_estimates_and_all_say_how_long_it_took(
    node: RegistrationNode, log: list[tuple[str, Any]]
) -> None:
    node._on_tools(frame_msg(1))
    said = {f"~/{estimate.child_frame_id}/measured_cp": estimate for estimate in log[0][1].estimates}
    for topic, msg in log[2:]:
        assert (msg.header, msg.pose) == (said[topic].header, said[topic].pose.pose)
        assert msg.header.frame_id == "image"
    assert len({estimate.processing_latency for estimate in said.values()}) == 1
    assert log[0][1].estimates[0].processing_latency > 0.0


def test_a_replayed_frame_gives_to_the_last_bit_what_a_controller_received(node: RegistrationNode, log: list[tuple[str, Any]]) -> None:
    replayed = Pipeline(RegistrationConfig())
    replayed.request(adoption(MODEL, "recorded"))
    for number in range(1, 20):
        log.clear()
        node._on_tools(frame_msg(number))
        # The authority reads all estimates of a sample and sends on each one that it accepts.
        arrived = estimates_from_msg(log[0][1])
        accepted = tuple(estimate for estimate in arrived.estimates if estimate.state.usable)
        sent_on = over_the_wire(estimates_to_msg(EstimateSet(arrived.stamp_ns, arrived.received_ns, accepted))).estimates
        live = {msg.child_frame_id: estimate_from_msg(msg) for msg in sent_on}
        again = replayed.update(frame_from_msg(frame_msg(number)))
        assert again is not None
        for estimate in again.estimates:
            if estimate.state.usable:
                received = as_received(as_received(estimate))
                np.testing.assert_array_equal(received.T_parent_child, live[estimate.child].T_parent_child)
                assert received.expected_tre_mm == live[estimate.child].expected_tre_mm
        assert len(live) == 4


def test_the_diagnostics_say_how_long_a_pose_takes_and_what_the_watch_over_the_field_has_learnt(
    node: RegistrationNode, log: list[tuple[str, Any]]
) -> None:
    for number in range(1, 6):
        node._on_tools(frame_msg(number))
    node._report_watch()
    said = node.diagnostics._latest
    assert 0.0 < float(str(said["pipeline"].values["ms_per_pose_mean"])) <= float(str(said["pipeline"].values["ms_per_pose_max"]))
    assert said["pipeline"].values["frames"] == 5
    assert "learning the undisturbed field" in said["distortion 0"].reason
