"""Rigid map whose errors are larger along some of the tracker's axes than along others.

An EM tracker measures depth worse than the directions across. One covariance of the localisation error, along the
tracker's axes, is estimated from the residuals and drawn towards equal axes where they are few; the map is the one that
the errors so weighted ask for. Iterated as R. Balachandran and J. M. Fitzpatrick, SPIE 7261, 2009, with the covariance
re-estimated in each round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.position_model import PositionModel, rigid_columns, small_sample_factor, symmetric
from em_registration.methods.rigid import RIGID_UNKNOWNS, rigid_map
from lodestone_core import se3
from lodestone_core.types import Array

LEAST_PAIRS = 4
# Pairs that the belief in equal axes is worth against what the residuals say.
_BELIEF_PAIRS = 6.0
# Error along an axis never below this share of the mean one: three points leave no residual out of their plane.
_LEAST_SHARE = 1e-3
_ROUNDS, _STILL_RAD = 30, 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class WeightedRigidMap:
    """T_image_tracker (4, 4), the covariance (6, 6) of its shift and turn about `centre_mm` (image), and that of one pair (3, 3)."""

    T_image_tracker: Array
    centre_mm: Array
    C_rigid: Array
    C_pair: Array
    freedom: int
    new_pair: bool

    def __call__(self, points: Array) -> Prediction:
        """Where points (M, 3) are."""
        landed = se3.transform(self.T_image_tracker, points)
        J = rigid_columns(landed - self.centre_mm)
        C = J @ self.C_rigid @ np.swapaxes(J, 1, 2) + float(self.new_pair) * self.C_pair
        return Prediction(landed, symmetric(small_sample_factor(self.freedom) * C))


def fit_weighted_rigid(correspondences: Correspondences, *, new_pair: bool = True) -> PositionModel:
    """Anisotropically weighted rigid map of 4 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    fitted = weighted_rigid_map(correspondences.tracker_mm, correspondences.image_mm, new_pair=new_pair)
    return PositionModel(correspondences.tip_tool_mm, fitted)


def weighted_rigid_map(source: Array, target: Array, *, new_pair: bool = True) -> WeightedRigidMap:
    """The map of points (N, 3); nothing is checked here."""
    start = rigid_map(source, target)
    R, centre, source_centre = start.A, target.mean(axis=0), source.mean(axis=0)
    about = source - source_centre
    freedom = 3 * len(source) - RIGID_UNKNOWNS
    for _ in range(_ROUNDS):
        q = about @ R.T
        residuals = (target - centre) - q
        C = R @ _pair_covariance(residuals @ R, freedom) @ R.T
        # With one covariance for all pairs the centroids stay partners; only the turn is weighted.
        J = -se3.hat(q)
        WJ = np.linalg.solve(C, J)
        normal = np.einsum("icp,icq->pq", J, WJ)
        turn = np.linalg.solve(normal, np.einsum("icp,ic->p", WJ, residuals))
        R = se3.exp(np.concatenate([np.zeros(3), turn]))[:3, :3] @ R
        if np.linalg.norm(turn) < _STILL_RAD:
            break
    C_rigid = np.zeros((6, 6))
    C_rigid[:3, :3], C_rigid[3:, 3:] = C / len(source), np.linalg.inv(normal)
    T = se3.make(R, centre - R @ source_centre)
    return WeightedRigidMap(T, centre, C_rigid, C, freedom, new_pair)


def _pair_covariance(residuals: Array, freedom: int) -> Array:
    """Covariance (3, 3) in mm^2 of one pair from residuals (N, 3), drawn towards equal axes of the same total."""
    total = np.sum(residuals**2) / freedom
    pairs = freedom / 3.0
    seen = residuals.T @ residuals / pairs
    C = (pairs * seen + _BELIEF_PAIRS * total * np.eye(3)) / (pairs + _BELIEF_PAIRS)
    return np.asarray(C + (_LEAST_SHARE * total + np.finfo(np.float64).tiny) * np.eye(3))
