"""SE(3) maps against an oracle that shares nothing with them: power series of the 4x4 matrix in 50-digit decimals."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core import se3

Array = npt.NDArray[np.float64]
AXIS = np.array([2.0, -3.0, 6.0]) / 7.0
ANGLES = [0.0, 1e-12, 1e-7, 1e-3, 0.01, 0.4999, 0.5001, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-6, np.pi - 1e-9]
TRANSLATIONS = [np.zeros(3), np.array([1.0, 2.0, -3.0]), np.array([1e4, -7e3, 5e3])]


def twist(rho: Array, angle: float) -> Array:
    return np.concatenate([rho, angle * AXIS])


def exact_exp(xi: Array) -> Array:
    """exp of the 4x4 twist matrix as its Taylor series in 50 digits: no formula of se3, no rounding that matters."""
    x, y, z, a, b, c = (Decimal(float(v)) for v in xi)
    zero = Decimal(0)
    twist_matrix = [[zero, -c, b, x], [c, zero, -a, y], [-b, a, zero, z], [zero] * 4]
    with localcontext(prec=50):
        total = [[Decimal(int(i == j)) for j in range(4)] for i in range(4)]
        term = [row[:] for row in total]
        for k in range(1, 80):
            term = [[sum(term[i][m] * twist_matrix[m][j] for m in range(4)) / k for j in range(4)] for i in range(4)]
            total = [[total[i][j] + term[i][j] for j in range(4)] for i in range(4)]
    return np.array(total, dtype=np.float64)


def random_poses(count: int, seed: int = 3) -> Array:
    rng = np.random.default_rng(seed)
    return se3.make(Rotation.random(count, rng=rng).as_matrix(), rng.normal(scale=300.0, size=(count, 3)))


@pytest.mark.parametrize("rho", TRANSLATIONS, ids=["at_origin", "near", "ten_metres"])
@pytest.mark.parametrize("angle", ANGLES)
def test_exp_equals_the_series_of_the_matrix_exponential(angle: float, rho: Array) -> None:
    xi = twist(rho, angle)
    # A few units in the last place of the largest number involved.
    np.testing.assert_allclose(se3.exp(xi), exact_exp(xi), rtol=0, atol=2e-15 * max(1.0, float(np.linalg.norm(rho))))


@pytest.mark.parametrize("rho", TRANSLATIONS, ids=["at_origin", "near", "ten_metres"])
@pytest.mark.parametrize("angle", ANGLES)
def test_log_finds_the_tangent_of_an_exactly_exponentiated_pose(angle: float, rho: Array) -> None:
    xi = twist(rho, angle)
    # The matrix itself holds the rotation only to 1e-16 rad, so the translation cannot be better than that lever.
    np.testing.assert_allclose(se3.log(exact_exp(xi)), xi, rtol=0, atol=3e-15 * max(1.0, float(np.linalg.norm(rho))))


def test_log_at_exactly_pi_gives_one_of_the_two_axes() -> None:
    T = se3.make(Rotation.from_rotvec(np.pi * AXIS).as_matrix(), np.array([10.0, 20.0, 30.0]))
    phi = se3.log(T)[3:]
    assert np.linalg.norm(phi) == pytest.approx(np.pi, abs=1e-12)
    assert abs(float(phi @ AXIS)) == pytest.approx(np.pi, abs=1e-12)
    np.testing.assert_allclose(se3.exp(se3.log(T)), T, atol=1e-12)


def test_identity_has_zero_tangent_and_nothing_is_nan() -> None:
    np.testing.assert_array_equal(se3.log(np.eye(4)), np.zeros(6))
    np.testing.assert_array_equal(se3.exp(np.zeros(6)), np.eye(4))


def test_a_tiny_rotation_keeps_the_translation_that_it_comes_with() -> None:
    # The fault seen elsewhere: at 1e-3 rad and 200 mm a clamped V is wrong by 10 mm.
    xi = np.array([200.0, 0.0, 0.0, 0.0, 1e-3, 0.0])
    np.testing.assert_allclose(se3.exp(xi)[:3, 3], exact_exp(xi)[:3, 3], atol=1e-12)


def test_leading_axes_give_the_same_as_one_by_one() -> None:
    xi = np.random.default_rng(1).normal(size=(2, 5, 6))
    T = se3.exp(xi)
    assert T.shape == (2, 5, 4, 4)
    np.testing.assert_allclose(T[1, 3], se3.exp(xi[1, 3]), atol=1e-15)
    np.testing.assert_allclose(se3.log(T), xi, atol=1e-13)
    np.testing.assert_allclose(se3.adjoint(T)[0, 2], se3.adjoint(T[0, 2]), atol=0)
    np.testing.assert_allclose(se3.inverse(T)[1, 4], se3.inverse(T[1, 4]), atol=0)
    assert se3.geodesic(T, T[0, 0]).shape == (2, 5)


def test_inverse_undoes_a_pose() -> None:
    T = random_poses(20)
    np.testing.assert_allclose(se3.inverse(T) @ T, np.broadcast_to(np.eye(4), T.shape), atol=1e-12)


def test_adjoint_carries_a_perturbation_to_the_other_side() -> None:
    T = random_poses(1)[0]
    xi = np.array([3.0, -2.0, 1.0, 0.3, -0.2, 0.1])
    np.testing.assert_allclose(T @ se3.exp(xi) @ se3.inverse(T), se3.exp(se3.adjoint(T) @ xi), atol=1e-11)


def test_left_jacobian_is_the_derivative_of_the_rotation_exponential() -> None:
    phi, step = np.array([0.3, -1.1, 0.7]), 1e-6
    columns = []
    for d in np.eye(3) * step:
        ahead, behind = Rotation.from_rotvec(phi + d), Rotation.from_rotvec(phi - d)
        columns.append((ahead * behind.inv()).as_rotvec() / (2 * step))
    np.testing.assert_allclose(se3.left_jacobian(phi), np.stack(columns, axis=1), atol=1e-9)
    np.testing.assert_allclose(se3.left_jacobian(phi) @ se3.left_jacobian_inverse(phi), np.eye(3), atol=1e-15)


def test_quaternions_go_there_and_back_with_the_scalar_last_and_not_negative() -> None:
    T = random_poses(50)
    q, t = se3.to_quaternion(T)
    assert np.all(q[:, 3] >= 0)
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1.0, atol=1e-15)
    np.testing.assert_allclose(se3.from_quaternion(q, t), T, atol=1e-13)
    half = np.sqrt(0.5)
    quarter_turn = se3.from_quaternion(np.array([0.0, 0.0, half, half]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(se3.transform(quarter_turn, np.array([1.0, 0.0, 0.0])), [1.0, 3.0, 3.0], atol=1e-15)


def test_transform_broadcasts_poses_against_points() -> None:
    T = random_poses(4)
    points = np.random.default_rng(5).normal(size=(4, 3))
    homogeneous = np.concatenate([points, np.ones((4, 1))], axis=1)
    np.testing.assert_allclose(se3.transform(T[0], points), (homogeneous @ T[0].T)[:, :3], atol=1e-12)
    np.testing.assert_allclose(se3.transform(T, points)[2], (T[2] @ homogeneous[2])[:3], atol=1e-12)
    assert se3.transform(T[:, None], points).shape == (4, 4, 3)


def test_interpolation_moves_on_a_line_and_turns_steadily() -> None:
    T0, T1 = random_poses(2)
    middle = se3.interpolate(T0, T1, 0.25)
    np.testing.assert_allclose(middle[:3, 3], 0.75 * T0[:3, 3] + 0.25 * T1[:3, 3], atol=1e-12)
    assert se3.geodesic(T0, middle) == pytest.approx(0.25 * se3.geodesic(T0, T1), abs=1e-12)
    np.testing.assert_allclose(se3.interpolate(T0, T1, 0.0), T0, atol=1e-12)
    np.testing.assert_allclose(se3.interpolate(T0, T1, 1.0), T1, atol=1e-12)
    assert se3.interpolate(T0, T1, np.linspace(0, 1, 7)).shape == (7, 4, 4)


def test_interpolation_does_not_depend_on_the_parent_frame() -> None:
    T0, T1, T_other_parent = random_poses(3)
    moved = se3.interpolate(T_other_parent @ T0, T_other_parent @ T1, 0.3)
    np.testing.assert_allclose(moved, T_other_parent @ se3.interpolate(T0, T1, 0.3), atol=1e-11)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.5, np.pi - 1e-7])
def test_geodesic_keeps_its_digits_at_both_ends(angle: float) -> None:
    T0 = random_poses(1)[0]
    T1 = T0 @ se3.exp(twist(np.zeros(3), angle))
    assert se3.geodesic(T0, T1) == pytest.approx(angle, abs=2e-15)


def test_a_rotation_with_few_decimals_gives_the_quaternion_of_the_nearest_one() -> None:
    T = random_poses(20)
    written = T.copy()
    written[:, :3, :3] = np.round(T[:, :3, :3], 5)
    u, _, v = np.linalg.svd(written[:, :3, :3])
    nearest = se3.to_quaternion(se3.make(u @ v, T[:, :3, 3]))[0]
    np.testing.assert_allclose(se3.to_quaternion(written)[0], nearest, atol=1e-14)


def test_a_mirrored_pose_has_no_quaternion() -> None:
    with pytest.raises(ValueError, match="determinant"):
        se3.to_quaternion(np.diag([1.0, 1.0, -1.0, 1.0]))
