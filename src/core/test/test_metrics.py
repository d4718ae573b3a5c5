"""Metrics on samples with known answers; intervals against the share of repetitions that they cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core import metrics, se3
from lodestone_core.errors import InputError


def test_tre_is_the_rms_distance_with_its_unit_and_count() -> None:
    truth = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 10.0, 0.0]])
    result = metrics.tre(truth + np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 5.0]]), truth)
    assert (result.name, result.unit, result.n) == ("tre_rms", "mm", 3)
    assert result.value == pytest.approx(np.sqrt(50.0 / 3.0))
    assert result.ci95 is not None and result.ci95[0] <= result.value <= result.ci95[1]


def test_fre_is_the_rms_length_of_residuals() -> None:
    result = metrics.fre([[1.0, 2.0, 2.0], [0.0, 0.0, 3.0]])
    assert (result.name, result.value, result.unit, result.n) == ("fre_rms", 3.0, "mm", 2)


def test_a_missing_estimate_is_a_failure_and_not_left_out() -> None:
    truth = np.zeros((10, 3))
    estimated = np.zeros((10, 3))
    estimated[0] = np.nan
    errors = metrics.distances(estimated, truth)
    assert errors[0] == np.inf
    assert metrics.success_rate(errors, 1.0).value == 0.9
    assert metrics.percentile(errors, 90.0, "mm").value == 0.0
    assert metrics.percentile(errors, 95.0, "mm").value == np.inf
    assert metrics.tre(estimated, truth).value == np.inf
    assert metrics.rmse([0.1, np.nan], "mm").value == np.inf
    assert metrics.coverage(errors, np.full(10, 1e6)).value == 0.9
    assert np.isnan(metrics.radius_ratio(errors, np.ones(10)).value)


def test_percentiles_are_samples_that_exist() -> None:
    errors = np.arange(1.0, 101.0)
    assert [metrics.percentile(errors, q, "mm").value for q in (7.0, 50.0, 95.0, 100.0)] == [7.0, 50.0, 95.0, 100.0]
    assert metrics.percentile(errors, 95.0, "mm").name == "p95"


def test_geodesic_is_the_rms_angle_in_radians() -> None:
    T_true = se3.make(Rotation.random(4, rng=np.random.default_rng(1)).as_matrix(), np.zeros((4, 3)))
    turns = np.array([0.1, 0.2, 1e-7, np.pi])
    T_estimated = T_true @ se3.exp(np.concatenate([np.zeros((4, 5)), turns[:, None]], axis=1))
    result = metrics.geodesic(T_estimated, T_true)
    assert (result.unit, result.n) == ("rad", 4)
    assert result.value == pytest.approx(np.sqrt(np.mean(turns**2)), rel=1e-9)
    T_estimated[2] = np.nan
    assert metrics.geodesic(T_estimated, T_true).value == np.inf


def test_honest_radii_cover_as_they_say_and_small_ones_show() -> None:
    errors = np.linalg.norm(np.random.default_rng(2).normal(scale=0.4, size=(20_000, 3)), axis=1)
    radius = 0.4 * 2.7954834829
    honest = metrics.coverage(errors, np.full(len(errors), radius))
    assert honest.value == pytest.approx(0.95, abs=0.005)
    assert metrics.coverage(errors, 0.5 * radius).value < 0.6
    assert metrics.radius_ratio(errors, np.full(len(errors), radius)).value == pytest.approx(1.0, abs=0.02)
    assert metrics.radius_ratio(errors, np.full(len(errors), 3 * radius)).value == pytest.approx(3.0, abs=0.06)


def test_nees_is_one_for_an_honest_covariance_and_four_for_half_the_sigma() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(500, 6, 6))
    C = root @ np.swapaxes(root, 1, 2) + 0.01 * np.eye(6)
    errors = (np.linalg.cholesky(C) @ rng.normal(size=(500, 6, 1)))[..., 0]
    honest = metrics.nees(errors, C)
    assert honest.n == 500 and honest.unit == "1" and honest.ci95 is not None
    assert honest.ci95[0] < honest.value < honest.ci95[1]
    assert metrics.nees(errors, C / 4.0).value == pytest.approx(4.0 * honest.value)
    with pytest.raises(InputError, match="positive definite"):
        metrics.nees(errors, np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]))


def test_bootstrap_interval_covers_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for repetition in range(200):
        low, high = metrics.bootstrap_interval(np.abs(rng.normal(size=60)), metrics.root_mean_square, seed=repetition, resamples=300)
        hits += low <= 1.0 <= high
    # A percentile bootstrap of 60 samples is somewhat short of 95 %.
    assert 0.87 <= hits / 200 <= 0.99


def test_blocks_keep_the_interval_honest_for_a_slow_series() -> None:
    rng = np.random.default_rng(5)
    series = np.repeat(rng.normal(size=40), 25)
    single = metrics.bootstrap_interval(series, lambda x: np.mean(x, axis=-1), seed=1)
    blocks = metrics.bootstrap_interval(series, lambda x: np.mean(x, axis=-1), seed=1, block=50)
    # 25 equal neighbours are one sample: the interval must be about five times as wide.
    assert 3.5 < (blocks[1] - blocks[0]) / (single[1] - single[0]) < 6.5


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    errors = np.random.default_rng(6).normal(size=50)
    assert metrics.rmse(errors, "mm", seed=7) == metrics.rmse(errors, "mm", seed=7)
    assert metrics.rmse(errors, "mm", seed=7).ci95 != metrics.rmse(errors, "mm", seed=8).ci95


def test_the_memory_of_a_bootstrap_is_bounded_without_changing_its_answer() -> None:
    # 300,000 samples: six resamples at a time instead of 300 MB for 120.
    errors = np.random.default_rng(8).normal(size=300_000)
    low, high = metrics.bootstrap_interval(errors, metrics.root_mean_square, resamples=30)
    assert low < 1.0 < high and high - low < 0.02


def test_no_samples_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        metrics.rmse([], "mm")
    with pytest.raises(InputError, match="at least 1 points"):
        metrics.tre(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(InputError, match="NaN"):
        metrics.tre(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(InputError, match="errors"):
        metrics.nees(np.zeros(6), np.eye(6))
