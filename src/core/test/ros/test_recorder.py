"""The recorder over real DDS: what was published is in the bag, also after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int64, String

from lodestone_core.bags.reader import open_bag
from lodestone_core.ros import qos
from lodestone_core.ros.recorder import RecorderNode
from lodestone_core.ros.run import run

pytestmark = [pytest.mark.ros, pytest.mark.alone]

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def publisher() -> Iterator[Node]:
    """A node that publishes a count at 100 Hz once somebody listens, a latched text, and by best effort."""
    rclpy.init()
    node = Node("publisher")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    count = node.create_publisher(Int64, "count", qos.DEVICE)
    loose = node.create_publisher(Int64, "loose", BEST_EFFORT)
    node.latched = node.create_publisher(String, "latched", qos.CONFIG)
    node.latched.publish(String(data="kept"))
    node.sent = {}

    def publish() -> None:
        if count.get_subscription_count() and loose.get_subscription_count():
            number = len(node.sent)
            node.sent[number] = time.time_ns()
            count.publish(Int64(data=number))
            loose.publish(Int64(data=number))

    node.create_timer(0.01, publish)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()
    rclpy.shutdown()


def start(bag: Path, *topics: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, str(bag), *topics], text=True, stderr=subprocess.PIPE)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "the recorder did not join"
        time.sleep(0.02)


def until_heard(publisher: Publisher) -> None:
    """Until the recorder reads the topic, and a moment longer for what is under way."""
    until(lambda: publisher.get_subscription_count() > 0)
    time.sleep(0.5)


def recorded(bag: Path, topic: str) -> list[tuple[int, Any]]:
    with open_bag(bag) as opened:
        return [(stamp_ns, msg.data) for _, stamp_ns, msg in opened.messages([topic])]


def test_after_a_kill_everything_but_the_last_second_is_read(publisher: Node, tmp_path: Path) -> None:
    process = start(tmp_path / "bag")
    until(lambda: len(publisher.sent) >= 300)
    process.kill()
    killed_ns = time.time_ns()
    process.wait()
    before = max(number for number, sent_ns in publisher.sent.items() if sent_ns < killed_ns - 1_000_000_000)
    counts = [data for _, data in recorded(tmp_path / "bag", "/count")]
    # Both sides do not see each other in the same instant: the first few may go out before the recorder hears.
    assert counts[0] < 10
    assert counts == list(range(counts[0], counts[-1] + 1))
    assert counts[-1] >= before > 150
    assert [data for _, data in recorded(tmp_path / "bag", "/latched")] == ["kept"]


def test_after_a_signal_the_bag_is_complete_and_log_times_are_arrivals(publisher: Node, tmp_path: Path) -> None:
    process = start(tmp_path / "bag")
    until(lambda: len(publisher.sent) >= 100)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    counts = recorded(tmp_path / "bag", "/count")
    first = counts[0][1]
    assert [data for _, data in counts] == list(range(first, first + len(counts)))
    assert len(counts) >= 90
    delays_ns = [stamp_ns - publisher.sent[data] for stamp_ns, data in counts]
    assert min(delays_ns) >= 0
    assert sorted(delays_ns)[len(delays_ns) // 2] < 20_000_000
    assert len(recorded(tmp_path / "bag", "/loose")) >= 90


def test_only_named_topics_are_recorded_and_late_ones_are_joined(publisher: Node, tmp_path: Path) -> None:
    process = start(tmp_path / "bag", "latched", "late")
    until_heard(publisher.latched)
    late = publisher.create_publisher(Int64, "late", qos.CONFIG)
    late.publish(Int64(data=1))
    until_heard(late)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    with open_bag(tmp_path / "bag") as opened:
        found = [(topic, msg.data) for topic, _, msg in opened.messages()]
    assert sorted(found) == [("/latched", "kept"), ("/late", 1)]


def test_a_weaker_publisher_that_comes_later_is_heard(publisher: Node, tmp_path: Path) -> None:
    process = start(tmp_path / "bag", "latched")
    until_heard(publisher.latched)
    weak = publisher.create_publisher(String, "latched", BEST_EFFORT)
    until_heard(weak)
    weak.publish(String(data="weak"))
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert [data for _, data in recorded(tmp_path / "bag", "/latched")] == ["kept", "weak"]


def test_a_bag_that_exists_is_refused_in_one_sentence(tmp_path: Path) -> None:
    process = start(tmp_path)
    message = process.communicate(timeout=10)[1]
    assert process.returncode == 2
    assert "give another name" in message
    assert "Traceback" not in message


if __name__ == "__main__":
    sys.exit(run(lambda: RecorderNode(sys.argv[1], sys.argv[2:])))
