"""The scripted world: smooth truth, noise of the stated size, a coil without roll, and recordings that say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_bench.sources.source import Volume
from lodestone_bench.world.config import default_script, read_script, script_of
from lodestone_bench.world.export import write_recordings
from lodestone_bench.world.scripted import ScriptedWorld, without_roll
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.formats.tracking_text import read_em_tracking, read_optical_tracking

TIMES = np.linspace(0.0, 30.0, 3001)
NUMBERS = np.arange(1, 3002)


def test_two_tools_on_one_body_stay_rigid() -> None:
    world = ScriptedWorld(default_script(2))
    T = se3.inverse(world.T_field_tool("sensor_0", TIMES)) @ world.T_field_tool("sensor_1", TIMES)
    assert np.abs(T - T[0]).max() < 1e-9
    assert np.linalg.norm(T[0, :3, 3]) == pytest.approx(20.0)


def test_the_marker_is_where_the_wand_is() -> None:
    world = ScriptedWorld(default_script(1))
    # T_image_marker = T_image_field T_field_sensor T_sensor_marker with constant ends: the same motion in both frames.
    marker, sensor = world.T_image_marker(TIMES), world.T_field_tool("sensor_0", TIMES)
    turned = Rotation.from_matrix(marker[0, :3, :3].T @ marker[:, :3, :3]).magnitude()
    assert turned == pytest.approx(Rotation.from_matrix(sensor[0, :3, :3].T @ sensor[:, :3, :3]).magnitude(), abs=1e-9)
    assert turned.max() > 1.0, "enough rotation to calibrate on"


def test_noise_has_the_stated_size_and_depends_on_seed_and_number_only() -> None:
    world, again = ScriptedWorld(default_script(1, seed=4)), ScriptedWorld(default_script(1, seed=4))
    measured, truth = world.measured_tool("sensor_0", TIMES, NUMBERS), world.T_field_tool("sensor_0", TIMES)
    assert (measured[:, :3, 3] - truth[:, :3, 3]).std() == pytest.approx(0.15, rel=0.05)
    angles = Rotation.from_matrix(np.swapaxes(truth[:, :3, :3], 1, 2) @ measured[:, :3, :3]).as_rotvec(degrees=True)
    assert angles.std() == pytest.approx(0.05, rel=0.05)
    assert np.array_equal(measured[7:9], again.measured_tool("sensor_0", TIMES[7:9], NUMBERS[7:9]))
    assert not np.array_equal(measured, ScriptedWorld(default_script(1, seed=5)).measured_tool("sensor_0", TIMES, NUMBERS))


def test_without_roll_keeps_the_axis_and_drops_the_angle_about_it() -> None:
    R = Rotation.random(200, random_state=1)
    T = se3.make(R.as_matrix(), np.zeros((200, 3)))
    rolled = se3.make((R * Rotation.from_rotvec([0.0, 0.0, 1.234])).as_matrix(), np.zeros((200, 3)))
    kept = without_roll(T)
    assert np.abs(kept[:, :3, 2] - T[:, :3, 2]).max() < 1e-12
    assert np.abs(kept - without_roll(rolled)).max() < 1e-9
    assert np.abs(se3.to_quaternion(kept)[0][:, 2]).max() < 1e-12


def test_frames_come_at_the_rate_and_after_the_latency() -> None:
    source = ScriptedSource(ScriptedWorld(script_of({"rate_hz": 40, "latency_ms": 10, "duration_s": 2.0})))
    assert [source.number_at(t) for t in (-1.0, 0.0, 0.034, 0.0351, 1.0101, 9.0)] == [0, 0, 0, 1, 40, 80]
    assert source.end_s == pytest.approx(2.01)
    assert source.newest("sensor_0", 0) is None and source.newest("nobody", 5) is None


def test_every_frame_is_reached_at_its_own_time() -> None:
    source = ScriptedSource(ScriptedWorld(default_script(1, rate_hz=37.3)))
    assert [source.number_at(source.time_of(n)) for n in range(1, 5000)] == list(range(1, 5000))


def test_intervals_hide_the_tool_and_the_pose_is_that_of_the_world() -> None:
    script = script_of({"tools": {"a": {"missing_s": [1, 2, 3, 4], "out_of_volume_s": [5, 6], "partial_s": [7, 8]}}})
    world = ScriptedWorld(script)
    source = ScriptedSource(world)
    samples = [source.newest("a", round(40 * t)) for t in (0.5, 1.0, 2.0, 3.5, 5.5, 7.5)]
    assert [s is not None and s.pose is not None for s in samples] == [True, False, True, False, True, True]
    assert [s.volume for s in samples if s is not None] == [Volume.INSIDE] * 4 + [Volume.OUTSIDE, Volume.PARTIAL]
    assert samples[0] is not None and samples[0].pose is not None
    assert samples[0].pose.t_mm == pytest.approx(world.T_field_tool("a", np.array([0.5]))[0, :3, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: {a: {body: hand}}", "one of wand"), ("tools: {a: {missing_s: [2, 1]}}", "rising pairs"), ("tools: [a]", "a mapping"),
        ("rate: 40", "rate_hz"), ("faults: {do: x}", "a list of mappings"), ("tools: {a: {plug: {serial: xyz}}}", "8 upper-case"),
        ("- 1", "a mapping"),
    ],
)  # fmt: skip
def test_a_bad_script_is_refused_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "script.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_script(tmp_path / "script.yaml")


def test_an_exported_recording_holds_what_the_tracker_measured(tmp_path: Path) -> None:
    world = ScriptedWorld(script_of({"tools": {"a": {"missing_s": [1, 2], "noise_mm": 0.3}, "b": {"mount_mm": [0, 0, 30]}}}))
    em, optical = tmp_path / "EMTracking_1.txt", tmp_path / "OpticalTracking_1.txt"
    write_recordings(world, 3.0, em, optical)
    streams, marker = read_em_tracking(em), read_optical_tracking(optical)
    assert list(streams) == [0, 1] and [len(s.stamps_ns) for s in streams.values()] == [120, 120] and len(marker.stamps_ns) == 24
    assert np.count_nonzero(~streams[0].valid) == 40 and streams[1].valid.all()
    numbers = np.arange(1, 121)
    assert np.abs(streams[1].T_tracker_body - world.measured_tool("b", numbers / 40.0, numbers)).max() < 1e-3
    times_s = (marker.stamps_ns - 10**12) * 1e-9
    assert np.abs(marker.T_tracker_body - world.measured_marker(times_s, np.arange(1, 25))).max() < 1e-2
