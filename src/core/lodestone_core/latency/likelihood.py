"""How well a stream is predicted from the other at an offset, and how far the best offset may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from lodestone_core.latency.model import Features, Mask, Prediction
from lodestone_core.types import Array

_LEAST_RESIDUAL = 1e-14
_LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of the kernel, in standard deviations of the first component
_NOISES = tuple(10.0**k for k in range(-8, 2))  # variance of what is left over that of the process
_STEPS, _TOLERANCE_S = 30, 1e-7
_LARGEST_STEP_S = 0.03
_CURVATURE_STEP_S = 2e-4
_OPTIMISM = 1.15  # the sharpest of several fits is not as sharp as it says; measured on simulated streams of seeds that no protocol uses


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A Gaussian process that predicts: its functions, the variance of the noise over its own, and how likely it makes the data
    (natural logarithm, a sample)."""

    features: Features
    noise: float
    evidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The offset at which a process fits best: its standard deviation, the samples used, and how many of these are independent."""

    offset_s: float
    sigma_s: float
    process: Process
    used: Mask
    independent: float


def explained(x: Array, y: Array, process: tuple[Features, float], folds: int) -> float:
    """Share of the variance of y (n,) that is predicted from x (n, k) where it was left out of the fit, a part of the time at a time.
    Negative for worse than its mean."""
    features, noise = process
    variance = float(np.sum((y - y.mean()) ** 2)) if len(y) >= 4 * folds else 0.0
    if variance <= _LEAST_RESIDUAL * len(y):
        return -math.inf
    P = features(x)
    edges = np.linspace(0, len(y), folds + 1).astype(int)
    parts = [(P[i:j], y[i:j]) for i, j in pairwise(edges)]
    grams = np.array([part.T @ part for part, _ in parts])
    moments = np.array([part.T @ values for part, values in parts])
    left = grams.sum(axis=0) - grams + noise * np.eye(P.shape[1])
    weights = np.linalg.solve(left, (moments.sum(axis=0) - moments)[..., None])[..., 0]
    lost = sum(float(np.sum((values - part @ w) ** 2)) for (part, values), w in zip(parts, weights, strict=True))
    return 1.0 - lost / variance


def log_likelihood(share: float) -> float:
    """Logarithm of the likelihood, a sample, over no prediction at all, of that share explained."""
    return -0.5 * math.log(max(1.0 - share, _LEAST_RESIDUAL))


def most_likely(prediction: Prediction, offset_s: float, used: Mask) -> Process:
    """The process of the largest marginal likelihood at an offset (Rasmussen and Williams (5.8), its size at its best)."""
    x, y = prediction.at(offset_s, used)
    found = []
    for length in _LENGTHS:
        features = Features(prediction.centres, length)
        P = features(x)
        value, vector = np.linalg.eigh(P.T @ P)
        value, along = np.maximum(value, 0.0), vector.T @ (P.T @ y)
        for noise in _NOISES:
            misfit = max((float(y @ y) - float(np.sum(along**2 / (value + noise)))) / noise, 1e-300)
            size = float(np.sum(np.log(value + noise))) + (len(y) - len(value)) * math.log(noise)
            found.append(Process(features, noise, -0.5 * math.log(misfit / len(y)) - 0.5 * size / len(y)))
    return max(found, key=lambda each: each.evidence)


def fit(prediction: Prediction, start_s: float, block_s: float) -> Fit:
    """The offset of the best fit near `start_s`. The process is chosen again where the first one led."""
    used = prediction.holds(start_s)
    process = most_likely(prediction, start_s, used)
    offset_s = _refined(prediction, start_s, used, process)
    process = most_likely(prediction, offset_s, used)
    offset_s = _refined(prediction, offset_s, used, process)
    return _judged(prediction, offset_s, used, process, block_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Residual:
    """What is left (n,) at an offset, how it changes with it (1/s), and that change less what other weights of the process undo."""

    left: Array
    change: Array
    own_change: Array
    misfit: float
    weights_spent: float

    @property
    def slope(self) -> float:
        """Half the derivative of `misfit`, 1/s."""
        return float(self.change @ self.left)


def _residual(prediction: Prediction, offset_s: float, used: Mask, process: Process) -> _Residual:
    x, y = prediction.at(offset_s, used)
    P = process.features(x)
    factor = cho_factor(P.T @ P + process.noise * np.eye(P.shape[1]))
    weights = cho_solve(factor, P.T @ y)
    left = y - P @ weights
    change = prediction.residual_change(offset_s, used, process.features, weights)
    spent = P.shape[1] - process.noise * float(np.trace(cho_solve(factor, np.eye(P.shape[1]))))
    return _Residual(left, change, change - P @ cho_solve(factor, P.T @ change), float(y @ left), spent)


def _refined(prediction: Prediction, start_s: float, used: Mask, process: Process) -> float:
    """Levenberg-Marquardt on the offset alone, the weights being at their best at each."""
    here, offset_s, damping = _residual(prediction, start_s, used, process), start_s, 1e-3
    for _ in range(_STEPS):
        step_s = -here.slope / max(float(here.change @ here.own_change) * (1.0 + damping), 1e-300)
        step_s = min(max(step_s, -_LARGEST_STEP_S), _LARGEST_STEP_S)
        tried = _residual(prediction, offset_s + step_s, used, process)
        if tried.misfit > here.misfit:
            damping = max(10.0 * damping, 1.0)
        else:
            here, offset_s, damping = tried, offset_s + step_s, damping / 10.0
        if abs(step_s) < _TOLERANCE_S:
            break
    return offset_s


def _judged(prediction: Prediction, offset_s: float, used: Mask, process: Process, block_s: float) -> Fit:
    here = _residual(prediction, offset_s, used, process)
    before, after = (_residual(prediction, offset_s + side * _CURVATURE_STEP_S, used, process).slope for side in (-1, 1))
    curvature = (after - before) / (2.0 * _CURVATURE_STEP_S)
    n, scores = len(here.left), here.own_change * here.left
    in_blocks = block_variance(scores, round(block_s / prediction.period_s))
    alone = float(np.mean(here.left**2)) * float(here.own_change @ here.own_change)
    # Weights take as much from the residual as so many samples have.
    variance = max(in_blocks, alone) * n / max(n - here.weights_spent, 1.0)
    sigma_s = _OPTIMISM * math.sqrt(variance) / curvature if curvature > 0.0 else math.inf
    independent = n * min(1.0, float(np.sum(scores**2)) / max(in_blocks, 1e-300))
    return Fit(offset_s, sigma_s, process, used, independent)


def block_variance(scores: Array, points: int) -> float:
    """Variance of the sum of `scores`, which may depend on one another within so many points (overlapping blocks)."""
    n = len(scores)
    points = max(1, min(points, n // 3))
    sums = np.convolve(scores - scores.mean(), np.ones(points), mode="valid")
    # Blocks of a finite record miss the variance of its mean.
    return float(np.mean(sums**2) * n / points / (1.0 - points / n))
