"""The driver against the emulated Aurora on a pseudo-terminal: another author's reading of the same protocol."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.replay import replay
from em_registration.drivers.worker import AuroraDriver
from lodestone_core.types import ToolStatus

control = pytest.importorskip("lodestone_bench.emulators.control")

STILL = {"bodies": {"wand": {}}, "tools": {f"sensor_{i}": {"mount_mm": [0.0, 0.0, 20.0 * i]} for i in range(3)}}


class Bench:
    """An emulator process and a driver on its port; frames are collected as they come."""

    def __init__(self, folder, arguments):
        self.link, self.socket = folder / "aurora", folder / "control"
        command = [sys.executable, "-m", "lodestone_bench.emulators.aurora", "--link", self.link, "--control", self.socket, *arguments]
        self.process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
        self.news = threading.Event()
        self.frames = []
        self.arrivals = []
        self.driver = None
        self.until(self.socket.exists, 10.0, drive=False)

    def drive(self, **options):
        self.driver = AuroraDriver(AuroraConfig(port=str(self.link), **options), self.news.set)
        self.driver.start()
        return self

    def do(self, name, **fields):
        answer = control.send_request(self.socket, do=name, **fields)
        assert answer["ok"], answer
        return answer

    def until(self, condition, limit_s=20.0, drive=True):
        """Collect frames until the condition holds; how long that took."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() - begin < limit_s, self.driver and self.driver.status
            self.news.wait(0.02)
            self.news.clear()
            if drive:
                self.collect()
        return time.monotonic() - begin

    def collect(self):
        new = self.driver.take_frames()
        self.frames += new
        self.arrivals += [time.monotonic()] * len(new)

    def for_seconds(self, seconds):
        """The frames of so many seconds."""
        end, first = time.monotonic() + seconds, len(self.frames)
        self.until(lambda: time.monotonic() >= end, seconds + 5.0)
        return self.frames[first:]

    def until_frames(self, count, limit_s=20.0):
        """So many more frames."""
        first = len(self.frames)
        self.until(lambda: len(self.frames) >= first + count, limit_s)
        return self.frames[first:]

    def close(self):
        if self.driver is not None:
            self.driver.stop()
        self.process.terminate()
        self.process.wait(5.0)


@pytest.fixture
def bench(tmp_path):
    """Starts an emulator with these command-line arguments, or with this script."""
    benches = []

    def start(*arguments, script=None):
        if script is not None:
            path = tmp_path / f"script{len(benches)}.yaml"
            path.write_text(yaml.safe_dump(script))
            arguments = ("--script", path, *arguments)
        folder = tmp_path / f"bench{len(benches)}"
        folder.mkdir()
        benches.append(Bench(folder, arguments))
        return benches[-1]

    yield start
    for each in benches:
        each.close()


def statuses(frame):
    return {tool.name: tool.status for tool in frame.tools}


@pytest.mark.parametrize("reply", ["bx", "tx"])
def test_four_tools_at_40_hz_come_frame_by_frame(bench, reply):
    b = bench("--tools", 4).drive(reply=reply)
    b.until_frames(5)
    frames = b.until_frames(80, 20.0)
    steps = np.diff([frame.frame_number for frame in frames])
    # A machine that is busy with something else may lose a few, and then says how many; the bench asks for none.
    assert list(steps) == [frame.frames_skipped + 1 for frame in frames[1:]] and np.mean(steps == 1) > 0.9
    assert all(set(statuses(frame).values()) == {ToolStatus.VALID} for frame in frames)
    # The device measures every 25 ms; stamps say so better than arrivals do, a single late reply on a busy machine aside.
    assert np.median(np.diff([frame.stamp_ns for frame in frames[20:]])) * 1e-6 == pytest.approx(25.0, abs=0.5)


def test_recording_comes_through_sample_by_sample(bench, tmp_path):
    lines = [
        f"SensorID: {k % 2} Position: {k / 4} {-k / 8} -150 Orientation: 0 0 {np.sin(k / 50):.9f} {np.cos(k / 50):.9f} "
        f"Time: {40_000_000_000_000 + (k // 2) * 120_000_000 + (k % 2) * 9_000_000}"
        for k in range(30)
    ]
    recording = tmp_path / "EMTracking.txt"
    recording.write_text("\n".join(lines) + "\n")
    b = bench("--recording", recording).drive()

    def posed():
        return [tool for frame in b.frames for tool in frame.tools if tool.T_tracker_tool is not None]

    b.until(lambda: len(posed()) >= 30)
    for k, tool in enumerate(posed()):
        assert tool.name == str(k % 2)
        assert tool.T_tracker_tool[:3, 3] == pytest.approx([k / 4, -k / 8, -150.0], abs=1e-4)
    assert sum(frame.frames_skipped for frame in b.frames) == 0


def test_no_damage_on_the_line_becomes_a_pose(bench):
    b = bench(script=STILL).drive()
    b.until_frames(5)
    for fault in ({"name": "corrupt", "bits": 3}, {"name": "truncate"}, {"name": "duplicate"}, {"name": "drop", "count": 3}):
        b.do(fault.pop("name"), **{"count": 0, "probability": 0.3, "for_s": 1.2, **fault})
    b.do("junk", bytes=500)
    b.for_seconds(1.5)
    b.do("clear")
    b.until_frames(20)
    for frame in b.frames:
        for tool in frame.tools:
            if tool.T_tracker_tool is not None:
                assert tool.T_tracker_tool[:3, 3] == pytest.approx([0.0, 0.0, -200.0 + 20.0 * int(tool.name)], abs=1e-3)
    counters = b.driver.session.poller.counters
    assert counters.bad_replies > 2 and b.driver.status.tracking


@pytest.mark.parametrize("power_cycle", [False, True])
def test_replugged_line_tracks_again_within_two_seconds(bench, power_cycle):
    b = bench("--tools", 4).drive()
    b.until_frames(5)
    b.do("unplug", power_cycle=power_cycle)
    b.until(lambda: "does not exist" in b.driver.status.problem)
    b.do("replug")
    before = len(b.frames)
    assert b.until(lambda: len(b.frames) > before) < 2.0
    assert set(statuses(b.until_frames(5)[-1]).values()) == {ToolStatus.VALID}


@pytest.mark.parametrize("fault_s", [0.5, 1.0])
def test_damage_to_every_reply_is_over_within_two_seconds_of_its_end(bench, fault_s):
    b = bench("--tools", 4).drive()
    b.until_frames(5)
    b.do("corrupt", count=0, for_s=fault_s)
    b.for_seconds(fault_s)
    before = len(b.frames)
    assert b.until(lambda: len(b.frames) > before) < 2.0
    assert set(statuses(b.until_frames(5)[-1]).values()) == {ToolStatus.VALID}


def test_bx_that_always_comes_damaged_gives_way_to_tx(bench):
    b = bench(script=STILL).drive()
    b.until_frames(5)
    b.do("corrupt", command="BX", count=0)
    b.until(lambda: b.frames[-1].reply_kind == 1)
    assert b.driver.status.reply == "tx"


def test_tool_that_is_pulled_out_and_put_in_again(bench):
    b = bench(script=STILL).drive()
    b.until_frames(5)
    b.do("tool_out", tool="sensor_1")
    b.until(lambda: statuses(b.frames[-1])["1"] is ToolStatus.UNPLUGGED)
    b.do("tool_in", tool="sensor_1")
    b.until(lambda: set(statuses(b.frames[-1]).values()) == {ToolStatus.VALID})
    # The others went on meanwhile: the longest pause of tool 0 is that of one visit to the ports.
    times = [at for at, frame in zip(b.arrivals, b.frames, strict=True) if statuses(frame).get("0") is ToolStatus.VALID]
    assert max(np.diff(times[3:])) < 0.5


def test_odd_tools_beside_good_ones(bench, tmp_path):
    rom = tmp_path / "tool.rom"
    rom.write_bytes(bytes(range(256)) * 3)
    script = {
        "bodies": {"wand": {}},
        "tools": {
            "plain": {"plug": {"port": 1, "serial": "AAAAAA01"}},
            "coil_0": {"plug": {"port": 2, "serial": "AAAAAA02", "degrees_of_freedom": 5}},
            "coil_1": {"plug": {"port": 2, "channel": 1, "serial": "AAAAAA02", "degrees_of_freedom": 5}},
            "bare": {"plug": {"port": 3, "serial": "AAAAAA03", "needs_rom": True}},
            "hopeless": {"plug": {"port": 4, "serial": "AAAAAA04", "needs_rom": True}},
        },
    }
    b = bench(script=script)
    b.do("zero_serial", tool="plain")
    b.drive(rom_files=(f"3={rom}",), tool_names=("AAAAAA01=pointer", "AAAAAA02:1=second"))
    frame = b.until_frames(5)[-1]
    told = {tool.name: (tool.channel, tool.degrees_of_freedom, tool.status) for tool in frame.tools}
    valid = ToolStatus.VALID
    assert told["pointer"] == (0, 0, valid) and told["second"] == (1, 5, valid)
    assert len(told) == 4 and all(status is valid for _, _, status in told.values())
    assert any("rom_files" in note for note in b.driver.status.notes)


def test_slow_line_still_gives_frames_and_counts_what_it_skips(bench):
    b = bench(script=STILL).drive(baud=9600)
    b.until_frames(10)
    b.driver.stop()
    assert b.driver.session.frames.counters.skipped > 10
    assert b.driver.session.poller.counters.silences == 0


def test_counter_wraps_and_begins_anew_without_a_false_skip(bench):
    b = bench(script=STILL).drive()
    b.until_frames(5)
    b.do("set_frame", value=2**32 - 10)
    b.until_frames(30)
    b.do("set_frame", value=5)
    frames = b.until_frames(30)
    wrapped = [frame for frame in b.frames if frame.frame_number > 2**32 - 20]
    assert wrapped and frames[-1].frame_number < 200
    after_wrap = b.frames[b.frames.index(wrapped[-1]) + 1]
    assert (after_wrap.frame_number, after_wrap.frames_skipped) == (0, 0)
    assert sum(frame.frames_skipped for frame in frames) == 0


def test_trace_of_a_real_line_plays_back_to_the_same_frames(bench, tmp_path):
    trace = tmp_path / "aurora.trace"
    b = bench(script=STILL).drive(trace_file=str(trace))
    b.until_frames(40)
    b.driver.stop()
    b.collect()
    again = list(replay(trace, AuroraConfig(port=str(b.link))))
    assert [frame.frame_number for frame in again] == [frame.frame_number for frame in b.frames]
    assert [frame.stamp_ns for frame in again] == pytest.approx([frame.stamp_ns for frame in b.frames], abs=30_000_000)


def test_stop_ends_the_thread_at_once_even_while_it_waits_for_a_dead_device(bench):
    b = bench(script=STILL)
    b.do("stall", for_s=30.0)
    b.drive()
    time.sleep(1.0)
    begin = time.monotonic()
    b.driver.stop()
    assert time.monotonic() - begin < 1.5
    assert not any(thread.name == "aurora" for thread in threading.enumerate())
