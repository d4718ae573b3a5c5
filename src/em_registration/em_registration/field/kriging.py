"""A rigid registration with a Gaussian process on its residuals, both in closed form, for many scenes at once.

Model (universal kriging; C. Rasmussen, C. Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7): a tip at `q` (tracker
measurement mapped by a first rigid fit, about its centroid) is seen in the image at

    y = q + t + w x q + f(pose) + e,   t, w flat,   f ~ GP(0, s^2 r^2 k) a coordinate,   e ~ N(0, s^2 / weight),   s^2 ~ scaled inv-chi^2

so that rigid correction and field share the evidence, and the noise s is integrated out: predictions are Student-t. All coordinates share
one kernel matrix; the design matrix of (t, w) is made of the columns 1, q_x, q_y, q_z, and so all that is needed of C^-1 is the 7 x 7 Gram
matrix of these and the residuals. Arrays have a leading axis B of scenes; n correspondences, M queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from lodestone_core.types import Array

_ROTATION = np.zeros((3, 4, 3))
"""Row a, columns (1, x, y, z), derivative of (w x q)_a by w."""
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _ROTATION[_a, 1 + _c, _b] = 1.0
    _ROTATION[_a, 1 + _b, _c] = -1.0
UNKNOWNS = 6
_TINY = 1e-12
_LOOP_FROM = 32
"""Size from which a call of LAPACK for each triangle costs less than numpy's general solver on all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One hypothesis on B scenes: what its predictions need.

    `L` (B, n, n): Cholesky factor of r^2 k + 1 / weight. `Z` (B, n, 4): L^-1 (1, q). `alpha` (B, n, 3): L^-1 of the residuals after the
    rigid correction. `xi` (B, 6): that correction (t, w). `A_inverse` (B, 6, 6): its covariance over s^2. `total` (B,): prior and misfit
    together, over `freedom` of which s^2 spreads. `log_det` (B,): of C and of the correction's normal equations together.
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


def design(columns: Array) -> Array:
    """Rows (..., 3, 6) of the rigid correction (t, w) for columns (..., 4) = (1, q_x, q_y, q_z), or a linear map of these."""
    rows = np.zeros((*columns.shape[:-1], 3, 6))
    rows[..., :, :3] = columns[..., None, None, 0] * np.eye(3)
    rows[..., :, 3:] = np.einsum("...k,akw->...aw", columns, _ROTATION)
    return rows


def fit(K: Array, inverse_weights: Array, columns: Array, residuals: Array, prior: tuple[float, float]) -> Fit:
    """Fit one hypothesis: covariance K = r^2 k (B, n, n), 1 / weight (B, n), columns (B, n, 4), residuals y - q (B, n, 3).

    `prior` = (weight, scale in mm) of the scaled inverse chi^2 of s^2.
    """
    C = K.copy()
    index = np.arange(C.shape[-1])
    C[:, index, index] += inverse_weights
    L = np.asarray(np.linalg.cholesky(C), dtype=np.float64)
    whitened = lower_solve(L, np.concatenate([columns, residuals], axis=2))
    Z, r = whitened[..., :4], whitened[..., 4:]
    gram = np.swapaxes(whitened, 1, 2) @ whitened
    A, b = _normal_equations(gram)
    xi = np.asarray(np.linalg.solve(A, b[..., None])[..., 0], dtype=np.float64)
    weight, scale_mm = prior
    misfit = np.maximum(np.trace(gram[:, 4:, 4:], axis1=1, axis2=2) - np.sum(xi * b, axis=1), 0.0)
    log_det = 6.0 * np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1) + np.linalg.slogdet(A)[1]
    freedom = weight + 3 * C.shape[-1] - UNKNOWNS
    return Fit(L, Z, r - _moved(Z, xi), xi, np.asarray(np.linalg.inv(A), dtype=np.float64), weight * scale_mm**2 + misfit, log_det, freedom)


def predict(found: Fit, K_query: Array, variance: Array, columns: Array) -> tuple[Array, Array]:
    """Correction (B, M, 3) in mm to add to the queries' q, and the covariance (B, M, 3, 3) of the error that is left.

    `K_query` (B, n, M): r^2 k between data and queries; `variance` (B, M): r^2 k of a query with itself; `columns` (B, M, 4).
    """
    return answer(found, lower_solve(found.L, K_query), variance, columns)


def answer(found: Fit, V: Array, variance: Array, columns: Array) -> tuple[Array, Array]:
    """As `predict`, with V = L^-1 K_query (B, n, M) at hand."""
    Vt = np.swapaxes(V, 1, 2)
    mean = _moved(columns, found.xi) + Vt @ found.alpha
    rows = design(columns - Vt @ found.Z)
    spread = rows @ found.A_inverse[:, None] @ np.swapaxes(rows, -1, -2)
    left = np.maximum(variance - np.sum(V**2, axis=1), 0.0)
    spread += left[..., None, None] * np.eye(3)
    return mean, found.s2[:, None, None, None] * spread


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Groups of correspondences by all the others.

    `errors` (B, n, 3) of the prediction, their expected `covariance` (B, n, 3, 3), and the `log_evidence` (B, n) of the others alone.
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
    rows, Pr = design(back @ found.Z), back @ found.alpha
    errors, covariance = np.empty_like(Pr), np.empty((*Pr.shape, 3))
    log_evidence = np.empty(Pr.shape[:2])
    for group in np.unique(groups):
        g = np.flatnonzero(groups == group)
        side = rows[:, g].reshape(len(rows), 3 * len(g), UNKNOWNS)
        own = L_inverse[:, :, g]
        P = _by_coordinate(np.swapaxes(own, 1, 2) @ own) - side @ found.A_inverse @ np.swapaxes(side, 1, 2)
        inverse, r = np.linalg.inv(P), Pr[:, g].reshape(len(Pr), -1, 1)
        e = -inverse @ r
        total = np.maximum(found.total + np.sum(e * r, axis=(1, 2)), _TINY)
        freedom = found.freedom - 3.0 * len(g)
        errors[:, g] = e.reshape(len(e), -1, 3)
        blocks = inverse.reshape(len(e), len(g), 3, len(g), 3)[:, np.arange(len(g)), :, np.arange(len(g))]
        covariance[:, g] = (total / (freedom - 2.0))[:, None, None, None] * np.swapaxes(blocks, 0, 1)
        evidence = -0.5 * (found.log_det + np.linalg.slogdet(P)[1]) - 0.5 * freedom * np.log(total)
        log_evidence[:, g] = evidence[:, None]
    return LeftOut(errors, covariance, log_evidence)


def _by_coordinate(C: Array) -> Array:
    """C (B, m, m) for each of three coordinates: (B, 3 m, 3 m)."""
    m = C.shape[-1]
    return np.asarray((C[:, :, None, :, None] * np.eye(3)[:, None, :]).reshape(len(C), 3 * m, 3 * m))


def inverse_of(L: Array) -> Array:
    """L^-1 (B, n, n) of lower triangular matrices."""
    return lower_solve(L, np.broadcast_to(np.eye(L.shape[-1]), L.shape))


def lower_solve(L: Array, X: Array) -> Array:
    """L^-1 X for lower triangular L (B, n, n) and X (B, n, k)."""
    if L.shape[-1] < _LOOP_FROM:
        return np.asarray(np.linalg.solve(L, X), dtype=np.float64)
    return np.stack([solve_triangular(one, x, lower=True, check_finite=False) for one, x in zip(L, X, strict=True)])


def _moved(columns: Array, xi: Array) -> Array:
    """Rigid corrections (B, N, 3) of `xi` (B, 6) at columns (B, N, 4)."""
    by_column = np.einsum("akw,bw->bka", _ROTATION, xi[:, 3:])
    by_column[:, 0, :] += xi[:, :3]
    return np.asarray(columns @ by_column)


def _normal_equations(gram: Array) -> tuple[Array, Array]:
    """A (B, 6, 6) and b (B, 6) of the rigid correction from the Gram matrix (B, 7, 7) of (1, q, residuals)."""
    unit = design(np.eye(4))  # (4, 3, 6): what each column contributes to each coordinate
    A = np.einsum("kau,bkl,lav->buv", unit, gram[:, :4, :4], unit, optimize=True)
    b = np.einsum("kau,bka->bu", unit, gram[:, :4, 4:])
    return A, b
