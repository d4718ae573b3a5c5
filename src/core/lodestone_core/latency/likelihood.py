"""How well a stream is predicted from the other at an offset, and how far the best offset may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lodestone_core.latency.model import Mask, Predictor
from lodestone_core.types import Array

_LEAST_RESIDUAL = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the points `used` say of one offset: derivative of the likelihood (1/s), information (its expected curvature, 1/s^2), and
    variance of the derivative as the errors over time have it (sandwich); `residual` is the mean square that the best prediction leaves."""

    score: float
    information: float
    variance: float

    residual: float
    used: Mask
    offset_s: float

    @property
    def sigma_s(self) -> float:
        """Standard deviation of the best offset."""
        return math.sqrt(self.variance) / self.information if self.information > 0.0 else math.inf


def explained(predictor: Predictor, steps: int, folds: int, stride: int) -> float:
    """Share of the target's variance that is predicted where it was left out of the fit, at an offset of whole steps of the grid; every
    `stride`-th point counts. Negative for worse than its mean."""
    table, holds = predictor.shifted(steps)
    used = np.flatnonzero(holds)[::stride]
    if len(used) < 4 * folds:
        return -math.inf
    X, y = table[used], predictor.y[used]
    edges = np.linspace(0, len(used), folds + 1).astype(int)
    grams = [(X[i:j].T @ X[i:j], X[i:j].T @ y[i:j]) for i, j in pairwise(edges)]
    whole = (sum(gram for gram, _ in grams), sum(moment for _, moment in grams))
    ridge = 1e-9 * np.trace(whole[0]) * np.eye(X.shape[1])
    lost = 0.0
    for (gram, moment), (i, j) in zip(grams, pairwise(edges), strict=True):
        coefficients = np.linalg.solve(whole[0] - gram + ridge, whole[1] - moment)
        lost += float(np.sum((y[i:j] - X[i:j] @ coefficients) ** 2))
    return 1.0 - lost / max(float(np.sum((y - y.mean()) ** 2)), 1e-300)


def log_likelihood(share: float) -> float:
    """Logarithm of the likelihood, a sample, over no prediction at all, of that share explained."""
    return -0.5 * math.log(max(1.0 - share, _LEAST_RESIDUAL))


def residual(predictor: Predictor, offset_s: float, used: Mask) -> float:
    """Mean square that the best prediction leaves."""
    X, y = predictor.design(offset_s, used), predictor.y[used]
    return float(np.mean((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2))


def evidence(predictor: Predictor, offset_s: float, used: Mask, block_s: float) -> Evidence:
    """What the data say of the offset near `offset_s`, the coefficients of the prediction being at their best."""
    X, y = predictor.design(offset_s, used), predictor.y[used]
    coefficients = np.linalg.lstsq(X, y, rcond=None)[0]
    r = y - X @ coefficients
    slope = predictor.sign * (predictor.features(predictor.at_s[used] + predictor.sign * offset_s, 1) @ coefficients[1:])
    # What a change of the coefficients does as well says nothing of the offset.
    slope = slope - X @ np.linalg.lstsq(X, slope, rcond=None)[0]
    noise = max(float(np.mean(r**2)), _LEAST_RESIDUAL)
    scores = slope * r / noise
    variance = block_variance(scores, round(block_s / predictor.step_s))
    # Each coefficient takes as much from the residual as one independent sample has.
    independent = max(2.0, len(y) * min(1.0, float(np.sum(scores**2)) / max(variance, 1e-300)))
    spent = independent / max(independent - X.shape[1] - 1.0, 1.0)
    return Evidence(float(np.sum(scores)), float(slope @ slope) / noise, variance * spent, float(np.mean(r**2)), used, offset_s)


def block_variance(scores: Array, points: int) -> float:
    """Variance of the sum of `scores`, which may depend on one another within so many points (overlapping blocks)."""
    n = len(scores)
    points = max(1, min(points, n // 3))
    sums = np.convolve(scores - scores.mean(), np.ones(points), mode="valid")
    # Blocks of a finite record miss the variance of its mean.
    return float(np.mean(sums**2) * n / points / (1.0 - points / n))
