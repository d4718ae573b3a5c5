"""The ellipsoid that a magnetometer draws when it is turned in a uniform field: bias, gains and skew, up to a rotation.

raw = M u + b with |u| = F gives (raw - b)^T Q (raw - b) = F^2; Q by linear least squares of the quadric (Q. Li, J. G. Griffiths, "Least
squares ellipsoid specific fitting", 2004, without its constraint, which directions that cover the sphere do not need), then by
Gauss-Newton on the distance along the field, robust. The symmetric root of Q is the calibration matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, SolverConfig, solve
from lodestone_core.types import Array

_SYMMETRIC = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """Field strength is |matrix (raw - bias)|; `matrix` (3, 3) symmetric, `bias` (3,). `covariance` (9, 9): 6 of the matrix, 3 of the bias.

    The matrix's entries in the order xx, yy, zz, xy, xz, yz. `sigma`: RMS of the strength's residual.
    """

    matrix: Array
    bias: Array
    covariance: Array
    sigma: float


def fit_ellipsoid(raw: Array, strength: float, name: str = "sensor") -> Ellipsoid:
    """From samples (N, 3) in a field of that strength; NaN rows are left out. Raises InputError where no ellipsoid fits."""
    x = raw[np.isfinite(raw).all(axis=1)]
    matrix, bias = _quadric(x, strength, name)

    def residuals(values: dict[str, Array]) -> Array:
        A = symmetric(values["matrix"])
        return np.asarray(np.linalg.norm((x - values["bias"] * strength) @ A, axis=1) / strength - 1.0)

    def jacobian(values: dict[str, Array]) -> dict[str, Array]:
        A = symmetric(values["matrix"])
        d = x - values["bias"] * strength
        v = d @ A
        n = v / np.linalg.norm(v, axis=1, keepdims=True)
        by_matrix = np.stack([n[:, i] * d[:, j] + (n[:, j] * d[:, i] if i != j else 0.0) for i, j in _SYMMETRIC], axis=1)
        return {"matrix": by_matrix / strength, "bias": -(n @ A)}

    start = {"matrix": np.array([matrix[i, j] for i, j in _SYMMETRIC]), "bias": bias / strength}
    config = SolverConfig(loss=Loss.HUBER, step_tolerance_mm=1e-10, observability_ratio=1e-12)
    found = solve(Problem(start, residuals, jacobian), config)  # type: ignore[arg-type]
    scale = np.repeat([1.0, strength], [6, 3])
    return Ellipsoid(
        symmetric(found.values["matrix"]),
        found.values["bias"] * strength,
        found.covariance * np.outer(scale, scale),
        found.sigma * strength,
    )


def symmetric(entries: Array) -> Array:
    """The matrix of its six entries."""
    xx, yy, zz, xy, xz, yz = entries
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _quadric(x: Array, strength: float, name: str) -> tuple[Array, Array]:
    middle, size = x.mean(axis=0), max(float(x.std()), np.finfo(np.float64).tiny)
    s = (x - middle) / size
    design = np.column_stack([*(s[:, i] * s[:, j] * (1.0 if i == j else 2.0) for i, j in _SYMMETRIC), 2.0 * s])
    solution = np.linalg.lstsq(design, np.ones(len(s)), rcond=None)[0]
    Q = symmetric(solution[:6])
    try:
        center = -np.linalg.solve(Q, solution[6:])
        values, vectors = np.linalg.eigh(Q / (1.0 + center @ Q @ center))
    except np.linalg.LinAlgError:
        values, vectors, center = np.zeros(3), np.eye(3), np.zeros(3)
    if not np.all(values > 0.0) or not np.isfinite(values).all():
        remedy = "turn the array about all its axes, away from iron"
        raise InputError(name, expected="samples on an ellipsoid about a bias", got="another surface", remedy=remedy)
    matrix = strength / size * (vectors * np.sqrt(values)) @ vectors.T
    return np.asarray(matrix), np.asarray(middle + size * center)
