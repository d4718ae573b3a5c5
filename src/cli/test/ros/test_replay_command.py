"""`lodestone replay` plays what `lodestone record` recorded: in at one end, the same bytes out at the other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")

from rclpy.serialization import serialize_message  # noqa: E402
from std_msgs.msg import Int64  # noqa: E402

from lodestone_core.bags import BagWriter, open_bag, qos_from_profile  # noqa: E402
from lodestone_core.ros import qos  # noqa: E402

pytestmark = pytest.mark.ros

T0 = 1_700_000_000_000_000_000


def made(path: Path, count: int = 100, first_alone_s: float = 0.0) -> Path:
    """Messages at 100 Hz, the first so much before the others."""
    with BagWriter(path) as writer:
        channel = writer.add_topic("/count", "std_msgs/msg/Int64", [qos_from_profile(qos.DEVICE)])
        for i in range(count):
            writer.write(channel, serialize_message(Int64(data=i)), T0 + i * 10_000_000 + (round(first_alone_s * 1e9) if i else 0))
    return path


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command with some words; none outlives the test."""
    running: list[subprocess.Popen[str]] = []

    def make(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lodestone_cli", *words]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True))
        return running[-1]

    yield make
    for process in running:
        process.kill()
        process.communicate()


def data_of(bag: Path) -> list[bytes]:
    with open_bag(bag) as opened:
        return [bytes(message.data) for message in opened.raw_messages(["/count"], missing_ok=True)]


@pytest.fixture
def recorder(start: Start, tmp_path: Path) -> subprocess.Popen[str]:
    """Records `/count` into `again`; its bag is there."""
    process = start("record", "/count", "/clock", "--out", str(tmp_path / "again"))
    wait(lambda: (tmp_path / "again" / "metadata.yaml").is_file() and process.poll() is None)
    return process


def wait(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def finish(recorder: subprocess.Popen[str]) -> None:
    recorder.send_signal(signal.SIGINT)
    recorder.communicate(timeout=20)


def test_a_replay_that_is_recorded_is_the_recording(recorder: subprocess.Popen[str], start: Start, tmp_path: Path) -> None:
    bag = made(tmp_path / "bag")
    player = start("replay", str(bag), "--rate", "2", "--wait", "20")
    said, _ = player.communicate(timeout=60)
    finish(recorder)
    assert player.returncode == 0, said
    assert "100 messages of 1 topics" in said
    assert data_of(tmp_path / "again") == data_of(bag)


def test_a_replay_ends_when_its_readers_have_everything(recorder: subprocess.Popen[str], start: Start, tmp_path: Path) -> None:
    """The recorder does not run while most of the bag is played: the machine is busy, or its disk."""
    bag = made(tmp_path / "bag", 50, first_alone_s=3.0)
    player = start("replay", str(bag), "--wait", "20")
    wait(lambda: len(data_of(tmp_path / "again")) == 1)
    recorder.send_signal(signal.SIGSTOP)
    time.sleep(5.0)
    assert player.poll() is None, "it waits for the recorder"
    recorder.send_signal(signal.SIGCONT)
    said, _ = player.communicate(timeout=60)
    finish(recorder)
    assert player.returncode == 0 and "50 messages of 1 topics" in said and "acknowledged" not in said, said
    assert data_of(tmp_path / "again") == data_of(bag)


def test_a_replay_ends_at_once_when_interrupted_however_late_it_is(start: Start, tmp_path: Path) -> None:
    player = start("replay", str(made(tmp_path / "bag", 20_000)), "--rate", "1000", "--wait", "0", "--loop")
    time.sleep(3.0)
    player.send_signal(signal.SIGINT)
    said, _ = player.communicate(timeout=10)
    assert player.returncode == 0, said
    assert "messages of 1 topics" in said


def test_what_is_no_bag_is_one_sentence(start: Start, tmp_path: Path) -> None:
    player = start("replay", str(tmp_path / "none"))
    said, _ = player.communicate(timeout=20)
    assert player.returncode == 2
    assert "a bag" in said and "Traceback" not in said
