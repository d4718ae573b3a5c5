"""Figures of merit with name, unit, number of samples and 95 % interval; a missing result never counts as a good one.

Where an estimate is missing (NaN) its error is infinite: it fails every success rate and enters percentiles as
infinite. An RMS over such errors is infinite too: report it over the accepted ones, beside the success rate.
Intervals are percentile bootstraps (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993) with a fixed
seed: two runs give the same figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from lodestone_core import se3
from lodestone_core.checks import as_array, as_points
from lodestone_core.errors import InputError
from lodestone_core.types import Array

# Reduces the last axis, so that all resamples go through one call.
Statistic = Callable[[Array], Array]

RESAMPLES = 1000
# Numbers drawn at a time in a bootstrap: bounds the memory, not the result.
_BATCH = 2_000_000


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure: `value` in `unit` over `n` samples; `ci95` is None where no interval makes sense."""

    name: str
    value: float
    unit: str
    n: int
    ci95: tuple[float, float] | None = None

    def named(self, name: str) -> Metric:
        """The same figure under another name."""
        return replace(self, name=name)


def distances(estimated: npt.ArrayLike, truth: npt.ArrayLike) -> Array:
    """Distance (N,) of each estimated point (N, 3) from the true one; infinite where the estimate is not finite."""
    true_points = as_points("truth", truth)
    points = np.asarray(estimated, dtype=np.float64)
    if points.shape != true_points.shape:
        remedy = "mark missing estimates as NaN"
        raise InputError("estimated points", expected=f"shape {true_points.shape}", got=points.shape, remedy=remedy)
    with np.errstate(invalid="ignore"):
        away = np.linalg.norm(points - true_points, axis=1)
    return np.where(np.isfinite(away), away, np.inf)


def tre(estimated: npt.ArrayLike, truth: npt.ArrayLike, seed: int = 0, block: int = 1) -> Metric:
    """Target registration error: RMS distance in mm at targets (N, 3) that took no part in the registration."""
    return rmse(distances(estimated, truth), "mm", seed, block).named("tre_rms")


def fre(residuals: npt.ArrayLike, seed: int = 0) -> Metric:
    """Fiducial registration error: RMS length in mm of the residuals (N, 3) of the fit. Says nothing about TRE."""
    return rmse(np.linalg.norm(as_points("residuals", residuals), axis=1), "mm", seed).named("fre_rms")


def rmse(errors: npt.ArrayLike, unit: str, seed: int = 0, block: int = 1) -> Metric:
    """Root mean square of errors (N,)."""
    return _figure("rmse", errors, unit, root_mean_square, seed, block)


def percentile(errors: npt.ArrayLike, q: float, unit: str, seed: int = 0, block: int = 1) -> Metric:
    """The smallest error (N,) that q percent of the errors do not exceed; infinite when too many are."""
    return _figure(f"p{q:g}", errors, unit, partial(_quantile, share=q / 100.0), seed, block)


def success_rate(errors: npt.ArrayLike, limit: float, seed: int = 0, block: int = 1) -> Metric:
    """Share of errors (N,) within a limit; infinite and NaN ones are failures."""
    return _figure("success_rate", np.asarray(errors) <= limit, "1", _mean, seed, block)


def geodesic(T_estimated: Array, T_true: Array, seed: int = 0, block: int = 1) -> Metric:
    """RMS angle in rad between the orientations of poses (N, 4, 4); infinite where an estimate is not finite."""
    present = np.isfinite(T_estimated).all(axis=(-2, -1))
    angles = np.full(len(T_estimated), np.inf)
    angles[present] = se3.geodesic(T_estimated[present], np.broadcast_to(T_true, T_estimated.shape)[present])
    return rmse(angles, "rad", seed, block).named("geodesic_rms")


def coverage(errors: npt.ArrayLike, radii: npt.ArrayLike, seed: int = 0, block: int = 1) -> Metric:
    """Share of errors (N,) within the radius (N,) predicted for each: 0.95 when honest 95 % radii come in."""
    inside = np.asarray(errors, dtype=np.float64) <= np.broadcast_to(np.asarray(radii, dtype=np.float64), np.shape(errors))
    return _figure("coverage", inside, "1", _mean, seed, block)


def radius_ratio(errors: npt.ArrayLike, radii: npt.ArrayLike) -> Metric:
    """Median predicted 95 % radius over the observed 95th percentile of the errors: coverage bought by caution shows.

    NaN, which meets no threshold, where more than 5 % of the results are missing.
    """
    e = _not_empty(np.asarray(errors, dtype=np.float64))
    observed = float(_quantile(np.where(np.isnan(e), np.inf, e), 0.95))
    predicted = float(np.median(np.asarray(radii, dtype=np.float64)))
    usable = np.isfinite(observed) and observed > 0.0
    return Metric("radius_ratio", predicted / observed if usable else float("nan"), "1", len(e))


def nees(errors: npt.ArrayLike, covariances: npt.ArrayLike) -> Metric:
    """Normalised estimation error squared per dimension: mean of e^T C^-1 e / d, errors (N, d), C (N, d, d) or (d, d).

    1 for an honest covariance, above for an optimistic one; the interval is the one in which an honest covariance
    lies with 95 % probability (chi-square), not a bootstrap. Raises InputError where a covariance is singular.
    """
    e = _not_empty(as_array("errors", errors, (None, None)))
    n, d = e.shape
    try:
        root = np.linalg.cholesky(np.broadcast_to(np.asarray(covariances, dtype=np.float64), (n, d, d)))
    except np.linalg.LinAlgError:
        got, remedy = "one with a direction without variance", "leave out directions that are exact"
        raise InputError("covariances", expected="positive definite", got=got, remedy=remedy) from None
    whitened = np.linalg.solve(root, e[..., None])[..., 0]
    low, high = chi2.ppf([0.025, 0.975], n * d) / (n * d)
    return Metric("nees", float(np.mean(whitened**2)), "1", n, (float(low), float(high)))


def bootstrap_interval(
    values: npt.ArrayLike, statistic: Statistic, seed: int = 0, block: int = 1, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % percentile interval of a statistic of values (N,).

    `block` is the number of neighbours that hang together (a time series: at least its correlation length); blocks are
    drawn whole and run on from the end to the beginning (circular block bootstrap; D. Politis, J. Romano, 1992).
    """
    x = _not_empty(np.asarray(values, dtype=np.float64))
    n, block = len(x), min(max(block, 1), len(x))
    rng = np.random.default_rng(seed)
    blocks = -(-n // block)
    found = []
    for begin in range(0, resamples, batch := max(1, _BATCH // n)):
        starts = rng.integers(0, n, (min(batch, resamples - begin), blocks))
        picked = (starts[..., None] + np.arange(block)) % n
        found.append(statistic(x[picked.reshape(len(starts), -1)[:, :n]]))
    replicates = np.concatenate(found)
    return float(_quantile(replicates, 0.025)), float(_quantile(replicates, 0.975))


def root_mean_square(x: Array) -> Array:
    """Root mean square over the last axis."""
    return np.asarray(np.sqrt(np.mean(np.square(x), axis=-1)))


def _mean(x: Array) -> Array:
    return np.asarray(np.mean(x, axis=-1))


def _quantile(x: Array, share: float) -> Array:
    """Smallest value that at least this share of the last axis does not exceed.

    np.quantile interpolates even where its method is a step, and makes NaN of a finite and an infinite neighbour.
    """
    # Rounded, since 0.07 * 100 is 7.000000000000001.
    rank = max(int(np.ceil(round(share * x.shape[-1], 9))), 1) - 1
    return np.asarray(np.partition(x, rank, axis=-1)[..., rank])


def _figure(name: str, values: npt.ArrayLike, unit: str, statistic: Statistic, seed: int, block: int) -> Metric:
    x = _not_empty(np.asarray(values, dtype=np.float64))
    x = np.where(np.isnan(x), np.inf, x)
    return Metric(name, float(statistic(x)), unit, len(x), bootstrap_interval(x, statistic, seed, block))


def _not_empty(x: Array) -> Array:
    if x.ndim == 0 or len(x) == 0:
        remedy = "a figure over nothing is no figure: see why no sample was evaluated"
        raise InputError("values", expected="at least one", got="none", remedy=remedy)
    return x
