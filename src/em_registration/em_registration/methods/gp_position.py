"""A Gaussian process over position: a rigid map, and what it leaves as a smooth field with noise.

y = T x + f(x) + noise, with f of a Matern-5/2 kernel, independent along the image's axes, and the six parameters of T
without prior (C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.7 and
5.4). The total variance of f and noise has an inverse-gamma prior and is integrated out; the length of the kernel and
the noise's share of the variance are those of the largest marginal likelihood times prior on a grid. A share of 1 is
the rigid map. The priors say what EM trackers do near metal, in mm, and were not fitted to anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Prediction
from em_registration.methods.position_model import PositionModel, distances, small_sample_factor, symmetric
from em_registration.methods.rigid import RIGID_UNKNOWNS, rigid_map
from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.types import Array

LEAST_PAIRS = 4
_LENGTHS_MM = np.geomspace(25.0, 800.0, 9)
_SHARES = np.append(1.0 / (1.0 + np.geomspace(1e4, 1e-2, 13)), 1.0)
# The rigid part is linearised; a second round leaves less than a micrometre of what the turn of the first bends.
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class GpPositionConfig:
    """Priors of the Gaussian process on positions."""

    length_mm: float = option(150.0, unit="mm", doc="median of the log-normal prior of the kernel's length", minimum=1.0)
    length_spread: float = option(0.7, doc="standard deviation of its logarithm", minimum=0.01)
    share_spread: float = option(3.0, doc="standard deviation of the logit of the noise's share, about one half", minimum=0.01)
    scale_mm: float = option(0.5, unit="mm", doc="typical residual along one axis before any was seen", minimum=0.0)
    scale_pairs: float = option(1.0, doc="residuals that this is worth", minimum=0.0)


_DEFAULTS = GpPositionConfig()


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    """Eigenvectors and values of the kernel's correlations (N, N) of one length, and the rigid columns (N, 3, 6) in them."""

    vectors: Array
    values: Array
    columns: Array


@dataclass(frozen=True, slots=True, eq=False)
class GpMap:
    """T_image_tracker (4, 4), points landed by it (N, 3), and the process about them.

    `inverse` (N, N): of the correlations with noise. `alpha` (N, 3): inverse times residuals. `variance`: of field and noise
    together, mm^2; `share` of it is noise. `C_rigid` (6, 6): of the rigid part, in units of the variance.
    """

    T_image_tracker: Array
    landed_mm: Array
    centre_mm: Array
    length_mm: float
    share: float
    inverse: Array
    alpha: Array
    variance: float
    freedom: float
    C_rigid: Array

    def __call__(self, points: Array) -> Prediction:
        """Where points (M, 3) are."""
        landed = se3.transform(self.T_image_tracker, points)
        k = (1.0 - self.share) * matern(distances(landed, self.landed_mm), self.length_mm)
        weights = k @ self.inverse
        own = 1.0 - np.sum(weights * k, axis=1)
        columns = _columns(landed - self.centre_mm) - np.einsum("mn,ncp->mcp", weights, _columns(self.landed_mm - self.centre_mm))
        C = own[:, None, None] * np.eye(3) + columns @ self.C_rigid @ np.swapaxes(columns, 1, 2)
        size = small_sample_factor(int(self.freedom)) * self.variance
        return Prediction(landed + k @ self.alpha, symmetric(size * C))


def fit_gp_position(correspondences: Correspondences, config: GpPositionConfig = _DEFAULTS) -> PositionModel:
    """Gaussian process of 4 pairs or more. Raises InputError for correspondences that give none."""
    check_correspondences(correspondences, at_least=LEAST_PAIRS)
    return PositionModel(correspondences.tip_tool_mm, gp_map(correspondences.tracker_mm, correspondences.image_mm, config))


def gp_map(source: Array, target: Array, config: GpPositionConfig = _DEFAULTS) -> GpMap:
    """Gaussian process of points (N, 3)."""
    start = rigid_map(source, target)
    T = se3.make(start.A, (start.target_centre - start.source_centre @ start.A.T)[0])
    length, share = _most_likely(target, se3.transform(T, source), config)
    for _ in range(_ROUNDS):
        landed = se3.transform(T, source)
        centre = landed.mean(axis=0)
        correlations = (1.0 - share) * matern(distances(landed, landed), length) + share * np.eye(len(landed))
        inverse = np.asarray(np.linalg.inv(correlations), dtype=np.float64)
        columns, residuals = _columns(landed - centre), target - landed
        weighted = np.einsum("ij,jcp->icp", inverse, columns)
        C_rigid = np.linalg.inv(np.einsum("icp,icq->pq", columns, weighted))
        step = C_rigid @ np.einsum("icp,ic->p", weighted, residuals)
        left = residuals - columns @ step
        T = _moved(T, step, centre)
    alpha = inverse @ left
    misfit = float(np.sum(left * alpha))
    freedom = left.size - RIGID_UNKNOWNS + 3.0 * config.scale_pairs
    variance = float(misfit + 3.0 * config.scale_pairs * config.scale_mm**2) / freedom
    return GpMap(T, se3.transform(T, source), centre, length, share, inverse, alpha, variance, freedom, C_rigid)


def matern(r: Array, length: float) -> Array:
    """Matern-5/2 correlations of distances r (...)."""
    x = np.sqrt(5.0) * r / length
    return np.asarray((1.0 + x + x**2 / 3.0) * np.exp(-x))


def _columns(about_centre: Array) -> Array:
    """How points (N, 3) about a centre move with a shift and a turn about it: (N, 3, 6)."""
    return np.concatenate([np.broadcast_to(np.eye(3), (len(about_centre), 3, 3)), -se3.hat(about_centre)], axis=2)


def _moved(T: Array, step: Array, centre: Array) -> Array:
    """T after a shift and a turn about a centre."""
    turn = se3.exp(np.concatenate([np.zeros(3), step[3:]]))
    return np.asarray(se3.make(np.eye(3), centre + step[:3]) @ turn @ se3.make(np.eye(3), -centre) @ T)


def _most_likely(target: Array, landed: Array, config: GpPositionConfig) -> tuple[float, float]:
    """Length (mm) and noise share of the largest marginal likelihood times prior."""
    columns, residuals = _columns(landed - landed.mean(axis=0)), target - landed
    r = distances(landed, landed)
    scores = np.array([_log_likelihoods(matern(r, length), columns, residuals, config) for length in _LENGTHS_MM])
    scores += -0.5 * (np.log(_LENGTHS_MM / config.length_mm) / config.length_spread)[:, None] ** 2
    inside = np.minimum(_SHARES, 1.0 - 1e-3)
    scores += -0.5 * (np.log(inside / (1.0 - inside)) / config.share_spread) ** 2
    best = divmod(int(np.argmax(scores)), len(_SHARES))
    return float(_LENGTHS_MM[best[0]]), float(_SHARES[best[1]])


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
