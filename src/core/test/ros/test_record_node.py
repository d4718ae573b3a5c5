"""The recorder of a launch file: it records what it is told to, leaves images out when asked, and says what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from lodestone_core.bags import open_bag
from lodestone_core.ros import qos

pytestmark = pytest.mark.ros


def record(bag: Path, *parameters: str) -> subprocess.Popen[str]:
    words = [word for parameter in (f"bag:={bag}", *parameters) for word in ("-p", parameter)]
    command = [sys.executable, "-m", "lodestone_core.ros.record_node", "--ros-args", *words]
    return subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def recorded(tmp_path: Path, *parameters: str) -> tuple[Path, str]:
    """A bag of three seconds of one text and one image, both kept for late joiners."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("talker", context=context)
    text = node.create_publisher(String, "text", qos.latched())
    image = node.create_publisher(Image, "image", qos.latched())
    text.publish(String(data="kept"))
    image.publish(Image(height=1, width=2, step=2, encoding="mono8", data=b"\x01\x02"))
    recorder = record(tmp_path / "bag", *parameters)
    try:
        deadline = time.monotonic() + 20.0
        while text.get_subscription_count() == 0:
            assert time.monotonic() < deadline and recorder.poll() is None
            time.sleep(0.05)
        time.sleep(1.0)
        recorder.send_signal(signal.SIGINT)
        said, _ = recorder.communicate(timeout=20)
    finally:
        recorder.kill()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert recorder.returncode == 0, said
    return tmp_path / "bag", said


def test_everything_is_recorded_and_the_bag_is_complete(tmp_path: Path) -> None:
    bag, said = recorded(tmp_path)
    with open_bag(bag) as opened:
        assert opened.complete
        assert {"/text", "/image", "/record/config"} <= set(opened.topics)
    assert "messages of" in said


def test_images_are_left_out_when_asked(tmp_path: Path) -> None:
    bag, _ = recorded(tmp_path, "images:=false")
    with open_bag(bag) as opened:
        assert "/text" in opened.topics and "/image" not in opened.topics


def test_only_the_named_topics_are_recorded(tmp_path: Path) -> None:
    bag, _ = recorded(tmp_path, "topics:=/text /never")
    with open_bag(bag) as opened:
        assert set(opened.topics) == {"/text"}


def test_a_bag_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    recorder = record(tmp_path / "bag")
    said, _ = recorder.communicate(timeout=20)
    assert recorder.returncode == 2
    assert "a path that is free" in said and "Traceback" not in said
