"""The linear system of an interpolating or smoothing kernel with polynomials, its weights and its points left out.

[K + smoothing, P; P^T, 0] of a conditionally positive definite kernel (H. Wendland, "Scattered Data Approximation",
2005, section 8.5). The inverse is kept, since everything else follows from it: the weights of a query, its kriging
variance, and the error at each point left out, e_i = (Q y)_i / Q_ii (S. Rippa, Adv. Comput. Math. 11, 1999; Q the
upper left block). `scipy.interpolate.RBFInterpolator` solves the same system but gives none of these; the tests hold
this against it. Everything takes leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from em_registration.methods.position_model import distances
from lodestone_core.types import Array

# A kernel of distances (...), conditionally positive definite with the polynomials it is used with.
Kernel = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class KernelSystem:
    """Points (..., N, 3), a kernel and what it is among them (..., N, N), polynomials of degree 0 or 1, and the system's inverse."""

    points: Array
    kernel: Kernel
    degree: int
    correlations: Array
    inverse: Array

    @property
    def Q(self) -> Array:
        """Upper left block (..., N, N) of the inverse."""
        count = self.points.shape[-2]
        return self.inverse[..., :count, :count]

    def weights(self, queries: Array) -> tuple[Array, Array]:
        """Weights (..., M, N) of the points' values at queries (..., M, 3), and the kriging variance (..., M) there."""
        row = np.concatenate([self.kernel(distances(queries, self.points)), polynomials(queries, self.degree)], axis=-1)
        count = self.points.shape[-2]
        W = (row @ self.inverse)[..., :count]
        return W, self._kriging(W, row[..., :count])

    def weights_left_out(self) -> tuple[Array, Array]:
        """Weights (..., N, N) of the others for each point left out (0 of itself), and the kriging variances (..., N)."""
        W = -self.Q / np.diagonal(self.Q, axis1=-2, axis2=-1)[..., :, None]
        count = W.shape[-1]
        W[..., np.arange(count), np.arange(count)] = 0.0
        return W, self._kriging(W, self.correlations)

    def errors_left_out(self, values: Array) -> Array:
        """What values (..., N, 3) are more than the others make of them."""
        own = np.diagonal(self.Q, axis1=-2, axis2=-1)
        return np.asarray((self.Q @ values) / own[..., None])

    def _kriging(self, W: Array, k: Array) -> Array:
        """Variance that weights W (..., M, N) leave of a field of this kernel without noise, k (..., M, N) from the points."""
        return np.asarray(self.kernel(np.zeros((1, 1)))[..., 0] + np.sum((W @ self.correlations - 2.0 * k) * W, axis=-1))


def kernel_system(points: Array, kernel: Kernel, degree: int, smoothing: Array | float = 0.0) -> KernelSystem:
    """The system of points (..., N, 3); `smoothing` (...) is added to the kernel's diagonal."""
    smooth = np.asarray(smoothing, dtype=np.float64)
    K, P = kernel(distances(points, points)), polynomials(points, degree)
    count, size = P.shape[-2], P.shape[-2] + P.shape[-1]
    A = np.zeros((*np.broadcast_shapes(K.shape[:-2], smooth.shape), size, size))
    A[..., :count, :count] = K + smooth[..., None, None] * np.eye(count)
    A[..., :count, count:] = P
    A[..., count:, :count] = np.swapaxes(P, -1, -2)
    return KernelSystem(points, kernel, degree, K, np.linalg.inv(A))


def polynomials(points: Array, degree: int) -> Array:
    """1 (..., M, 1), and x, y, z (..., M, 4) for degree 1."""
    ones = np.ones((*points.shape[:-1], 1))
    return ones if degree == 0 else np.concatenate([ones, points], axis=-1)


def thin_plate(r: Array) -> Array:
    """r^2 log r, with degree 1 (J. Duchon 1977; as scipy's "thin_plate_spline")."""
    return np.asarray(r**2 * np.log(np.maximum(r, np.finfo(np.float64).tiny)))


def multiquadric(r: Array, shape: Array | float) -> Array:
    """-sqrt(r^2 + shape^2), with degree 0 (R. L. Hardy 1971)."""
    return np.asarray(-np.sqrt(r**2 + np.asarray(shape) ** 2))
