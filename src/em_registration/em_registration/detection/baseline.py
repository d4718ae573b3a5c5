"""The clean field as it was learnt: for every row a linear model over place, with what it does not know.

Bayesian linear regression in information form (C. M. Bishop, "Pattern Recognition and Machine Learning", Springer 2006, sections 3.3
and 3.5), with one noise covariance a row times a factor that depends on the place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from em_registration.detection.channels import CHANNELS, FEATURES
from em_registration.detection.noise_scale import NoiseScale
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
SLOPES = (0.3, 1.0, 3.0, 10.0)
"""Standard deviations of the coefficients a priori, in those of the noise; the evidence chooses. 10 is some mm over 100 mm."""
LEAST_SIGMA = 0.03
"""Least standard deviation of the noise: mm of a relation, 3 % of an indicator. No tracker repeats itself better."""
PRIOR_SAMPLES = 10.0
PASSES = 3
"""Mean and noise depend on one another; so often each is fitted to the other when a row begins."""
BLOCKS = 3
_LEAST = LEAST_SIGMA**2 * np.eye(CHANNELS)
_PRECISIONS = np.array([np.diag([1e-6, *[slope**-2] * (FEATURES - 1)]) for slope in SLOPES])[:, None]
_LOG_PRECISIONS = np.linalg.slogdet(_PRECISIONS)[1]


class Baseline:
    """Means and noise of `freedom.size` rows with so many channels that hold anything; nothing is known before `begin` or `preset`."""

    def __init__(self, freedom: npt.NDArray[np.intp]) -> None:
        rows = len(freedom)
        self.freedom = freedom
        self.samples = np.zeros(rows)
        self.scale = NoiseScale(rows)
        self._information = np.zeros((rows, FEATURES, FEATURES))
        self._moment = np.zeros((rows, FEATURES, CHANNELS))
        self._square = np.zeros((rows, CHANNELS, CHANNELS))
        self._offset = np.zeros((rows, CHANNELS))
        self._weights = np.zeros((rows, FEATURES, CHANNELS))
        self._spread = np.tile(np.linalg.inv(_PRECISIONS[-1]), (rows, 1, 1))
        self._colour = np.tile(np.eye(CHANNELS), (rows, 1, 1))
        self._whitening = self._colour.copy()

    def grown(self, freedom: npt.NDArray[np.intp]) -> Baseline:
        """The same with further rows, of which nothing is known."""
        longer, n = Baseline(freedom), len(self.freedom)
        for name, array in vars(self).items():
            if name == "scale":
                longer.scale = self.scale.grown(len(freedom))
            elif name != "freedom":
                getattr(longer, name)[:n] = array
        return longer

    @property
    def sigma(self) -> Array:
        """Standard deviation (rows, CHANNELS) of the noise where its factor is 1."""
        sigma: Array = np.sqrt((self._colour**2).sum(axis=2))
        return sigma

    def predict(self, place: Array) -> tuple[Array, Array, Array]:
        """Mean (rows, CHANNELS) at places (rows, FEATURES), the factor (rows,) on the noise, and the variance (rows,) of the mean in
        units of the noise's there.
        """
        mean = self._offset + (place[:, None, :] @ self._weights)[:, 0]
        spread = (place[:, None, :] @ self._spread @ place[:, :, None])[:, 0, 0]
        factor = self.scale.at(place)
        return mean, factor, spread / factor**2

    def whitened(self, difference: Array, factor: Array) -> Array:
        """Differences (rows, CHANNELS) in independent standard deviations of the noise times its factor."""
        return (self._whitening @ difference[:, :, None])[:, :, 0] / factor[:, None]

    def coloured(self, whitened: Array, factor: Array) -> Array:
        """The inverse of `whitened`."""
        return (self._colour @ whitened[:, :, None])[:, :, 0] * factor[:, None]

    def preset(self, row: int, mean: Array, covariance: Array, samples: float) -> None:
        """Take a row's value and noise from a calibration worth so many samples; how it changes with place is learnt."""
        self._offset[row] = mean
        self._information[row, 0, 0] = samples
        self._square[row] = samples * covariance
        self.samples[row] = samples
        self._solve(np.arange(len(self.samples)) == row)

    def begin(self, rows: Mask, place: Array, values: Array, valid: Mask) -> None:
        """Fit these rows to their first frames: places (frames, rows, FEATURES), values (frames, rows, CHANNELS), valid (frames, rows)."""
        first = np.argmax(valid, axis=0)
        self._offset[rows] = values[first, np.arange(len(rows))][rows]
        for _ in range(PASSES):
            self._add(place, values, valid & rows, np.where(rows, 0.0, 1.0))
            self._learn_scale(place, values, valid & rows, np.where(rows, 0.0, 1.0))

    def held_out(self, place: Array, values: Array, valid: Mask) -> tuple[Array, Array]:
        """Whitened residuals (frames, rows, CHANNELS) and spreads (frames, rows) of these frames, each block of them seen by a model that
        was fitted to the others; 0 where a row does not count.
        """
        residuals, spreads = np.zeros_like(values), np.zeros(valid.shape)
        for block in np.array_split(np.arange(len(place)), BLOCKS):
            others = Baseline(self.freedom)
            others.scale, others._offset = self.scale, self._offset
            kept = np.ones(len(place), dtype=bool)
            kept[block] = False
            others._add(place[kept], values[kept], valid[kept], np.zeros(len(self.freedom)))
            factor = self.scale.at(place[block])
            at = place[block].transpose(1, 0, 2)
            missed = (values[block].transpose(1, 0, 2) - self._offset[:, None] - at @ others._weights) @ np.swapaxes(self._whitening, 1, 2)
            spread = np.einsum("rni,rij,rnj->nr", at, others._spread, at, optimize=True)
            residuals[block] = np.where(valid[block][:, :, None], missed.transpose(1, 0, 2) / factor[:, :, None], 0.0)
            spreads[block] = np.where(valid[block], spread / factor**2, 0.0)
        return residuals, spreads

    def learn(self, place: Array, values: Array, valid: Mask, most_samples: float) -> None:
        """Take further frames in; what was learnt before counts less and less beyond `most_samples`."""
        new = valid.sum(axis=0)
        kept = np.where(new > 0, np.minimum(1.0, np.maximum(most_samples - new, 0.0) / np.maximum(self.samples, 1.0)), 1.0)
        self._learn_scale(place, values, valid, kept)
        self._add(place, values, valid, kept)

    def _add(self, place: Array, values: Array, valid: Mask, kept: Array) -> None:
        weight = np.where(valid, 1.0 / self.scale.at(place), 0.0).T[:, :, None]
        at = place.transpose(1, 0, 2) * weight
        told = (values.transpose(1, 0, 2) - self._offset[:, None, :]) * weight
        self._information = kept[:, None, None] * self._information + np.swapaxes(at, 1, 2) @ at
        self._moment = kept[:, None, None] * self._moment + np.swapaxes(at, 1, 2) @ told
        self._square = kept[:, None, None] * self._square + np.swapaxes(told, 1, 2) @ told
        self.samples = kept * self.samples + valid.sum(axis=0)
        self._solve(np.asarray(valid.any(axis=0)))

    def _learn_scale(self, place: Array, values: Array, valid: Mask, kept: Array) -> None:
        mean = self._offset[:, None, :] + place.transpose(1, 0, 2) @ self._weights
        residual = (values.transpose(1, 0, 2) - mean) @ np.swapaxes(self._whitening, 1, 2)
        square = np.where(valid, (residual**2).sum(axis=2).T, 0.0)
        self.scale.learn(np.where(valid[:, :, None], place, 0.0), square, np.where(self.freedom > 1, self.freedom, 0), kept)

    def _solve(self, which: Mask) -> None:
        precisions = _PRECISIONS + self._information[which]
        spreads = np.linalg.inv(precisions)
        weights = spreads @ self._moment[which]
        left = self._square[which] - np.swapaxes(self._moment[which], 1, 2) @ weights  # (slopes, rows, CHANNELS, CHANNELS)
        colours = _noise(left[-1], self.samples[which])
        whitening = np.linalg.inv(colours)
        misfit = np.einsum("rij,srjk,rik->sr", whitening, left, whitening)
        evidence = self.freedom[which] * (_LOG_PRECISIONS - np.linalg.slogdet(precisions)[1]) - misfit
        best = evidence.argmax(axis=0), np.arange(len(colours))
        self._spread[which], self._weights[which] = spreads[best], weights[best]
        self._colour[which], self._whitening[which] = colours, whitening


def _noise(left: Array, samples: Array) -> Array:
    """Cholesky factors of the noise's covariances. Channels that hold nothing, and indicators that never change, keep the least."""
    free = np.maximum(samples - FEATURES, 0.25 * samples)
    covariance = (PRIOR_SAMPLES * _LEAST + 0.5 * (left + np.swapaxes(left, 1, 2))) / (PRIOR_SAMPLES + free)[:, None, None]
    return np.asarray(np.linalg.cholesky(covariance + _LEAST), dtype=np.float64)
