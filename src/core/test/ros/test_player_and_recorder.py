"""A player ends when its readers have everything: a recorder that is held up at the end gets all of it, and is named until it has."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
import rclpy
from rclpy.serialization import serialize_message
from std_msgs.msg import Int64

from lodestone_core.bags import BagWriter, open_bag, qos_from_profile
from lodestone_core.ros import qos
from lodestone_core.ros.player import PlayerNode

pytestmark = pytest.mark.ros

T0 = 1_700_000_000_000_000_000
COUNT, PERIOD_NS = 100, 10_000_000


def make_bag(path: Path) -> Path:
    with BagWriter(path) as writer:
        channel = writer.add_topic("/count", "std_msgs/msg/Int64", [qos_from_profile(qos.DEVICE)])
        for i in range(COUNT):
            writer.write(channel, serialize_message(Int64(data=i)), T0 + i * PERIOD_NS)
    return path


def recorded(bag: Path) -> list[bytes]:
    with open_bag(bag) as opened:
        return [bytes(message.data) for message in opened.raw_messages(["/count"])]


def test_a_reader_that_has_not_everything_is_named_until_it_has(tmp_path: Path) -> None:
    """A recorder that does not run while all but the first messages are played: its machine is busy, or its disk."""
    again, context = tmp_path / "again", rclpy.Context()
    words = [word for parameter in (f"bag:={again}", "topics:=/count") for word in ("-p", parameter)]
    recorder = subprocess.Popen([sys.executable, "-m", "lodestone_core.ros.record_node", "--ros-args", *words])
    rclpy.init(context=context)
    try:
        with open_bag(make_bag(tmp_path / "bag")) as opened:
            node = PlayerNode(opened, ["/count"], context=context, paused=True)
            for wait_s in node.wait_for_readers(20.0):
                time.sleep(wait_s)
            steps = node.play()
            assert next(steps) > 0.0 and node.played.messages == 0
            node.paused = False
            while node.played.messages < 10:
                time.sleep(next(steps))
            for wait_s in node.wait_until_taken(10.0):
                time.sleep(wait_s)
            assert node.played.not_taken == ()
            recorder.send_signal(signal.SIGSTOP)
            for wait_s in chain(steps, node.wait_until_taken(0.3)):
                time.sleep(wait_s)
            assert node.played.messages == COUNT and node.played.not_taken == ("/count",)
            recorder.send_signal(signal.SIGCONT)
            for wait_s in node.wait_until_taken(20.0):
                time.sleep(wait_s)
            assert node.played.not_taken == ()
            node.destroy_node()
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(20.0) == 0
    finally:
        recorder.kill()
        recorder.wait()
        rclpy.shutdown(context=context)
    assert recorded(again) == recorded(tmp_path / "bag")
