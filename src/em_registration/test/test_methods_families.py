"""Every baseline reproduces the maps of its own family, wherever the frames stand, and agrees with an independent oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from scipy.spatial.transform import Rotation

from em_registration.methods.batched import BATCHED
from em_registration.methods.interface import Correspondences, Prediction, correspondences, poses_at
from em_registration.methods.registry import LEAST_PAIRS, METHODS
from em_registration.methods.thin_plate_spline import smoothed_spline_map
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.paired_points import register_points
from lodestone_core.types import Array

Landmarks = Callable[[int], Array]
T_IMAGE_TRACKER = se3.exp(np.array([250.0, -80.0, 900.0, 1.1, -0.7, 0.4]))
A = np.array([[1.02, 0.03, -0.01], [-0.02, 0.97, 0.02], [0.01, -0.04, 1.05]])
INTERPOLATE = ("tps", "rbf", "inverse_distance")
# Enough for every method that the scene is tried with; Bernstein polynomials of degree 3 and more have a grid below.
SMALL = [name for name in METHODS if LEAST_PAIRS[name] <= 40]


def pairs(tracker: Array, image: Array) -> Correspondences:
    return correspondences(poses_at(tracker), image)


def bent(points: Array) -> Array:
    """Where the image has points: moved rigidly and bent by up to 4 mm."""
    return se3.transform(T_IMAGE_TRACKER, points) + 3.0 * np.sin(points[:, [1, 2, 0]] / 70.0)


def predict(name: str, tracker: Array, image: Array, queries: Array) -> Prediction:
    return METHODS[name](pairs(tracker, image))(poses_at(queries))


@pytest.mark.parametrize("name", SMALL)
def test_rigid_data_come_out_exactly_and_are_said_to_be_exact(name: str, landmarks: Landmarks, targets: Array) -> None:
    x = landmarks(40)
    found = predict(name, x, se3.transform(T_IMAGE_TRACKER, x), targets)
    np.testing.assert_allclose(found.mean_mm, se3.transform(T_IMAGE_TRACKER, targets), atol=1e-7)
    # The process keeps what its prior believes of errors that it has not seen; nobody else believes anything.
    assert np.all(found.radius_95_mm < (0.2 if name == "gp_position" else 1e-4))


@pytest.mark.parametrize("name", ["similarity", "affine", "tps", "tps_smoothed", "bernstein_1", "bernstein_2"])
def test_a_scale_comes_out_exactly(name: str, landmarks: Landmarks, targets: Array) -> None:
    x = landmarks(40)
    found = predict(name, x, 1.03 * se3.transform(T_IMAGE_TRACKER, x), targets)
    np.testing.assert_allclose(found.mean_mm, 1.03 * se3.transform(T_IMAGE_TRACKER, targets), atol=1e-7)


@pytest.mark.parametrize("name", ["affine", "tps", "tps_smoothed", "bernstein_1", "bernstein_2"])
def test_an_affine_map_comes_out_exactly_also_outside_the_points(name: str, landmarks: Landmarks, targets: Array) -> None:
    x, far = landmarks(40), targets + np.array([300.0, 0.0, 0.0])
    found = predict(name, x, x @ A.T + 5.0, far)
    np.testing.assert_allclose(found.mean_mm, far @ A.T + 5.0, atol=1e-6)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_bernstein_reproduces_polynomials_of_its_degree_and_no_higher(degree: int) -> None:
    steps = np.linspace(-1.0, 1.0, degree + 3)
    x = np.array(np.meshgrid(steps, steps, steps)).reshape(3, -1).T * [100.0, 80.0, 60.0] + [0.0, 0.0, 200.0]
    inside = np.random.default_rng(2).uniform(-0.9, 0.9, size=(16, 3)) * [100.0, 80.0, 60.0] + [0.0, 0.0, 200.0]

    def curved(points: Array, power: int) -> Array:
        u = (points - [0.0, 0.0, 200.0]) / 100.0
        return np.asarray(points + 8.0 * np.stack([u[:, 1] ** power, u[:, 2] ** power * u[:, 0], u[:, 0] ** power], axis=1))

    exact = predict(f"bernstein_{degree}", x, curved(x, degree), inside)
    np.testing.assert_allclose(exact.mean_mm, curved(inside, degree), atol=1e-6)
    higher = predict(f"bernstein_{degree}", x, curved(x, degree + 1), inside)
    assert np.max(np.abs(higher.mean_mm - curved(inside, degree + 1))) > 0.01


@pytest.mark.parametrize("name", INTERPOLATE)
@pytest.mark.parametrize("count", [6, 40])
def test_interpolators_pass_through_their_points(name: str, count: int, landmarks: Landmarks) -> None:
    x = landmarks(count)
    y = bent(x) + np.random.default_rng(3).normal(scale=0.3, size=x.shape)
    np.testing.assert_allclose(predict(name, x, y, x).mean_mm, y, atol=1e-6)


@pytest.mark.parametrize("count", [5, 24, 60])
def test_the_spline_is_scipys(count: int, landmarks: Landmarks, targets: Array) -> None:
    x = landmarks(count)
    expected = RBFInterpolator(x, bent(x), kernel="thin_plate_spline", degree=1)(targets)
    np.testing.assert_allclose(predict("tps", x, bent(x), targets).mean_mm, expected, atol=1e-7)


def test_the_smoothed_spline_is_scipys_with_the_smoothing_that_was_found(landmarks: Landmarks, targets: Array) -> None:
    x = landmarks(24)
    y = bent(x) + np.random.default_rng(4).normal(scale=0.5, size=x.shape)
    fitted = smoothed_spline_map(x, y)
    # The diagonal of the system is the smoothing, since the kernel is 0 there.
    smoothing = np.linalg.inv(fitted.system.inverse)[0, 0]
    u, v = (x - fitted.centre) / fitted.scale, (targets - fitted.centre) / fitted.scale
    expected = RBFInterpolator(u, y, kernel="thin_plate_spline", degree=1, smoothing=smoothing)(v)
    assert 1e-5 < smoothing < 1e4
    np.testing.assert_allclose(fitted(targets).mean_mm, expected, atol=1e-6)


def test_the_radial_basis_functions_are_scipys_on_what_the_rigid_map_leaves(landmarks: Landmarks, targets: Array) -> None:
    x, y = landmarks(24), bent(landmarks(24))
    T = register_points(x, y).T_target_source
    found = predict("rbf", x, y, targets).mean_mm
    size = np.sqrt(np.mean(np.sum((x - x.mean(axis=0)) ** 2, axis=1)))
    left = y - se3.transform(T, x)
    candidates = [
        RBFInterpolator(x, left, kernel="multiquadric", epsilon=1.0 / (share * size), degree=0)(targets) + se3.transform(T, targets)
        for share in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    ]
    assert min(np.max(np.abs(found - c)) for c in candidates) < 1e-6


def test_the_rigid_map_and_its_error_are_those_of_paired_points(landmarks: Landmarks, targets: Array) -> None:
    from em_registration.methods.rigid import fit_rigid

    x = landmarks(6)
    oracle = register_points(x, bent(x))
    found = fit_rigid(pairs(x, bent(x)), new_pair=False)(poses_at(targets))
    np.testing.assert_allclose(found.mean_mm, se3.transform(oracle.T_target_source, targets), atol=1e-7)
    np.testing.assert_allclose(found.radius_95_mm, oracle.tre(targets), rtol=1e-5)


def test_equal_errors_weigh_equally(landmarks: Landmarks, targets: Array) -> None:
    # Residuals of 60 points with equal errors: the estimated weights are within a few percent of equal ones.
    x = landmarks(60)
    y = se3.transform(T_IMAGE_TRACKER, x) + np.random.default_rng(5).normal(scale=0.3, size=x.shape)
    plain, weighted = (predict(name, x, y, targets).mean_mm for name in ("rigid", "weighted_rigid"))
    assert np.max(np.abs(plain - weighted)) < 0.03


def test_weights_help_where_the_depth_is_measured_worse(landmarks: Landmarks, targets: Array) -> None:
    rng, x = np.random.default_rng(6), landmarks(24)
    truth = se3.transform(T_IMAGE_TRACKER, targets)
    errors: dict[str, list[float]] = {"rigid": [], "weighted_rigid": []}
    for _ in range(40):
        noisy = x + rng.normal(size=x.shape) * [0.2, 0.2, 2.0]
        for name, found in errors.items():
            found.append(float(np.mean((predict(name, noisy, se3.transform(T_IMAGE_TRACKER, x), targets).mean_mm - truth) ** 2)))
    assert np.mean(errors["weighted_rigid"]) < 0.97 * np.mean(errors["rigid"])


@pytest.mark.parametrize("name", SMALL)
def test_moving_the_image_moves_the_answer(name: str, landmarks: Landmarks, targets: Array) -> None:
    x, y, moved = landmarks(30), bent(landmarks(30)), se3.exp(np.array([-40.0, 90.0, 10.0, 0.4, 1.2, -2.0]))
    here, there = predict(name, x, y, targets), predict(name, x, se3.transform(moved, y), targets)
    np.testing.assert_allclose(there.mean_mm, se3.transform(moved, here.mean_mm), atol=1e-6)
    R = moved[:3, :3]
    np.testing.assert_allclose(there.covariance, R @ here.covariance @ R.T, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", SMALL)
def test_moving_the_tracker_changes_nothing(name: str, landmarks: Landmarks, targets: Array) -> None:
    x, y = landmarks(30), bent(landmarks(30))
    # Bernstein polynomials have the tracker's axes: a quarter turn leaves them what they are.
    turn = Rotation.from_euler("z", 90.0, degrees=True).as_rotvec() if name.startswith("bernstein") else np.array([0.5, 1.0, -0.3])
    moved = se3.exp(np.concatenate([[-40.0, 90.0, 10.0], turn]))
    here, there = predict(name, x, y, targets), predict(name, se3.transform(moved, x), y, se3.transform(moved, targets))
    np.testing.assert_allclose(there.mean_mm, here.mean_mm, atol=1e-6)
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_the_least_number_of_pairs_is_enough_and_one_fewer_is_refused_with_that_number(name: str, landmarks: Landmarks) -> None:
    least = LEAST_PAIRS[name]
    x = np.random.default_rng(7).uniform(-100.0, 100.0, size=(least, 3))
    found = predict(name, x, se3.transform(T_IMAGE_TRACKER, x), x.mean(axis=0)[None])
    assert np.all(np.isfinite(found.mean_mm)) and np.all(np.isfinite(found.radius_95_mm))
    with pytest.raises(InputError, match=f"at least {least} for this method, got {least - 1}"):
        METHODS[name](pairs(x[:-1], bent(x[:-1])))


@pytest.mark.parametrize("name", ["affine", "bernstein_2"])
def test_points_that_leave_a_coefficient_open_are_refused(name: str) -> None:
    # Two planes hold eight corners and more, but no third power of the direction between them.
    steps = np.linspace(-50.0, 50.0, 5)
    x = np.array(np.meshgrid(steps, steps, [0.0, 80.0])).reshape(3, -1).T
    if name == "affine":
        assert predict(name, x, bent(x), x).mean_mm.shape == x.shape
        return
    with pytest.raises(InputError, match="determine 27 coefficients"):
        METHODS[name](pairs(x, bent(x)))


def test_landmarks_on_an_ellipsoid_leave_a_quadratic_open_and_are_refused_for_it() -> None:
    rng = np.random.default_rng(10)
    u = rng.normal(size=(60, 3))
    x = u / np.linalg.norm(u, axis=1, keepdims=True) * [130.0, 90.0, 75.0]
    for noise in (0.0, 0.3):
        pairs_on_surface = pairs(x + rng.normal(scale=noise, size=x.shape), se3.transform(T_IMAGE_TRACKER, x))
        with pytest.raises(InputError, match="all on one surface"):
            METHODS["bernstein_2"](pairs_on_surface)
        METHODS["bernstein_1"](pairs_on_surface)


@pytest.mark.parametrize("name", METHODS)
def test_the_tip_of_the_tool_is_what_is_mapped(name: str) -> None:
    rng = np.random.default_rng(8)
    tip = np.array([3.0, -5.0, 120.0])
    points = rng.uniform(-100.0, 100.0, size=(LEAST_PAIRS[name] + 2, 3))
    image = se3.transform(T_IMAGE_TRACKER, points)
    R = Rotation.random(len(points), random_state=1).as_matrix()
    tool = se3.make(R, points - R @ tip)
    found = METHODS[name](correspondences(tool, image, tip))(tool)
    np.testing.assert_allclose(found.mean_mm, image, atol=1e-5)


@pytest.mark.parametrize("name", BATCHED)
def test_many_scenes_at_once_are_the_single_ones(name: str, landmarks: Landmarks, targets: Array) -> None:
    rng = np.random.default_rng(9)
    x = landmarks(8) + rng.normal(scale=5.0, size=(20, 8, 3))
    y = np.array([bent(one) for one in x])
    queries = targets + rng.normal(scale=5.0, size=(20, 16, 3))
    together = BATCHED[name](x, y, queries)
    radii = together.radius_95_mm
    for i in range(len(x)):
        alone = predict(name, x[i], y[i], queries[i])
        np.testing.assert_allclose(together.mean_mm[i], alone.mean_mm, atol=1e-9)
        np.testing.assert_allclose(together.covariance[i], alone.covariance, rtol=1e-8)
        np.testing.assert_allclose(radii[i], alone.radius_95_mm, rtol=1e-8)


@pytest.mark.parametrize("name", SMALL)
def test_tiny_and_huge_scenes_differ_in_nothing_but_their_size(name: str, landmarks: Landmarks, targets: Array) -> None:
    if name == "gp_position":
        pytest.skip("its priors are in millimetres")
    x, y = landmarks(30), bent(landmarks(30))
    plain = predict(name, x, y, targets)
    for factor in (0.1, 10.0):
        scaled = predict(name, factor * x, factor * y, factor * targets)
        np.testing.assert_allclose(scaled.mean_mm / factor, plain.mean_mm, atol=1e-6)
        np.testing.assert_allclose(scaled.radius_95_mm / factor, plain.radius_95_mm, rtol=1e-5)
