"""Exchanged and inverted axes: each of the 47 wrong ways is found in a background and in a uniform field, and nothing is made up."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.drivers.axes_check import exchanged_axes
from guidewire_recon.drivers.calibrated import ArrayCalibration
from lodestone_core.types import Array

N = 16
WARM = np.full(N, 27.0)


def array(uniform: bool, seed: int = 1) -> tuple[ArrayCalibration, Array]:
    """A calibration and the counts that its sensors show in its background."""
    random = np.random.default_rng(seed)
    field = np.tile([30e-6, -19e-6, -44e-6], (N, 1))
    if not uniform:
        field = field + 3e-4 * random.standard_normal((N, 3))
    gain = np.eye(3) + 0.02 * random.standard_normal((N, 3, 3))
    turn = Rotation.from_rotvec(0.03 * random.standard_normal((N, 3))).as_matrix()
    bias = 2e-6 * random.standard_normal((N, 3))
    zeros = np.zeros((N, 3))
    background = np.full((N, 3), np.nan) if uniform else field
    calibration = ArrayCalibration(1, 25.0, gain, bias, zeros, turn, zeros, background, np.full(N, np.nan))
    shown = np.einsum("nij,nj->ni", np.linalg.inv(turn @ gain), field) + bias
    return calibration, shown * 1e8


@pytest.mark.parametrize("uniform", [False, True])
def test_every_wrong_way_is_found_at_its_sensor_alone(uniform: bool) -> None:
    calibration, counts = array(uniform)
    assert exchanged_axes(counts, WARM, calibration) == {}
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        if order == (0, 1, 2) and signs == (1, 1, 1):
            continue
        wrong = counts.copy()
        wrong[7] = wrong[7][list(order)] * signs
        text = ", ".join(("-" if sign < 0 else "") + "xyz"[place] for place, sign in zip(order, signs, strict=True))
        assert exchanged_axes(wrong, WARM, calibration) == {7: f"its x, y, z come as {text}"}, (order, signs)


def test_the_field_of_a_wire_or_of_a_magnet_nearby_is_not_taken_for_exchanged_axes() -> None:
    calibration, counts = array(uniform=False)
    named = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        near = counts + 10.0 ** random.uniform(0, 5) * random.standard_normal((N, 3))
        named += len(exchanged_axes(near, WARM, calibration))
    assert named == 0


def test_a_magnet_over_one_sensor_is_not_taken_for_its_axes() -> None:
    # Of the fields that a magnet may make at one sensor, some are near another order of its axes; 40 mm beside it there is a tenth of it.
    calibration, counts = array(uniform=True)
    known = replace(calibration, background_T=np.tile([30e-6, -19e-6, -44e-6], (N, 1)))
    to_counts = 1e8 * np.linalg.inv(known.rotation @ known.matrix)
    named = 0
    for seed in range(3000):
        random = np.random.default_rng(seed)
        near_T = 60e-6 * random.standard_normal(3)
        field_T = np.zeros((N, 3))
        field_T[5] = near_T
        field_T[[1, 4, 6, 9]] = -np.linalg.norm(near_T) / 11.0 * np.array([0.6, 0.64, 0.48])
        named += len(exchanged_axes(counts + (to_counts @ field_T[:, :, None])[:, :, 0], WARM, known))
    assert named == 0


@pytest.mark.parametrize("shift_T", [0.0, 40e-6])
def test_a_small_error_in_a_strong_background_is_found_beside_another_field_of_the_earth(shift_T: float) -> None:
    calibration, counts = array(uniform=False)
    beside = counts + 1e8 * shift_T * (np.linalg.inv(calibration.rotation @ calibration.matrix) @ np.array([0.6, -0.64, 0.48]))
    found = []
    for order in ([0, 2, 1], [1, 0, 2], [2, 1, 0]):
        for sensor in range(N):
            wrong = beside.copy()
            wrong[sensor] = wrong[sensor][order]
            text = ", ".join("xyz"[place] for place in order)
            found.append(exchanged_axes(wrong, WARM, calibration) == {sensor: f"its x, y, z come as {text}"})
    assert sum(found) >= 0.95 * len(found)


def test_a_whole_array_that_is_turned_alike_is_named_at_every_sensor() -> None:
    calibration, counts = array(uniform=False)
    found = exchanged_axes(counts[:, [1, 0, 2]] * [1, -1, 1], WARM, calibration)
    assert len(found) > N // 2 and set(found.values()) <= {"its x, y, z come as y, -x, z", "more than one way fits"}


def test_without_a_background_and_without_a_uniform_field_nothing_is_said() -> None:
    calibration, counts = array(uniform=False)
    unknown = replace(calibration, background_T=np.full((N, 3), np.nan))
    wrong = counts.copy()
    wrong[7] = wrong[7][[1, 0, 2]]
    assert exchanged_axes(wrong, WARM, unknown) == {}


def test_a_missing_sensor_is_left_out_and_a_field_along_a_diagonal_fits_more_than_one_way() -> None:
    calibration, counts = array(uniform=False)
    counts[3] = np.nan
    assert exchanged_axes(counts, WARM, calibration) == {}
    ideal = replace(
        calibration,
        matrix=np.tile(np.eye(3), (N, 1, 1)),
        rotation=np.tile(np.eye(3), (N, 1, 1)),
        bias_T=np.zeros((N, 3)),
        background_T=np.tile([1e-4, 1e-4, 3e-4], (N, 1)),
    )
    shown = np.tile([1e4, 3e4, 1e4], (N, 1))
    shown[1:] = [1e4, 1e4, 3e4]
    assert exchanged_axes(shown, WARM, ideal) == {0: "more than one way fits"}
