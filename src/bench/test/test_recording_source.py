"""Playing a recording: own times, one frame number for each line, and that of its sensor only."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lodestone_bench.emulators.aurora_config import PlugConfig
from lodestone_bench.emulators.aurora_device import AuroraDevice
from lodestone_bench.emulators.aurora_setup import device_of
from lodestone_bench.emulators.crc16 import with_crc
from lodestone_bench.sources.recording import RecordingSource
from lodestone_bench.sources.reference import RecordedReference, ScriptedReference
from lodestone_bench.world.config import default_script
from lodestone_bench.world.scripted import ScriptedWorld

MS = 1_000_000
T0 = 40_802_122_076_750
QUATERNION = "Orientation: 0.5 0.5 0.5 0.5"


def em_line(sensor: int, x: float, at_ms: float) -> str:
    return f"SensorID: {sensor} Position: {x} 0 -100 {QUATERNION} Time: {T0 + int(at_ms * MS)}\n"


@pytest.fixture
def em_file(tmp_path: Path) -> Path:
    """Two sensors, 7 and 138 ms apart in turn as in the real recordings; sensor 1 is invalid once."""
    path = tmp_path / "EMTracking.txt"
    path.write_text(em_line(0, 1, 0) + em_line(1, 2, 7) + em_line(0, 3, 145) + em_line(1, 1.23244e28, 152) + em_line(0, 5, 290))
    return path


@pytest.fixture
def optical_file(tmp_path: Path) -> Path:
    path = tmp_path / "OpticalTracking.txt"
    path.write_text("".join(f"Position: {x} 0 0 {QUATERNION} Time: {T0 + x * MS}\n" for x in (-50, 10, 110, 210, 310)))
    return path


def lines(device: AuroraDevice, now_s: float) -> list[str]:
    text = device.execute(with_crc(b"TX:0801")[:-1], now_s).payload.decode()
    return text[2:].split("\n")[:-1]


def tracking(source: RecordingSource) -> AuroraDevice:
    device = device_of(source, {tool: PlugConfig() for tool in source.tools})
    for command in ("INIT:", "PINIT:0A", "PINIT:0B", "PENA:0AD", "PENA:0BD", "TSTART:80"):
        assert device.execute(with_crc(command.encode())[:-1], 100.0).payload == b"OKAYA896\r"
    return device


def test_each_recorded_line_is_one_frame_number_of_its_own_handle(em_file: Path) -> None:
    device = tracking(RecordingSource.read(em_file))
    polls = [lines(device, 100.0 + ms / 1000) for ms in (0, 6.9, 7.1, 144, 146, 153, 291, 9000)]
    frames = [(int(first[-8:], 16), int(second[-8:], 16)) for first, second in polls]
    assert frames == [(1, 0), (1, 0), (1, 2), (1, 2), (3, 2), (3, 4), (5, 4), (5, 4)]
    missing = ["MISSING" in second for _, second in polls]
    assert missing == [True, True, False, False, False, True, True, True], "nothing yet, then a pose, then the tracker's invalid mark"


def test_the_pose_is_the_recorded_one_with_w_first(em_file: Path) -> None:
    device = tracking(RecordingSource.read(em_file))
    assert lines(device, 100.15)[0].startswith("0A+05000+05000+05000+05000+000300+000000-010000+02500")


def test_playback_begins_with_the_first_tstart_and_does_not_wait_for_the_host(em_file: Path) -> None:
    device = tracking(RecordingSource.read(em_file))
    for command, at_s in (("TSTOP:", 100.01), ("TSTART:80", 100.15)):
        device.execute(with_crc(command.encode())[:-1], at_s)
    assert lines(device, 100.151) == ["0AMISSING0000003100000000", "0BMISSING0000003100000000"], "old samples are not reported again"
    assert lines(device, 100.291)[0].endswith("00000002"), "152 ms was the first sample after this TSTART, 290 ms the second"
    assert device.measuring.finished(100.291) and not device.measuring.finished(100.28)
    assert (device.measuring.produced(200.0), device.measuring.produced_of("sensor_0", 200.0)) == (4, 2)


def test_a_loop_goes_on_after_one_median_gap_with_rising_numbers(em_file: Path) -> None:
    source = RecordingSource.read(em_file, loop=True)
    assert source.end_s is None and source.period_s == pytest.approx(0.290 + 0.0725)
    numbers = [source.number_at(t) for t in np.arange(0.0, 5.0, 0.001)]
    assert set(np.diff(numbers)) <= {0, 1} and numbers[-1] == source.number_at(5.0 % source.period_s) + 5 * int(5.0 // source.period_s)
    sample = source.newest("sensor_1", 6)
    assert sample is not None and sample.number == 4, "in the second lap its newest sample is still that of the first"
    assert source.count("sensor_0", 0, 13) == 8 and source.count("sensor_1", 5, 12) == 3


def test_the_reference_runs_on_the_same_clock_and_leaves_out_what_was_before(em_file: Path, optical_file: Path) -> None:
    track = RecordedReference(optical_file, RecordingSource.read(em_file))
    assert [(t // MS, T[0, 3]) for t, T in track.between(-1, 10**12)] == [(10, 10), (110, 110), (210, 210), (310, 310)]
    assert [t // MS for t, _ in track.between(10 * MS, 210 * MS)] == [110, 210]
    assert track.end_ns == 310 * MS


def test_the_reference_loops_with_the_recording(em_file: Path, optical_file: Path) -> None:
    track = RecordedReference(optical_file, RecordingSource.read(em_file, loop=True))
    edges = range(-1, 2000 * MS, 3 * MS)
    played = [t / MS for a, b in pairwise(edges) for t, _ in track.between(a, b)]
    assert played[:6] == pytest.approx([10, 110, 210, 310, 372.5, 472.5])
    assert track.end_ns is None and len(played) == len(set(played))


def test_the_scripted_reference_gives_each_sample_once() -> None:
    track = ScriptedReference(ScriptedWorld(default_script(1)))
    edges = range(-1, 3000 * MS, 7 * MS)
    played = [t for a, b in pairwise(edges) for t, _ in track.between(a, b)]
    assert [t / MS for t in played] == pytest.approx([125.0 * n for n in range(1, len(played) + 1)]) and len(played) == 23


@pytest.mark.data
@pytest.mark.parametrize(("number", "samples", "invalid"), [(1, 665, 4), (2, 844, 21)])
def test_a_real_recording_is_played_line_by_line(number: int, samples: int, invalid: int) -> None:
    folder = Path(os.environ.get("LODESTONE_DATA", "data")) / "em_optical"
    if not folder.is_dir():
        pytest.skip("no real recordings: set LODESTONE_DATA to the folder that holds em_optical")
    source = RecordingSource.read(folder / f"EMTrackingcont_{number}.txt")
    assert source.end_s is not None and source.number_at(source.end_s) == samples
    newest = [source.newest(tool, n) for n in range(1, samples + 1) for tool in source.tools]
    poses = {sample.number: sample.pose for sample in newest if sample is not None}
    assert len(poses) == samples and sum(pose is None for pose in poses.values()) == invalid
