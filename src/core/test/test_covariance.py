"""Covariances against sampled perturbations applied to poses by hand, not through the code under test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from lodestone_core import covariance, se3
from lodestone_core.errors import InputError

Array = npt.NDArray[np.float64]
SAMPLES = 100_000
T_AB = se3.make(Rotation.from_rotvec([0.7, -1.2, 0.4]).as_matrix(), np.array([120.0, -310.0, 80.0]))
T_BC = se3.make(Rotation.from_rotvec([-0.3, 0.5, 2.0]).as_matrix(), np.array([-60.0, 20.0, 150.0]))


def random_covariance(seed: int) -> Array:
    """A full 6x6 with about 0.3 mm and 1 mrad, so that second order stays below the sampling error."""
    root = np.random.default_rng(seed).normal(size=(6, 6)) * np.array([0.15] * 3 + [5e-4] * 3)[:, None]
    return root @ root.T


def draw(C: Array, seed: int) -> Array:
    return np.random.default_rng(seed).multivariate_normal(np.zeros(6), C, size=SAMPLES, method="svd")


def perturbed(T: Array, d: Array) -> Array:
    """Poses that differ from T by d in the message convention: moved by d[:3], turned about the child's origin."""
    return se3.make(Rotation.from_rotvec(d[:, 3:]).as_matrix() @ T[:3, :3], T[:3, 3] + d[:, :3])


def difference(samples: Array, T: Array) -> Array:
    """Message perturbations (N, 6) that turn T into the samples."""
    turned = Rotation.from_matrix(samples[:, :3, :3] @ T[:3, :3].T).as_rotvec()
    return np.concatenate([samples[:, :3, 3] - T[:3, 3], turned], axis=1)


def assert_is_covariance_of(C: Array, samples: Array) -> None:
    """Every entry within 5 standard errors of a sampled covariance."""
    error = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / len(samples))
    deviation = np.abs(samples.T @ samples / len(samples) - C) / error
    assert deviation.max() < 5.0


def test_tangent_covariance_becomes_the_spread_of_the_child_origin() -> None:
    C_tangent = random_covariance(1)
    # scipy's matrix exponential of the 4x4 twist: the oracle does not use se3.exp.
    twists = np.zeros((20_000, 4, 4))
    xi = draw(C_tangent, 2)[: len(twists)]
    twists[:, :3, 3] = xi[:, :3]
    twists[:, [2, 0, 1], [1, 2, 0]], twists[:, [1, 2, 0], [2, 0, 1]] = xi[:, 3:], -xi[:, 3:]
    C = covariance.about_child_origin(T_AB, C_tangent)
    assert_is_covariance_of(C, difference(expm(twists) @ T_AB, T_AB))
    # The two conventions really differ here: a wrong sign or a left out lever would not pass.
    assert np.abs(C - C_tangent).max() > 0.02


def test_conventions_convert_there_and_back() -> None:
    C = random_covariance(3)
    back = covariance.about_parent_origin(T_AB, covariance.about_child_origin(T_AB, C))
    np.testing.assert_allclose(back, C, rtol=1e-9, atol=1e-15)


def test_composed_covariance_is_the_spread_of_composed_poses() -> None:
    C_ab, C_bc = random_covariance(4), random_covariance(5)
    samples = perturbed(T_AB, draw(C_ab, 6)) @ perturbed(T_BC, draw(C_bc, 7))
    assert_is_covariance_of(covariance.compose(T_AB, C_ab, T_BC, C_bc), difference(samples, T_AB @ T_BC))


def test_inverted_covariance_is_the_spread_of_inverted_poses() -> None:
    C = random_covariance(8)
    samples = se3.inverse(perturbed(T_AB, draw(C, 9)))
    assert_is_covariance_of(covariance.invert(T_AB, C), difference(samples, se3.inverse(T_AB)))
    twice = covariance.invert(se3.inverse(T_AB), covariance.invert(T_AB, C))
    np.testing.assert_allclose(twice, C, rtol=1e-9, atol=1e-12)


def test_tre_covariance_is_the_spread_of_the_mapped_point() -> None:
    C, point = random_covariance(10), np.array([15.0, -40.0, 90.0])
    mapped = se3.transform(perturbed(T_AB, draw(C, 11)), point) - se3.transform(T_AB, point)
    assert_is_covariance_of(covariance.tre_covariance_at(T_AB, C, point), mapped)


def test_leading_axes_give_the_same_as_one_by_one() -> None:
    C, points = random_covariance(12), np.random.default_rng(13).normal(scale=50.0, size=(5, 3))
    many = covariance.tre_covariance_at(T_AB, C, points)
    np.testing.assert_allclose(many[3], covariance.tre_covariance_at(T_AB, C, points[3]), atol=1e-15)
    T, Cs = np.stack([T_AB, T_BC]), np.stack([C, 2.0 * C])
    np.testing.assert_allclose(covariance.invert(T, Cs)[1], covariance.invert(T_BC, 2.0 * C), atol=1e-15)


def test_unknown_roll_leaves_a_point_on_the_axis_as_good_as_before() -> None:
    axis = T_AB[:3, 2]
    C = np.diag([0.04] * 3 + [1e-8] * 3)
    C[3:, 3:] += covariance.UNOBSERVED_ROTATION_RAD2 * np.outer(axis, axis)
    on_axis = covariance.tre_covariance_at(T_AB, C, np.array([0.0, 0.0, 100.0]))
    off_axis = covariance.tre_covariance_at(T_AB, C, np.array([10.0, 0.0, 0.0]))
    assert covariance.expected_radius_95(on_axis) < 0.6
    assert covariance.expected_radius_95(off_axis) > 60.0


SHAPES = {
    "ball": (1.0, 1.0, 1.0),
    "nearly_a_ball": (1.0, 0.9, 0.8),
    "disc": (1.0, 1.0, 0.0),
    "nearly_a_disc": (1.0, 0.9, 1e-4),
    "needle": (1.0, 0.0, 0.0),
    "nearly_a_needle": (1.0, 0.02, 1e-3),
    "blade": (1.0, 0.2, 0.01),
}


@pytest.mark.parametrize("variances", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("scale_mm", [1e-3, 1.0, 200.0])
def test_ball_of_the_expected_radius_holds_95_percent_of_samples(variances: tuple[float, float, float], scale_mm: float) -> None:
    R = Rotation.from_rotvec([0.3, 1.1, -0.8]).as_matrix()
    C = R @ np.diag(variances) @ R.T * scale_mm**2
    drawn = np.random.default_rng(21).normal(size=(200_000, 3)) * np.sqrt(variances) * scale_mm
    inside = np.mean(np.linalg.norm(drawn, axis=1) < covariance.expected_radius_95(C))
    # Standard error sqrt(0.95 * 0.05 / 200000) = 0.0005.
    assert inside == pytest.approx(0.95, abs=0.002)


@pytest.mark.parametrize(
    ("variances", "radius"),
    [((1.0, 1.0, 1.0), 2.7954834829), ((1.0, 1.0, 0.0), 2.4477468307), ((1.0, 0.0, 0.0), 1.9599639845)],
)
def test_expected_radius_equals_the_chi_quantiles_of_three_two_and_one_dimension(
    variances: tuple[float, float, float], radius: float
) -> None:
    # Square roots of the 95 % quantiles of chi-square with 3, 2 and 1 degrees of freedom.
    assert covariance.expected_radius_95(np.diag(variances) * 4.0) == pytest.approx(2.0 * radius, rel=1e-6)


def test_expected_radius_of_no_error_is_zero_and_of_nonsense_is_refused() -> None:
    assert covariance.expected_radius_95(np.zeros((3, 3))) == 0.0
    with pytest.raises(InputError, match="NaN"):
        covariance.expected_radius_95(np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="negative"):
        covariance.expected_radius_95(np.diag([1.0, 1.0, -1.0]))


def test_the_table_of_radii_holds_the_quadrature_to_a_millionth_for_any_shape() -> None:
    rng = np.random.default_rng(22)
    A = rng.normal(size=(400, 3, 3)) * 10.0 ** rng.uniform(-5.0, 2.0, size=(400, 3, 1))
    flat = [np.diag([1.0, b, 0.0]) for b in np.linspace(0.0, 1.0, 50)]
    C = np.concatenate([A @ np.swapaxes(A, 1, 2), flat, [np.diag(v) for v in SHAPES.values()]])
    np.testing.assert_allclose(covariance.expected_radius_95(C), covariance.exact_radius_95(C), rtol=1e-6)


def test_radii_keep_the_leading_axes() -> None:
    C = np.einsum("ij,ab->ijab", np.arange(10.0).reshape(2, 5), np.diag([3.0, 2.0, 1.0]))
    radii = covariance.expected_radius_95(C)
    assert radii.shape == (2, 5)
    assert radii[1, 2] == covariance.expected_radius_95(C[1, 2])
    assert covariance.expected_radius_95(np.zeros((0, 3, 3))).shape == (0,)


def test_an_exact_pose_only_turns_the_errors_of_what_it_carries() -> None:
    C_bc = random_covariance(14)
    exact = covariance.compose(T_AB, np.zeros((6, 6)), T_BC, C_bc)
    np.testing.assert_allclose(covariance.seen_from(T_AB, C_bc), exact, rtol=1e-12, atol=1e-18)
