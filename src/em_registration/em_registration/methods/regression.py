"""Maps that are linear in their coefficients: affine, and Bernstein polynomials over the box of the points.

Least squares by QR; the error of a prediction is sigma^2 (1 + |R^-T phi|^2) (G. A. F. Seber and A. J. Lee, "Linear
Regression Analysis", 2003, section 5.3), sigma^2 pooled over the axes. Everything takes leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import comb

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.position_model import PositionModel, extent, isotropic, scatter, small_sample_factor
from lodestone_core.errors import InputError
from lodestone_core.types import Array

# Basis functions (..., N, P) of points (..., N, 3).
Basis = Callable[[Array], Array]

# One pair more than there are coefficients an axis, so that residuals say how good the map is.
AFFINE_LEAST_PAIRS = 5
_DETERMINED = 1e-7
# A direction of the coefficients that points shifted by their own residuals make up or wipe out is none that they determine.
_MOST_SENSITIVE = 0.7
# Step of a difference, as a share of the points' extent.
_STEP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class LinearMap:
    """y = basis(x) coefficients, coefficients (..., P, 3), R (..., P, P) of the QR decomposition of the basis."""

    basis: Basis
    coefficients: Array
    R: Array
    variance: Array
    freedom: int
    new_pair: bool

    def __call__(self, points: Array) -> Prediction:
        """Where points (..., M, 3) are."""
        phi = self.basis(points)
        whitened = np.linalg.solve(np.swapaxes(self.R, -1, -2), np.swapaxes(phi, -1, -2))
        leverage = np.sum(whitened**2, axis=-2) + float(self.new_pair)
        size = small_sample_factor(self.freedom) * self.variance[..., None]
        return Prediction(np.asarray(phi @ self.coefficients), isotropic(size * leverage))


def linear_map(basis: Basis, source: Array, target: Array, *, new_pair: bool = True) -> LinearMap:
    """Least squares of points (..., N, 3). Raises InputError where the points do not determine every coefficient."""
    phi = basis(source)
    Q, R = np.linalg.qr(phi)
    diagonal = np.abs(np.diagonal(R, axis1=-2, axis2=-1))
    if np.any(diagonal < _DETERMINED * diagonal.max(axis=-1, keepdims=True)):
        raise _undetermined(phi.shape[-1], phi.shape[-2])
    coefficients = np.linalg.solve(R, np.swapaxes(Q, -1, -2) @ target)
    freedom = 3 * (phi.shape[-2] - phi.shape[-1])
    return LinearMap(basis, coefficients, R, scatter(target - phi @ coefficients, freedom), freedom, new_pair)


def affine_basis(source: Array) -> Basis:
    """1, x, y, z about the centroid of points (..., N, 3) and in units of their extent."""
    return partial(_affine, centre=source.mean(axis=-2, keepdims=True), size=extent(source))


def bernstein_basis(source: Array, degree: int) -> Basis:
    """Products of Bernstein polynomials of one degree along the tracker's axes, over the box of points (N, 3).

    As in the courses on EM calibration: (degree + 1)^3 of them, which grow quickly outside the box.
    """
    low, high = source.min(axis=-2), source.max(axis=-2)
    return partial(_bernstein, low=low, size=np.maximum(high - low, np.finfo(np.float64).tiny), degree=degree)


def bernstein_least_pairs(degree: int) -> int:
    """Pairs that Bernstein polynomials of a degree need: one more than their coefficients an axis."""
    return (degree + 1) ** 3 + 1


def fit_affine(correspondences: Correspondences, *, new_pair: bool = True) -> PositionModel:
    """Affine map: one pair more than its 4 coefficients an axis. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=AFFINE_LEAST_PAIRS, volume=True)
    source = correspondences.tracker_mm
    fitted = linear_map(affine_basis(source), source, correspondences.image_mm, new_pair=new_pair)
    return PositionModel(correspondences.tip_tool_mm, fitted)


def fit_bernstein(correspondences: Correspondences, *, degree: int, new_pair: bool = True) -> PositionModel:
    """Bernstein polynomials: one pair more than (degree + 1)^3. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=bernstein_least_pairs(degree), volume=True)
    source = correspondences.tracker_mm
    fitted = linear_map(bernstein_basis(source, degree), source, correspondences.image_mm, new_pair=new_pair)
    if degree > 1 and _sensitivity(fitted, source) > _MOST_SENSITIVE:
        raise _undetermined(len(fitted.R), len(source))
    return PositionModel(correspondences.tip_tool_mm, fitted)


def _sensitivity(fitted: LinearMap, source: Array) -> float:
    """How much the least determined direction of the coefficients changes when points move by their residuals: 1 is all of it.

    Landmarks on a body near an ellipsoid leave one quadratic open, 1 - x^2/a^2 - y^2/b^2 - z^2/c^2: it is almost 0 on all of
    them, and largest at the targets inside.
    """
    step = _STEP * float(extent(source)[0, 0])
    shifts = step * np.eye(3)
    slopes = np.concatenate([(fitted.basis(source + shift) - fitted.basis(source - shift)) / (2.0 * step) for shift in shifts])
    return float(np.sqrt(fitted.variance) * np.linalg.norm(np.linalg.solve(fitted.R.T, slopes.T), 2))


def _undetermined(coefficients: int, count: int) -> InputError:
    return InputError(
        "correspondences",
        expected=f"points that determine {coefficients} coefficients an axis",
        got=f"{count} that lie so that they do not (in few planes, or all on one surface)",
        remedy="spread the points through the volume, or take a lower degree",
    )


def _affine(points: Array, centre: Array, size: Array) -> Array:
    return np.concatenate([np.ones((*points.shape[:-1], 1)), (points - centre) / size], axis=-1)


def _bernstein(points: Array, low: Array, size: Array, degree: int) -> Array:
    u = ((points - low) / size)[..., None]
    k = np.arange(degree + 1)
    along = comb(degree, k) * u**k * (1.0 - u) ** (degree - k)
    x, y, z = along[..., 0, :], along[..., 1, :], along[..., 2, :]
    products = x[..., :, None, None] * y[..., None, :, None] * z[..., None, None, :]
    return np.asarray(products.reshape(*points.shape[:-1], (degree + 1) ** 3))
