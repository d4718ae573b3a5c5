"""Robust losses for iteratively re-weighted least squares, for residuals of one or more dimensions.

A group is what is right or wrong as a whole (one number, the three coordinates of a point); it has one weight, a
function of its length over the noise of one coordinate. The tuning constants give 95 % efficiency on Gaussian noise in
one dimension; in more, the threshold is moved to the same quantile of the chi distribution. Source: P. J. Huber,
"Robust Statistics", Wiley 1981, chapters 3 and 7; constants as in Holland and Welsch, Commun. Stat. A6, 1977.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from scipy.stats import chi2

from lodestone_core.types import Array


class Loss(Enum):
    """How strongly far residuals pull: not limited, limited (huber), fading (cauchy), none beyond a limit (tukey)."""

    NONE = "none"
    HUBER = "huber"
    CAUCHY = "cauchy"
    TUKEY = "tukey"


_TUNING = {Loss.HUBER: 1.345, Loss.CAUCHY: 2.3849, Loss.TUKEY: 4.6851}


def threshold(loss: Loss, dimensions: int) -> float:
    """Length, in units of the noise of one coordinate, at which the loss bends; infinite for NONE."""
    if loss is Loss.NONE:
        return float("inf")
    return same_quantile(_TUNING[loss], dimensions)


def same_quantile(sigmas: float, dimensions: int) -> float:
    """Length of a vector of unit noise exceeded as seldom as `sigmas` by one coordinate."""
    return float(np.sqrt(chi2.isf(chi2.sf(sigmas**2, 1), dimensions)))


def cost(loss: Loss, length: Array, limit: float) -> Array:
    """Half-square-like cost of each group of this `length` (in noise units)."""
    square = 0.5 * length**2
    if loss is Loss.HUBER:
        return np.where(length <= limit, square, limit * (length - 0.5 * limit))
    if loss is Loss.CAUCHY:
        return np.asarray(0.5 * limit**2 * np.log1p((length / limit) ** 2))
    if loss is Loss.TUKEY:
        inside = np.clip(1.0 - (length / limit) ** 2, 0.0, None)
        return np.asarray(limit**2 / 6.0 * (1.0 - inside**3))
    return np.asarray(square)


def weight(loss: Loss, length: Array, limit: float) -> Array:
    """Weight of each group: derivative of the cost over the length, 1 at zero."""
    if loss is Loss.HUBER:
        return np.asarray(limit / np.maximum(length, limit))
    if loss is Loss.CAUCHY:
        return np.asarray(1.0 / (1.0 + (length / limit) ** 2))
    if loss is Loss.TUKEY:
        return np.asarray(np.clip(1.0 - (length / limit) ** 2, 0.0, None) ** 2)
    return np.ones_like(length)


def curvature(loss: Loss, length: Array, limit: float) -> Array:
    """Second derivative of the cost along the group's own direction."""
    if loss is Loss.HUBER:
        return (length <= limit).astype(np.float64)
    if loss is Loss.CAUCHY:
        x = (length / limit) ** 2
        return np.asarray((1.0 - x) / (1.0 + x) ** 2)
    if loss is Loss.TUKEY:
        x = (length / limit) ** 2
        return np.where(x < 1.0, (1.0 - x) * (1.0 - 5.0 * x), 0.0)
    return np.ones_like(length)


def noise_of(length: Array, dimensions: int) -> float:
    """Noise of one coordinate from the median length of the groups; right while less than half of them are wrong."""
    return float(np.median(length) / np.sqrt(chi2.median(dimensions)))


def bend(loss: Loss, length: Array, limit: float, dimensions: int) -> float:
    """Mean slope of the pull by the residual over the mean weight: 1 without a loss, below 1 where it flattens."""
    w = weight(loss, length, limit)
    slope = np.mean(((dimensions - 1) * w + curvature(loss, length, limit)) / dimensions)
    return max(float(slope / np.mean(w)), 0.1)


def variance_factor(loss: Loss, length: Array, limit: float, dimensions: int, unknowns: int) -> float:
    """Factor (in noise units squared) that turns (J^T W J)^-1 into a covariance.

    Huber's correction for an M-estimate, [sum |psi|^2 / (n - p)] / mean(psi')^2 over (J^T J)^-1, with the mean weight for
    the step from J^T J to J^T W J; for Loss.NONE it is the usual sum r^2 / (n - p). `length` in noise units; n counts numbers.
    """
    w = weight(loss, length, limit)
    spread = float(np.sum((w * length) ** 2)) / max(length.size * dimensions - unknowns, 1)
    return spread / (float(np.mean(w)) * bend(loss, length, limit, dimensions) ** 2)
