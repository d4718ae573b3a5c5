"""Thin-plate splines: through every pair, or smoothed as far as generalised cross-validation asks.

F. L. Bookstein, IEEE PAMI 11(6), 1989; smoothing: G. Wahba, "Spline Models for Observational Data", 1990, chapter 4.
Coordinates are taken about the centroid in units of the extent, which changes no spline and keeps the systems regular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.kernel_system import KernelSystem, kernel_system, polynomials, thin_plate
from em_registration.methods.position_model import PositionModel, distances, extent, isotropic, small_sample_factor
from em_registration.methods.spread import Spread, spread_of
from lodestone_core.types import Array

# A spline has the 4 affine coefficients an axis and needs one pair more to say anything of its error.
LEAST_PAIRS, _UNKNOWNS = 5, 4
# In units of the kernel of points one extent apart: from none to an affine map.
_SMOOTHINGS = np.geomspace(1e-6, 1e4, 41)


@dataclass(frozen=True, slots=True, eq=False)
class SplineMap:
    """A fitted spline: its system in scaled coordinates, the image points (..., N, 3), and how it errs."""

    system: KernelSystem
    centre: Array
    scale: Array
    target: Array
    spread: Spread

    def __call__(self, points: Array) -> Prediction:
        """Where points (..., M, 3) are."""
        weights, kriging = self.system.weights((points - self.centre) / self.scale)
        variance = self.spread.variance(kriging, np.sum(weights**2, axis=-1))
        factor = small_sample_factor(3 * (self.target.shape[-2] - _UNKNOWNS))
        # About the target's centroid: the weights sum to 1 but for rounding, which far frames would show.
        about = self.target.mean(axis=-2, keepdims=True)
        return Prediction(np.asarray(weights @ (self.target - about) + about), isotropic(factor * variance))


def spline_map(source: Array, target: Array) -> SplineMap:
    """The spline through points (..., N, 3)."""
    return _spline(source, target, 0.0)


def smoothed_spline_map(source: Array, target: Array) -> SplineMap:
    """The spline near points (N, 3) whose smoothing has the least generalised cross-validation error."""
    about = source - source.mean(axis=0)
    return _spline(source, target, _least_cross_validation(about / extent(source), target - target.mean(axis=0)))


def _spline(source: Array, target: Array, smoothing: float) -> SplineMap:
    centre, scale = source.mean(axis=-2, keepdims=True), extent(source)
    system = kernel_system((source - centre) / scale, thin_plate, 1, smoothing)
    errors = system.errors_left_out(target - target.mean(axis=-2, keepdims=True))
    weights, kriging = system.weights_left_out()
    return SplineMap(system, centre, scale, target, spread_of(errors, kriging, np.sum(weights**2, axis=-1)))


def fit_tps(correspondences: Correspondences) -> PositionModel:
    """Spline through 5 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS, volume=True)
    return PositionModel(correspondences.tip_tool_mm, spline_map(correspondences.tracker_mm, correspondences.image_mm))


def fit_tps_smoothed(correspondences: Correspondences) -> PositionModel:
    """Smoothed spline near 5 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS, volume=True)
    return PositionModel(correspondences.tip_tool_mm, smoothed_spline_map(correspondences.tracker_mm, correspondences.image_mm))


def _least_cross_validation(points: Array, values: Array) -> float:
    """GCV over all smoothings at once, in the eigenvectors of the kernel on what no affine map explains."""
    complement = np.linalg.qr(polynomials(points, 1), mode="complete")[0][:, _UNKNOWNS:]
    eigenvalues, vectors = np.linalg.eigh(complement.T @ thin_plate(distances(points, points)) @ complement)
    squares = np.sum((vectors.T @ complement.T @ values) ** 2, axis=1)
    left = _SMOOTHINGS[:, None] / (np.maximum(eigenvalues, 0.0) + _SMOOTHINGS[:, None])
    score = (left**2 @ squares) / np.sum(left, axis=1) ** 2
    # Where the data do not tell the smoothings apart (5 pairs), the smoothest is taken.
    return float(_SMOOTHINGS[np.flatnonzero(score <= score.min() * (1.0 + 1e-9))[-1]])
