"""Robust pivot calibration: where the tip of a tool is, from poses of the tool while the tip rests in a divot.

Every pose says R_i tip + t_i = pivot, linear in both points. A start that survives gross outliers comes from the least
median of squares over small subsets (P. J. Rousseeuw, J. Am. Stat. Assoc. 79, 1984); then robust least squares sets
the noise, which decides the inliers, and plain least squares on these gives the result and its covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import robust_loss
from lodestone_core.checks import as_se3_stack
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, Values, solve
from lodestone_core.types import Array

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PivotConfig:
    """When a pose is an outlier and when a pivot is refused."""

    min_poses: int = option(10, doc="fewest poses that count as inliers", minimum=3)
    min_swing_rad: float = option(
        0.17, unit="rad", doc="least swing of the tool about every axis (0.17 is 10 degrees from end to end)", minimum=0.0
    )
    inlier_sigmas: float = option(3.0, doc="a pose further from the pivot than this many times the noise is an outlier", minimum=1.0)
    max_rms_mm: float = option(5.0, unit="mm", doc="the inliers may be no further from the pivot than this (RMS)", minimum=0.0)
    min_inlier_share: float = option(0.5, doc="share of the poses that must agree", minimum=0.0, maximum=1.0)
    subsets: int = option(500, doc="subsets of poses tried for the start", minimum=1)
    seed: int = option(0, doc="seed of the choice of subsets", minimum=0)


_DEFAULTS = PivotConfig()


@dataclass(frozen=True, slots=True, eq=False)
class PivotCalibration:
    """Result of a pivot.

    `tip_tool_mm` (3,) in the tool's frame, `pivot_reference_mm` (3,) in the reference's. `rms_mm`: distance of the tip
    from the pivot over the inliers, `rms_all_mm` over all poses. `covariance` (6, 6) in mm^2: tip, then pivot.
    `residuals_mm` (N, 3): reference frame, all poses. `inliers` (N,) marks the poses used.
    """

    tip_tool_mm: Array
    pivot_reference_mm: Array
    rms_mm: float
    rms_all_mm: float
    inliers: Mask
    residuals_mm: Array
    covariance: Array

    @property
    def tip_covariance(self) -> Array:
        """Covariance (3, 3) of the tip in the tool's frame, mm^2."""
        return self.covariance[:3, :3]


def calibrate_pivot(T_reference_tool: npt.ArrayLike, config: PivotConfig = _DEFAULTS) -> PivotCalibration:
    """Tip and pivot from poses (N, 4, 4) in mm of a tool that turned about its resting tip.

    Raises InputError for too few poses, too little swing about some axis (the tip along it would be a guess) and poses
    that do not agree on one pivot.
    """
    T = as_se3_stack("pivot poses", T_reference_tool, at_least=config.min_poses)
    _check_swing(T, config)
    start = _least_median(T, config)
    robust = _fit(T, start, Loss.TUKEY)
    inliers = _inliers(T, robust, config)
    if np.count_nonzero(inliers) < max(config.min_poses, config.min_inlier_share * len(T)):
        raise InputError(
            "pivot poses",
            expected=f"at least {max(config.min_poses, round(config.min_inlier_share * len(T)))} that agree on one pivot",
            got=f"{np.count_nonzero(inliers)} of {len(T)}",
            remedy="keep the tip in the divot and record again",
        )
    _check_swing(T[inliers], config)
    found = _result(T, inliers, _fit(T[inliers], robust.values, Loss.NONE))
    # Where most poses are wrong their scatter passes for noise, and hardly any counts as an outlier.
    if found.rms_mm > config.max_rms_mm:
        raise InputError(
            "pivot poses",
            expected=f"a tip within {config.max_rms_mm:g} mm of one pivot (RMS)",
            got=f"{found.rms_mm:.3g} mm over {np.count_nonzero(inliers)} of {len(T)} poses",
            remedy="keep the tip in the divot and record again",
        )
    return found


def _check_swing(T: Array, config: PivotConfig) -> None:
    """Refuse poses that turn about one axis only: the tip may then lie anywhere along it."""
    # mean |R_i a - mean(R) a|^2 over directions a of the tool: zero along an axis that never moves.
    mean = T[:, :3, :3].mean(axis=0)
    spread = np.eye(3) - mean.T @ mean
    variances, axes = np.linalg.eigh(0.5 * (spread + spread.T))
    # A swing from end to end of angle s, evenly covered, has a variance of s^2 / 12.
    swing = float(np.sqrt(12.0 * max(variances[0], 0.0)))
    if swing < config.min_swing_rad:
        axis = ", ".join(f"{c:.2f}" for c in axes[:, 0])
        raise InputError(
            "pivot poses",
            expected=f"a swing of at least {np.degrees(config.min_swing_rad):.0f} degrees about two axes",
            got=f"the tool's direction ({axis}) swings by {np.degrees(swing):.1f} degrees only",
            remedy="tilt the tool to all sides while its tip stays in the divot",
        )


def _least_median(T: Array, config: PivotConfig) -> dict[str, Array]:
    """Tip and pivot of the subset of four poses that leaves the smallest median residual."""
    rng = np.random.default_rng(config.seed)
    best: tuple[float, dict[str, Array]] = (float("inf"), {})
    for _ in range(config.subsets):
        values = _linear(T[rng.choice(len(T), size=4, replace=False)])
        median = float(np.median(np.linalg.norm(_distances(T, values), axis=1)))
        if median < best[0]:
            best = (median, values)
    return best[1]


def _linear(T: Array) -> dict[str, Array]:
    A = _jacobian(T)
    x = np.linalg.lstsq(np.concatenate(list(A.values()), axis=1), -T[:, :3, 3].ravel(), rcond=None)[0]
    return {"tip_tool": x[:3], "pivot_reference": x[3:]}


def _distances(T: Array, values: Values) -> Array:
    """Vector (N, 3) from the pivot to the tip in every pose, reference frame, mm."""
    return np.asarray(T[:, :3, :3] @ values["tip_tool"] + T[:, :3, 3] - values["pivot_reference"])


def _jacobian(T: Array) -> dict[str, Array]:
    return {"tip_tool": T[:, :3, :3].reshape(-1, 3), "pivot_reference": np.tile(-np.eye(3), (len(T), 1))}


def _fit(T: Array, start: Values, loss: Loss) -> Solution:
    constant = _jacobian(T)
    problem = Problem(start, lambda values: _distances(T, values).ravel(), lambda _: constant, group=3)
    return solve(problem, SolverConfig(loss=loss))


def _inliers(T: Array, robust: Solution, config: PivotConfig) -> Mask:
    # A median of few residuals is often too small: the correction of Rousseeuw and Leroy, "Robust Regression and
    # Outlier Detection", Wiley 1987. The floor keeps the rounding of noise-free poses in.
    sigma = max(robust.sigma * (1.0 + 5.0 / (len(T) - 2)), 1e-6)
    limit = robust_loss.same_quantile(config.inlier_sigmas, 3) * sigma
    return np.asarray(np.linalg.norm(_distances(T, robust.values), axis=1) <= limit)


def _result(T: Array, inliers: Mask, solution: Solution) -> PivotCalibration:
    residuals = _distances(T, solution.values)
    squares = np.sum(residuals**2, axis=1)
    return PivotCalibration(
        tip_tool_mm=solution.values["tip_tool"],
        pivot_reference_mm=solution.values["pivot_reference"],
        rms_mm=float(np.sqrt(squares[inliers].mean())),
        rms_all_mm=float(np.sqrt(squares.mean())),
        inliers=inliers,
        residuals_mm=residuals,
        covariance=solution.covariance,
    )
