"""The player over real DDS: what was recorded goes out, byte for byte, in order, at its times, with /clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Int64, String

from lodestone_core.bags import BagWriter, message_types, open_bag, qos_from_profile
from lodestone_core.errors import InputError
from lodestone_core.pace import Pace
from lodestone_core.ros import qos
from lodestone_core.ros.player import PlayerNode, profile_of

pytestmark = [pytest.mark.ros, pytest.mark.alone]

T0 = 1_700_000_000_000_000_000
COUNT, PERIOD_NS = 100, 10_000_000


def make_bag(path: Path, close: bool = True) -> Path:
    writer = BagWriter(path)
    count = writer.add_topic("/count", "std_msgs/msg/Int64", [qos_from_profile(qos.DEVICE)])
    pose = writer.add_topic("/pose", "geometry_msgs/msg/PoseStamped", [qos_from_profile(qos.ESTIMATE)])
    kept = writer.add_topic("/kept", "std_msgs/msg/String", [qos_from_profile(qos.CONFIG)])
    for i in range(COUNT):
        at = T0 + i * PERIOD_NS
        writer.write(count, serialize_message(Int64(data=i)), at)
        if i == 10:
            writer.write(kept, serialize_message(String(data="configuration")), at)
        if i % 4 == 0:
            message = PoseStamped()
            message.header.frame_id, message.pose.position.x = "bench", 1e-3 * i
            writer.write(pose, serialize_message(message), at + 1000)
    if close:
        writer.close()
    else:
        writer.flush()
    return path


class Listener(Node):
    """Takes topics raw, with the time of arrival."""

    def __init__(self, topics: Sequence[tuple[str, type]], context: Any, **options: Any) -> None:
        super().__init__("listener", context=context, **options)
        self.heard: list[tuple[str, bytes, float]] = []
        for topic, kind in topics:
            self.create_subscription(kind, topic, self._on(topic), profile_of([qos_from_profile(PROFILES[topic])]), raw=True)
        self.clocks: list[int] = []
        self.sim_ns: list[int] = []
        self.create_subscription(Clock, "/clock", self._on_clock, qos.reliable(1000))

    def _on(self, topic: str) -> Callable[[bytes], None]:
        return lambda data: self.heard.append((topic, data, time.monotonic()))

    def _on_clock(self, message: Clock) -> None:
        self.clocks.append(message.clock.sec * 10**9 + message.clock.nanosec)

    def of(self, topic: str) -> list[bytes]:
        return [data for name, data, _ in self.heard if name == topic]


PROFILES = {"/count": qos.DEVICE, "/pose": qos.ESTIMATE, "/kept": qos.CONFIG}
TOPICS = (("/count", Int64), ("/pose", PoseStamped), ("/kept", String))


@pytest.fixture
def listener() -> Iterator[Listener]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Listener(TOPICS, context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()
    rclpy.shutdown(context=context)


def play(bag: Path, listener: Listener, **options: Any) -> PlayerNode:
    """Play to the end in this thread."""
    context = rclpy.Context()
    rclpy.init(context=context)
    with open_bag(bag) as opened:
        node = PlayerNode(opened, context=context, **options)
        for wait_s in node.wait_for_readers(15.0):
            time.sleep(wait_s)
        for wait_s in node.play():
            time.sleep(wait_s)
        for wait_s in node.wait_until_taken(10.0):
            time.sleep(wait_s)
        time.sleep(0.5)
        node.destroy_node()
    rclpy.shutdown(context=context)
    return node


def recorded(bag: Path, topic: str) -> list[bytes]:
    with open_bag(bag) as opened:
        return [bytes(message.data) for message in opened.raw_messages([topic])]


@pytest.mark.parametrize("rate", [0.5, 1.0, 10.0])
def test_bag_in_is_bag_out_at_its_own_pace(listener: Listener, tmp_path: Path, rate: float) -> None:
    bag = make_bag(tmp_path / "bag")
    node = play(bag, listener, rate=rate)
    for topic in PROFILES:
        assert listener.of(topic) == recorded(bag, topic)
    assert node.played.messages == COUNT + COUNT // 4 + 1
    arrivals = np.array([at for name, _, at in listener.heard if name == "/count"])
    assert arrivals[-1] - arrivals[0] == pytest.approx((COUNT - 1) * PERIOD_NS * 1e-9 / rate, abs=0.1)
    order = [name for name, _, _ in listener.heard]
    assert order.index("/kept") < 5, "what is kept for late joiners comes first, though it was recorded later"
    assert all(b >= a for a, b in zip(listener.clocks, listener.clocks[1:], strict=False)), "/clock never steps back"
    assert listener.clocks[0] <= T0 + PERIOD_NS and listener.clocks[-1] >= T0 + (COUNT - 1) * PERIOD_NS


def test_a_bag_that_was_cut_off_plays_to_where_it_ends(listener: Listener, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", close=False)
    play(bag, listener, rate=10.0)
    assert listener.of("/count") == recorded(bag, "/count")
    assert len(listener.of("/count")) == COUNT


def test_a_sqlite3_bag_plays_too(listener: Listener, tmp_path: Path) -> None:
    store = message_types().store
    with RosbagsWriter(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/count", "std_msgs/msg/Int64", typestore=store)
        for i in range(20):
            writer.write(connection, T0 + i * PERIOD_NS, serialize_message(Int64(data=i)))
    play(tmp_path / "bag", listener, rate=5.0)
    assert listener.of("/count") == recorded(tmp_path / "bag", "/count")


def test_a_start_within_the_bag_begins_there_with_what_was_kept_until_then(listener: Listener, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    play(bag, listener, start_s=0.6, rate=5.0)
    assert len(listener.of("/count")) == COUNT - 60
    assert listener.of("/kept") == recorded(bag, "/kept")
    assert min(listener.clocks) >= T0 + 600_000_000


def test_only_the_chosen_topics_are_played_and_an_unknown_one_is_named(listener: Listener, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    play(bag, listener, topics=["pose"], rate=10.0)
    assert {name for name, _, _ in listener.heard} == {"/pose"}
    rclpy.init()
    try:
        with open_bag(bag) as opened:
            with pytest.raises(InputError, match=r"/nose"):
                PlayerNode(opened, ["nose"])
            with pytest.raises(InputError, match="more than 0"):
                PlayerNode(opened, rate=0.0)
    finally:
        rclpy.shutdown()


def test_a_node_with_sim_time_sees_the_time_of_the_bag(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Listener(TOPICS, context, parameter_overrides=[Parameter("use_sim_time", value=True)])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    seen: list[tuple[int, int]] = []

    def on_count(message: Int64) -> None:
        seen.append((T0 + message.data * PERIOD_NS, node.get_clock().now().nanoseconds))

    node.create_subscription(Int64, "/count", on_count, qos.DEVICE)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        play(bag, node, rate=1.0)
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
        rclpy.shutdown(context=context)
    lags_s = 1e-9 * np.array([now - stamp for stamp, now in seen[10:]])
    assert len(lags_s) == COUNT - 10
    assert np.median(np.abs(lags_s)) < 0.02 and np.abs(lags_s).max() < 0.25


def test_a_held_player_stands_still_and_goes_on_without_a_jump(listener: Listener, tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag")
    context = rclpy.Context()
    rclpy.init(context=context)
    with open_bag(bag) as opened:
        node = PlayerNode(opened, paused=True, context=context)
        for wait_s in node.wait_for_readers(15.0):
            time.sleep(wait_s)
        began = time.monotonic()
        for wait_s in node.play():
            node.paused = time.monotonic() < began + 0.5
            time.sleep(wait_s)
        time.sleep(0.5)
        node.destroy_node()
    rclpy.shutdown(context=context)
    arrivals = [at for name, _, at in listener.heard if name == "/count"]
    assert arrivals[0] >= began + 0.4
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.99, abs=0.15)
    assert listener.clocks.count(listener.clocks[0]) > 10, "/clock goes on saying where the bag stands"


def test_the_offer_serves_every_reader_of_the_recorded_ones() -> None:
    loose, strict = qos_from_profile(qos.SENSOR), qos_from_profile(qos.STATUS)
    both = profile_of([loose, strict])
    assert both.reliability == qos.SENSOR.reliability and both.durability == qos.SENSOR.durability
    assert both.deadline == qos.STATUS.deadline and both.liveliness_lease_duration == qos.STATUS.liveliness_lease_duration
    kept = profile_of([qos_from_profile(qos.CONFIG)])
    assert (kept.durability, kept.depth) == (qos.CONFIG.durability, 1)
    assert profile_of([]).reliability == qos.DEVICE.reliability


def test_the_pace_is_the_rate_and_a_hold_costs_no_time() -> None:
    pace = Pace(T0, 10.0)
    time.sleep(0.05)
    assert 0.4 < (pace.bag_ns() - T0) * 1e-9 < 5.0
    pace.hold()
    before = pace.bag_ns()
    time.sleep(0.05)
    pace.go_on()
    assert (pace.bag_ns() - before) * 1e-9 < 0.2
    assert pace.late_s(T0) > 0.0 and pace.wall_s(T0) == 0.0
    assert pace.wall_s(pace.bag_ns() + 10**10) == pytest.approx(1.0, abs=0.1)
