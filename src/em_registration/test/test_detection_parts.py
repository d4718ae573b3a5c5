"""The parts of the detector against closed forms and independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2, norm

from em_registration.detection.baseline import Baseline
from em_registration.detection.channels import CHANNELS, FEATURES, MM_A_RADIAN, Channels, places
from em_registration.detection.latch import Latch
from em_registration.detection.layout import NOBODY
from em_registration.detection.noise_scale import NoiseScale
from em_registration.detection.smoothing import Smoother
from em_registration.detection.statistic import normal_score
from lodestone_core import se3

PAIR = NOBODY.with_body([0, 1])
SIX_DOF = np.zeros(2, dtype=bool)
ONE = np.ones(1, dtype=bool)


def pose(seed: int, at_mm: tuple[float, float, float] = (0.0, 0.0, -200.0)) -> np.ndarray:
    return se3.make(Rotation.random(random_state=seed).as_matrix(), np.array(at_mm))


def test_a_relation_is_what_moved_along_the_trackers_axes_and_zero_for_a_rigid_tool() -> None:
    channels, T_ab = Channels(PAIR), pose(1, (10.0, -20.0, 40.0))
    for k in range(4):
        T_a = pose(k + 2, (5.0 * k, 3.0 * k, -200.0))
        values, _, told = channels.read(0.025 * k, np.stack([T_a, T_a @ T_ab]), np.array([0.2, 0.3]), SIX_DOF)
        assert told.all() and np.allclose(values[2], 0.0, atol=1e-9)
        assert np.allclose(values[:2, 0], np.log([0.2, 0.3]))
    turn = np.array([0.002, -0.001, 0.003])
    moved = T_a @ T_ab
    moved[:3, 3] += [0.4, -0.3, 0.2]
    moved[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ moved[:3, :3]
    values, _, _ = channels.read(0.1, np.stack([T_a, moved]), np.array([0.2, 0.3]), SIX_DOF)
    assert np.allclose(values[2, :3], [0.4, -0.3, 0.2], atol=1e-9)
    assert np.allclose(values[2, 3:], MM_A_RADIAN * turn, atol=1e-3)


def test_a_row_that_is_not_seen_holds_no_nan_and_is_not_told() -> None:
    channels = Channels(PAIR)
    T = np.stack([pose(1), np.full((4, 4), np.nan)])
    values, place, told = channels.read(0.0, T, np.array([np.nan, np.nan]), SIX_DOF)
    assert not told.any() and np.isfinite(values).all() and np.isfinite(place).all()


def test_a_place_is_foretold_from_the_frames_before_so_that_this_frames_noise_is_not_in_it() -> None:
    channels, rng = Channels(PAIR), np.random.default_rng(0)
    noise = 0.5 * rng.standard_normal(200)
    errors = []
    for k in range(200):
        T = np.stack([np.eye(4), np.eye(4)])
        T[:, 0, 3] = 40.0 * k / 40.0 + noise[k]
        _, place, _ = channels.read(k / 40.0, T, np.array([0.2, 0.2]), SIX_DOF)
        errors.append(100.0 * place[2, 1] - (k - 0.0) + noise[0])
    assert abs(np.corrcoef(errors[40:], noise[40:])[0, 1]) < 0.2, "independent of the noise of its own frame"
    assert abs(np.mean(errors[40:])) < 0.1, "and not behind an even motion"


def field(count: int, rows: int, seed: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of a wandering tool, values linear in them with these weights (rows, FEATURES, CHANNELS) and white noise."""
    rng = np.random.default_rng(seed)
    T = se3.exp(np.concatenate([60.0 * rng.standard_normal((count * rows, 3)), 0.5 * rng.standard_normal((count * rows, 3))], axis=1))
    place = places(T, T[:, :3, 2], np.zeros((count * rows, 3))).reshape(count, rows, FEATURES)
    weights = np.zeros((rows, FEATURES, CHANNELS))
    weights[:, :4] = 0.5 * rng.standard_normal((rows, 4, CHANNELS))
    values = np.einsum("nrf,rfc->nrc", place, weights)
    return place, values + noise * rng.standard_normal(values.shape), values


def test_a_linear_field_is_learnt_to_within_what_it_says_and_its_noise_is_found() -> None:
    place, values, truth = field(600, 4, 1)
    baseline = Baseline(np.full(4, CHANNELS))
    baseline.begin(np.ones(4, dtype=bool), place[:500], values[:500], np.ones((500, 4), dtype=bool))
    assert np.allclose(baseline.sigma, 0.1, rtol=0.2)
    score = []
    for k in range(500, 600):
        mean, factor, spread = baseline.predict(place[k])
        score.append(((mean - truth[k]) ** 2).mean(axis=1) / (spread * factor**2 * (baseline.sigma**2).mean(axis=1)))
    assert 0.5 < np.mean(score) < 2.0, "as wrong as it says"
    far = place[500].copy()
    far[:, 1:10] *= 5.0
    doubt = [spread * factor**2 for _, factor, spread in (baseline.predict(far), baseline.predict(place[500]))]
    assert np.median(doubt[0] / doubt[1]) > 10.0, "unsure where nobody was"


def test_chunks_give_what_all_at_once_gives_and_old_ones_fade() -> None:
    place, values, _ = field(400, 2, 2)
    valid, both = np.ones((400, 2), dtype=bool), np.ones(2, dtype=bool)
    whole, parts = Baseline(np.full(2, 1)), Baseline(np.full(2, 1))
    whole.begin(both, place, values, valid)
    parts.begin(both, place[:200], values[:200], valid[:200])
    parts.learn(place[200:], values[200:], valid[200:], 1e9)
    assert np.allclose(parts.predict(place[0])[0], whole.predict(place[0])[0], atol=0.02)
    for _ in range(6):
        parts.learn(place[200:], values[200:] + 1.0, valid[200:], 400.0)
    mean, _, _ = parts.predict(place[300])
    assert np.allclose(mean - whole.predict(place[300])[0], 1.0, atol=0.1), "what came last counts"


def test_the_growth_of_noise_over_place_is_found() -> None:
    place, _, _ = field(4000, 1, 3)
    truth = np.exp(0.8 * place[:, :, 1])
    rng = np.random.default_rng(4)
    square = truth**2 * rng.chisquare(CHANNELS, (4000, 1))
    scale = NoiseScale(1)
    scale.learn(place, square, np.array([CHANNELS]), np.zeros(1))
    ratio = np.log(scale.at(place) / truth)
    assert np.std(ratio) < 0.1


def test_averages_of_white_noise_have_the_variance_that_is_expected_of_them() -> None:
    rows, rng = 2000, np.random.default_rng(5)
    smoother = Smoother(rows, (0.1, 0.4))
    for _ in range(60):
        residual = rng.standard_normal((rows, CHANNELS))
        smoother.add(residual, np.zeros(rows), np.ones(rows, dtype=bool), np.full(rows, 0.025))
    assert np.allclose((smoother.mean**2).mean(axis=(1, 2)), smoother.expected[:, 0], rtol=0.03)


def test_what_a_model_misses_is_found_on_frames_that_were_held_out() -> None:
    rng = np.random.default_rng(6)
    slow = np.repeat(rng.standard_normal((8, 1, CHANNELS)), 100, axis=0) * np.ones((1, 3, 1))
    residual = rng.standard_normal((800, 3, CHANNELS)) + np.array([0.0, 1.0, 2.0])[None, :, None] * slow
    smoother = Smoother(3, (0.4,))
    smoother.begin(np.ones(3, dtype=bool), residual, np.zeros((800, 3)), np.full(3, CHANNELS), 20.0)
    power = (slow[:, 0] ** 2).mean()
    assert smoother.misfit[0, 0] < 0.05
    assert np.allclose(smoother.misfit[0, 1:] / (power * np.array([1.0, 4.0])), 20.0 / 25.0, atol=0.25)


@pytest.mark.parametrize("freedom", [1, 2, 6, 14])
def test_a_chi_square_becomes_the_normal_deviate_of_the_same_probability(freedom: int) -> None:
    for probability in (0.5, 1e-2, 1e-4, 1e-6):
        square = chi2.isf(probability, freedom)
        assert normal_score(np.array(square), np.array(freedom)) == pytest.approx(norm.isf(probability), abs=0.13 if freedom > 2 else 0.3)
    assert normal_score(np.array(3.0), np.array(0)) == -np.inf


def test_a_latch_goes_on_at_once_and_off_after_its_time_below_its_release() -> None:
    latch = Latch(1, release=0.7, release_s=1.0)
    course = [(0.0, 5.0), (0.1, 10.1), (0.2, 8.0), (0.5, 7.1), (1.0, 6.9), (1.4, 6.9), (1.45, 7.1), (2.4, 6.0), (2.5, 6.0)]
    states = [bool(latch.update(t, np.array([value]), 10.0)[0]) for t, value in course]
    assert states == [False, True, True, True, True, True, True, True, False]
