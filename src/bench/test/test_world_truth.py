"""The truth of a world: every part by its own name, the same for the same seed, in memory and in files; tools on what moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lodestone_bench.emulators.aurora_measure import Measuring
from lodestone_bench.patient import Patient
from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.em_tools import scripted_world
from lodestone_bench.world.layout import LayoutConfig
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_bench.world.sections import read_world
from lodestone_bench.world.truth import Curve, Frame, truth_of
from lodestone_bench.world.truth_files import times_of, write_truth
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

LAUNCH = Path(__file__).resolve().parents[3] / "launch"
WORLD: dict[str, Any] = {
    "seed": 5,
    "tools": {
        "bodies": {"wand": {}, "scanner": {"follows": "probe"}, "organ": {"follows": "liver"}},
        "tools": {"tip": {}, "on_probe": {"body": "scanner", "mount_mm": [0.0, 30.0, -40.0]}, "in_liver": {"body": "organ"}},
    },
}
TIMES = np.linspace(10.0, 20.0, 41)


def frames(world: dict[str, Any]) -> dict[str, Frame]:
    return {each.name: each for each in truth_of(world) if isinstance(each, Frame)}


def test_every_part_tells_its_truth_under_a_name_of_its_own() -> None:
    quantities = truth_of({})
    names = [each.name for each in quantities]
    assert len(set(names)) == len(names)
    assert {"em_tool_sensor_0", "us_probe", "liver", "wire", "magnet_0", "xray_source"} <= set(names)
    for each in quantities:
        if isinstance(each, Frame):
            T = np.asarray(each.poses(TIMES))
            assert T.shape == (41, 4, 4)
            assert np.swapaxes(T[:, :3, :3], 1, 2) @ T[:, :3, :3] == pytest.approx(np.broadcast_to(np.eye(3), (41, 3, 3)), abs=1e-9)
        else:
            assert isinstance(each, Curve) and np.isfinite(each.points(12.0)).all()


def test_the_probe_of_the_truth_is_that_of_the_arm_and_the_liver_that_of_the_patient() -> None:
    found = frames({"seed": 5})
    assert np.array_equal(found["us_probe"].poses(TIMES), ArmWorld(seed=5).T_bench_probe(TIMES))
    assert np.array_equal(found["liver"].poses(TIMES), Patient(seed=5).T_bench_liver(TIMES))


def test_a_tool_on_the_probe_moves_with_it_and_one_in_the_liver_breathes() -> None:
    found, T_bench_field = frames(WORLD), LayoutConfig().T_bench_field()
    mount = se3.make(np.eye(3), np.array([0.0, 30.0, -40.0]))
    on_probe = T_bench_field @ found["em_tool_on_probe"].poses(TIMES)
    assert on_probe == pytest.approx(ArmWorld(seed=5).T_bench_probe(TIMES) @ mount, abs=1e-9)
    in_liver = T_bench_field @ found["em_tool_in_liver"].poses(TIMES)
    assert in_liver == pytest.approx(Patient(seed=5).T_bench_liver(TIMES), abs=1e-9)
    assert np.ptp(in_liver[:, :3, 3], axis=0).max() > 1.0
    plain = scripted_world({"seed": 5})
    assert found["em_tool_tip"].poses(TIMES)[0, :3, 3] != pytest.approx(plain.T_field_tool("sensor_0", TIMES)[0, :3, 3])


def test_the_field_generator_stands_where_the_frames_of_the_simulated_rig_say() -> None:
    entries = yaml.safe_load((LAUNCH / "rigs" / "simulated" / "frames.yaml").read_text())["frames"]
    entry = next(each for each in entries if each["child"] == "em_field_generator")
    T = se3.from_quaternion(np.array(entry["quaternion_xyzw"]), np.array(entry["translation_mm"]))
    assert pytest.approx(T, abs=1e-9) == LayoutConfig().T_bench_field()


def test_a_body_that_follows_nothing_of_this_world_is_refused() -> None:
    with pytest.raises(InputError, match="probe"):
        ScriptedWorld(scripted_world(WORLD).script)
    with pytest.raises(InputError, match="follows"):
        scripted_world({"tools": {"bodies": {"wand": {"follows": "cat"}}}})
    with pytest.raises(InputError, match="a mapping"):
        scripted_world({"tools": [1]})


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    for name, world in (("a", WORLD), ("b", WORLD), ("c", {**WORLD, "seed": 6})):
        write_truth(world, 1.0, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "truth.yaml" in names and "us_probe.csv" in names and "wire.npz" in names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert (tmp_path / "a" / "liver.csv").read_bytes() != (tmp_path / "c" / "liver.csv").read_bytes()


def test_the_files_hold_the_truth_to_the_last_bit(tmp_path: Path) -> None:
    quantities = write_truth(WORLD, 2.0, tmp_path / "truth")
    about = yaml.safe_load((tmp_path / "truth" / "truth.yaml").read_text())
    assert about["seed"] == 5 and about["world"] == WORLD
    for each in quantities:
        entry, times = about["quantities"][each.name], times_of(each, 2.0)
        assert entry["samples"] == len(times) == round(2.0 * each.rate_hz)
        if isinstance(each, Frame):
            rows = np.loadtxt(tmp_path / "truth" / entry["file"], delimiter=",", skiprows=1, ndmin=2)
            assert np.array_equal(rows[:, 0], times)
            assert np.array_equal(rows[:, 1:4], np.asarray(each.poses(times))[:, :3, 3])
            assert se3.from_quaternion(rows[:, 4:], rows[:, 1:4]) == pytest.approx(np.asarray(each.poses(times)), abs=1e-12)
        else:
            held = np.load(tmp_path / "truth" / entry["file"], allow_pickle=False)
            assert np.array_equal(held["points_mm"][3], each.points(float(times[3])))


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in ("", "mine"):
        with pytest.raises(InputError, match=r"new folder|can be made"):
            write_truth({}, 1.0, tmp_path / name)


def test_in_a_shared_world_the_tracker_measures_by_its_time_whoever_starts_it_when() -> None:
    source = ScriptedSource(scripted_world({"tools": {"rate_hz": 40.0}}))
    device = Measuring(source, origin_s=100.0)
    assert device.elapsed_s(103.0) == 3.0
    assert device.tracking_s(103.0) is None and device.number(103.0) == 0
    device.start(103.0, reset_frames=False)
    assert (device.number(103.0), device.produced(103.0)) == (120, 0), "what was there before TSTART is not measured"
    assert (device.number(104.0), device.produced(104.0), device.tracking_s(104.0)) == (160, 40, 1.0)
    alone = Measuring(source)
    alone.start(103.0, reset_frames=False)
    assert (alone.number(104.0), alone.elapsed_s(104.0)) == (40, 1.0), "without a world time begins with TSTART"


def test_the_world_of_the_simulated_rig_is_read_by_every_part() -> None:
    world = read_world(LAUNCH / "rigs" / "simulated" / "world.yaml")
    names = {each.name for each in truth_of(world)}
    assert {"em_tool_probe", "em_tool_liver", "us_probe", "liver"} <= names


@pytest.mark.parametrize("duration_s", [0.001, 1.0])
def test_a_short_world_has_at_least_its_first_moment(duration_s: float) -> None:
    quantity = Curve("wire", "bench", 20.0, lambda t: np.zeros((2, 3)))
    times: Array = times_of(quantity, duration_s)
    assert times[0] == 0.0 and len(times) == max(1, round(20 * duration_s))
