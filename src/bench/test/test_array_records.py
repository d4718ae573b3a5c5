"""The emulated array: what it shows of a field by its own truth, its noise, its bytes, and each fault of a sensor."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import yaml

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_emulator import main, true_calibration
from lodestone_bench.emulators.array_records import ArrayRecords
from lodestone_bench.emulators.array_truth import ArrayTruth, grid_mm
from lodestone_bench.emulators.stream_requests import parse
from lodestone_bench.magnetics.field import world_field
from lodestone_core.calibration_file import load_calibration
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.types import Array


class Uniform:
    """The same field everywhere, turning slowly."""

    def field_T(self, points_mm: Array, world_s: float) -> Array:
        return np.tile([30e-6 * np.cos(world_s), 30e-6 * np.sin(world_s), -40e-6], (len(points_mm), 1))


class Desk:
    """Records at a time that the test sets."""

    def __init__(self, source: Any = None, **config: Any) -> None:
        self.now_s = 0.0
        self.truth = ArrayTruth(load_config(ArrayConfig, config), 4)
        self.records = ArrayRecords(self.truth, source or Uniform(), lambda: self.now_s, 4)

    def read(self, world_s: float = 0.0) -> tuple[Array, Array, Array]:
        """Counts (n, 3), temperature counts and status of a record, by struct alone."""
        body = self.records.record(7, 70_000, world_s)
        version, array_id, flags, sequence, device_us, n = struct.unpack_from("<BBHIQB", body)
        assert (version, array_id, flags, sequence, device_us, n) == (1, 1, 1, 7, 70_000, self.truth.count)
        rows = [body[17 + 11 * i : 28 + 11 * i] for i in range(n)]
        counts = [[int.from_bytes(row[3 * k : 3 * k + 3], "little", signed=True) for k in range(3)] for row in rows]
        return np.array(counts), np.array([row[9] for row in rows]).astype(np.int8), np.array([row[10] for row in rows])

    def do(self, name: str, **fields: Any) -> None:
        perform, given = parse(self.records.own_requests(), {"do": name, **fields})
        perform(self.records, given)


def test_the_grid_is_that_of_the_rig() -> None:
    grid = grid_mm(ArrayConfig())
    assert grid[0].tolist() == [-60, -60, 0] and grid[1].tolist() == [-20, -60, 0] and grid[15].tolist() == [60, 60, 0]


def test_an_ideal_array_shows_the_field_in_counts_of_ten_nanotesla() -> None:
    ideal = dict.fromkeys(("gain_sigma", "skew_sigma_rad", "tilt_sigma_rad", "bias_sigma_T", "slope_sigma_T_per_K", "noise_T"), 0.0)
    counts, tmps, status = Desk(**ideal, position_sigma_mm=0.0).read()
    assert np.abs(counts - [3000, 0, -4000]).max() <= 1 and status.tolist() == [1] * 16
    assert (30.0 - tmps / 1.7).tolist() == pytest.approx([26.0] * 16, abs=0.3)


def test_the_true_calibration_turns_counts_back_into_the_field_whatever_the_seed_made_of_the_sensors() -> None:
    desk = Desk(noise_T=0.0, warming_s=1.0)
    for world_s in (0.0, 1.0, 30.0):
        counts, _, _ = desk.read(world_s)
        warmth = desk.truth.temperature_degc(world_s) - 25.0
        for i, sensor in enumerate(desk.truth.calibration_values()["sensors"]):
            shown = counts[i] * 1e-8 - np.array(sensor["bias_T"]) - np.array(sensor["slope_T_per_K"]) * warmth
            field = np.array(sensor["rotation"]) @ (np.array(sensor["matrix"]) @ shown)
            # Half a count of rounding, through gains near one.
            np.testing.assert_allclose(field, Uniform().field_T(np.zeros((1, 3)), world_s)[0], atol=1.3e-8)
    spread = np.array(desk.truth.response) - np.eye(3)
    assert 0.01 < spread.std() < 0.05 and np.abs(desk.truth.bias_T).max() > 2e-5


def test_noise_has_the_configured_size_and_is_that_of_the_seed() -> None:
    desk, again = Desk(), Desk()
    found = np.array([desk.read()[0] for _ in range(400)])
    assert np.array_equal(found[:5], [again.read()[0] for _ in range(5)])
    assert (found.std(axis=0) * 1e-8).mean() == pytest.approx(120e-9, rel=0.02)


def test_a_turned_array_sees_the_field_of_its_own_place() -> None:
    source = world_field({"wire": {"present": False}}, 0)
    desk = Desk(source, noise_T=0.0, position_mm=[10.0, 20.0, 30.0], rotation_deg=[0.0, 0.0, 90.0], position_sigma_mm=0.0)
    assert desk.truth.points_mm[0] == pytest.approx([10 + 60, 20 - 60, 30])
    file = true_calibration(desk.truth, source, "r")
    background = np.array([sensor["background_T"] for sensor in file.values["sensors"]])
    field = source.field_T(desk.truth.points_mm, 0.0)
    assert background[3] == pytest.approx([field[3][1], -field[3][0], field[3][2]])


def test_a_field_beyond_the_range_is_cut_off_and_flagged_at_both_ends() -> None:
    class Strong:
        def field_T(self, points_mm: Array, world_s: float) -> Array:
            return np.tile([2e-3, -2e-3, 0.0], (len(points_mm), 1))

    counts, _, status = Desk(Strong()).read()
    assert counts[:, 0].tolist() == [131071] * 16 and counts[:, 1].tolist() == [-131072] * 16 and status.tolist() == [9] * 16


@pytest.mark.parametrize(
    ("name", "expected"), [("dead", 0), ("bus_error", 16), ("overrun", 3), ("invalid", 5), ("overflow", 9), ("stuck", 1), ("axes", 1)]
)
def test_a_fault_of_one_sensor_ends_by_itself_and_leaves_the_others_alone(name: str, expected: int) -> None:
    desk = Desk()
    before = desk.read()[0][5]
    desk.do(name, sensor=5, for_s=2.0)
    desk.now_s = 1.0
    counts, _, status = desk.read(1.0)
    assert status.tolist() == [1] * 5 + [expected] + [1] * 10
    if name == "stuck":
        assert np.array_equal(counts[5], before)
    if name == "bus_error":
        assert counts[5].tolist() == [0, 0, 0]
        assert desk.records.hello(1)[18 + 15 : 18 + 18] == b"\0\0\0"
    assert desk.records.own_statistics() == {"sensors": {5: [name]}}
    desk.now_s = 2.5
    assert desk.read(2.5)[2].tolist() == [1] * 16


def test_exchanged_axes_spikes_and_warmth_are_what_they_say() -> None:
    desk, plain = Desk(noise_T=0.0), Desk(noise_T=0.0)
    expected = plain.read()[0]
    desk.do("axes", sensor=2, axes="yXz")
    desk.do("spikes", sensor=3, probability=1.0, T=1e-4)
    desk.do("warm", sensor=4, K=10.0)
    counts, tmps, _ = desk.read()
    assert counts[2].tolist() == [expected[2][1], -expected[2][0], expected[2][2]]
    assert np.linalg.norm(counts[3] - expected[3]) == pytest.approx(1e4, rel=1e-3)
    assert counts[4] - expected[4] == pytest.approx(desk.truth.slope_T_per_K[4] * 10.0 / 1e-8, abs=1.0)
    assert tmps[5] - tmps[4] == 17
    desk.records.clear()
    assert np.array_equal(desk.read()[0], expected)


@pytest.mark.parametrize("request_fields", [{"do": "stuck", "sensor": 16}, {"do": "axes", "sensor": 1, "axes": "xxz"}, {"do": "stuck"}])
def test_a_request_that_makes_no_sense_is_refused(request_fields: dict[str, Any]) -> None:
    desk = Desk()
    with pytest.raises(InputError):
        perform, fields = parse(desk.records.own_requests(), request_fields)
        perform(desk.records, fields)


def test_the_truth_is_written_as_a_calibration_of_its_rig(tmp_path: Any) -> None:
    (tmp_path / "w.yaml").write_text(yaml.safe_dump({"seed": 3, "array": {"columns": 2, "rows": 2, "array_id": 9}}))
    assert main(["--write-truth", str(tmp_path / "m.yaml"), "--world", str(tmp_path / "w.yaml"), "--rig", "r"]) == 0
    file = load_calibration(tmp_path / "m.yaml", "magnetometers", "r")
    assert file.values["array_id"] == 9 and len(file.values["sensors"]) == 4 and "truth" in file.method
    assert main(["--write-truth", str(tmp_path / "none" / "m.yaml"), "--world", str(tmp_path / "none.yaml")]) == 2
