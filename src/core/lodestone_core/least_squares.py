"""Robust damped least squares on products of SE(3) and R^n, with covariance and the directions that data do not hold.

    solution = solve(Problem({"T_ref_em": T0, "tip": tip0}, residuals), SolverConfig(loss=Loss.HUBER))

Levenberg-Marquardt with Marquardt's diagonal damping, adapted by the gain ratio (H. B. Nielsen, "Damping parameter in
Marquardt's method", IMM-REP-1999-05, 1999); robust losses by iterative re-weighting, the noise from the median length
of the residuals, estimated anew until it stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from lodestone_core import covariance as conversions
from lodestone_core import robust_loss
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.observability import Direction, Spectrum, spectrum, unobserved_directions
from lodestone_core.parameter_blocks import Layout, Values, layout_of
from lodestone_core.robust_loss import Loss
from lodestone_core.types import Array

__all__ = ["Direction", "Loss", "Problem", "Solution", "SolverConfig", "Values", "solve"]

_STEP = 1e-4  # of a comparable unit (mm): central differences then lose less than 1e-8 of a column
_STALLED = 1e-13  # share of the cost below which a promised gain is rounding


@dataclass(frozen=True, slots=True)
class SolverConfig:
    """How to solve; the defaults fit poses in mm at a bench."""

    loss: Loss = option(Loss.NONE, doc="how strongly far residuals pull")
    noise_sigma: float | None = option(None, unit="residual", doc="noise of one residual where it is known; null estimates it", minimum=0.0)
    max_iterations: int = option(100, doc="steps for one noise level", minimum=1)
    max_rescales: int = option(20, doc="times that the noise is estimated anew for a robust loss", minimum=1)
    step_tolerance_mm: float = option(1e-8, unit="mm", doc="a shorter step ends the search", minimum=0.0)
    rotation_length_mm: float = option(100.0, unit="mm", doc="lever at which a rotation is compared with a translation", minimum=1e-3)
    observability_ratio: float = option(
        1e-6, doc="a direction with less than this share of the largest information is unobserved", minimum=0.0, maximum=1.0
    )
    noise_floor: float = option(1e-9, unit="residual", doc="least noise assumed by a robust loss, for data without any", minimum=0.0)


_DEFAULTS = SolverConfig()


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What to minimise.

    `initial`: name -> start; a 4x4 array is a block on SE(3) (mm), a 1-D array one on R^n.
    `residuals(values)` -> (M,); `group` consecutive ones share one robust weight (3 for the coordinates of a point).
    `jacobian(values)` -> name -> (M, 6 or n), by the left tangent T = exp(xi) T0 in SE(3) blocks; central differences
    where it is None. `typical`: size of a change of a vector block that compares with 1 mm (default 1).
    `cluster`: 0 where all residuals have independent errors of one size; else errors may differ in size and depend on
    one another within so many consecutive residuals, and the covariance is taken from what they do (sandwich of K.-Y.
    Liang and S. L. Zeger, Biometrika 73, 1986).
    """

    initial: Values
    residuals: Callable[[Values], Array]
    jacobian: Callable[[Values], Mapping[str, Array]] | None = None
    group: int = 1
    typical: Mapping[str, float] = field(default_factory=dict)
    cluster: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The minimum.

    `covariance` (n, n): tangent (left perturbation T = exp(xi) T0, mm and rad) over all blocks, laid out by `parts`;
    an unobserved direction carries (2 pi)^2 rad^2, or the arc of that at the lever of the configuration.
    `weights` (M / group,): robust weights, 1 without loss. `sigma`: noise of one residual. `cost`: robust, in residuals squared.
    """

    values: Mapping[str, Array]
    covariance: Array
    parts: Mapping[str, slice]
    unobserved: tuple[Direction, ...]
    residuals: Array
    weights: Array
    sigma: float
    cost: float
    iterations: int
    converged: bool

    def tangent_covariance(self, name: str) -> Array:
        """Covariance of one block; of an SE(3) block in the tangent, about the parent's origin."""
        part = self.parts[name]
        return self.covariance[part, part]

    def message_covariance(self, name: str) -> Array:
        """6x6 covariance of an SE(3) block in the message convention: the parent's axes at the child's origin."""
        return conversions.about_child_origin(self.values[name], self.tangent_covariance(name))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What does not change during one solve."""

    problem: Problem
    config: SolverConfig
    layout: Layout
    units: Array
    limit: float

    def residuals(self, values: Values) -> Array:
        return np.asarray(self.problem.residuals(values), dtype=np.float64).ravel()

    def lengths(self, r: Array) -> Array:
        """Length (M / group,) of each group of residuals."""
        return np.asarray(np.linalg.norm(r.reshape(-1, self.problem.group), axis=1))

    def cost(self, r: Array, sigma: float) -> float:
        value = sigma**2 * float(np.sum(robust_loss.cost(self.config.loss, self.lengths(r) / sigma, self.limit)))
        return value if np.isfinite(value) else float("inf")

    def weights(self, r: Array, sigma: float) -> Array:
        return robust_loss.weight(self.config.loss, self.lengths(r) / sigma, self.limit)

    def moved(self, values: Values, step: Array) -> dict[str, Array]:
        """Values after a step in comparable units."""
        return self.layout.retract(values, step * self.units)

    def jacobian(self, values: Values) -> Array:
        """Derivative (M, n) of the residuals by a step in comparable units."""
        if self.problem.jacobian is None:
            return self._differences(values)
        blocks = self.problem.jacobian(values)
        J = np.concatenate([np.asarray(blocks[name], dtype=np.float64) for name in self.layout.parts], axis=1)
        return np.asarray(J @ self.layout.at_parent_origin(values) * self.units)

    def _differences(self, values: Values) -> Array:
        columns = []
        for axis in np.eye(self.layout.size) * _STEP:
            ahead, behind = self.residuals(self.moved(values, axis)), self.residuals(self.moved(values, -axis))
            columns.append((ahead - behind) / (2.0 * _STEP))
        return np.stack(columns, axis=1)


def solve(problem: Problem, config: SolverConfig = _DEFAULTS) -> Solution:
    """Minimise the robust cost of a problem.

    Raises InputError when the start is not finite or there are fewer residuals than the noise and the unknowns need.
    Not to converge is a result (`Solution.converged`), not an error.
    """
    layout = layout_of(problem.initial)
    units = layout.units(config.rotation_length_mm, problem.typical)
    work = _Work(problem, config, layout, units, robust_loss.threshold(config.loss, problem.group))
    values: dict[str, Array] = {name: np.array(value, dtype=np.float64) for name, value in problem.initial.items()}
    _check(work, work.residuals(values))

    sigma, iterations, converged = _noise(work, values), 0, False
    for _ in range(config.max_rescales):
        values, steps, converged = _descend(work, values, sigma)
        iterations += steps
        last, sigma = sigma, _noise(work, values)
        if config.loss is Loss.NONE or abs(sigma - last) <= 1e-6 * last:
            break
    return _solution(work, values, sigma, iterations, converged)


def _check(work: _Work, r: Array) -> None:
    if not np.all(np.isfinite(r)) or r.size % work.problem.group:
        raise InputError(
            "least squares",
            expected=f"finite residuals at the start, in groups of {work.problem.group}",
            got=f"{r.size} residuals, {np.count_nonzero(~np.isfinite(r))} not finite",
            remedy="check the initial values and the data",
        )
    if work.config.noise_sigma is None and r.size <= work.layout.size:
        raise InputError(
            "least squares",
            expected=f"more than {work.layout.size} residuals for {work.layout.size} unknowns",
            got=r.size,
            remedy="add measurements, or give noise_sigma where the noise is known",
        )


def _noise(work: _Work, values: Values) -> float:
    """Noise of one residual: known, or from the median length for a robust loss, or from the squares without one."""
    if work.config.noise_sigma is not None:
        return max(work.config.noise_sigma, work.config.noise_floor)
    r = work.residuals(values)
    freedom = r.size / (r.size - work.layout.size)
    if work.config.loss is Loss.NONE:
        return max(float(np.sqrt(np.mean(r**2) * freedom)), work.config.noise_floor)
    spread = robust_loss.noise_of(work.lengths(r), work.problem.group)
    return max(spread * float(np.sqrt(freedom)), work.config.noise_floor)


def _descend(work: _Work, values: dict[str, Array], sigma: float) -> tuple[dict[str, Array], int, bool]:
    """Levenberg-Marquardt at one noise level: values, steps tried, whether a minimum was reached."""
    r = work.residuals(values)
    cost, normal, gradient = _normal_equations(work, values, r, sigma)
    damping, growth = 1e-4, 2.0
    for iteration in range(1, work.config.max_iterations + 1):
        D = np.maximum(np.diag(normal), 1e-12 * max(float(np.max(np.diag(normal))), np.finfo(np.float64).tiny))
        step = np.asarray(np.linalg.solve(normal + damping * np.diag(D), -gradient), dtype=np.float64)
        promised = 0.5 * float(step @ (damping * D * step - gradient))
        if np.linalg.norm(step) < work.config.step_tolerance_mm or promised <= _STALLED * cost:
            return values, iteration, True
        trial = work.moved(values, step)
        r_trial = work.residuals(trial)
        gain = (cost - work.cost(r_trial, sigma)) / promised
        if gain > 0.0:
            values, r = trial, r_trial
            cost, normal, gradient = _normal_equations(work, values, r, sigma)
            damping, growth = damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), 2.0
        else:
            damping, growth = damping * growth, 2.0 * growth
    return values, work.config.max_iterations, False


def _normal_equations(work: _Work, values: Values, r: Array, sigma: float) -> tuple[float, Array, Array]:
    J = work.jacobian(values)
    W = np.repeat(work.weights(r, sigma), work.problem.group)
    return work.cost(r, sigma), J.T @ (W[:, None] * J), J.T @ (W * r)


def _solution(work: _Work, values: dict[str, Array], sigma: float, iterations: int, converged: bool) -> Solution:
    r = work.residuals(values)
    J = work.jacobian(values)
    weights = work.weights(r, sigma)
    W = np.repeat(weights, work.problem.group)
    found = spectrum(J.T @ (W[:, None] * J), work.config.observability_ratio)
    C = _sandwich(work, found, J, r, sigma) if work.problem.cluster else _plain(work, found, r, sigma)
    to_tangent = work.layout.at_parent_origin(values) * work.units
    return Solution(
        values=values,
        covariance=to_tangent @ (C + _unobserved_covariance(work, found)) @ to_tangent.T,
        parts=work.layout.parts,
        unobserved=unobserved_directions(found, work.layout, values, work.units),
        residuals=r,
        weights=weights,
        sigma=sigma,
        cost=work.cost(r, sigma),
        iterations=iterations,
        converged=converged,
    )


def _plain(work: _Work, found: Spectrum, r: Array, sigma: float) -> Array:
    """sigma^2 (J^T W J)^-1 over the observed directions, comparable units."""
    if work.config.loss is Loss.NONE and work.config.noise_sigma is not None:
        return sigma**2 * found.inverse()
    unknowns = int(np.count_nonzero(found.observed))
    lengths = work.lengths(r) / sigma
    return sigma**2 * robust_loss.variance_factor(work.config.loss, lengths, work.limit, work.problem.group, unknowns) * found.inverse()


def _sandwich(work: _Work, found: Spectrum, J: Array, r: Array, sigma: float) -> Array:
    """(J^T W J)^-1 [sum over clusters of their squared pull] (J^T W J)^-1, comparable units."""
    lengths = work.lengths(r) / sigma
    W = np.repeat(robust_loss.weight(work.config.loss, lengths, work.limit), work.problem.group)
    starts = np.arange(0, r.size, work.problem.cluster)
    pulls = np.add.reduceat((W * r)[:, None] * J, starts, axis=0)
    unknowns = int(np.count_nonzero(found.observed))
    few = len(starts) / max(len(starts) - unknowns, 1)
    bend = robust_loss.bend(work.config.loss, lengths, work.limit, work.problem.group)
    return np.asarray(few / bend**2 * found.inverse() @ (pulls.T @ pulls) @ found.inverse())


def _unobserved_covariance(work: _Work, found: Spectrum) -> Array:
    """A whole turn (or its arc at the lever of the configuration) in every unobserved direction, comparable units."""
    V = found.vectors[:, ~found.observed]
    return np.asarray(conversions.UNOBSERVED_ROTATION_RAD2 * work.config.rotation_length_mm**2 * V @ V.T)
