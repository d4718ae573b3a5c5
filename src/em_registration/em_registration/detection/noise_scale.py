"""How the noise of a relation grows over place: a log-linear model of its variance, learnt from squared residuals.

A tracker's noise grows steeply with the distance from its generator, several times within one body. Harvey, "Estimating regression
models with multiplicative heteroscedasticity", Econometrica 44, 1976 (https://doi.org/10.2307/1913974): the logarithm of a
squared residual is the logarithm of the variance plus noise of a known mean and variance.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, polygamma

from em_registration.detection.channels import FEATURES
from lodestone_core.types import Array

_SLOPES = np.array([0.1, *[3.0] * 3, *[1.0] * (FEATURES - 4)])
"""Standard deviations a priori: the eighth power of the distance is 2.7 over 100 mm at 300 mm. The level is the covariance's to learn."""
_PRECISION = np.diag(_SLOPES**-2)
MOST_LOG = 5.0


class NoiseScale:
    """For every row the factor on the standard deviation of its noise, by place; 1 in the middle of the places it was learnt at."""

    def __init__(self, rows: int) -> None:
        self._information = np.zeros((rows, FEATURES, FEATURES))
        self._moment = np.zeros((rows, FEATURES))
        self._weights = np.zeros((rows, FEATURES))
        self._level = np.zeros(rows)

    def grown(self, rows: int) -> NoiseScale:
        """The same with further rows."""
        longer, n = NoiseScale(rows), len(self._weights)
        for name, array in vars(self).items():
            getattr(longer, name)[:n] = array
        return longer

    def at(self, place: Array) -> Array:
        """Factors (..., rows) at places (..., rows, FEATURES)."""
        factor: Array = np.exp(0.5 * np.clip((place * self._weights).sum(axis=-1) - self._level, -MOST_LOG, MOST_LOG))
        return factor

    def learn(self, place: Array, square: Array, freedom: Array, kept: Array) -> None:
        """Take in squares (frames, rows) of residuals in units of the covariance at places (frames, rows, FEATURES), all zero where a row
        does not count; `freedom` (rows,) channels each, 0 for rows whose noise is the same everywhere; `kept` of what was known stays.
        """
        some = np.maximum(freedom, 1)
        weight = np.where((square > 0.0) & (freedom > 1), 1.0 / polygamma(1, some / 2.0), 0.0)
        told = np.log(np.maximum(square, 1e-12) / some) - (digamma(some / 2.0) - np.log(some / 2.0))
        weighted = (place * weight[:, :, None]).transpose(1, 2, 0)
        self._information = kept[:, None, None] * self._information + weighted @ place.transpose(1, 0, 2)
        self._moment = kept[:, None] * self._moment + (weighted @ told.T[:, :, None])[:, :, 0]
        solved = np.linalg.solve(_PRECISION + self._information, self._moment[:, :, None])[:, :, 0]
        self._weights = np.asarray(solved, dtype=np.float64)
        # The first feature is 1 everywhere, so that its products are the sums of the others.
        middle = self._information[:, 0] / np.maximum(self._information[:, 0, :1], 1e-12)
        self._level = (middle * self._weights).sum(axis=1)
