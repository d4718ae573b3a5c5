"""The recording node as a process of its own: a host starts it over the line, the reference comes on the same clock."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Empty

from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_bench.world.config import default_script
from lodestone_bench.world.export import write_recordings
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_core.formats.tracking_text import read_em_tracking, read_optical_tracking
from lodestone_core.ros import qos

pytestmark = pytest.mark.ros


class Listener(NodeDesk):
    """Hears what the node publishes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.poses: list[PoseStamped] = []
        self.arrivals_ns: list[int] = []
        self.test.create_subscription(PoseStamped, "reference/measured_cp", self._on_pose, qos.DEVICE)
        self.finished = self.hear(Empty, "recording/finished", qos.latched())

    def _on_pose(self, message: PoseStamped) -> None:
        self.arrivals_ns.append(time.time_ns())
        self.poses.append(message)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with desks(Listener) as make:
        yield make(tmp_path)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def run(**parameters: object) -> subprocess.Popen[bytes]:
        options = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
        code = "import sys; from lodestone_bench.ros.recording_node import main; sys.exit(main())"
        processes.append(subprocess.Popen([sys.executable, "-c", code, "--ros-args", *options]))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def start_tracking(link: Path) -> int:
    """What a driver does, in the plain form of the commands; when it was done, ns of the host clock."""
    end_s = time.monotonic() + 10.0
    while not link.exists():
        assert time.monotonic() < end_s
        time.sleep(0.02)
    with serial.Serial(str(link), 9600, timeout=2.0) as port:
        for command in (b"INIT ", b"PINIT 0A", b"PENA 0AD", b"TSTART 80"):
            port.write(command + b"\r")
            assert port.read_until(b"\r") == b"OKAYA896\r"
    return time.time_ns()


def stamp_ns(message: PoseStamped) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def test_the_optical_track_is_played_on_the_clock_of_the_em_recording(
    tmp_path: Path, listener: Listener, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    em, optical = tmp_path / "EMTracking_1.txt", tmp_path / "OpticalTracking_1.txt"
    write_recordings(ScriptedWorld(default_script(2)), 3.0, em, optical)
    link = tmp_path / "line"
    process = start(port_link=link, em_recording=em, optical_recording=optical, exit_when_finished=True)
    listener.wait(link.exists)
    listener.wait_until_known("recording")
    listener.pause(0.2)
    assert not listener.poses, "nothing plays before the driver starts"
    begun_ns = start_tracking(link)
    track = read_optical_tracking(optical)
    listener.wait(lambda: bool(listener.finished) and len(listener.poses) >= len(track.stamps_ns))
    first_ns = int(read_em_tracking(em)[0].stamps_ns[0])
    assert len(listener.poses) == len(track.stamps_ns) == 24
    shifts_ns = np.array([stamp_ns(message) for message in listener.poses]) - begun_ns - (track.stamps_ns - first_ns)
    assert np.ptp(shifts_ns) < 2000, "the recording's own times, to the microsecond"
    assert abs(shifts_ns.mean()) < 0.1e9, "the answer to TSTART took some milliseconds"
    late_ns = np.array(listener.arrivals_ns) - np.array([stamp_ns(message) for message in listener.poses])
    assert 0 <= np.median(late_ns) < 0.1e9, "published when its time has come"
    assert {message.header.frame_id for message in listener.poses} == {"image"}
    position = listener.poses[5].pose.position
    assert np.allclose([position.x, position.y, position.z], track.T_tracker_body[5, :3, 3] / 1000.0)
    assert process.wait(5.0) == 0
    assert not link.is_symlink()


def test_without_a_recording_the_scripted_world_is_played_until_a_signal(
    tmp_path: Path, listener: Listener, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    link = tmp_path / "line"
    process = start(port_link=link, tools=3)
    start_tracking(link)
    listener.wait(lambda: len(listener.poses) >= 3, 10.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5.0) == 0
    assert not link.is_symlink() and not listener.finished


def test_a_recording_that_cannot_be_read_ends_the_node_with_a_sentence(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    assert start(port_link=tmp_path / "line", em_recording=tmp_path / "none.txt").wait(10.0) == 2
    assert not (tmp_path / "line").is_symlink()
