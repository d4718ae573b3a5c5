"""Interpolation of what a rigid map leaves: radial basis functions, and inverse distances.

Both add to the rigid map a weighted sum of its residuals. The one number each has (the multiquadric's shape, the power
of the distance) is the one with the least error at points left out, the rigid map being fitted without them too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.kernel_system import kernel_system, multiquadric
from em_registration.methods.position_model import PositionModel, distances, extent, isotropic, small_sample_factor
from em_registration.methods.rigid import RIGID_UNKNOWNS, RigidMap, rigid_map
from em_registration.methods.spread import Spread, spread_of
from lodestone_core.types import Array

# Weights (M, N) at queries (M, 3), and the kriging variance (M,) there.
Weights = Callable[[Array], tuple[Array, Array]]

LEAST_PAIRS = 4
# Shapes in units of the points' extent; a flatter multiquadric loses the digits of its system.
_SHAPES = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
_POWERS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


@dataclass(frozen=True, slots=True, eq=False)
class ResidualFieldMap:
    """A rigid map, its residuals (N, 3), and how they are weighted between the points."""

    rigid: RigidMap
    residuals_mm: Array
    weights: Weights
    spread: Spread

    def __call__(self, points: Array) -> Prediction:
        """Where points (M, 3) are."""
        weights, kriging = self.weights(points)
        variance = self.spread.variance(kriging, np.sum(weights**2, axis=-1))
        # What the errors at points left out say, each under a rigid map of one pair fewer.
        factor = small_sample_factor(3 * (len(self.residuals_mm) - 1) - RIGID_UNKNOWNS)
        return Prediction(self.rigid.land(points) + weights @ self.residuals_mm, isotropic(factor * variance))


def fit_rbf(correspondences: Correspondences) -> PositionModel:
    """Multiquadrics through 4 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    source = correspondences.tracker_mm
    shapes = _SHAPES * extent(source)[0, 0]
    systems = kernel_system(source, partial(multiquadric, shape=shapes[:, None, None]), 0)
    left_out, kriging = systems.weights_left_out()
    best, errors = _least_errors(source, correspondences.image_mm, left_out)
    system = kernel_system(source, partial(multiquadric, shape=float(shapes[best])), 0)
    spread = spread_of(errors, kriging[best], np.sum(left_out[best] ** 2, axis=-1))
    return _model(correspondences, system.weights, spread)


def fit_inverse_distance(correspondences: Correspondences) -> PositionModel:
    """Shepard's weights of 4 pairs or more (D. Shepard, ACM 1968). Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    source = correspondences.tracker_mm
    apart = distances(source, source)
    left_out = _shepard(apart + np.diag(np.full(len(source), np.inf)), _POWERS[:, None, None])
    best, errors = _least_errors(source, correspondences.image_mm, left_out)
    W = left_out[best]
    spread = spread_of(errors, _linear_kriging(W, apart, apart), np.sum(W**2, axis=-1))
    return _model(correspondences, partial(_inverse_distance, source=source, apart=apart, power=float(_POWERS[best])), spread)


def _model(correspondences: Correspondences, weights: Weights, spread: Spread) -> PositionModel:
    rigid = rigid_map(correspondences.tracker_mm, correspondences.image_mm)
    residuals = correspondences.image_mm - rigid.land(correspondences.tracker_mm)
    return PositionModel(correspondences.tip_tool_mm, ResidualFieldMap(rigid, residuals, weights, spread))


def _least_errors(source: Array, target: Array, left_out: Array) -> tuple[int, Array]:
    """Which of weights (K, N, N) of the others errs least at points left out, and its errors (N, 3)."""
    count = len(source)
    others = np.array([np.delete(np.arange(count), i) for i in range(count)])
    rigid = rigid_map(source[others], target[others])
    residuals = target - rigid.land(np.broadcast_to(source, (count, count, 3)))
    each = np.arange(count)
    # errors[k, i]: residual of i under the map without i, less what the residuals of the others there make of it.
    errors = residuals[each, each] - np.einsum("kij,ijc->kic", left_out, residuals)
    best = int(np.argmin(np.sum(errors**2, axis=(1, 2))))
    return best, errors[best]


def _inverse_distance(queries: Array, source: Array, apart: Array, power: float) -> tuple[Array, Array]:
    r = distances(queries, source)
    W = _shepard(r, power)
    return W, _linear_kriging(W, r, apart)


def _shepard(r: Array, power: Array | float) -> Array:
    """Weights (..., M, N) that sum to 1, by inverse powers of distances (..., M, N); at a point it alone counts."""
    nearest = np.maximum(r.min(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    inverse = np.asarray((nearest / np.maximum(r, nearest)) ** power)
    return np.asarray(inverse / inverse.sum(axis=-1, keepdims=True))


def _linear_kriging(W: Array, r: Array, apart: Array) -> Array:
    """Variance (M,) that weights W (M, N) leave of a field whose differences vary with the distance (linear variogram)."""
    return np.asarray(2.0 * np.sum(W * r, axis=-1) - np.einsum("mi,ij,mj->m", W, apart, W))
