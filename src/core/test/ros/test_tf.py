"""TF over real DDS: what is sent, what is taken, and what is refused when the authority says so or falls silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import stamp_to_msg
from lodestone_core.ros.tf import StaticTfBroadcaster, TfBroadcaster, TfListener
from lodestone_core.tf_buffer import Lookup, LookupFailure, TfReason
from lodestone_core.time import NS_PER_S
from lodestone_msgs.msg import EdgeStatus, RegistrationStatus

pytestmark = pytest.mark.ros

MS = NS_PER_S // 1000


def shift(x_mm: float) -> np.ndarray:
    return se3.make(np.eye(3), np.array([x_mm, 0.0, 0.0]))


class Bench:
    """A sender and a listener in one executor."""

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.sender, self.reader = Node("sender"), Node("reader")
        self.executor.add_node(self.sender)
        self.executor.add_node(self.reader)
        self.tf = TfBroadcaster(self.sender)
        self.status = self.sender.create_publisher(RegistrationStatus, "registration/status", qos.STATUS)
        self.messages: list[Any] = []
        self.reader.create_subscription(TFMessage, "/tf", self.messages.append, qos.TF)

    def listen(self, **options: Any) -> TfListener:
        listener = TfListener(self.reader, **options)
        self.until(lambda: self.sender.count_subscribers("/tf") == 2)
        self.spin(0.2)
        return listener

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "timed out"
            self.executor.spin_once(timeout_sec=0.1)

    def spin(self, duration_s: float) -> None:
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def say(self, child: str, valid_since_ns: int, broadcast: bool = True) -> None:
        edge = EdgeStatus(child_frame_id=child, broadcast=broadcast, valid_since=stamp_to_msg(valid_since_ns))
        self.status.publish(RegistrationStatus(edges=[edge]))
        self.spin(0.1)

    def send(self, stamps_ns: list[int]) -> None:
        for stamp_ns in stamps_ns:
            self.tf.send(stamp_ns, [("bench", "image", shift(stamp_ns / MS))])
        self.spin(0.2)


@pytest.fixture
def bench() -> Iterator[Bench]:
    rclpy.init()
    made = Bench()
    yield made
    made.sender.destroy_node()
    made.reader.destroy_node()
    made.executor.shutdown()
    rclpy.shutdown()


def test_all_edges_of_a_call_go_out_in_one_message_with_one_stamp(bench: Bench) -> None:
    bench.listen()
    sent = bench.tf.send(5 * MS, [("bench", "image", shift(1.0)), ("image", "tip", shift(2.0))])
    bench.until(lambda: bool(bench.messages))
    assert sent == ("image", "tip")
    assert [edge.child_frame_id for edge in bench.messages[0].transforms] == ["image", "tip"]
    assert {edge.header.stamp.nanosec for edge in bench.messages[0].transforms} == {5 * MS}
    assert bench.messages[0].transforms[0].transform.translation.x == 0.001


def test_equal_and_older_stamps_of_a_child_are_not_sent(bench: Bench) -> None:
    assert bench.tf.send(5, [("bench", "image", shift(1.0))]) == ("image",)
    assert bench.tf.send(5, [("bench", "image", shift(1.0)), ("image", "tip", shift(0.0))]) == ("tip",)
    assert bench.tf.send(4, [("bench", "image", shift(1.0))]) == ()
    bench.tf.forget()
    assert bench.tf.send(4, [("bench", "image", shift(1.0))]) == ("image",)


def test_nan_never_reaches_tf(bench: Bench) -> None:
    with pytest.raises(InputError, match="bench -> image"):
        bench.tf.send(1, [("bench", "image", np.full((4, 4), np.nan))])


def test_a_listener_composes_static_and_moving_edges_and_hears_earlier_static_ones(bench: Bench) -> None:
    static = StaticTfBroadcaster(bench.sender, [("bench", "em_field_generator", shift(100.0))])
    listener = bench.listen()
    stamp_ns = time.time_ns()
    bench.tf.send(stamp_ns, [("em_field_generator", "em_tool_tip", shift(11.0))])
    bench.until(lambda: isinstance(listener.buffer.lookup("bench", "em_tool_tip", stamp_ns), Lookup))
    found = listener.lookup_fresh("bench", "em_tool_tip", stamp_ns, 50 * MS)
    assert isinstance(found, Lookup) and static is not None
    np.testing.assert_allclose(found.T_target_source, shift(111.0), atol=1e-9)
    assert isinstance(listener.lookup_newest("bench", "em_tool_tip", 5 * NS_PER_S), Lookup)


def test_an_edge_is_refused_when_it_spans_the_beginning_of_its_epoch(bench: Bench) -> None:
    listener = bench.listen()
    bench.send([100 * MS, 120 * MS, 140 * MS])
    assert isinstance(listener.lookup_fresh("bench", "image", 110 * MS, 50 * MS), Lookup)
    bench.say("image", 120 * MS)
    refused = listener.lookup_fresh("bench", "image", 110 * MS, 50 * MS)
    assert isinstance(refused, LookupFailure) and refused.reason is TfReason.SPANS_VALID_SINCE
    assert isinstance(listener.lookup_fresh("bench", "image", 130 * MS, 50 * MS), Lookup)


def test_an_edge_that_the_authority_does_not_broadcast_is_refused(bench: Bench) -> None:
    listener = bench.listen()
    bench.send([100 * MS, 120 * MS])
    bench.say("image", 100 * MS, broadcast=False)
    refused = listener.lookup_fresh("bench", "image", 120 * MS, 50 * MS)
    assert isinstance(refused, LookupFailure) and refused.reason is TfReason.NOT_VALID


def test_silence_of_the_authority_withdraws_its_edges_within_half_a_second(bench: Bench) -> None:
    listener = bench.listen()
    bench.send([100 * MS, 120 * MS])
    bench.say("image", 100 * MS)
    assert isinstance(listener.lookup_fresh("bench", "image", 120 * MS, 50 * MS), Lookup)
    bench.spin(0.6)
    assert isinstance(listener.lookup_fresh("bench", "image", 120 * MS, 50 * MS), LookupFailure)


def test_a_guarded_edge_waits_for_the_first_word_of_the_authority(bench: Bench) -> None:
    listener = bench.listen(guarded=["image"])
    bench.send([100 * MS, 120 * MS])
    assert isinstance(listener.lookup_fresh("bench", "image", 120 * MS, 50 * MS), LookupFailure)
    bench.say("image", 100 * MS)
    assert isinstance(listener.lookup_fresh("bench", "image", 120 * MS, 50 * MS), Lookup)


def test_a_malformed_edge_is_left_out_and_the_others_are_taken(bench: Bench) -> None:
    listener = bench.listen()
    bad, good = TransformStamped(child_frame_id="broken"), TransformStamped(child_frame_id="image")
    bad.header.frame_id = good.header.frame_id = "bench"
    bad.transform.rotation.w = 0.0
    good.header.stamp = stamp_to_msg(7 * MS)
    publisher = bench.sender.create_publisher(TFMessage, "/tf", qos.TF)
    bench.until(lambda: publisher.get_subscription_count() == 2)
    publisher.publish(TFMessage(transforms=[bad, good]))
    bench.until(lambda: listener.buffer.parents() == {"image": "bench"})
    assert isinstance(listener.buffer.lookup("bench", "image", 7 * MS), Lookup)
