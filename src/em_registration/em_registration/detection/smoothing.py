"""Residuals of the clean field, averaged over several time scales, and how far such averages go when nothing happens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from em_registration.detection.channels import CHANNELS
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]
DOUBT = 4.0
"""Factor on the model's own variance: it takes the field for quadratic, and away from where it was learnt the field is not."""
FIRST_S = 5.0
"""So many seconds of quiet averages the expectation counts for that nothing is missed."""


class Smoother:
    """Exponentially weighted means (scales, rows, CHANNELS) of whitened residuals, and what their squares are expected to be.

    White noise averages out (`variance`, exactly); what is not known of the field at the places on the way does not (`doubt`), and neither
    does what the model misses of it: `misfit`, as it was found on frames that were held out, and on what came later and was quiet.
    """

    def __init__(self, rows: int, scales_s: tuple[float, ...]) -> None:
        self._scales_s = np.array(scales_s)[:, None]
        self.mean = np.zeros((len(scales_s), rows, CHANNELS))
        self.variance = np.zeros((len(scales_s), rows))
        self._doubt = np.zeros((len(scales_s), rows))
        self._seen_s = np.full((len(scales_s), rows), FIRST_S)
        self._missed = np.zeros((len(scales_s), rows))
        self._pending = np.zeros((2, len(scales_s), rows))

    def grown(self, rows: int) -> Smoother:
        """The same with further rows."""
        longer, n = Smoother(rows, tuple(self._scales_s[:, 0].tolist())), self.mean.shape[1]
        for name, array in vars(self).items():
            if name != "_scales_s":
                axis = 1 if name != "_pending" else 2
                getattr(longer, name).swapaxes(0, axis)[:n] = array.swapaxes(0, axis)
        return longer

    def emptied(self) -> Smoother:
        """The same without averages; what is missed is still known."""
        empty = self.grown(self.mean.shape[1])
        empty.mean[:], empty.variance[:], empty._doubt[:], empty._pending[:] = 0.0, 0.0, 0.0, 0.0
        return empty

    @property
    def misfit(self) -> Array:
        """Mean square (scales, rows) of quiet averages beyond noise and doubt."""
        misfit: Array = np.maximum(0.0, self._missed / self._seen_s)
        return misfit

    @property
    def expected(self) -> Array:
        """Mean square (scales, rows) of an average, a channel, while nothing happens."""
        return self.variance + DOUBT * self._doubt**2 + self.misfit

    def add(self, residuals: Array, spread: Array, valid: Mask, elapsed_s: Array) -> None:
        """One frame: residuals (rows, CHANNELS) of the valid rows and the variances `spread` (rows,) of the model behind them, both in
        units of the noise's, `elapsed_s` (rows,) after their last.
        """
        share = np.where(valid, np.where(self.variance > 0.0, -np.expm1(-elapsed_s / self._scales_s), 1.0), 0.0)
        self.mean += share[:, :, None] * (np.where(valid[:, None], residuals, 0.0) - self.mean)
        # Errors of the model at near places are alike, so that averages do not lessen them.
        self._doubt += share * (np.where(valid, np.sqrt(spread), 0.0) - self._doubt)
        self.variance = (1.0 - share) ** 2 * self.variance + share**2

    def note(self, square: Array, valid: Mask, elapsed_s: Array) -> None:
        """Remember mean squares (scales, rows) of the averages, a channel, beyond noise and doubt, for `learn`."""
        counted_s = np.where(valid, np.minimum(elapsed_s, 1.0), 0.0)
        self._pending[0] += counted_s
        self._pending[1] += counted_s * np.where(valid, square - self.variance - DOUBT * self._doubt**2, 0.0)

    def take_pending(self) -> Array:
        """What was noted since the last call: (2, scales, rows)."""
        taken = self._pending
        self._pending = np.zeros_like(taken)
        return taken

    def learn(self, noted: Array, most_s: float) -> None:
        """Take in what was noted while all was quiet; beyond `most_s` seconds older notes count less."""
        kept = np.minimum(1.0, np.maximum(most_s - noted[0], 0.0) / self._seen_s)
        self._seen_s = kept * self._seen_s + noted[0]
        self._missed = kept * self._missed + noted[1]

    def begin(self, rows: Mask, residuals: Array, spread: Array, freedom: npt.NDArray[np.intp], length_s: float) -> None:
        """What these rows' model misses, from evenly spaced frames that it was not fitted to: residuals (frames, rows, CHANNELS) and
        spreads (frames, rows).
        """
        share = -np.expm1(-length_s / len(residuals) / self._scales_s)
        mean, doubt, missed = np.zeros_like(self.mean), np.zeros_like(self._doubt), np.zeros_like(self._missed)
        for residual, root in zip(residuals, np.sqrt(spread), strict=True):
            mean += share[:, :, None] * (residual - mean)
            doubt += share * (root - doubt)
            missed += (mean**2).sum(axis=2) / np.maximum(freedom, 1) - DOUBT * doubt**2
        missed = missed / len(residuals) - share / (2.0 - share)
        self._seen_s[:, rows] = FIRST_S + length_s
        self._missed[:, rows] = length_s * missed[:, rows]
