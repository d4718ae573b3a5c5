"""Rigid registration of paired points, with residuals, fiducial error, covariance and the error expected at a target.

The closed form (Horn 1987; Arun, Huang and Blostein, IEEE PAMI 9(5), 1987) is the solution for equal or weighted points
and the start for anisotropic errors, which are whitened at the current rotation and solved again until it stands still
(R. Balachandran and J. M. Fitzpatrick, "Iterative solution for rigid-body point-based registration with anisotropic
weighting", SPIE 7261, 2009). FLE from FRE with the degrees of freedom that the fit takes: J. M. Fitzpatrick, J. B. West
and C. R. Maurer, IEEE TMI 17(5), 1998. First-order covariance as in A. Danilchenko and Fitzpatrick, IEEE TMI 30(3), 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, f

from lodestone_core import se3
from lodestone_core.checks import as_array, as_covariance, as_points
from lodestone_core.covariance import expected_radius_95, tre_covariance_at
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Problem, Solution, SolverConfig, Values, solve
from lodestone_core.paired_points_checks import (
    PairedPointsConfig,
    check_pairing,
    check_shape,
    check_size,
    rigid_fit,
)
from lodestone_core.types import Array

__all__ = ["PairedPointsConfig", "PointRegistration", "leave_one_out", "register_points"]

_DEFAULTS = PairedPointsConfig()
_MAX_WHITENINGS = 50
_STILL = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class PointRegistration:
    """T_target_source (4x4, mm) and what is known of its error.

    `fre_mm`: RMS length of the residuals. `fle_mm`: RMS length of the localisation error of one point (of weight 1), both
    sets together, that residuals of this size speak for. `residuals_mm` (N, 3): T source - target, target frame.
    `covariance` (6, 6): message convention, from `fle_mm`, or from the localisation errors where they were given
    (`error_known`). `chi_square`: of the residuals with `freedom` degrees; NaN where the error was not given.
    """

    T_target_source: Array
    fre_mm: float
    fle_mm: float
    residuals_mm: Array
    covariance: Array
    chi_square: float
    freedom: int
    error_known: bool

    def tre_covariance(self, points_source: npt.ArrayLike) -> Array:
        """First-order covariance (..., 3, 3) in mm^2, target frame, of where points (..., 3) of the source frame land."""
        return tre_covariance_at(self.T_target_source, self.covariance, np.asarray(points_source, dtype=np.float64))

    def tre(self, points_source: npt.ArrayLike) -> Array:
        """Radius (...) in mm that holds the error at points (..., 3) of the source frame with 95 % probability.

        Where the localisation error is estimated from few residuals, the radius grows as the F distribution asks.
        """
        C = self.tre_covariance(points_source)
        radius = np.array([expected_radius_95(c) for c in C.reshape(-1, 3, 3)]).reshape(C.shape[:-2])
        if self.error_known:
            return radius
        return np.asarray(radius * np.sqrt(3.0 * f.ppf(0.95, 3, self.freedom) / chi2.ppf(0.95, 3)))


def register_points(
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    C_source: npt.ArrayLike | None = None,
    C_target: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    config: PairedPointsConfig = _DEFAULTS,
) -> PointRegistration:
    """T_target_source of paired points (N, 3) in mm.

    `weights` (N,): relative, as 1 over the variance. `C_source`, `C_target`: localisation error, (3, 3) or (N, 3, 3)
    in mm^2, each along the axes of its own set; the error is then known and not estimated. `names` (N,) for messages.
    Raises InputError for fewer than 3 points, collinear, duplicate or mirrored ones, other units, a wrong pairing.
    """
    source, target = _pair(source, target)
    count = len(source)
    names = [f"point {i + 1}" for i in range(count)] if names is None else list(names)
    if len(names) != count:
        raise InputError("names of the points", expected=count, got=len(names), remedy="give one name a pair")
    if weights is not None and not (C_source is None and C_target is None):
        got = "both"
        raise InputError("point errors", expected="weights or covariances", got=got, remedy="leave the weights out")
    check_size(source, target, config)
    check_shape("source", source, names, config)
    check_shape("target", target, names, config)

    w = _weights(weights, count)
    T = _closed_form(source, target, w)
    fre = _rms(_residuals(T, source, target))
    check_pairing(source, target, fre, names, config)
    if C_source is None and C_target is None:
        solution = _refine(source, target, T, np.sqrt(w)[:, None, None] * np.eye(3), None)
        return _result(source, target, solution, np.full(count, 3.0 * solution.sigma**2), error_known=False)
    return _anisotropic(source, target, T, _errors("C_source", C_source, count), _errors("C_target", C_target, count))


def leave_one_out(
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    config: PairedPointsConfig = _DEFAULTS,
) -> Array:
    """Distance (N,) in mm of each point from its partner under the registration of all the others (N >= 4)."""
    source, target = _pair(source, target)
    as_points("points to leave one out of", source, at_least=4)
    w = _weights(weights, len(source))
    errors = np.empty(len(source))
    for i in range(len(source)):
        kept = np.arange(len(source)) != i
        left = register_points(source[kept], target[kept], weights=w[kept], config=config)
        errors[i] = np.linalg.norm(se3.transform(left.T_target_source, source[i]) - target[i])
    return errors


def _pair(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Array, Array]:
    a, b = as_points("source points", source, at_least=3), as_points("target points", target, at_least=3)
    if len(a) != len(b):
        raise InputError(
            "paired points",
            expected="as many source as target points",
            got=f"{len(a)} and {len(b)}",
            remedy="pair them by name and leave the others out",
        )
    return a, b


def _weights(weights: npt.ArrayLike | None, count: int) -> Array:
    if weights is None:
        return np.ones(count)
    w = as_array("weights", weights, (count,))
    if np.any(w <= 0.0):
        raise InputError("weights", expected="positive numbers", got=w.min(), remedy="leave a worthless point out")
    return w


def _errors(name: str, C: npt.ArrayLike | None, count: int) -> Array:
    """Localisation error as (N, 3, 3); zero where it is not given."""
    if C is None:
        return np.zeros((count, 3, 3))
    given = np.broadcast_to(np.asarray(C, dtype=np.float64), (count, 3, 3)) if np.ndim(C) == 2 else C
    stack = as_array(name, given, (count, 3, 3))
    return np.array([as_covariance(f"{name}[{i}]", c, 3) for i, c in enumerate(stack)])


def _closed_form(source: Array, target: Array, weights: Array) -> Array:
    R, _ = rigid_fit(source, target, weights)
    return se3.make(R, np.average(target, axis=0, weights=weights) - R @ np.average(source, axis=0, weights=weights))


def _anisotropic(source: Array, target: Array, T: Array, C_source: Array, C_target: Array) -> PointRegistration:
    """Whitened fit; the whitening depends on the rotation, so it is repeated until that stands still."""
    for _ in range(_MAX_WHITENINGS):
        R = T[:3, :3]
        C = R @ C_source @ R.T + C_target
        solution = _refine(source, target, T, _whitening(C), 1.0)
        moved = float(se3.geodesic(T, solution.values["T_target_source"]))
        T = solution.values["T_target_source"]
        if moved < _STILL:
            break
    return _result(source, target, solution, np.trace(C, axis1=1, axis2=2), error_known=True)


def _whitening(C: Array) -> Array:
    """W (N, 3, 3) with W C W^T = 1."""
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(C)))
    except np.linalg.LinAlgError:
        raise InputError(
            "localisation errors",
            expected="an error in every direction of every point",
            got="a direction without any",
            remedy="add the small variance that every localisation has",
        ) from None


def _refine(source: Array, target: Array, T: Array, W: Array, noise: float | None) -> Solution:
    """Least squares from a start T with whitening W (N, 3, 3)."""

    def residuals(values: Values) -> Array:
        apart = _residuals(values["T_target_source"], source, target)
        return np.asarray((W @ apart[..., None]).ravel())

    def jacobian(values: Values) -> dict[str, Array]:
        lever = -se3.hat(se3.transform(values["T_target_source"], source))
        J = W @ np.concatenate([np.broadcast_to(np.eye(3), lever.shape), lever], axis=2)
        return {"T_target_source": J.reshape(-1, 6)}

    # What a line of points leaves open is refused at the door, by the extent and not by the millimetre.
    settings = SolverConfig(noise_sigma=noise, observability_ratio=0.0)
    return solve(Problem({"T_target_source": T}, residuals, jacobian, group=3), settings)


def _result(source: Array, target: Array, solution: Solution, variances: Array, error_known: bool) -> PointRegistration:
    T = solution.values["T_target_source"]
    residuals = _residuals(T, source, target)
    freedom = residuals.size - 6
    chi_square = float(np.sum(solution.residuals**2))
    # Estimated noise is in `variances` already; known errors are held against the residuals.
    agreement = chi_square / freedom if error_known else 1.0
    return PointRegistration(
        T_target_source=T,
        fre_mm=_rms(residuals),
        fle_mm=float(np.sqrt(np.mean(variances) * agreement)),
        residuals_mm=residuals,
        covariance=solution.message_covariance("T_target_source"),
        chi_square=chi_square if error_known else float("nan"),
        freedom=freedom,
        error_known=error_known,
    )


def _residuals(T: Array, source: Array, target: Array) -> Array:
    return np.asarray(se3.transform(T, source) - target)


def _rms(vectors: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(vectors**2, axis=1))))
