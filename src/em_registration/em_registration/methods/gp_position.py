"""A Gaussian process over position: a rigid map, and what it leaves as a smooth field with noise.

y = T x + f(x) + noise, with f of a Matern-5/2 kernel, independent along the image's axes, and the six parameters of T
without prior (C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.7 and
5.4). The total variance of f and noise has an inverse-gamma prior and is integrated out; the length of the kernel and
the noise's share of the variance are averaged over a grid, weighted by marginal likelihood times prior. A share of 1 is
the rigid map. The priors say what EM trackers do near metal, in mm, and were not fitted to anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.position_model import PositionModel, distances, rigid_columns, small_sample_factor, symmetric
from em_registration.methods.rigid import RIGID_UNKNOWNS, rigid_map
from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.types import Array

LEAST_PAIRS = 4
_LENGTHS_MM = np.geomspace(25.0, 800.0, 9)
_SHARES = np.append(1.0 / (1.0 + np.geomspace(1e4, 1e-2, 13)), 1.0)
# Pairs of length and share less likely than this share of the best are left out, and those after so many.
_LEAST_WEIGHT, _MOST_PAIRS = 0.03, 24
# The rigid part is linearised; a second round leaves less than a micrometre of what the turn of the first bends.
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class GpPositionConfig:
    """Priors of the Gaussian process on positions."""

    length_mm: float = option(150.0, unit="mm", doc="median of the log-normal prior of the kernel's length", minimum=1.0)
    length_spread: float = option(0.7, doc="standard deviation of its logarithm", minimum=0.01)
    share_spread: float = option(3.0, doc="standard deviation of the logit of the noise's share, about one half", minimum=0.01)
    scale_mm: float = option(0.5, unit="mm", doc="typical residual along one axis before any was seen", minimum=0.0)
    scale_pairs: float = option(0.1, doc="residuals that this is worth", minimum=0.0)


_DEFAULTS = GpPositionConfig()


@dataclass(frozen=True, slots=True, eq=False)
class GpMap:
    """T_image_tracker (4, 4), points landed by it (N, 3), and G processes about them, each with a weight.

    `lengths_mm`, `shares` (G, 1, 1): of the kernel, and of the noise in the variance. `inverse` (G, N, N): of the correlations
    with noise. `alpha` (G, N, 3): inverse times residuals. `variance` (G,): of field and noise together, mm^2. `step` (G, 6):
    how each process moves the rigid part; `C_rigid` (G, 6, 6): of that, in units of the variance.
    """

    T_image_tracker: Array
    landed_mm: Array
    weights: Array
    lengths_mm: Array
    shares: Array
    inverse: Array
    alpha: Array
    variance: Array
    step: Array
    C_rigid: Array
    freedom: int

    def __call__(self, points: Array) -> Prediction:
        """Where points (M, 3) are: mean and covariance of the weighted processes together."""
        landed = se3.transform(self.T_image_tracker, points)
        centre = self.landed_mm.mean(axis=0)
        k = (1.0 - self.shares) * matern(distances(landed, self.landed_mm), self.lengths_mm)
        W = k @ self.inverse
        columns = rigid_columns(landed - centre)
        means = np.einsum("mcp,gp->gmc", columns, self.step) + k @ self.alpha
        mean = np.einsum("g,gmc->mc", self.weights, means)
        apart = means - mean
        open_columns = columns - np.einsum("gmn,ncp->gmcp", W, rigid_columns(self.landed_mm - centre))
        C = open_columns @ self.C_rigid[:, None] @ np.swapaxes(open_columns, -1, -2)
        C = C + (1.0 - np.sum(W * k, axis=-1))[..., None, None] * np.eye(3)
        size = small_sample_factor(self.freedom) * self.variance[:, None, None, None]
        C = np.einsum("g,gmij->mij", self.weights, size * C + apart[..., :, None] * apart[..., None, :])
        return Prediction(landed + mean, symmetric(C))


def fit_gp_position(correspondences: Correspondences, config: GpPositionConfig = _DEFAULTS) -> PositionModel:
    """Gaussian process of 4 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    return PositionModel(correspondences.tip_tool_mm, gp_map(correspondences.tracker_mm, correspondences.image_mm, config))


def gp_map(source: Array, target: Array, config: GpPositionConfig = _DEFAULTS) -> GpMap:
    """Gaussian process of points (N, 3); nothing is checked here."""
    start = rigid_map(source, target)
    T = se3.make(start.A, (start.target_centre - start.source_centre @ start.A.T)[0])
    weights, lengths, shares = _likely(target, se3.transform(T, source), config)
    for turn in range(_ROUNDS):
        landed = se3.transform(T, source)
        columns, residuals = rigid_columns(landed - landed.mean(axis=0)), target - landed
        correlations = (1.0 - shares) * matern(distances(landed, landed), lengths) + shares * np.eye(len(landed))
        inverse = np.asarray(np.linalg.inv(correlations), dtype=np.float64)
        weighted = np.einsum("gij,jcp->gicp", inverse, columns)
        C_rigid = np.linalg.inv(np.einsum("icp,gicq->gpq", columns, weighted))
        step = np.einsum("gpq,gicq,ic->gp", C_rigid, weighted, residuals)
        if turn < _ROUNDS - 1:
            T = _moved(T, weights @ step, landed.mean(axis=0))
    left = residuals - np.einsum("icp,gp->gic", columns, step)
    alpha = inverse @ left
    prior = 3.0 * config.scale_pairs
    freedom = residuals.size - RIGID_UNKNOWNS + prior
    variance = (np.sum(left * alpha, axis=(1, 2)) + prior * config.scale_mm**2) / freedom
    return GpMap(T, landed, weights, lengths, shares, inverse, alpha, variance, step, C_rigid, round(freedom))


def matern(r: Array, length: Array | float) -> Array:
    """Matern-5/2 correlations of distances r (...)."""
    x = np.sqrt(5.0) * r / length
    return np.asarray((1.0 + x + x**2 / 3.0) * np.exp(-x))


def _moved(T: Array, step: Array, centre: Array) -> Array:
    """T after a shift and a turn about a centre."""
    turn = se3.exp(np.concatenate([np.zeros(3), step[3:]]))
    return np.asarray(se3.make(np.eye(3), centre + step[:3]) @ turn @ se3.make(np.eye(3), -centre) @ T)


def _likely(target: Array, landed: Array, config: GpPositionConfig) -> tuple[Array, Array, Array]:
    """Weights (G,), lengths in mm and noise shares (both (G, 1, 1)) of the largest marginal likelihood times prior."""
    columns, residuals = rigid_columns(landed - landed.mean(axis=0)), target - landed
    r = distances(landed, landed)
    scores = np.array([_log_likelihoods(matern(r, length), columns, residuals, config) for length in _LENGTHS_MM])
    scores += -0.5 * (np.log(_LENGTHS_MM / config.length_mm) / config.length_spread)[:, None] ** 2
    inside = np.minimum(_SHARES, 1.0 - 1e-3)
    scores += -0.5 * (np.log(inside / (1.0 - inside)) / config.share_spread) ** 2
    weights = np.exp(scores - scores.max()).ravel()
    best = np.argsort(-weights, kind="stable")[:_MOST_PAIRS]
    best = best[weights[best] >= _LEAST_WEIGHT]
    lengths, shares = np.meshgrid(_LENGTHS_MM, _SHARES, indexing="ij")
    kept = weights[best] / weights[best].sum()
    return kept, lengths.ravel()[best][:, None, None], shares.ravel()[best][:, None, None]


def _log_likelihoods(correlations: Array, columns: Array, residuals: Array, config: GpPositionConfig) -> Array:
    """Restricted log marginal likelihood of all noise shares (S,), the variance and the rigid part integrated out."""
    values, U = np.linalg.eigh(correlations)
    spectrum = (1.0 - _SHARES[:, None]) * np.maximum(values, 0.0) + _SHARES[:, None]
    J = np.einsum("ni,ncp->icp", U, columns)
    y = U.T @ residuals
    weights = 1.0 / spectrum
    N = (weights @ np.einsum("icp,icq->ipq", J, J).reshape(len(values), -1)).reshape(-1, RIGID_UNKNOWNS, RIGID_UNKNOWNS)
    g = weights @ np.einsum("icp,ic->ip", J, y)
    misfit = weights @ np.sum(y**2, axis=1) - np.sum(g * np.linalg.solve(N, g[..., None])[..., 0], axis=1)
    prior = 3.0 * config.scale_pairs
    freedom = residuals.size - RIGID_UNKNOWNS + prior
    _, log_det = np.linalg.slogdet(N)
    total = np.maximum(misfit, 0.0) + prior * config.scale_mm**2
    return np.asarray(-1.5 * np.sum(np.log(spectrum), axis=1) - 0.5 * log_det - 0.5 * freedom * np.log(total))
