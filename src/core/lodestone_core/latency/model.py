"""What one stream says about the other: the first component of one, a smooth function of all the components of the other.

The two are compared at the stamps of the slower stream, whose samples are taken as they are: between them it is not known. The faster
stream, lightly smoothed, is a function of time and is read at those stamps plus the offset. No sensor is a linear image of the motion, so
that the function is a Gaussian process over the components (C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine
Learning, 2006: kernel (4.9), its projection on a few centres (8.14)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

from lodestone_core.latency.config import LatencyConfig
from lodestone_core.latency.motion import Motion, as_function, components, covered
from lodestone_core.types import Array

_LEAST_EIGENVALUE = 1e-10  # of the largest: what is smaller is rounding
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Features:
    """Functions of components z (N, k) whose weights, each of variance 1, make the Gaussian process with the kernel
    exp(-|z - z'|^2 / (2 length^2)), projected on `centres` (m, k)."""

    centres: Array
    length: float

    def __call__(self, z: Array) -> Array:
        """Their values (N, q)."""
        return np.asarray(self._kernel(z) @ self._whitening)

    def change(self, z: Array, rate: Array) -> Array:
        """Their derivatives (N, q), 1/s, where z changes at `rate` (N, k), 1/s."""
        towards = (rate @ self.centres.T - np.sum(z * rate, axis=1, keepdims=True)) / self.length**2
        return np.asarray((self._kernel(z) * towards) @ self._whitening)

    def _kernel(self, z: Array) -> Array:
        square = np.sum(z**2, axis=1)[:, None] + np.sum(self.centres**2, axis=1) - 2.0 * z @ self.centres.T
        return np.asarray(np.exp(-0.5 * np.maximum(square, 0.0) / self.length**2))

    @cached_property
    def _whitening(self) -> Array:
        value, vector = np.linalg.eigh(self._kernel(self.centres))
        kept = value > _LEAST_EIGENVALUE * value[-1]
        return np.asarray(vector[:, kept] / np.sqrt(value[kept]))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One stream predicted from the other at the stamps `times_s` (n,) of the slower one, `period_s` apart.

    `slow`: components (n, k) of the slower stream there; `fast`: those of the faster one as a function of time, read at
    times_s + sign * offset, where offset is that of stream b against a. `from_fast`: the faster one predicts the first component of the
    slower; otherwise the other way round. `centres` (m, k): of the functions that predict.
    """

    label: str
    sign: int
    times_s: Array
    period_s: float
    slow: Array
    fast: BSpline
    fast_times_s: Array
    max_gap_s: float
    from_fast: bool
    centres: Array

    def holds(self, offset_s: float) -> Mask:
        """At which stamps the faster stream is there."""
        return covered(self.fast_times_s, self.times_s + self.sign * offset_s, self.max_gap_s)

    def at(self, offset_s: float, used: Mask) -> tuple[Array, Array]:
        """What predicts (n, k) and what is predicted (n,), the latter about its mean."""
        fast = self.fast(self.times_s[used] + self.sign * offset_s)
        source, target = (fast, self.slow[used, 0]) if self.from_fast else (self.slow[used], fast[:, 0])
        return source, target - target.mean()

    def residual_change(self, offset_s: float, used: Mask, features: Features, weights: Array) -> Array:
        """Derivative (n,) with respect to the offset, 1/s, of what the features with these weights leave of the target."""
        times_s = self.times_s[used] + self.sign * offset_s
        rate = self.fast(times_s, 1)
        if self.from_fast:
            return np.asarray(-self.sign * (features.change(self.fast(times_s), rate) @ weights))
        return np.asarray(self.sign * (rate[:, 0] - rate[:, 0].mean()))


def predictions(a: Motion, b: Motion, config: LatencyConfig) -> Iterator[Prediction]:
    """Every view of one stream from every view of the other, and the other way round."""
    origin = int(a.stamps_ns[0])
    slow, fast, sign = (a, b, 1) if a.period_s >= b.period_s else (b, a, -1)
    times_s, fast_times_s = slow.seconds(origin), fast.seconds(origin)
    slow_views = [components(view, config.components) for view in slow.views]
    fast_views = [as_function(fast_times_s, components(view, config.components)) for view in fast.views]
    gap_s = config.max_gap_periods * fast.period_s
    both = covered(fast_times_s, times_s, gap_s)
    met = times_s[both] if both.any() else fast_times_s
    for (i, samples), (j, function) in product(enumerate(slow_views), enumerate(fast_views)):
        names = f"{slow.name}[{i}]", f"{fast.name}[{j}]"
        for from_fast, seen in ((True, function(met)), (False, samples)):
            label = "{} from {}".format(*(names if from_fast else names[::-1]))
            centres = _spread(seen, config.centres)
            yield Prediction(label, sign, times_s, slow.period_s, samples, function, fast_times_s, gap_s, from_fast, centres)


def _spread(z: Array, most: int) -> Array:
    """At most so many of the rows, evenly spread over time."""
    return np.asarray(z[np.linspace(0, len(z) - 1, min(most, len(z))).astype(int)])
