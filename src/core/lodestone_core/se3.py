"""Rigid transforms as 4x4 float64 arrays in mm; tangent vectors are x y z rotX rotY rotZ in mm and rad.

`T_target_source` maps points of `source` into `target`, so inner names cancel: T_a_c = T_a_b @ T_b_c. Perturbations
act on the left: T = exp(xi) T0. Functions take any leading axes and broadcast over them as numpy does. Nothing is
checked here: inputs pass through checks.py at the door. Source: T. D. Barfoot, "State Estimation for Robotics",
Cambridge University Press 2017, chapter 7 (the same order of the tangent).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_core.types import Array

# Below this angle the closed forms lose digits to cancellation; the series, cut where their terms pass 1e-17, do not.
_SERIES_BELOW_RAD = 0.5
_IDENTITY = np.eye(3)
# Row by row what hat() makes of the unit vectors x, y, z.
_GENERATORS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
# (theta - sin theta) / theta^3 in powers of theta^2.
_B_SERIES = (1 / 6, -1 / 120, 1 / 5040, -1 / 362880, 1 / 39916800, -1 / 6227020800, 1 / 1307674368000)
# (1 - (theta / 2) cot(theta / 2)) / theta^2 in powers of theta^2 (Bernoulli numbers).
_C_SERIES = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000, 1 / 74724249600)


def make(R: Array, t: Array) -> Array:
    """T (..., 4, 4) of a rotation matrix (..., 3, 3) and a translation in mm (..., 3)."""
    R, t = np.asarray(R, dtype=np.float64), np.asarray(t, dtype=np.float64)
    T = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1.0
    return T


def from_quaternion(q_xyzw: Array, t: Array) -> Array:
    """T (..., 4, 4) of a quaternion x y z w (..., 4), normalised here, and a translation in mm (..., 3)."""
    q = np.asarray(q_xyzw, dtype=np.float64)
    R = Rotation.from_quat(q.reshape(-1, 4)).as_matrix()
    return make(R.reshape(*q.shape[:-1], 3, 3), t)


def to_quaternion(T: Array) -> tuple[Array, Array]:
    """Quaternion x y z w (..., 4) of unit length with w >= 0, and translation in mm (..., 3)."""
    q: Array = _rotation(T).as_quat(canonical=True)
    return q.reshape(*T.shape[:-2], 4), T[..., :3, 3].copy()


def inverse(T: Array) -> Array:
    """T_source_target of T_target_source (..., 4, 4)."""
    R_t = np.swapaxes(T[..., :3, :3], -1, -2)
    return make(R_t, -_apply(R_t, T[..., :3, 3]))


def transform(T: Array, points: Array) -> Array:
    """Points (..., 3) of the source frame in the target frame, mm; leading axes of T and of the points broadcast."""
    return _apply(T[..., :3, :3], np.asarray(points, dtype=np.float64)) + T[..., :3, 3]


def exp(xi: Array) -> Array:
    """T (..., 4, 4) of a tangent vector (..., 6)."""
    xi = np.asarray(xi, dtype=np.float64)
    rho, phi = xi[..., :3], xi[..., 3:]
    R = Rotation.from_rotvec(phi.reshape(-1, 3)).as_matrix().reshape(*phi.shape, 3)
    return make(R, _apply(left_jacobian(phi), rho))


def log(T: Array) -> Array:
    """Tangent vector (..., 6) with exp(log(T)) = T and a rotation of at most pi."""
    phi: Array = _rotation(T).as_rotvec().reshape((*T.shape[:-2], 3))
    return np.concatenate([_apply(left_jacobian_inverse(phi), T[..., :3, 3]), phi], axis=-1)


def adjoint(T: Array) -> Array:
    """Ad (..., 6, 6) with T exp(xi) T^-1 = exp(Ad xi)."""
    R, t = T[..., :3, :3], T[..., :3, 3]
    Ad = np.zeros((*T.shape[:-2], 6, 6))
    Ad[..., :3, :3] = R
    Ad[..., :3, 3:] = hat(t) @ R
    Ad[..., 3:, 3:] = R
    return Ad


def interpolate(T0: Array, T1: Array, s: float | Array) -> Array:
    """Pose between T0 (s = 0) and T1 (s = 1), each (..., 4, 4).

    The child's origin moves on a straight line and the child turns about a fixed axis by the shorter way, as tf2 does:
    the result does not depend on the choice of the parent frame. Outside [0, 1] it extrapolates.
    """
    share = np.asarray(s, dtype=np.float64)[..., None]
    phi: Array = _rotation(T1[..., :3, :3] @ np.swapaxes(T0[..., :3, :3], -1, -2)).as_rotvec()
    turn = share * phi.reshape(*np.broadcast_shapes(T0.shape, T1.shape)[:-2], 3)
    R = Rotation.from_rotvec(turn.reshape(-1, 3)).as_matrix().reshape(*turn.shape, 3)
    t0, t1 = T0[..., :3, 3], T1[..., :3, 3]
    return make(R @ T0[..., :3, :3], (1.0 - share) * t0 + share * t1)


def geodesic(T0: Array, T1: Array) -> Array:
    """Angle in rad (0 to pi; leading axes kept) between two orientations, in full precision at 0 and at pi."""
    relative = np.swapaxes(T0[..., :3, :3], -1, -2) @ T1[..., :3, :3]
    return np.asarray(_rotation(relative).magnitude()).reshape(relative.shape[:-2])


def hat(v: Array) -> Array:
    """Skew matrix (..., 3, 3) with hat(v) w = v x w."""
    v = np.asarray(v, dtype=np.float64)
    S: Array = v @ _GENERATORS
    return S.reshape(*v.shape, 3)


def left_jacobian(phi: Array) -> Array:
    """V (..., 3, 3) of a rotation vector (..., 3): exp(phi + d) = exp(V d) exp(phi) to first order in d."""
    theta = np.linalg.norm(phi, axis=-1)
    # (1 - cos theta) / theta^2 without cancellation; numpy's sinc is sin(pi x) / (pi x).
    a = 0.5 * np.sinc(theta / (2.0 * np.pi)) ** 2
    b = _piecewise(theta, _B_SERIES, lambda x: (x - np.sin(x)) / x**3)
    S = hat(phi)
    V: Array = np.eye(3) + a[..., None, None] * S + b[..., None, None] * (S @ S)
    return V


def left_jacobian_inverse(phi: Array) -> Array:
    """Inverse of `left_jacobian` (..., 3, 3) for rotations below 2 pi."""
    theta = np.linalg.norm(phi, axis=-1)
    c = _piecewise(theta, _C_SERIES, lambda x: (1.0 - 0.5 * x / np.tan(0.5 * x)) / x**2)
    S = hat(phi)
    V_inverse: Array = np.eye(3) - 0.5 * S + c[..., None, None] * (S @ S)
    return V_inverse


def _piecewise(theta: Array, series: tuple[float, ...], closed: Callable[[Array], Array]) -> Array:
    """The series below the threshold, the closed form above; the closed form is never evaluated near its 0 / 0."""
    small = theta < _SERIES_BELOW_RAD
    value: Array = np.polynomial.polynomial.polyval(np.where(small, theta, 0.0) ** 2, series)
    return np.where(small, value, closed(np.where(small, 1.0, theta)))


def _apply(M: Array, v: Array) -> Array:
    """Matrix (..., 3, 3) times vector (..., 3)."""
    product: Array = (M @ v[..., None])[..., 0]
    return product


def _rotation(T: Array) -> Rotation:
    """Rotations of (..., 3, 3) or (..., 4, 4), flattened: scipy before 1.17 takes a single leading axis."""
    R = T[..., :3, :3].reshape(-1, 3, 3)
    if _CHECK_CAN_BE_LEFT_OUT and _plainly_rotations(R):
        return Rotation.from_matrix(R, assume_valid=True)
    return Rotation.from_matrix(R)


def _plainly_rotations(R: Array) -> bool:
    """Whether all (N, 3, 3) are rotations to rounding, so that scipy need not look; it takes 0.1 ms for that."""
    defect = np.abs(R @ np.swapaxes(R, 1, 2) - _IDENTITY)
    return bool((defect < 1e-12).all() and (np.linalg.det(R) > 0.0).all())


def _check_can_be_left_out() -> bool:
    try:
        Rotation.from_matrix(np.eye(3), assume_valid=True)
    except TypeError:  # scipy before 1.17
        return False
    return True


_CHECK_CAN_BE_LEFT_OUT = _check_can_be_left_out()
