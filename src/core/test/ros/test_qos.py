"""QoS profiles over real DDS: who matches whom, and how a reader learns that a stream has stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSCompatibility, qos_check_compatible
from std_msgs.msg import Int64

from lodestone_core.ros import qos

pytestmark = pytest.mark.ros

STREAMS = {"DEVICE": qos.DEVICE, "ESTIMATE": qos.ESTIMATE, "STATUS": qos.STATUS, "TF": qos.TF}


@pytest.fixture
def executor() -> Iterator[SingleThreadedExecutor]:
    rclpy.init()
    made = SingleThreadedExecutor()
    yield made
    for node in made.get_nodes():
        node.destroy_node()
    made.shutdown()
    rclpy.shutdown()


@pytest.mark.parametrize("name", STREAMS)
def test_poses_and_status_are_never_kept_for_late_joiners(name: str) -> None:
    assert STREAMS[name].durability != DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("reader", [qos.DEVICE, qos.SENSOR])
def test_plain_readers_match_every_stream(name: str, reader: Any) -> None:
    assert qos_check_compatible(STREAMS[name], reader)[0] == QoSCompatibility.OK


def test_a_reader_with_a_deadline_learns_that_the_stream_has_stopped(executor: SingleThreadedExecutor) -> None:
    node = Node("reader")
    executor.add_node(node)
    received: list[Any] = []
    missed: list[Any] = []
    events = SubscriptionEventCallbacks(deadline=missed.append)
    node.create_subscription(Int64, "stream", received.append, qos.watched(0.2), event_callbacks=events)
    publisher = node.create_publisher(Int64, "stream", qos.watched(0.2))
    timer = node.create_timer(0.05, lambda: publisher.publish(Int64(data=1)))

    def spin(duration_s: float) -> None:
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.02)

    spin(1.0)
    before = len(missed)
    assert received
    timer.cancel()
    spin(0.6)
    assert len(missed) > before
