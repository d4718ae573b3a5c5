"""How far a map that passes through its points errs between them, from what it says of each point without it.

An interpolated value is a weighted sum of the points' values, so its error has two parts: the field's own variation,
which the kernel measures (kriging variance P^2; G. Matheron 1971), and the noise of the points, which the weights pass
on: variance = s^2 (P^2 + ratio (1 + |w|^2)), the 1 for the noise of the new pair. For each ratio the errors at points left
out give the size s^2 and a likelihood (leave-one-out predictive likelihood; C. E. Rasmussen and C. K. I. Williams,
"Gaussian Processes for Machine Learning", 2006, section 5.4.2), with which the variances are averaged. Everything takes
leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core.types import Array

# Noise over field, relative to the mean kriging variance of the points left out: from none to nothing but noise.
_RATIOS = np.concatenate([[1e-6], np.geomspace(1e-2, 1e2, 9), [1e6]])
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Variances along one axis in mm^2: of the field, for each unit of P^2, and of the noise of one pair (both ...)."""

    field: Array
    noise: Array

    def variance(self, kriging: Array, squared_weights: Array) -> Array:
        """Variance (..., M) along one axis from P^2 (..., M) and |w|^2 (..., M), for a new pair."""
        return np.asarray(self.field[..., None] * np.maximum(kriging, 0.0) + self.noise[..., None] * (1.0 + squared_weights))


def spread_of(errors_mm: Array, kriging: Array, squared_weights: Array) -> Spread:
    """Spread that errors (..., N, 3) at points left out speak for, with P^2 and |w|^2 (..., N) of these predictions."""
    squares = np.sum(errors_mm**2, axis=-1)[..., None, :]
    kriging = np.maximum(kriging, 0.0)
    typical = np.maximum(kriging.mean(axis=-1), _TINY)[..., None]
    ratios = _RATIOS * typical
    variance = kriging[..., None, :] + ratios[..., None] * (1.0 + squared_weights[..., None, :])
    variance = np.maximum(variance, _TINY * typical[..., None])
    size = np.maximum(np.mean(squares / variance, axis=-1) / 3.0, _TINY**2)
    likelihood = -1.5 * (np.sum(np.log(variance), axis=-1) + errors_mm.shape[-2] * np.log(size))
    weights = np.exp(likelihood - likelihood.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return Spread(np.sum(weights * size, axis=-1), np.sum(weights * size * ratios, axis=-1))
