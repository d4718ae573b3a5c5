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

from lodestone_core.error_radius import exact_radius_95, expected_radius_95
from lodestone_core.se3 import hat
from lodestone_core.types import Array

__all__ = [
    "UNOBSERVED_ROTATION_RAD2",
    "about_child_origin",
    "about_parent_origin",
    "compose",
    "exact_radius_95",
    "expected_radius_95",
    "invert",
    "seen_from",
    "tre_covariance_at",
]

# The variance that marks a direction about which nothing is known, such as the roll of a 5-DOF sensor.
UNOBSERVED_ROTATION_RAD2 = (2.0 * math.pi) ** 2
_IDENTITY = np.eye(6)


def about_child_origin(T: Array, C_tangent: Array) -> Array:
    """Message covariance (6, 6) of the tangent covariance of T_parent_child."""
    return _propagate(_lever(-T[..., :3, 3]), C_tangent)


def about_parent_origin(T: Array, C: Array) -> Array:
    """Tangent covariance (6, 6) of the message covariance of T_parent_child."""
    return _propagate(_lever(T[..., :3, 3]), C)


def compose(T_ab: Array, C_ab: Array, T_bc: Array, C_bc: Array) -> Array:
    """C_ac of T_a_c = T_ab @ T_bc for independent errors of the two."""
    arm_in_a = (T_ab[..., :3, :3] @ T_bc[..., :3, 3, None])[..., 0]
    return _propagate(_lever(-arm_in_a), C_ab) + seen_from(T_ab, C_bc)


def seen_from(T_ab: Array, C_bc: Array) -> Array:
    """C_ac of T_a_c = T_ab @ T_bc for a T_ab without error: the same errors along the axes of a."""
    return _propagate(_turn(T_ab[..., :3, :3]), C_bc)


def invert(T: Array, C: Array) -> Array:
    """C_child_parent of the inverse of T_parent_child."""
    R_t = np.swapaxes(T[..., :3, :3], -1, -2)
    # The parent's origin moves in the child frame as the child's screw about the parent's origin, reversed.
    return seen_from(R_t, about_parent_origin(T, C))


def tre_covariance_at(T: Array, C: Array, point_child: Array) -> Array:
    """Covariance (3, 3) in mm^2 along the parent's axes of where T_parent_child puts a point (..., 3) of the child."""
    arm = (T[..., :3, :3] @ np.asarray(point_child, dtype=np.float64)[..., None])[..., 0]
    return _propagate(_lever(-arm)[..., :3, :], C)


def _propagate(J: Array, C: Array) -> Array:
    """J C J^T, exactly symmetric."""
    out: Array = J @ C @ np.swapaxes(J, -1, -2)
    return 0.5 * (out + np.swapaxes(out, -1, -2))


def _lever(arm: Array) -> Array:
    """[[I, hat(arm)], [0, I]]."""
    J = np.empty((*arm.shape[:-1], 6, 6))
    J[...] = _IDENTITY
    J[..., :3, 3:] = hat(arm)
    return J


def _turn(R: Array) -> Array:
    """[[R, 0], [0, R]]."""
    J = np.zeros((*R.shape[:-2], 6, 6))
    J[..., :3, :3] = J[..., 3:, 3:] = R
    return J
