"""A rigid registration with a Gaussian process on its residuals, both in closed form, for many scenes or hypotheses at once.

Model (universal kriging; C. Rasmussen, C. Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7): a tip at `q` (tracker
measurement mapped by a first rigid fit, about its centroid) is seen in the image at

    y = q + t + w x q + A (f(pose) + e),   t, w flat,   f ~ GP(0, s^2 r^2 k) a coordinate,   e ~ N(0, s^2 v),   s^2 ~ scaled inv-chi^2

with axes A that may turn from place to place. Rigid correction and field share the evidence, and the noise s is integrated out: predictions
are Student-t. All coordinates share one kernel matrix. Arrays have a leading axis B of scenes or hypotheses; n correspondences, M queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from lodestone_core import se3
from lodestone_core.types import Array

UNKNOWNS = 6
_TINY, _RIDGE = 1e-12, 1e-10
_LOOP_FROM = 32
"""Size from which a call of LAPACK for each triangle costs less than numpy's general solver on all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """B fits, each with what its predictions need.

    `L` (B, n, n): Cholesky factor of r^2 k + v. `Z` (B, n, 3, 6): L^-1 of the design. `alpha` (B, n, 3): L^-1 of the residuals after
    the rigid correction. `xi` (B, 6): that correction (t, w), mm and rad. `A_inverse` (B, 6, 6): its covariance over s^2. `total` (B,):
    prior and misfit together, over `freedom` of which s^2 spreads. `log_det` (B,): of the covariance and of the normal equations together.
    """

    L: Array
    Z: Array
    alpha: Array
    xi: Array
    A_inverse: Array
    total: Array
    log_det: Array
    freedom: float

    @property
    def s2(self) -> Array:
        """Mean (B,) of s^2 for predictions: the variance of a Student-t over the square of its scale is in it."""
        return np.asarray(self.total / (self.freedom - 2.0))

    @property
    def log_evidence(self) -> Array:
        """Logarithm (B,) of the marginal likelihood, up to a constant that all hypotheses of one scene share."""
        return np.asarray(-0.5 * self.log_det - 0.5 * self.freedom * np.log(self.total))


def design(q: Array, axes: Array) -> Array:
    """Rows (..., n, 3, 6) of the rigid correction (t, w) for points q (..., n, 3) about the centroid, along `axes` (..., n, 3, 3)."""
    At = np.swapaxes(axes, -1, -2)
    return np.concatenate([At, -At @ se3.hat(q)], axis=-1)


def fit(K: Array, noise: Array, rows: Array, residuals: Array, prior: tuple[float, float]) -> Fit:
    """Fit covariances K = r^2 k (B, n, n) and noise v (B, n) to residuals (B, n, 3) along the axes, with their design `rows` (B, n, 3, 6).

    `prior` = (weight, scale in mm) of the scaled inverse chi^2 of s^2.
    """
    B, n = noise.shape
    C = K.copy()
    index = np.arange(n)
    C[:, index, index] += noise
    L = np.asarray(np.linalg.cholesky(C), dtype=np.float64)
    whitened = lower_solve(L, np.concatenate([rows.reshape(B, n, 18), residuals], axis=2))
    Z, r = whitened[..., :18].reshape(B, n, 3, 6), whitened[..., 18:]
    flat = Z.reshape(B, 3 * n, 6)
    A = np.swapaxes(flat, 1, 2) @ flat
    b = (np.swapaxes(flat, 1, 2) @ r.reshape(B, 3 * n, 1))[..., 0]
    A_inverse = np.asarray(np.linalg.inv(A), dtype=np.float64)
    xi = (A_inverse @ b[..., None])[..., 0]
    alpha = r - (Z @ xi[:, None, :, None])[..., 0]
    weight, scale_mm = prior
    log_det = 6.0 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1) + np.linalg.slogdet(A)[1]
    total = weight * scale_mm**2 + np.sum(alpha**2, axis=(1, 2))
    return Fit(L, Z, alpha, xi, A_inverse, total, log_det, weight + 3 * n - UNKNOWNS)


def answer(found: Fit, V: Array, variance: Array, rows: Array) -> tuple[Array, Array]:
    """Correction (B, M, 3) in mm along the queries' axes, and the covariance (B, M, 3, 3) there of the error that is left.

    `V` (B, n, M): L^-1 r^2 k between data and queries; `variance` (B, M): r^2 k of a query with itself; `rows` (B, M, 3, 6): its design.
    """
    Vt = np.swapaxes(V, 1, 2)
    B, M = rows.shape[:2]
    mean = (rows @ found.xi[:, None, :, None])[..., 0] + Vt @ found.alpha
    left = rows - (Vt @ found.Z.reshape(B, -1, 18)).reshape(B, M, 3, 6)
    spread = left @ found.A_inverse[:, None] @ np.swapaxes(left, -1, -2)
    spread += np.maximum(variance - np.sum(V**2, axis=1), 0.0)[..., None, None] * np.eye(3)
    return mean, found.s2[:, None, None, None] * spread


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Groups of correspondences by all the others.

    `errors` (B, n, 3) of the prediction along the axes, their expected `covariance` (B, n, 3, 3), and the `log_evidence` (B, n) of the
    others alone.
    """

    errors: Array
    covariance: Array
    log_evidence: Array


def leave_out(found: Fit, L_inverse: Array, groups: npt.NDArray[np.intp]) -> LeftOut:
    """All refits without one of the groups, whose number each correspondence (n,) carries, in closed form.

    For kriging with a flat mean (O. Dubrule, "Cross validation of kriging in a unique neighborhood", Math. Geol. 15, 1983), with
    P = C^-1 - C^-1 H A^-1 H^T C^-1 and residuals r, the errors in a group g are -P_gg^-1 (P r)_g and their covariance s^2 P_gg^-1; the
    misfit falls by their square in that metric and the determinant grows by that of P_gg, which gives s^2 and the evidence of the others.
    """
    back = np.swapaxes(L_inverse, 1, 2)
    B, n = found.alpha.shape[:2]
    rows, Pr = (back @ found.Z.reshape(B, n, 18)).reshape(B, n, 3, UNKNOWNS), back @ found.alpha
    errors, covariance, log_evidence = np.empty_like(Pr), np.empty((B, n, 3, 3)), np.empty((B, n))
    for group in np.unique(groups):
        g = np.flatnonzero(groups == group)
        side = rows[:, g].reshape(B, 3 * len(g), UNKNOWNS)
        own = L_inverse[:, :, g]
        P = _by_coordinate(np.swapaxes(own, 1, 2) @ own) - side @ found.A_inverse @ np.swapaxes(side, 1, 2)
        inverse, r = _inverse(P), Pr[:, g].reshape(B, -1, 1)
        e = -inverse @ r
        total = np.maximum(found.total + np.sum(e * r, axis=(1, 2)), _TINY)
        freedom = found.freedom - 3.0 * len(g)
        errors[:, g] = e.reshape(B, -1, 3)
        blocks = inverse.reshape(B, len(g), 3, len(g), 3)[:, np.arange(len(g)), :, np.arange(len(g))]
        covariance[:, g] = (total / (freedom - 2.0))[:, None, None, None] * np.swapaxes(blocks, 0, 1)
        evidence = -0.5 * (found.log_det + np.linalg.slogdet(P)[1]) - 0.5 * freedom * np.log(total)
        log_evidence[:, g] = evidence[:, None]
    return LeftOut(errors, covariance, log_evidence)


def along(axes: Array, mean: Array, spread: Array) -> tuple[Array, Array]:
    """Vectors (..., 3) and covariances (..., 3, 3) given along axes (..., 3, 3), in the frame of the axes' columns."""
    return (axes @ mean[..., None])[..., 0], axes @ spread @ np.swapaxes(axes, -1, -2)


def inverse_of(L: Array) -> Array:
    """L^-1 (B, n, n) of lower triangular matrices."""
    return lower_solve(L, np.broadcast_to(np.eye(L.shape[-1]), L.shape))


def lower_solve(L: Array, X: Array) -> Array:
    """L^-1 X for lower triangular L (B, n, n) and X (B, n, k)."""
    if L.shape[-1] < _LOOP_FROM:
        return np.asarray(np.linalg.solve(L, X), dtype=np.float64)
    return np.stack([solve_triangular(one, x, lower=True, check_finite=False) for one, x in zip(L, X, strict=True)])


def _inverse(P: Array) -> Array:
    """Inverses of positive definite matrices (B, m, m), bounded where rounding has left no more than a trace of definiteness.

    That is so where the others are nearly in a line, and say next to nothing of what was left out.
    """
    index = np.arange(P.shape[-1])
    P = 0.5 * (P + np.swapaxes(P, 1, 2))
    P[:, index, index] *= 1.0 + _RIDGE
    P[:, index, index] += _RIDGE * np.trace(P, axis1=1, axis2=2)[:, None] / P.shape[-1]
    inverse = np.asarray(np.linalg.inv(P), dtype=np.float64)
    return 0.5 * (inverse + np.swapaxes(inverse, 1, 2))


def _by_coordinate(C: Array) -> Array:
    """C (B, m, m) for each of three coordinates: (B, 3 m, 3 m)."""
    m = C.shape[-1]
    return np.asarray((C[:, :, None, :, None] * np.eye(3)[:, None, :]).reshape(len(C), 3 * m, 3 * m))
