"""What the baselines say of their own error is held against the errors they make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from em_registration.methods.batched import BATCHED
from em_registration.methods.interface import correspondences, poses_at
from em_registration.methods.kernel_system import kernel_system, multiquadric, thin_plate
from em_registration.methods.registry import LEAST_PAIRS, METHODS
from em_registration.methods.regression import fit_affine
from em_registration.methods.rigid import fit_rigid, fit_similarity
from em_registration.methods.weighted_rigid import fit_weighted_rigid
from lodestone_core import se3
from lodestone_core.types import Array

Landmarks = Callable[[int], Array]
T_IMAGE_TRACKER = se3.exp(np.array([250.0, -80.0, 900.0, 1.1, -0.7, 0.4]))
SIGMA_MM = 0.4


def noisy(points: Array, rng: np.random.Generator, scenes: int) -> Array:
    return np.asarray(points + rng.normal(scale=SIGMA_MM, size=(scenes, *points.shape)))


@pytest.mark.parametrize("count", [4, 6, 24])
@pytest.mark.parametrize("name", ["rigid", "similarity", "affine"])
def test_the_95_percent_radius_holds_95_percent_of_new_pairs(name: str, count: int, landmarks: Landmarks, targets: Array) -> None:
    count = max(count, LEAST_PAIRS[name])
    rng, x, scenes = np.random.default_rng(count), landmarks(count), 1500
    y = np.broadcast_to(se3.transform(T_IMAGE_TRACKER, x), (scenes, count, 3))
    found = BATCHED[name](noisy(x, rng, scenes), y, noisy(targets, rng, scenes))
    errors = np.linalg.norm(found.mean_mm - se3.transform(T_IMAGE_TRACKER, targets), axis=2)
    # 1500 scenes whose 16 targets hang together: standard deviation about 0.005; F is exact for equal axes only.
    assert np.mean(errors <= found.radius_95_mm) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("fit", [fit_rigid, fit_similarity, fit_affine, fit_weighted_rigid])
def test_without_a_new_pair_it_is_the_error_of_the_map_alone(
    fit: Callable[..., Callable[[Array], object]], landmarks: Landmarks, targets: Array
) -> None:
    rng, x = np.random.default_rng(1), landmarks(6)
    y, truth = se3.transform(T_IMAGE_TRACKER, x), se3.transform(T_IMAGE_TRACKER, targets)
    inside = []
    for tracker in noisy(x, rng, 300):
        found = fit(correspondences(poses_at(tracker), y), new_pair=False)(poses_at(targets))
        inside.append(np.linalg.norm(found.mean_mm - truth, axis=1) <= found.radius_95_mm)  # type: ignore[attr-defined]
    # Standard deviation of 300 scenes: about 0.012.
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("name", ["weighted_rigid", "tps", "tps_smoothed", "rbf", "inverse_distance", "bernstein_1", "gp_position"])
@pytest.mark.parametrize("count", [6, 24])
def test_the_others_are_near_95_percent_too_where_there_is_noise_alone(name: str, count: int, landmarks: Landmarks, targets: Array) -> None:
    count = max(count, LEAST_PAIRS[name])
    rng, x = np.random.default_rng(count), landmarks(count)
    y, truth = se3.transform(T_IMAGE_TRACKER, x), se3.transform(T_IMAGE_TRACKER, targets)
    inside = []
    for tracker, queries in zip(noisy(x, rng, 100), noisy(targets, rng, 100), strict=True):
        found = METHODS[name](correspondences(poses_at(tracker), y))(poses_at(queries))
        inside.append(np.linalg.norm(found.mean_mm - truth, axis=1) <= found.radius_95_mm)
    assert 0.85 <= np.mean(inside) <= 0.99


@pytest.mark.parametrize("name", ["tps", "tps_smoothed", "rbf", "inverse_distance", "bernstein_1", "gp_position", "affine", "rigid"])
def test_the_variance_grows_away_from_the_points(name: str, landmarks: Landmarks, targets: Array) -> None:
    x = landmarks(24)
    y = se3.transform(T_IMAGE_TRACKER, x) + 3.0 * np.sin(x[:, [1, 2, 0]] / 40.0)
    model = METHODS[name](correspondences(poses_at(x), y))
    direction = np.array([0.6, 0.0, 0.8])
    radii = model(poses_at(x.mean(axis=0) + np.outer([0.0, 200.0, 500.0], direction))).radius_95_mm
    # Far away inverse distances average all residuals, and a distance of 500 mm counts no more than one of 200 mm.
    assert radii[0] < radii[1] and radii[0] < radii[2]
    assert name == "inverse_distance" or radii[1] <= radii[2]


@pytest.mark.parametrize(("kernel", "degree"), [(thin_plate, 1), (lambda r: multiquadric(r, 0.5), 0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_points_left_out_err_as_if_they_had_been_left_out(
    kernel: Callable[[Array], Array], degree: int, smoothing: float, landmarks: Landmarks
) -> None:
    x, y = landmarks(12) / 100.0, np.random.default_rng(2).normal(size=(12, 3))
    system = kernel_system(x, kernel, degree, smoothing)
    errors, (weights, kriging) = system.errors_left_out(y), system.weights_left_out()
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        W, variance = kernel_system(x[others], kernel, degree, smoothing).weights(x[i : i + 1])
        np.testing.assert_allclose(errors[i], y[i] - W[0] @ y[others], atol=1e-8)
        np.testing.assert_allclose(weights[i, others], W[0], atol=1e-8)
        assert kriging[i] == pytest.approx(variance[0], abs=1e-8)


def test_kriging_variances_are_those_of_fields_drawn_from_the_kernel() -> None:
    # -sqrt(r^2 + c^2) is a covariance up to a constant, which weights that sum to 1 do not see.
    rng = np.random.default_rng(3)
    x, q = rng.uniform(-1.0, 1.0, size=(10, 3)), rng.uniform(-1.0, 1.0, size=(5, 3))
    everything = np.concatenate([x, q])
    r = np.linalg.norm(everything[:, None] - everything[None], axis=2)
    C = 50.0 + multiquadric(r, 0.5)
    field = np.linalg.cholesky(C) @ rng.normal(size=(15, 20_000))
    W, kriging = kernel_system(x, lambda distance: multiquadric(distance, 0.5), 0).weights(q)
    np.testing.assert_allclose(np.var(field[10:] - W @ field[:10], axis=1), kriging, rtol=0.06)


def test_the_process_falls_back_to_the_rigid_map_where_there_is_noise_alone(landmarks: Landmarks, targets: Array) -> None:
    rng, x = np.random.default_rng(4), landmarks(24)
    y = se3.transform(T_IMAGE_TRACKER, x)
    apart, ratio = [], []
    for tracker in noisy(x, rng, 20):
        pairs = correspondences(poses_at(tracker), y)
        rigid, process = (METHODS[name](pairs)(poses_at(targets)) for name in ("rigid", "gp_position"))
        apart.append(np.linalg.norm(rigid.mean_mm - process.mean_mm, axis=1))
        ratio.append(np.median(process.radius_95_mm / rigid.radius_95_mm))
    assert np.mean(apart) < 0.25 * SIGMA_MM
    assert 0.9 < np.median(ratio) < 1.1


def test_the_process_halves_the_error_where_the_field_is_smooth(landmarks: Landmarks, targets: Array) -> None:
    rng, x = np.random.default_rng(5), landmarks(40)

    def bent(points: Array) -> Array:
        return np.asarray(se3.transform(T_IMAGE_TRACKER, points) + 3.0 * np.sin(points[:, [1, 2, 0]] / 60.0))

    pairs = correspondences(poses_at(x), bent(x) + rng.normal(scale=0.1, size=x.shape))
    errors = {
        name: np.linalg.norm(METHODS[name](pairs)(poses_at(targets)).mean_mm - bent(targets), axis=1).mean()
        for name in ("rigid", "gp_position")
    }
    assert errors["gp_position"] < 0.5 * errors["rigid"]
