"""What all maps of positions share: the model around them, the factor for few residuals, the scatter of a new pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import chi2, f

from em_registration.methods.interface import Prediction, tips
from lodestone_core.se3 import hat
from lodestone_core.types import Array

# A position map: points (..., M, 3) of the tracker, in mm, to where they are in the image.
PointMap = Callable[[Array], Prediction]

# Least variance of a prediction, far below any tracker: keeps covariances invertible where the data are exact.
_FLOOR_MM2 = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class PositionModel:
    """A model that looks at the tip's position only; the orientation changes nothing but where the tip is."""

    tip_tool_mm: Array
    point_map: PointMap

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image."""
        return self.point_map(tips(T_tracker_tool, self.tip_tool_mm))


@cache
def small_sample_factor(freedom: int) -> float:
    """What a covariance whose size comes from so many residual degrees of freedom is multiplied with.

    Its 95 % radius then is the F distribution's, as in `PointRegistration.tre`: exact for equal axes.
    """
    return float(3.0 * f.ppf(0.95, 3, freedom) / chi2.ppf(0.95, 3))


def isotropic(variance: Array) -> Array:
    """Covariances (..., 3, 3) with this variance (...) in mm^2 along every axis."""
    return np.asarray(np.maximum(variance, _FLOOR_MM2)[..., None, None] * np.eye(3))


def symmetric(C: Array) -> Array:
    """Covariances (..., 3, 3), exactly symmetric and never without any variance."""
    return np.asarray(0.5 * (C + np.swapaxes(C, -1, -2)) + _FLOOR_MM2 * np.eye(3))


def scatter(residuals_mm: Array, freedom: int) -> Array:
    """Variance (...) in mm^2 along one axis that residuals (..., N, 3) with so many degrees of freedom speak for."""
    return np.asarray(np.sum(residuals_mm**2, axis=(-2, -1)) / freedom)


def centred(points: Array) -> tuple[Array, Array]:
    """Points (..., N, 3) about their centroid, and the centroid (..., 1, 3)."""
    centre = points.mean(axis=-2, keepdims=True)
    return points - centre, centre


def extent(points: Array) -> Array:
    """RMS distance (..., 1, 1) of points (..., N, 3) from their centroid."""
    about, _ = centred(points)
    return np.asarray(np.sqrt(np.mean(np.sum(about**2, axis=-1), axis=-1))[..., None, None])


def distances(a: Array, b: Array) -> Array:
    """Distances (..., M, N) of points (..., M, 3) from points (..., N, 3)."""
    return np.asarray(np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], axis=-1))


def rigid_columns(about_centre: Array) -> Array:
    """How points (N, 3) about a centre move with a shift and a turn about it: (N, 3, 6)."""
    return np.concatenate([np.broadcast_to(np.eye(3), (len(about_centre), 3, 3)), -hat(about_centre)], axis=2)
