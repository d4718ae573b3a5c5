"""The array's calibration: the equation against a plain loop, the file to the last bit, every wrong file named, nothing valid made up."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.drivers.calibrated import KIND, ArrayCalibration, Calibrator, calibration_of, check_fit, read_calibration
from guidewire_recon.types import ArraySample, SensorStatus
from lodestone_core.calibration_file import CalibrationFile
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def calibration(n: int = 16, seed: int = 3, unknown: tuple[int, ...] = ()) -> ArrayCalibration:
    random = np.random.default_rng(seed)
    columns = {
        "matrix": np.eye(3) + 0.05 * random.standard_normal((n, 3, 3)),
        "bias_T": 2e-5 * random.standard_normal((n, 3)),
        "slope_T_per_K": 2e-8 * random.standard_normal((n, 3)),
        "rotation": Rotation.random(n, rng=random).as_matrix(),
        "position_mm": 50.0 * random.standard_normal((n, 3)),
        "background_T": 5e-5 * random.standard_normal((n, 3)),
        "noise_T": 1e-7 * random.random(n),
    }
    for column in columns.values():
        column[list(unknown)] = np.nan
    return ArrayCalibration(7, 25.0, **columns)


def sample(raw: Array, temperature: Array, status: Array | None = None) -> ArraySample:
    n = len(raw)
    words = np.zeros(n, np.uint16) if status is None else status.astype(np.uint16)
    return ArraySample(1, 2, 3, 7, 0, 0, 0, np.round(raw).astype(np.int32), words, temperature)


def file_of(c: ArrayCalibration, rig: str = "simulated") -> CalibrationFile:
    return CalibrationFile(KIND, rig, ("array 7, 16 sensors",), "2026-01-01T00:00:00+00:00", "test", "0", c.values())


@pytest.mark.parametrize("subtract", [False, True])
def test_the_field_is_that_of_the_equation_worked_sensor_by_sensor(subtract: bool) -> None:
    c = calibration()
    random = np.random.default_rng(0)
    raw, temperature = random.integers(-100000, 100000, (16, 3)), random.uniform(10, 50, 16)
    out = Calibrator(c, subtract).apply(sample(raw, temperature))
    for i in range(16):
        expected = c.rotation[i] @ (c.matrix[i] @ (raw[i] * 1e-8 - c.bias_T[i] - c.slope_T_per_K[i] * (temperature[i] - 25.0)))
        expected = expected - c.background_T[i] if subtract else expected
        np.testing.assert_allclose(out.field_T[i], expected, rtol=0, atol=1e-17)
    assert out.valid.all()


def test_a_plain_calibration_gives_ten_nanotesla_a_count() -> None:
    n = 2
    zeros = np.zeros((n, 3))
    c = ArrayCalibration(1, 25.0, np.stack([np.eye(3)] * n), zeros, zeros, np.stack([np.eye(3)] * n), zeros, zeros, np.zeros(n))
    out = Calibrator(c).apply(sample(np.array([[1, -2, 0], [120000, 0, -120000]]), np.array([np.nan, 30.0])))
    np.testing.assert_allclose(out.field_T, [[1e-8, -2e-8, 0], [1.2e-3, 0, -1.2e-3]], rtol=1e-12)


def test_what_may_not_be_used_is_missing_and_says_why() -> None:
    c = calibration(4, unknown=(2,))
    status = np.array([SensorStatus.OVERFLOW, SensorStatus.SKIPPED, 0, 0])
    out = Calibrator(c).apply(sample(np.full((4, 3), 5000), np.array([20.0, 20.0, 20.0, np.nan]), status))
    assert out.status.tolist() == [1, 4, 128, 128]
    assert np.isnan(out.field_T[[0, 2, 3]]).all() and np.isfinite(out.field_T[1]).all()
    assert out.valid.tolist() == [False, True, False, False]


def test_a_file_gives_the_same_calibration_to_the_last_bit(tmp_path: Path) -> None:
    c = calibration(unknown=(5,))
    c.background_T[3] = np.nan
    c.noise_T[4] = np.nan
    file_of(c).save(tmp_path / "m.yaml")
    file, again = read_calibration(tmp_path / "m.yaml", "simulated")
    for name in ("matrix", "bias_T", "slope_T_per_K", "rotation", "position_mm", "background_T", "noise_T"):
        np.testing.assert_array_equal(getattr(again, name), getattr(c, name))
    assert again.array_id == 7 and file.sha256 == file_of(c).sha256
    assert again.known.tolist() == [i != 5 for i in range(16)]
    with pytest.raises(InputError, match="calibration of other"):
        read_calibration(tmp_path / "m.yaml", "other")


def damaged(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    values = copy.deepcopy(calibration(4).values())
    inner: Any = values
    for key in path[:-1]:
        inner = inner[key]
    if value is None and path[-1] in inner and path[-1] != "matrix":
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("sensors",), [], "list of sensors"),
        (("sensors", 2, "bias_T"), [0.0, 0.0], "s02, bias_T"),
        (("sensors", 1, "bias_T"), None, "s01: expected matrix, bias_T"),
        (("sensors", 3, "matrix"), "x", "s03, matrix"),
        (("sensors", 3, "matrix"), [[1.0, 0, 0], [0, 1.0, 0], [0, 0, -1.0]], "no mirrored axes"),
        (("sensors", 3, "matrix"), [[1e-8, 0, 0], [0, 1e-8, 0], [0, 0, 1e-8]], "a gain near one"),
        (("sensors", 0, "rotation"), [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0]], "s00, rotation"),
        (("sensors", 0, "position_mm"), [float("nan"), 0, 0], "s00, position_mm"),
        (("array_id",), 256, "array_id"),
        (("reference_degc",), "warm", "reference_degc"),
        (("sensors", 0), 4, "s00"),
    ],
)
def test_a_wrong_file_is_refused_with_the_sensor_and_the_key(path: tuple[Any, ...], value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        calibration_of(damaged(path, value), "m.yaml")


def test_the_calibration_of_another_array_or_sensor_count_is_named() -> None:
    check_fit(calibration(), 7, 16, "m.yaml")
    with pytest.raises(InputError, match="calibration of 16 sensors, got one of 4"):
        check_fit(calibration(4), 7, 16, "m.yaml")
    with pytest.raises(InputError, match="calibration of array 8, got that of array 7"):
        check_fit(calibration(), 8, 16, "m.yaml")


def test_a_background_that_was_not_measured_cannot_be_taken_off() -> None:
    c = calibration(4)
    c.background_T[2] = np.nan
    Calibrator(c)
    with pytest.raises(InputError, match="none of s02"):
        Calibrator(c, subtract_background=True)
