"""`lodestone replay` plays what `lodestone record` recorded: in at one end, the same bytes out at the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.serialization import serialize_message  # noqa: E402
from std_msgs.msg import Int64  # noqa: E402

from lodestone_core.bags import BagWriter, open_bag, qos_from_profile  # noqa: E402
from lodestone_core.ros import qos  # noqa: E402

pytestmark = pytest.mark.ros

T0 = 1_700_000_000_000_000_000


def made(path: Path, count: int = 100) -> Path:
    with BagWriter(path) as writer:
        channel = writer.add_topic("/count", "std_msgs/msg/Int64", [qos_from_profile(qos.DEVICE)])
        for i in range(count):
            writer.write(channel, serialize_message(Int64(data=i)), T0 + i * 10_000_000)
    return path


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lodestone_cli", *words]
    return subprocess.Popen(
        command, env={**os.environ}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def data_of(bag: Path) -> list[bytes]:
    with open_bag(bag) as opened:
        return [bytes(message.data) for message in opened.raw_messages(["/count"])]


def test_a_replay_that_is_recorded_is_the_recording(tmp_path: Path) -> None:
    bag = made(tmp_path / "bag")
    recorder = start("record", "/count", "/clock", "--out", str(tmp_path / "again"))
    try:
        deadline = time.monotonic() + 20.0
        while not (tmp_path / "again" / "metadata.yaml").is_file():
            assert time.monotonic() < deadline and recorder.poll() is None
            time.sleep(0.05)
        player = start("replay", str(bag), "--rate", "2", "--wait", "20")
        said, _ = player.communicate(timeout=60)
        time.sleep(0.5)
        recorder.send_signal(signal.SIGINT)
        recorder.communicate(timeout=20)
    finally:
        recorder.kill()
    assert player.returncode == 0, said
    assert "100 messages of 1 topics" in said
    assert data_of(tmp_path / "again") == data_of(bag)


def test_a_replay_ends_at_once_when_interrupted_however_late_it_is(tmp_path: Path) -> None:
    player = start("replay", str(made(tmp_path / "bag", 20_000)), "--rate", "1000", "--wait", "0", "--loop")
    time.sleep(3.0)
    player.send_signal(signal.SIGINT)
    said, _ = player.communicate(timeout=10)
    assert player.returncode == 0, said
    assert "messages of 1 topics" in said


def test_what_is_no_bag_is_one_sentence(tmp_path: Path) -> None:
    player = start("replay", str(tmp_path / "none"))
    said, _ = player.communicate(timeout=20)
    assert player.returncode == 2
    assert "a bag" in said and "Traceback" not in said
