"""Uncertainty of poses: the convention of the messages, its conversions and what it says at a target point.

Two conventions for a 6x6 covariance of T_parent_child (mm, rad; x y z rotX rotY rotZ), both left perturbations:

- message: translation of the CHILD's origin and rotation about it, both along the parent's axes. Every `C_*` unless
  said otherwise, and every PoseWithCovariance.
- tangent: xi of exp(xi) T, a screw about the PARENT's origin, as least squares on the manifold gives it.

With R t = T the two perturbations are d_message = J d_tangent, J = [[I, -hat(t)], [0, I]]. All propagation is first
order. Poses and covariances take leading axes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, gammaincinv

from lodestone_core.checks import as_covariance
from lodestone_core.se3 import hat, transform
from lodestone_core.types import Array

# The variance that marks a direction about which nothing is known, such as the roll of a 5-DOF sensor.
UNOBSERVED_ROTATION_RAD2 = (2.0 * math.pi) ** 2


def about_child_origin(T: Array, C_tangent: Array) -> Array:
    """Message covariance (6, 6) of the tangent covariance of T_parent_child."""
    return _propagate(_lever(-T[..., :3, 3]), C_tangent)


def about_parent_origin(T: Array, C: Array) -> Array:
    """Tangent covariance (6, 6) of the message covariance of T_parent_child."""
    return _propagate(_lever(T[..., :3, 3]), C)


def compose(T_ab: Array, C_ab: Array, T_bc: Array, C_bc: Array) -> Array:
    """C_ac of T_a_c = T_ab @ T_bc for independent errors of the two."""
    arm_in_a = (T_ab[..., :3, :3] @ T_bc[..., :3, 3, None])[..., 0]
    return _propagate(_lever(-arm_in_a), C_ab) + _propagate(_turn(T_ab[..., :3, :3]), C_bc)


def invert(T: Array, C: Array) -> Array:
    """C_child_parent of the inverse of T_parent_child."""
    R_t = np.swapaxes(T[..., :3, :3], -1, -2)
    # The parent's origin moves in the child frame as the child's screw about the parent's origin, reversed.
    return _propagate(_turn(R_t), about_parent_origin(T, C))


def tre_covariance_at(T: Array, C: Array, point_child: Array) -> Array:
    """Covariance (3, 3) in mm^2 along the parent's axes of where T_parent_child puts a point (..., 3) of the child."""
    arm = transform(T, point_child) - T[..., :3, 3]
    J = np.concatenate([np.broadcast_to(np.eye(3), (*arm.shape, 3)), -hat(arm)], axis=-1)
    return _propagate(J, C)


def expected_radius_95(C3: Array) -> float:
    """Radius in mm of the ball that holds a Gaussian 3D error of covariance C3 (mm^2) with 95 % probability.

    Exact to 1e-6 of itself for any shape of the covariance, flat and needle-like ones included. Raises InputError for
    what is no covariance.
    """
    variances = np.maximum(np.linalg.eigvalsh(as_covariance("C3", C3, 3)), 0.0)
    largest = float(variances[2])
    if largest == 0.0:
        return 0.0
    ratios = np.sqrt(variances[:2] / largest)
    return math.sqrt(largest) * _unit_radius(ratios[1], ratios[0], 0.95)


def _propagate(J: Array, C: Array) -> Array:
    """J C J^T, exactly symmetric."""
    out: Array = J @ C @ np.swapaxes(J, -1, -2)
    return 0.5 * (out + np.swapaxes(out, -1, -2))


def _lever(arm: Array) -> Array:
    """[[I, hat(arm)], [0, I]]."""
    J = np.zeros((*arm.shape[:-1], 6, 6))
    J[..., :, :] = np.eye(6)
    J[..., :3, 3:] = hat(arm)
    return J


def _turn(R: Array) -> Array:
    """[[R, 0], [0, R]]."""
    J = np.zeros((*R.shape[:-2], 6, 6))
    J[..., :3, :3] = J[..., 3:, 3:] = R
    return J


# Gauss-Legendre on [0, pi/2] for the two outer integrals of `_inside`.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_ANGLES, _WEIGHTS = (_NODES + 1.0) * math.pi / 4.0, _WEIGHTS * math.pi / 4.0
_SIN, _COS = np.sin(_ANGLES), np.cos(_ANGLES)
# Beyond this many sigma the normal density is below 1e-14 of its maximum.
_REACH = 8.0


def _unit_radius(b: float, c: float, probability: float) -> float:
    """Radius that holds `probability` of a Gaussian with standard deviations 1 >= b >= c, by secants on `_inside`."""
    mean, square = 1.0 + b**2 + c**2, 1.0 + b**4 + c**4
    degrees = mean**2 / square
    # The chi-square with the same mean and variance is within a few percent: a good start.
    r0 = math.sqrt(mean / degrees * 2.0 * float(gammaincinv(degrees / 2.0, probability)))
    r1 = 1.01 * r0
    f0, f1 = _inside(r0, b, c) - probability, _inside(r1, b, c) - probability
    for _ in range(8):
        r0, f0, r1 = r1, f1, r1 - f1 * (r1 - r0) / (f1 - f0)
        if abs(r1 - r0) < 1e-7 * r1:
            break
        f1 = _inside(r1, b, c) - probability
    return r1


def _inside(r: float, b: float, c: float) -> float:
    """Probability that sqrt(x^2 + (b y)^2 + (c z)^2) < r for independent standard normal x, y, z.

    The widest axis x is integrated in closed form (erf), y and z by quadrature over angles: with b y = r sin(alpha) and
    c z = r cos(alpha) sin(beta) the border of the ball is smooth, and short axes are cut at `_REACH`.
    """
    y_reach = min(_REACH, r / b) if b > 0.0 else _REACH
    y = y_reach * _SIN
    left = np.sqrt(np.maximum(r**2 - (b * y) ** 2, 0.0))
    z_reach = np.minimum(_REACH, left / c) if c > 0.0 else np.full_like(left, _REACH)
    z = z_reach[:, None] * _SIN
    chord = np.sqrt(np.maximum(left[:, None] ** 2 - (c * z) ** 2, 0.0))
    inner = (np.exp(-0.5 * z**2) * erf(chord / math.sqrt(2.0))) @ (_WEIGHTS * _COS) * z_reach
    outer = float((_WEIGHTS * _COS * np.exp(-0.5 * y**2)) @ inner) * y_reach
    return outer * 2.0 / math.pi
