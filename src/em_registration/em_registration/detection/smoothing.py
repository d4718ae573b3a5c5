"""Residuals of the clean field, averaged over several time scales, in standard deviations of what such averages do when nothing happens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from em_registration.detection.channels import CHANNELS
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
PRIOR_AVERAGES = 5.0
"""Independent averages that the expectation of white residuals counts for."""


class Smoother:
    """Exponentially weighted means (scales, rows, CHANNELS) of whitened residuals, and their variances (scales, rows) if they were white.

    They are not quite: the model of the field misses something, which comes and goes with the place. `excess` (scales, rows) is the
    factor by which quiet averages were seen to vary more.
    """

    def __init__(self, rows: int, scales_s: tuple[float, ...]) -> None:
        self._scales_s = np.array(scales_s)[:, None]
        self.mean = np.zeros((len(scales_s), rows, CHANNELS))
        self.variance = np.zeros((len(scales_s), rows))
        self._doubt = np.zeros((len(scales_s), rows))
        self._seen = np.full((len(scales_s), rows), PRIOR_AVERAGES)
        self._square = np.full((len(scales_s), rows), PRIOR_AVERAGES)
        self._pending = np.zeros((2, len(scales_s), rows))

    def grown(self, rows: int) -> Smoother:
        """The same with further rows."""
        longer, n = Smoother(rows, tuple(self._scales_s[:, 0].tolist())), self.mean.shape[1]
        longer.mean[:, :n], longer.variance[:, :n] = self.mean, self.variance
        longer._doubt[:, :n] = self._doubt
        longer._seen[:, :n], longer._square[:, :n], longer._pending[:, :, :n] = self._seen, self._square, self._pending
        return longer

    def emptied(self) -> Smoother:
        """The same without averages; how much quiet ones vary is still known."""
        empty = self.grown(self.mean.shape[1])
        empty.mean[:], empty.variance[:], empty._doubt[:], empty._pending[:] = 0.0, 0.0, 0.0, 0.0
        return empty

    @property
    def excess(self) -> Array:
        """Variance of quiet averages against that of white noise, 1 at least."""
        excess: Array = np.maximum(1.0, self._square / self._seen)
        return excess

    @property
    def expected(self) -> Array:
        """Variance (scales, rows) of the averages while nothing happens: their noise, and what was not known of the field on the way."""
        return self.variance * self.excess + self._doubt**2

    def add(self, residuals: Array, spread: Array, valid: Mask, elapsed_s: Array) -> None:
        """One frame: residuals (rows, CHANNELS) of the valid rows and the variances `spread` (rows,) of the model behind them, both in
        units of the noise's, `elapsed_s` (rows,) after their last.
        """
        share = np.where(valid, np.where(self.variance > 0.0, -np.expm1(-elapsed_s / self._scales_s), 1.0), 0.0)
        self.mean += share[:, :, None] * (np.where(valid[:, None], residuals, 0.0) - self.mean)
        # Errors of the model at near places are alike, so that averages do not lessen them.
        self._doubt += share * (np.where(valid, np.sqrt(spread), 0.0) - self._doubt)
        self.variance = (1.0 - share) ** 2 * self.variance + share**2

    def note(self, ratio: Array, valid: Mask, elapsed_s: Array) -> None:
        """Remember how large the averages are against their expectation (ratio of squares, scales x rows), for `learn`."""
        counted = np.where(valid, np.minimum(elapsed_s / (2.0 * self._scales_s), 1.0), 0.0)
        self._pending[0] += counted
        self._pending[1] += counted * np.where(valid, ratio, 0.0)

    def take_pending(self) -> Array:
        """What was noted since the last call: (2, scales, rows)."""
        taken = self._pending
        self._pending = np.zeros_like(taken)
        return taken

    def learn(self, noted: Array, most_s: float) -> None:
        """Take in what was noted while all was quiet; beyond `most_s` seconds older notes count less."""
        most = most_s / (2.0 * self._scales_s)
        kept = np.minimum(1.0, np.maximum(most - noted[0], 0.0) / self._seen)
        self._seen = kept * self._seen + noted[0]
        self._square = kept * self._square + noted[1]
