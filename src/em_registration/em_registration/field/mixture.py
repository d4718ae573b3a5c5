"""Many hypotheses, one answer: means and covariances weighed by their probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array


def posterior(log_weights: Array, kept: int) -> Array:
    """Probabilities (P, ...) of log weights (P, ...); all but the largest `kept` along the first axis are 0."""
    w = np.exp(log_weights - log_weights.max(axis=0))
    if kept < len(w):
        w[w < np.sort(w, axis=0)[-kept]] = 0.0
    return np.asarray(w / w.sum(axis=0))


def moments(weights: Array, means: Array, spreads: Array) -> tuple[Array, Array]:
    """Mean (M, 3) and covariance (M, 3, 3), the hypotheses' disagreement included.

    `weights` (P,) or (P, M), means (P, M, 3), spreads (P, M, 3, 3).
    """
    w = np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, means.shape[:2])
    mean = np.einsum("pm,pmi->mi", w, means)
    off = means - mean
    spread = np.einsum("pm,pmij->mij", w, spreads + off[..., :, None] * off[..., None, :])
    return mean, symmetric(spread)


class Mixture:
    """The same for B scenes, collected one hypothesis at a time, with weights that need not add up to 1."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total = np.zeros(shape[:-1])
        self._mean = np.zeros(shape)
        self._second = np.zeros((*shape, 3))

    def add(self, scenes: npt.NDArray[np.intp], weights: Array, mean: Array, spread: Array) -> None:
        """Predictions (S, M, 3), (S, M, 3, 3) of the scenes with these indices (S,), with weights (S, M) or (S, 1)."""
        w = np.broadcast_to(weights, mean.shape[:-1])[..., None]
        self._total[scenes] += w[..., 0]
        self._mean[scenes] += w * mean
        self._second[scenes] += w[..., None] * (spread + mean[..., :, None] * mean[..., None, :])

    def moments(self) -> tuple[Array, Array]:
        """Means (B, M, 3) and covariances (B, M, 3, 3)."""
        mean = self._mean / self._total[..., None]
        return mean, symmetric(self._second / self._total[..., None, None] - mean[..., :, None] * mean[..., None, :])


def symmetric(C: Array) -> Array:
    """Covariances (..., 3, 3) without the rounding that makes them lopsided."""
    return np.asarray(0.5 * (C + np.swapaxes(C, -1, -2)))
