"""Axes that are exchanged while the array measures: withheld at the first frame that is wrong, good again at the first that is right.

And no good sensor is withheld: magnets moved past the sensors, the array turned in the Earth's field, the real recordings of a magnet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.calibration.magnet_gains import GainsConfig, fit_gains
from guidewire_recon.drivers.array_health import health_of
from guidewire_recon.drivers.axes_check import TURNS, judge_axes
from guidewire_recon.drivers.axes_watch import AxesWatch
from guidewire_recon.drivers.calibrated import KIND, ArrayCalibration, Calibrator
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.drivers.loaded_calibration import LoadedCalibration
from guidewire_recon.formats.magnet_recording import read_magnet_recording
from guidewire_recon.magnet_field import Magnet, magnet_field
from guidewire_recon.types import ArraySample, SensorStatus
from lodestone_core.calibration_file import CalibrationFile
from lodestone_core.types import Array

N = 16
PITCH_MM = 40.0
EARTH_T = np.array([18e-6, 6e-6, -44e-6])
NOISE_T = 120e-9
WARM = np.full(N, 27.0)
X, Y = np.meshgrid(PITCH_MM * (np.arange(4) - 1.5), PITCH_MM * (np.arange(4) - 1.5))
PLACES_MM = np.column_stack([X.ravel(), Y.ravel(), np.zeros(N)])
TOLERANCE_T = 2e-6
"""A field that is wrong by more than this on an axis is called wrong by bench_faults."""


def array(background_T: Array, seed: int = 1, noise_T: float = NOISE_T) -> ArrayCalibration:
    """Sensors that differ from the ideal as those of a board do."""
    random = np.random.default_rng(seed)
    gain = np.eye(3) + 0.02 * random.standard_normal((N, 3, 3))
    turn = Rotation.from_rotvec(0.03 * random.standard_normal((N, 3))).as_matrix()
    bias = 20e-6 * random.standard_normal((N, 3))
    return ArrayCalibration(
        1, 25.0, gain, bias, np.zeros((N, 3)), turn, PLACES_MM, np.broadcast_to(background_T, (N, 3)).copy(), np.full(N, noise_T)
    )


def counts(calibration: ArrayCalibration, field_T: Array, seed: int) -> Array:
    """What the sensors show (T, n, 3) of fields (T, n, 3), with noise and rounded."""
    shown_T = np.einsum("nij,tnj->tni", np.linalg.inv(calibration.rotation @ calibration.matrix), field_T) + calibration.bias_T
    noise_T = calibration.noise_T[0] * np.random.default_rng(seed).standard_normal(shown_T.shape)
    return np.rint((shown_T + noise_T) * 1e8)


def sample(raw: Array, at: int, missing: Iterable[int] = ()) -> ArraySample:
    """The frame number `at` of 100 a second. What is beyond the range is not usable, as ArrayTracker has it."""
    status = np.where((np.abs(raw) > 131071).any(axis=1), int(SensorStatus.OVERFLOW), 0).astype(np.uint16)
    status[list(missing)] = SensorStatus.NOT_READY
    kept = (raw * (status == 0)[:, None]).astype(np.int32)
    return ArraySample(10_000_000 * at, 10_000_000 * at, 1000, 1, at, 0, 10_000 * at, kept, status, WARM)


def withheld(calibration: ArrayCalibration, shown: Array) -> list[set[int]]:
    """Of every frame, the sensors that are withheld, with a judgement each second as the node makes it."""
    watch = AxesWatch(calibration)
    out = []
    for at, raw in enumerate(shown):
        watch.update(sample(raw, at))
        out.append(set(watch.exchanged))
        if at % 100 == 99:
            watch.judge(judge_axes(shown[at - 99 : at + 1].mean(axis=0), WARM, calibration, watch.turned))
    return out


def strokes(seed: int, frames: int, low_mm: Array, high_mm: Array, fastest_mm_s: float) -> Array:
    """Places (frames, 3) of a hand that goes from point to point with the least jerk, and rests between."""
    random = np.random.default_rng(seed)
    here, out = random.uniform(low_mm, high_mm), np.zeros((0, 3))
    while len(out) < frames:
        there = random.uniform(low_mm, high_mm)
        seconds = 1.875 * np.linalg.norm(there - here) / (fastest_mm_s * random.uniform(0.2, 1.0))
        u = np.clip((np.arange(np.ceil(100 * seconds) + random.integers(5, 60)) + random.uniform()) / (100 * seconds), 0.0, 1.0)
        out = np.concatenate([out, here + (u**3 * (10 - 15 * u + 6 * u * u))[:, None] * (there - here)])
        here = there
    return out[:frames]


def magnet_over_array(seed: int, frames: int, height_mm: float = 15.0, fastest_mm_s: float = 1000.0) -> Array:
    """Fields (frames, n, 3) of a magnet of 1 to 1000 T mm^3 that is moved and turned by hand at that height at least."""
    random = np.random.default_rng(seed)
    place = strokes(seed, frames, np.array([-90.0, -90.0, height_mm]), np.array([90.0, 90.0, height_mm + 60.0]), fastest_mm_s)
    axis = strokes(seed + 1000, frames, -np.ones(3), np.ones(3), 5.0)
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    return magnet_field(PLACES_MM - place[:, None], axis[:, None], Magnet(10.0 ** random.uniform(0.0, 3.0)))


def turned_array(seed: int, frames: int, fastest_deg_s: float) -> Array:
    """The Earth's field (frames, n, 3) in an array that is turned about all its axes."""
    vectors = strokes(seed, frames, -3.0 * np.ones(3), 3.0 * np.ones(3), np.radians(fastest_deg_s))
    return np.repeat((Rotation.from_rotvec(vectors).as_matrix() @ EARTH_T)[:, None], N, axis=1)


def error_T(calibration: ArrayCalibration, raw: Array, turned: Array) -> float:
    """How far off the field is, on the worst axis, of counts that are shown otherwise."""
    calibrator = Calibrator(calibration)
    return float(np.abs(calibrator.field_T(turned, WARM) - calibrator.field_T(raw, WARM)).max())


@pytest.mark.parametrize("platform", [False, True])
def test_exchanged_axes_are_withheld_at_their_first_frame_wherever_they_matter(platform: bool) -> None:
    random = np.random.default_rng(3)
    missed_T = [0.0]
    for seed in range(40):
        earth_T = Rotation.random(random_state=seed).as_matrix() @ EARTH_T
        field_T = earth_T + (3e-4 * random.standard_normal((N, 3)) if platform else np.zeros((N, 3)))
        calibration = array(field_T, seed)
        shown = counts(calibration, np.tile(field_T, (12, 1, 1)), seed)
        for way in range(1, 48):
            sensor, wrong = int(random.integers(N)), shown.copy()
            wrong[5:9, sensor] = wrong[5:9, sensor] @ TURNS[way]
            found = withheld(calibration, wrong)
            if found != [{sensor} if 5 <= at < 9 else set() for at in range(12)]:
                assert found[:9] == [set()] * 9, (seed, way, found)
                missed_T.append(error_T(calibration, shown[5], wrong[5]))
    assert max(missed_T) < TOLERANCE_T, "what is missed is off by less than is called wrong"
    assert len(missed_T) < 0.03 * 40 * 47


def test_the_way_that_is_found_is_the_one_that_it_was() -> None:
    field_T = np.tile([30e-6, -19e-6, -64e-6], (N, 1))
    calibration = array(field_T)
    shown = counts(calibration, np.tile(field_T, (10, 1, 1)), 0)
    shown[4:, 7] = shown[4:, 7][:, [1, 0, 2]] * [1, -1, 1]
    watch = AxesWatch(calibration)
    changed = [watch.update(sample(raw, at)) for at, raw in enumerate(shown)]
    assert changed == [at == 4 for at in range(10)] and watch.jumps == 1
    assert {sensor: str(way) for sensor, way in watch.exchanged.items()} == {7: "its x, y, z come as y, -x, z"}


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("height_mm", "fastest_mm_s"), [(15.0, 1000.0), (15.0, 100.0), (40.0, 1000.0)])
def test_a_magnet_moved_over_the_array_withholds_nothing(background: bool, height_mm: float, fastest_mm_s: float) -> None:
    calibration = array(EARTH_T if background else np.full(3, np.nan))
    for seed in range(4):
        field_T = EARTH_T + magnet_over_array(seed, 1500, height_mm, fastest_mm_s)
        assert not any(withheld(calibration, counts(calibration, field_T, seed))), seed


def test_a_magnet_shot_past_one_sensor_withholds_nothing() -> None:
    calibration, largest_T = array(EARTH_T), 0.0
    for seed in range(30):
        random = np.random.default_rng(seed)
        # 1 m/s in a straight line, 15 mm above the middle of a sensor, in which it comes into the scene and goes out of it.
        to = random.standard_normal(2)
        path_mm = np.arange(-200.0, 200.0, 10.0)[:, None] * np.append(to / np.linalg.norm(to), 0.0)
        path_mm += PLACES_MM[random.integers(N)] + [*random.uniform(-3, 3, 2), 15.0]
        axis = Rotation.random(random_state=seed).as_matrix()[0]
        field_T = EARTH_T + magnet_field(PLACES_MM - path_mm[:, None], axis, Magnet(10.0 ** random.uniform(0.0, 2.0)))
        largest_T = max(largest_T, float(np.linalg.norm(np.diff(field_T, axis=0), axis=2).max()))
        assert not any(withheld(calibration, counts(calibration, field_T, seed))), seed
    assert largest_T > 300e-6, "jumps as large as those of exchanged axes"


@pytest.mark.parametrize("bias_T", [0.0, 20e-6])
def test_an_array_turned_in_the_earths_field_withholds_nothing(bias_T: float) -> None:
    calibration = array(EARTH_T)
    calibration = replace(calibration, bias_T=calibration.bias_T * bias_T / 20e-6)
    for seed in range(4):
        assert not any(withheld(calibration, counts(calibration, turned_array(seed, 1500, 360.0), seed))), seed


def test_an_array_held_still_in_any_orientation_withholds_nothing() -> None:
    # With sensors that are nearly ideal, many orientations look like exchanged axes of all of them.
    calibration = replace(array(EARTH_T), bias_T=np.zeros((N, 3)))
    for seed in range(60):
        turn = np.linalg.inv(TURNS[seed % 48]) if np.linalg.det(TURNS[seed % 48]) > 0 else Rotation.random(random_state=seed).as_matrix()
        field_T = np.tile(turn @ EARTH_T, (101, N, 1))
        assert not any(withheld(calibration, counts(calibration, field_T, seed))), seed


def test_exchanged_axes_are_found_at_once_in_an_array_that_is_turned() -> None:
    calibration, random = array(np.full(3, np.nan)), np.random.default_rng(0)
    for seed in range(12):
        shown = counts(calibration, turned_array(seed, 260, 360.0), seed)
        for way in random.integers(1, 48, 3):
            sensor, wrong = int(random.integers(N)), shown.copy()
            wrong[110:210, sensor] = wrong[110:210, sensor] @ TURNS[way]
            off_T = [error_T(calibration, shown[at], wrong[at]) for at in (110, 209)]
            if min(off_T) > TOLERANCE_T:
                found = withheld(calibration, wrong)
                assert found[109] == set() and found[110] == {sensor} and found[209] == {sensor} and found[210] == set(), (seed, way)


def test_exchanged_axes_are_found_beside_a_magnet_in_motion() -> None:
    background_T = EARTH_T + 3e-4 * np.random.default_rng(5).standard_normal((N, 3))
    calibration, random, found_at_once, tried = array(background_T), np.random.default_rng(1), 0, 0
    for seed in range(15):
        shown = counts(calibration, background_T + magnet_over_array(seed, 400, 30.0, 300.0), seed)
        for at in random.integers(100, 300, 4):
            sensor, wrong = int(random.integers(N)), shown.copy()
            wrong[at:, sensor] = wrong[at:, sensor] @ TURNS[random.integers(1, 48)]
            tried += error_T(calibration, shown[at], wrong[at]) > TOLERANCE_T
            found_at_once += sensor in withheld(calibration, wrong[: at + 1])[at]
    assert found_at_once >= 0.95 * tried > 0


@pytest.mark.parametrize("gap", [False, True])
def test_axes_exchanged_before_the_first_frame_are_withheld_from_the_first_frame_on(gap: bool) -> None:
    field_T = EARTH_T + 1e-4 * np.random.default_rng(2).standard_normal((N, 3))
    calibration = array(field_T)
    shown = counts(calibration, np.tile(field_T, (30, 1, 1)), 0)
    begun = 5 if gap else 0
    watch = AxesWatch(calibration)
    for at in range(begun):
        watch.update(sample(shown[at], at))
    shown[begun:20, 3] = shown[begun:20, 3][:, [2, 1, 0]]
    for at in range(begun, 30):
        watch.update(sample(shown[at], at + 300))
        assert set(watch.exchanged) == ({3} if at < 20 else set()), at


def test_a_sensor_that_was_missing_and_comes_back_exchanged_is_withheld_at_once() -> None:
    field_T = EARTH_T + 1e-4 * np.random.default_rng(2).standard_normal((N, 3))
    calibration = array(field_T)
    shown = counts(calibration, np.tile(field_T, (30, 1, 1)), 0)
    shown[12:, 3] = shown[12:, 3][:, [2, 1, 0]]
    watch = AxesWatch(calibration)
    for at, raw in enumerate(shown):
        watch.update(sample(raw, at, missing=(3,) if 8 <= at < 15 else ()))
        assert set(watch.exchanged) == ({3} if at >= 15 else set()), at


def test_a_mean_of_both_ways_is_not_believed_and_a_second_of_right_ones_is() -> None:
    field_T = EARTH_T + 1e-4 * np.random.default_rng(2).standard_normal((N, 3))
    calibration = array(field_T)
    shown = counts(calibration, np.tile(field_T, (320, 1, 1)), 0)
    shown[3:100, 3] = shown[3:100, 3][:, [2, 1, 0]]
    assert withheld(calibration, shown) == [{3} if 3 <= at < 100 else set() for at in range(320)]
    # The array is judged wrongly, for whatever reason: a second that fits takes it back.
    watch = AxesWatch(calibration)
    for at in range(320):
        if at in (100, 200):
            mean = shown[at : at + 100].mean(axis=0)
            mean[5] = mean[5][[2, 1, 0]] if at == 100 else mean[5]
            watch.judge(judge_axes(mean, WARM, calibration, watch.turned))
        raw = shown[at if at >= 100 else 150].copy()
        raw[5] = raw[5][[2, 1, 0]] if at == 100 else raw[5]
        watch.update(sample(raw, at))
        assert set(watch.exchanged) == ({5} if at == 100 else set()), at


def test_most_of_the_array_exchanged_is_named_and_not_withheld() -> None:
    field_T = EARTH_T + 3e-4 * np.random.default_rng(2).standard_normal((N, 3))
    calibration = array(field_T)
    shown = counts(calibration, np.tile(field_T, (3, 1, 1)), 0)[:, :, [1, 0, 2]] * [1, -1, 1]
    watch = AxesWatch(calibration)
    for at, raw in enumerate(shown):
        watch.update(sample(raw, at))
    judgement = judge_axes(shown.mean(axis=0), WARM, calibration, watch.turned)
    assert len(judgement.exchanged) == N and watch.judge(judgement) == {} and watch.exchanged == {}


def test_two_sensors_that_are_exchanged_at_the_same_frame_are_both_withheld() -> None:
    calibration = array(EARTH_T)
    shown = counts(calibration, np.tile(EARTH_T, (12, N, 1)), 0)
    shown[5:9, 2] = shown[5:9, 2][:, [2, 0, 1]]
    shown[5:9, 11] = shown[5:9, 11] * [1, 1, -1]
    assert withheld(calibration, shown) == [{2, 11} if 5 <= at < 9 else set() for at in range(12)]


def test_a_single_spike_that_no_order_of_the_axes_explains_is_none_of_this() -> None:
    calibration, random = array(EARTH_T), np.random.default_rng(0)
    shown = counts(calibration, np.tile(EARTH_T, (200, N, 1)), 0)
    for at in range(10, 200, 10):
        direction = random.standard_normal(3)
        shown[at, random.integers(N)] += np.rint(3e4 * direction / np.linalg.norm(direction))
    assert not any(withheld(calibration, shown))


def test_a_loaded_calibration_withholds_it_as_not_calibrated_and_names_it(tmp_path: Path) -> None:
    field_T = EARTH_T + 3e-4 * np.random.default_rng(2).standard_normal((N, 3))
    calibration = array(field_T)
    file = CalibrationFile(KIND, "rig", ("array 1",), "2026-01-01T00:00:00+00:00", "test", "0", calibration.values())
    file.save(tmp_path / "array.yaml")
    loaded = LoadedCalibration(MagnetometersConfig(), tmp_path / "array.yaml", (tmp_path / "array.yaml").read_bytes())
    shown = counts(calibration, np.tile(field_T, (300, 1, 1)), 0)
    shown[150:250, 5] = shown[150:250, 5][:, [1, 0, 2]]
    named, second = [], []
    for at, raw in enumerate(shown):
        second.append(sample(raw, at))
        given = loaded.apply(second[-1])
        assert given is not None
        bad = [5] if 150 <= at < 250 else []
        assert np.flatnonzero(~given.valid).tolist() == bad and np.isnan(given.field_T[bad]).all(), at
        assert given.status[5] == (SensorStatus.UNCALIBRATED if bad else 0)
        assert np.abs(given.field_T - field_T)[given.valid].max() < 1e-6
        if at % 100 == 99:
            named.append(loaded.check_axes(health_of(second)))
            second = []
    assert named == [{}, {5: "its x, y, z come as y, x, z"}, {}] and loaded.axes_jumps == 2


DATA = Path(os.environ.get("LODESTONE_DATA", "/nonexistent")) / "magnet_array"


@pytest.mark.skipif(not DATA.exists(), reason="the recordings are not here")
@pytest.mark.parametrize("name", ["data1", "data2"])
@pytest.mark.parametrize("backwards", [False, True])
def test_on_recordings_of_a_real_magnet_nothing_is_withheld_and_each_exchange_is(name: str, backwards: bool) -> None:
    recording = read_magnet_recording(DATA / f"{name}.mat")
    gains = fit_gains(recording.T_outer_sensor, recording.T_outer_magnet, recording.field - recording.background, GainsConfig())
    rotation, matrix = recording.T_outer_sensor[0, :, :3, :3], np.linalg.inv(gains.matrix)
    zeros, noise = np.zeros((N, 3)), np.full(N, 1e-8 * gains.sigma)
    # One count of that device is taken for one of ours. Its poses, 1 to 6 mm apart, for frames: 0.1 to 0.6 m/s, at 22 mm from the sensors.
    background = np.einsum("nij,njk,nk->ni", rotation, matrix, 1e-8 * recording.background)
    calibration = ArrayCalibration(1, 25.0, matrix, zeros, zeros, rotation, recording.T_outer_sensor[0, :, :3, 3], background, noise)
    shown = recording.field[::-1] if backwards else recording.field
    assert not any(withheld(calibration, shown))
    assert not any(any(withheld(calibration, shown[at : at + 1])) for at in range(len(shown))), "each as the first frame"
    # At rest in each of the poses, one after the other.
    random = np.random.default_rng(0)
    for at in range(0, len(shown), 4):
        still = np.tile(shown[at], (8, 1, 1)) + gains.sigma * random.standard_normal((8, N, 3))
        sensor, way = int(random.integers(N)), int(random.integers(1, 48))
        still[4:7, sensor] = still[4:7, sensor] @ TURNS[way]
        if error_T(calibration, shown[at], still[4]) > 20e-8 * gains.sigma:
            assert withheld(calibration, np.rint(still)) == [{sensor} if 4 <= k < 7 else set() for k in range(8)], (at, sensor, way)
