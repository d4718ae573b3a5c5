"""`lodestone record` writes what is published until it is interrupted, and says what it got."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from lodestone_core.bags import open_bag  # noqa: E402

pytestmark = pytest.mark.ros


def record(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lodestone_cli", "record", *words]
    return subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_topic_is_recorded_until_the_interrupt(tmp_path: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("talker", context=context)
    # Kept for late joiners, so that nothing depends on how long discovery takes.
    publisher = node.create_publisher(String, "recorded", QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    other = node.create_publisher(String, "not_recorded", 10)
    for number in range(5):
        publisher.publish(String(data=f"{number}"))
    recorder = record("recorded", "never", "--out", str(tmp_path / "bag"))
    try:
        deadline = time.monotonic() + 20.0
        while publisher.get_subscription_count() == 0:
            other.publish(String(data="x"))
            assert time.monotonic() < deadline and recorder.poll() is None
            time.sleep(0.05)
        time.sleep(1.0)
        recorder.send_signal(signal.SIGINT)
        out, _ = recorder.communicate(timeout=20)
    finally:
        recorder.kill()
        rclpy.shutdown(context=context)
    assert recorder.returncode == 0, out
    assert "never published: /never" in out
    with open_bag(tmp_path / "bag") as bag:
        assert bag.complete
        assert [message.message.data for message in bag.messages(["/recorded"])] == ["0", "1", "2", "3", "4"]
        assert "/not_recorded" not in bag.topics


def test_it_stops_after_the_given_time_and_says_that_nothing_came(tmp_path: Path) -> None:
    recorder = record("nothing", "--out", str(tmp_path / "bag"), "--duration", "0.5")
    out, _ = recorder.communicate(timeout=20)
    assert recorder.returncode == 1
    assert "never published: /nothing" in out
    assert (tmp_path / "bag" / "metadata.yaml").is_file()


def test_a_bag_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "mine").write_text("mine")
    recorder = record("nothing", "--out", str(tmp_path / "bag"), "--duration", "0.5")
    out, _ = recorder.communicate(timeout=20)
    assert recorder.returncode == 2
    assert "expected" in out and "Traceback" not in out
    assert [path.name for path in (tmp_path / "bag").iterdir()] == ["mine"]
