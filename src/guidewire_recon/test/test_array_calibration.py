"""Calibration of an array: ellipsoid, joint solution against the bench's truth, honest covariance, and recordings that are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.calibration.alignment import align, best_turn
from guidewire_recon.calibration.array_calibration import CalibratedArray, Recordings, calibrate_array
from guidewire_recon.calibration.config import CalibrationConfig, LayoutConfig
from guidewire_recon.calibration.coverage import covered, in_words, sphere
from guidewire_recon.calibration.ellipsoid import fit_ellipsoid, symmetric
from guidewire_recon.calibration.layout import drawn_positions, drawn_rotations, nearest_axes
from guidewire_recon.calibration.recording import ArrayRecording, dwells, recording_of
from guidewire_recon.calibration.temperature import temperature_slopes
from guidewire_recon.drivers.calibrated import Calibrator, calibration_of
from lodestone_bench.magnetics.calibration_scene import CalibrationScene, SceneConfig, Taken
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.types import Array

WORLD = {"array": {"gain_sigma": 0.05, "skew_sigma_rad": 0.035, "tilt_sigma_rad": 0.052, "bias_sigma_T": 3e-5, "position_sigma_mm": 1.0}}
SMALL = SceneConfig(turns=160, holes=5, dwell=6, still=40, warm_up=80)


def recording(taken: Taken, name: str) -> ArrayRecording:
    return recording_of(taken.counts, name, taken.temperature_degc, None, taken.T_array_magnet, 1)


@cache
def scene(seed: int = 3) -> tuple[CalibrationScene, Recordings]:
    made = CalibrationScene(WORLD, SMALL, seed)
    parts = {name: recording(getattr(made, name)(), name) for name in ("rotation", "magnet", "background", "warm_up")}
    return made, Recordings(**parts)


def settings(made: CalibrationScene, **more: object) -> CalibrationConfig:
    return load_config(CalibrationConfig, {"field_strength_t": made.earth_T, **more})


@cache
def calibrated(seed: int = 3) -> CalibratedArray:
    made, recordings = scene(seed)
    return calibrate_array(recordings, settings(made))


def field_error(made: CalibrationScene, found: CalibratedArray, temperature: float = 33.0) -> tuple[float, float]:
    """RMS of one axis before and after, T, without noise."""
    rng = np.random.default_rng(9)
    before, after = [], []
    for _ in range(30):
        field = np.tile(rng.normal(0.0, 2e-4, 3), (16, 1))
        shown = made.shown(field, temperature)
        before.append(shown - field)
        after.append(Calibrator(found.calibration).field_T(shown / 1e-8, np.full(16, temperature)) - field)
    return float(np.sqrt(np.mean(np.square(before)))), float(np.sqrt(np.mean(np.square(after))))


def test_an_array_is_calibrated_to_a_hundredth_of_its_error() -> None:
    made, _ = scene()
    before, after = field_error(made, calibrated())
    assert before > 2e-5
    assert after < before / 100.0
    error = calibrated().calibration.position_mm - made.array.position_mm
    assert np.sqrt(np.mean(np.sum(error**2, axis=1))) < 0.06


def test_slope_and_background_are_found_too() -> None:
    made, _ = scene()
    c = calibrated().calibration
    assert np.abs(c.slope_T_per_K - made.array.slope_T_per_K).max() < 2e-8
    assert np.abs(c.background_T - made.around.field_T(made.array.points_mm)).max() < 1e-6
    assert calibrated().strength_t_mm3 == pytest.approx(made.strength_t_mm3, rel=5e-3)
    assert np.abs(c.noise_T - made.array.config.noise_T).max() < 6e-8


def test_the_result_is_a_calibration_file_that_reads_back() -> None:
    values = calibrated().calibration.values()
    again = calibration_of(values, "file")
    assert again.position_mm == pytest.approx(calibrated().calibration.position_mm)
    assert np.linalg.det(again.rotation) == pytest.approx(np.ones(16))
    assert again.matrix == pytest.approx(np.swapaxes(again.matrix, 1, 2))


def test_a_known_magnet_gives_the_scale_where_the_field_is_not_known() -> None:
    made, recordings = scene()
    config = load_config(CalibrationConfig, {"magnet": {"strength_t_mm3": made.strength_t_mm3}})
    found = calibrate_array(recordings, config)
    before, after = field_error(made, found)
    assert after < before / 50.0
    assert found.uniform_T == pytest.approx(made.earth_T, rel=5e-3)


def test_twice_the_field_strength_makes_all_fields_twice_as_large_and_moves_nothing() -> None:
    """The gauge: scale comes from what is said of the field, nothing else."""
    made, recordings = scene()
    twice = calibrate_array(recordings, load_config(CalibrationConfig, {"field_strength_t": 2.0 * made.earth_T}))
    once = calibrated()
    assert twice.calibration.matrix == pytest.approx(2.0 * once.calibration.matrix, rel=1e-3, abs=1e-4)
    assert twice.calibration.position_mm == pytest.approx(once.calibration.position_mm, abs=0.01)
    assert twice.strength_t_mm3 == pytest.approx(2.0 * once.strength_t_mm3, rel=1e-3)


def test_places_of_the_magnet_need_not_be_known_where_its_strength_is() -> None:
    made, recordings = scene()
    assert recordings.magnet is not None
    places, _ = dwells(recordings.magnet)
    blind = replace(recordings, magnet=replace(places, T_array_magnet=None))
    found = calibrate_array(blind, settings(made, magnet={"strength_t_mm3": made.strength_t_mm3, "strength_sigma": 0.003}))
    a, b = found.calibration.position_mm, made.array.position_mm
    turn = best_turn(a - a.mean(axis=0), b - b.mean(axis=0))
    left = (a - a.mean(axis=0)) @ turn.R.T - (b - b.mean(axis=0))
    assert np.sqrt(np.mean(np.sum(left**2, axis=1))) < 0.1
    error = np.linalg.norm(a - b, axis=1)
    assert np.all(error < 3.0 * np.linalg.norm(found.position_sigma_mm, axis=1))


def test_without_a_magnet_places_stay_as_drawn_and_the_sensors_agree_with_one_another() -> None:
    made, recordings = scene()
    found = calibrate_array(Recordings(recordings.rotation, warm_up=recordings.warm_up), settings(made))
    assert found.calibration.position_mm == pytest.approx(drawn_positions(LayoutConfig()))
    assert found.position_sigma_mm == pytest.approx(np.ones((16, 3)), rel=0.05)
    field = np.tile([2e-5, -1e-5, 4e-5], (16, 1))
    shown = Calibrator(found.calibration).field_T(made.shown(field, 26.0) / 1e-8, np.full(16, 26.0))
    assert np.std(shown, axis=0).max() < 2e-7
    assert np.linalg.norm(shown, axis=1) == pytest.approx(np.full(16, np.linalg.norm(field[0])), rel=5e-3)


def test_what_is_said_of_the_positions_is_honest() -> None:
    ratios = []
    for seed in range(30, 34):
        made, _ = scene(seed)
        found = calibrated(seed)
        error = (found.calibration.position_mm - made.array.position_mm).ravel()
        ratios.append(error @ np.linalg.solve(found.position_covariance, error) / len(error))
    assert 0.6 < np.mean(ratios) < 1.6


def test_outliers_do_not_move_the_calibration() -> None:
    made, recordings = scene()
    raw = recordings.rotation.raw_T.copy()
    rng = np.random.default_rng(0)
    raw[rng.random(raw.shape[:2]) < 0.03] += 2e-5
    found = calibrate_array(replace(recordings, rotation=replace(recordings.rotation, raw_T=raw)), settings(made))
    before, after = field_error(made, found)
    assert after < before / 100.0


@pytest.mark.parametrize("share", [1e-3, 1.0, 50.0])
def test_an_ellipsoid_is_found_at_any_size(share: float) -> None:
    rng = np.random.default_rng(2)
    M = np.array([[1.05, 0.02, -0.01], [0.0, 0.96, 0.03], [0.0, 0.0, 1.02]])
    bias = np.array([3e-5, -2e-5, 1e-5]) * share
    directions = rng.standard_normal((300, 3))
    raw = 5e-5 * share * (directions / np.linalg.norm(directions, axis=1, keepdims=True)) @ M.T + bias
    found = fit_ellipsoid(raw, 5e-5 * share)
    assert found.bias == pytest.approx(bias, abs=1e-9 * share)
    # The symmetric root is the inverse up to a rotation.
    assert found.matrix.T @ found.matrix == pytest.approx(np.linalg.inv(M).T @ np.linalg.inv(M), rel=1e-5, abs=1e-6)


def test_the_covariance_of_an_ellipsoid_is_honest_and_a_gross_outlier_counts_little() -> None:
    rng = np.random.default_rng(3)
    normed = []
    for trial in range(60):
        directions = rng.standard_normal((150, 3))
        raw = 5e-5 * directions / np.linalg.norm(directions, axis=1, keepdims=True) + rng.normal(0.0, 1e-7, (150, 3))
        if trial % 2:
            raw[0] *= 1.3
        found = fit_ellipsoid(raw, 5e-5)
        truth = np.concatenate([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], np.zeros(3)])
        entries = np.concatenate([[found.matrix[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))], found.bias])
        normed.append((entries - truth) @ np.linalg.solve(found.covariance, entries - truth) / 9.0)
    assert 0.6 < np.mean(normed) < 1.6
    assert symmetric(np.arange(6.0)) == pytest.approx(symmetric(np.arange(6.0)).T)


def test_samples_in_a_plane_are_no_ellipsoid() -> None:
    angle = np.linspace(0.0, 6.0, 100)
    raw = 5e-5 * np.column_stack([np.cosh(angle), np.sinh(angle), np.zeros(100)])
    with pytest.raises(InputError, match="ellipsoid"):
        fit_ellipsoid(raw, 5e-5, "s03")


def test_coverage_says_what_was_not_seen() -> None:
    up = sphere(400)
    assert covered(up, 25.0).all() and "all" in in_words(covered(up, 25.0))
    half = covered(up[up[:, 0] > 0.0], 10.0)
    assert 0.4 < half.mean() < 0.65 and "-x" in in_words(half)
    assert not covered(np.full((3, 3), np.nan), 25.0).any()


def test_axes_of_the_drawing_are_read_and_named() -> None:
    R = drawn_rotations(LayoutConfig(columns=1, rows=2, axes=("-y x z", "x y z")))
    assert R[0] @ np.array([1.0, 0.0, 0.0]) == pytest.approx([0.0, -1.0, 0.0])
    assert nearest_axes(R[0]) == "-y x z" and nearest_axes(np.diag([1.0, 1.0, -1.0]), mirrored=True) == "x y -z"
    for axes in (("y x z", "x y z"), ("x x z", "x y z"), ("x y", "x y z"), ("x y z",)):
        with pytest.raises(InputError, match=r"layout\.axes"):
            drawn_rotations(LayoutConfig(columns=1, rows=2, axes=axes))


def test_sensors_that_are_mounted_turned_are_calibrated_when_the_drawing_says_so() -> None:
    made, recordings = scene()
    turned = turn(recordings, slice(5, 6), [1, 0, 2], [1.0, -1.0, 1.0])
    axes = ["x y z"] * 16
    axes[5] = "y -x z"
    found = calibrate_array(turned, settings(made, layout={"axes": axes}))
    assert found.chi2 < 1.5
    assert found.calibration.position_mm == pytest.approx(calibrated().calibration.position_mm, abs=0.005)


def test_alignment_finds_turns_whichever_sensor_is_first() -> None:
    rng = np.random.default_rng(4)
    common = rng.standard_normal((40, 3))
    turns = Rotation.from_rotvec(0.05 * rng.standard_normal((9, 3))).as_matrix()
    fields = np.einsum("sji,nj->nsi", turns, common)
    found = align(fields, np.tile(np.eye(3), (9, 1, 1)), 30.0)
    relative = found @ np.swapaxes(turns, 1, 2)
    assert relative == pytest.approx(np.tile(relative[0], (9, 1, 1)), abs=1e-12)
    assert np.arccos((np.trace(relative[0]) - 1.0) / 2.0) < 0.06


def test_a_slope_is_found_under_outliers_and_needs_warming() -> None:
    rng = np.random.default_rng(5)
    warmth = np.linspace(20.0, 32.0, 200)
    raw = (40e-9 * warmth)[:, None, None] + rng.normal(0.0, 1e-7, (200, 1, 3))
    raw[::20] += 5e-6
    made = recording_of(raw / 1e-8, "warm-up", warmth[:, None])
    slopes, sigmas = temperature_slopes(made, CalibrationConfig())
    assert np.abs(slopes - 40e-9).max() < 4.0 * sigmas.max() < 2e-8
    with pytest.raises(InputError, match="rise"):
        temperature_slopes(made.taken(np.arange(20)), CalibrationConfig())


def turn(recordings: Recordings, rows: slice, order: list[int], signs: list[float]) -> Recordings:
    """Sensors whose axes come in another order and sign."""

    def one(r: ArrayRecording | None) -> ArrayRecording:
        assert r is not None
        raw = r.raw_T.copy()
        raw[:, rows] = raw[:, rows][..., order] * np.array(signs)
        return replace(r, raw_T=raw)

    return Recordings(one(recordings.rotation), one(recordings.magnet), one(recordings.background), one(recordings.warm_up))


def posed(change: Callable[[Array], Array]) -> Callable[[Recordings], Recordings]:
    def changed(r: Recordings) -> Recordings:
        assert r.magnet is not None and r.magnet.T_array_magnet is not None
        return replace(r, magnet=replace(r.magnet, T_array_magnet=change(r.magnet.T_array_magnet)))

    return changed


def metres(T: Array) -> Array:
    out = T.copy()
    out[:, :3, 3] /= 1e3
    return out


def cap(r: Recordings) -> Recordings:
    high = np.median(r.rotation.raw_T[..., 2], axis=1)
    order = np.argsort(high)[-70:]
    return replace(r, rotation=r.rotation.taken(order))


def overflowing(r: Recordings) -> Recordings:
    counts = np.round(r.rotation.raw_T / 1e-8)
    counts[::3, 4] = 131071
    return replace(r, rotation=recording_of(counts, "rotation", r.rotation.temperature_degc))


BAD: dict[str, tuple[Callable[[Recordings], Recordings], str]] = {
    "a cap of the sphere": (cap, "directions not seen"),
    "an overflow": (overflowing, r"s04 6\d% \(54 overflows\)"),
    "few samples": (lambda r: replace(r, rotation=r.rotation.taken(np.arange(40))), "60 samples"),
    "another array": (lambda r: replace(r, magnet=replace(r.magnet, array_id=2)), "got array 2"),
    "no background": (lambda r: replace(r, background=None), "background to take off"),
    "few places": (lambda r: replace(r, magnet=r.magnet.taken(np.arange(30))), "12 places"),  # type: ignore[union-attr]
    "one sensor turned": (lambda r: turn(r, slice(0, 1), [1, 0, 2], [1.0, -1.0, 1.0]), "s00 .*'y -x z'"),
    "one sensor swapped": (lambda r: turn(r, slice(7, 8), [1, 0, 2], [1.0, 1.0, 1.0]), "s07 .mirrored"),
    "all turned": (lambda r: turn(r, slice(None), [1, 0, 2], [1.0, -1.0, 1.0]), "turned by (8|9)"),
    "all swapped": (lambda r: turn(r, slice(None), [1, 0, 2], [1.0, 1.0, 1.0]), "left-handed"),
    "metres": (posed(metres), "in mm"),
    "upside down": (posed(lambda T: T @ np.diag([1.0, -1.0, -1.0, 1.0])), "opposite sign"),
    "places mixed up": (posed(lambda T: T[::-1].copy()), "not explained"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_refused_with_what_is_wrong(name: str) -> None:
    made, recordings = scene()
    spoil, words = BAD[name]
    with pytest.raises(InputError, match=words):
        calibrate_array(spoil(recordings), settings(made))


def test_another_number_of_sensors_and_a_missing_scale_are_named() -> None:
    made, recordings = scene()
    with pytest.raises(InputError, match="9 sensors"):
        calibrate_array(recordings, settings(made, layout={"columns": 3, "rows": 3}))
    with pytest.raises(InputError, match="known field or a known magnet"):
        calibrate_array(recordings, CalibrationConfig())
    blind = replace(recordings, magnet=replace(recordings.magnet, T_array_magnet=None))  # type: ignore[type-var]
    with pytest.raises(InputError, match="poses of the magnet, or its strength"):
        calibrate_array(blind, settings(made))


def test_a_field_that_is_not_uniform_is_refused() -> None:
    made, recordings = scene()
    raw = recordings.rotation.raw_T + np.random.default_rng(1).normal(0.0, 1e-5, recordings.rotation.raw_T.shape)
    with pytest.raises(InputError, match="times the noise"):
        calibrate_array(replace(recordings, rotation=replace(recordings.rotation, raw_T=raw)), settings(made))
