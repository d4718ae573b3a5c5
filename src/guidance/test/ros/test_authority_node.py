"""The authority node's callback: what goes out for one set of estimates, and that TF is first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message

from lodestone_core import se3
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.messages import EstimateSet, estimate_from_msg, stamp_from_msg, transforms_from_msg
from lodestone_core.ros.conversions import estimates_to_msg
from lodestone_guidance.ros.authority_node import AuthorityNode

pytestmark = pytest.mark.ros
FRAMES = "frames: [{parent: bench, child: em_field_generator, translation_mm: [0, 0, 100], quaternion_xyzw: [0, 0, 1, 0]}]\n"
T_EM_IMAGE = se3.exp(np.array([10.0, -20.0, 300.0, 0.1, -0.2, 0.3]))
T_IMAGE_TOOL = se3.exp(np.array([5.0, 6.0, 7.0, 0.4, 0.5, -1.2]))


class Recorder:
    """In the place of a publisher: what was published, in the order of all topics, as it comes off the wire."""

    def __init__(self, topic: str, log: list[tuple[str, Any]]) -> None:
        self.topic, self.log = topic, log

    def get_subscription_count(self) -> int:
        return 1

    def publish(self, msg: Any) -> None:
        self.log.append((self.topic, deserialize_message(serialize_message(msg), type(msg))))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[AuthorityNode]:
    rclpy.init()
    (tmp_path / "frames.yaml").write_text(FRAMES)
    made = AuthorityNode(parameter_overrides=[Parameter("rig_frames", value=str(tmp_path / "frames.yaml"))])
    made.trigger_configure()
    made.trigger_activate()
    yield made
    made.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def log(node: AuthorityNode) -> list[tuple[str, Any]]:
    """Everything that the node publishes from a set of estimates."""
    recorded: list[tuple[str, Any]] = []
    node._tf, node._status = Recorder("/tf", recorded), Recorder("status", recorded)
    node.create_publisher = lambda kind, topic, profile: Recorder(topic, recorded)  # type: ignore[method-assign]
    return recorded


def sample() -> Any:
    stamp_ns = time.time_ns() - 2_000_000
    C = np.diag([0.1] * 3 + [1e-4] * 3)
    image = Estimate(stamp_ns, "em_field_generator", "image", State.OK, T_EM_IMAGE, C, expected_tre_mm=0.5, epoch=4)
    corrected = Estimate(stamp_ns, "image", "em_tool_0_corrected", State.OK, T_IMAGE_TOOL, C, expected_tre_mm=0.5, epoch=4)
    return estimates_to_msg(EstimateSet(stamp_ns, stamp_ns, (image, corrected)))


def test_tf_goes_out_before_estimates_and_status(node: AuthorityNode, log: list[tuple[str, Any]]) -> None:
    node._on_estimates(sample())
    assert [topic for topic, _ in log] == ["/tf", "registration/image", "registration/em_tool_0_corrected", "status"]
    log.clear()
    node._on_estimates(sample())
    assert [topic for topic, _ in log] == ["/tf", "registration/image", "registration/em_tool_0_corrected"]


def test_tf_and_estimates_say_the_same_pose_in_the_authoritys_epoch(node: AuthorityNode, log: list[tuple[str, Any]]) -> None:
    came = sample()
    node._on_estimates(came)
    edges = {edge.child: edge for edge in transforms_from_msg(log[0][1])}
    T_bench_image = node._authority._T_root["em_field_generator"] @ T_EM_IMAGE
    expected = {"image": ("bench", T_bench_image), "em_tool_0_corrected": ("image", T_IMAGE_TOOL)}
    for _, msg in log[1:3]:
        estimate = estimate_from_msg(msg)
        edge = edges[estimate.child]
        parent, T = expected[estimate.child]
        assert estimate.epoch == 1
        assert (estimate.parent, edge.parent) == (parent, parent)
        assert estimate.stamp_ns == edge.stamp_ns == stamp_from_msg(came.header.stamp)
        np.testing.assert_array_equal(estimate.T_parent_child, edge.T_parent_child)
        np.testing.assert_allclose(edge.T_parent_child, T, atol=1e-9)


def test_one_malformed_tool_is_not_broadcast_and_the_image_still_is(node: AuthorityNode, log: list[tuple[str, Any]]) -> None:
    came = sample()
    came.estimates[1].pose.pose.position.x = float("nan")
    node._on_estimates(came)
    assert [edge.child for edge in transforms_from_msg(log[0][1])] == ["image"]
    status = log[-1][1]
    assert status.edges[1].reasons & Reason.MALFORMED
