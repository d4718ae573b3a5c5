"""The tracker: poses come back without metal, noise does what the first-order maps say, metal displaces less from further away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.pool import indicator_mm
from lodestone_bench.em_physics.ring import Ring
from lodestone_bench.em_physics.tracker import _linearised, displaced, measure, solve, voltages
from lodestone_core import se3
from lodestone_core.types import Array


def poses(count: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    places = rng.uniform([-120.0, -120.0, -380.0], [120.0, 120.0, -60.0], (count, 3))
    return se3.make(np.asarray(Rotation.random(count, random_state=rng).as_matrix()), places)


def nothing(count: int) -> Array:
    return np.zeros((count, len(planar_generator()), 3))


def test_without_metal_the_pose_comes_back() -> None:
    T = poses(500)
    start = displaced(T, np.random.default_rng(1).normal(size=(500, 6)) * np.repeat([8.0, 0.1], 3))
    measured = measure(nothing(500), T, start)
    assert measured.solved.all()
    assert np.abs(measured.T - T).max() < 1e-6
    assert measured.residual.max() < 1e-12 * np.abs(voltages(planar_generator().field(T[:, :3, 3]), T)).max()


def test_the_jacobian_is_the_derivative() -> None:
    T = poses(20)
    target = np.zeros((20, 9, 2))
    _, J = _linearised(target, T, planar_generator())
    for k, step in enumerate(np.diag([1e-3] * 3 + [1e-5] * 3)):
        ends = [_linearised(target, displaced(T, sign * step), planar_generator())[0] for sign in (1.0, -1.0)]
        numeric = (ends[1] - ends[0]) / (2.0 * np.abs(step).max()) / (1.0 if k < 3 else 100.0)
        assert np.abs(numeric - J[:, :, k]).max() < 1e-6 * np.abs(J[:, :, k]).max()


def test_noise_of_the_voltages_moves_the_pose_as_the_factor_says() -> None:
    ring = Ring(se3.make(np.eye(3), np.array([[40.0, 0.0, -330.0]])), np.array([90.0]), np.array([4.0]), np.array([3.5e7]))
    T = se3.make(Rotation.from_rotvec([[0.4, -0.3, 0.9]]).as_matrix(), np.array([[20.0, -30.0, -210.0]]))
    secondary = respond((ring,), planar_generator()).in_phase_field(T[None, :, :3, 3])[0]
    clean = measure(secondary, T)
    assert np.linalg.norm(clean.T[0, :3, 3] - T[0, :3, 3]) > 1.0, "there is distortion to be noisy about"
    sigma = 0.3 / clean.unit_noise_mm[0]
    rng = np.random.default_rng(2)
    exact = voltages(planar_generator().field(T[:, :3, 3]) + secondary, T)
    noisy = solve(exact + sigma * rng.standard_normal((4000, 9, 2)), np.repeat(clean.T, 4000, axis=0))
    moved = np.concatenate(
        [
            noisy.T[:, :3, 3] - clean.T[0, :3, 3],
            Rotation.from_matrix(clean.T[0, :3, :3].T @ noisy.T[:, :3, :3]).as_rotvec(),
        ],
        axis=1,
    )
    predicted = sigma**2 * clean.noise_factor[0] @ clean.noise_factor[0].T
    scale = np.sqrt(np.outer(np.diag(predicted), np.diag(predicted)))
    # 4000 draws give 2 % of a variance; the second-order term that the factor leaves out is of the residual's relative size.
    assert np.abs((np.cov(moved.T) - predicted) / scale).max() < 0.1
    # The indicator drawn without voltages has the law of the one from them.
    solved_indicator = noisy.residual / np.sqrt(12.0) * noisy.unit_noise_mm
    drawn = indicator_mm(np.full(4000, clean.residual[0]), np.array(sigma), clean.unit_noise_mm[0] * np.ones(4000), rng)
    assert np.quantile(drawn, [0.05, 0.5, 0.95]) == pytest.approx(np.quantile(solved_indicator, [0.05, 0.5, 0.95]), rel=0.03)


def test_noise_grows_with_the_distance_to_the_generator() -> None:
    T = se3.make(np.eye(3), np.array([[0.0, 0.0, -100.0], [0.0, 0.0, -200.0], [0.0, 0.0, -400.0]]))
    noise = measure(nothing(3), T).unit_noise_mm
    assert 4.0 < noise[1] / noise[0] < 30.0 and 8.0 < noise[2] / noise[1] < 30.0, "about the fourth power"


def test_metal_displaces_less_from_further_away_and_the_indicator_shows_it() -> None:
    T = poses(40, seed=3)
    T[:, 2, 3] = -150.0 + 0.2 * T[:, 2, 3]
    errors, residuals = [], []
    for depth in (350.0, 450.0, 650.0, 1200.0):
        ring = Ring(se3.make(np.eye(3), np.array([[0.0, 0.0, -depth]])), np.array([120.0]), np.array([4.0]), np.array([3.5e7]))
        field = respond((ring,), planar_generator()).in_phase_field(T[None, :, :3, 3])[0]
        measured = measure(field, T)
        errors.append(np.linalg.norm(measured.T[:, :3, 3] - T[:, :3, 3], axis=1).mean())
        residuals.append(measured.residual.mean())
    assert errors[0] > 1.0 > 0.01 > errors[-1]
    assert np.all(np.diff(errors) < 0) and np.all(np.diff(residuals) < 0)


def test_the_error_is_a_field_over_pose_not_over_position_alone() -> None:
    T = poses(40, seed=4)
    T[:, :3, 3] = [10.0, 20.0, -220.0]
    ring = Ring(se3.make(np.eye(3), np.array([[0.0, 0.0, -330.0]])), np.array([120.0]), np.array([4.0]), np.array([3.5e7]))
    field = respond((ring,), planar_generator()).in_phase_field(T[None, :, :3, 3])[0]
    error = measure(field, T).T[:, :3, 3] - T[:, :3, 3]
    spread = np.linalg.norm(error - error.mean(axis=0), axis=1).mean()
    assert spread > 0.1 * np.linalg.norm(error.mean(axis=0))
