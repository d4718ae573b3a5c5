"""Rigid and similarity maps in closed form, and the first-order covariance of where they put a point.

Arun, Huang and Blostein, IEEE PAMI 9(5), 1987; scale: S. Umeyama, IEEE PAMI 13(4), 1991. Covariance: J. M. Fitzpatrick,
J. B. West and C. R. Maurer, IEEE TMI 17(5), 1998, written for a point q about the centroid: with N equal errors sigma^2,
sigma^2 (1/N + [q]x S^-1 [q]x^T), S = sum(|q_i|^2 - q_i q_i^T), and q q^T / sum |q_i|^2 where the scale is fitted too.

Everything takes leading axes: one scene, or thousands of the same count at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.position_model import PositionModel, centred, scatter, small_sample_factor, symmetric
from lodestone_core.se3 import hat
from lodestone_core.types import Array

RIGID_UNKNOWNS, SIMILARITY_UNKNOWNS = 6, 7
LEAST_PAIRS = 3


@dataclass(frozen=True, slots=True, eq=False)
class RigidMap:
    """y = A (x - source_centre) + target_centre, A a rotation times a scale (..., 3, 3).

    `variance` (...): of one residual along one axis, mm^2. `S` (..., 3, 3) and `scale_weight` (...): see above, the latter 0
    for a scale that is not fitted. `new_pair`: whether the error is that of a new pair or of the map alone.
    """

    A: Array
    source_centre: Array
    target_centre: Array
    count: int
    variance: Array
    S: Array
    scale_weight: Array
    freedom: int
    new_pair: bool

    def __call__(self, points: Array) -> Prediction:
        """Where points (..., M, 3) are."""
        q = self.placed(points)
        H = hat(q)
        C = H @ np.linalg.inv(self.S)[..., None, :, :] @ np.swapaxes(H, -1, -2)
        C = C + self.scale_weight[..., None, None, None] * q[..., :, None] * q[..., None, :]
        C = C + (1.0 / self.count + float(self.new_pair)) * np.eye(3)
        size = small_sample_factor(self.freedom) * self.variance[..., None, None, None]
        return Prediction(q + self.target_centre, symmetric(size * C))

    def placed(self, points: Array) -> Array:
        """Points (..., M, 3) about the target's centroid, along the image's axes."""
        return np.asarray((points - self.source_centre) @ np.swapaxes(self.A, -1, -2))

    def land(self, points: Array) -> Array:
        """Where points (..., M, 3) are, without covariance."""
        return self.placed(points) + self.target_centre


def rigid_map(source: Array, target: Array, *, with_scale: bool = False, new_pair: bool = True) -> RigidMap:
    """Least-squares map of points (..., N, 3); nothing is checked here."""
    a, source_centre = centred(source)
    b, target_centre = centred(target)
    U, D, Vt = np.linalg.svd(np.swapaxes(b, -1, -2) @ a)
    handedness = np.sign(np.linalg.det(U @ Vt))
    D[..., 2] *= handedness
    U[..., :, 2] *= handedness[..., None]
    A = U @ Vt
    if with_scale:
        A = A * (D.sum(axis=-1) / np.sum(a**2, axis=(-2, -1)))[..., None, None]
    q = a @ np.swapaxes(A, -1, -2)
    squares = np.sum(q**2, axis=(-2, -1))
    S = squares[..., None, None] * np.eye(3) - np.swapaxes(q, -1, -2) @ q
    freedom = b.shape[-2] * 3 - (SIMILARITY_UNKNOWNS if with_scale else RIGID_UNKNOWNS)
    return RigidMap(
        A=A,
        source_centre=source_centre,
        target_centre=target_centre,
        count=b.shape[-2],
        variance=scatter(b - q, freedom),
        S=S,
        scale_weight=1.0 / squares if with_scale else np.zeros_like(squares),
        freedom=freedom,
        new_pair=new_pair,
    )


def fit_rigid(correspondences: Correspondences, *, new_pair: bool = True) -> PositionModel:
    """Rigid map of the tips (3 pairs or more). Raises InputError for correspondences that give none."""
    return _fit(correspondences, with_scale=False, new_pair=new_pair)


def fit_similarity(correspondences: Correspondences, *, new_pair: bool = True) -> PositionModel:
    """Rigid map with one scale (3 pairs or more). Raises InputError for correspondences that give none."""
    return _fit(correspondences, with_scale=True, new_pair=new_pair)


def _fit(correspondences: Correspondences, *, with_scale: bool, new_pair: bool) -> PositionModel:
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    fitted = rigid_map(correspondences.tracker_mm, correspondences.image_mm, with_scale=with_scale, new_pair=new_pair)
    return PositionModel(correspondences.tip_tool_mm, fitted)
