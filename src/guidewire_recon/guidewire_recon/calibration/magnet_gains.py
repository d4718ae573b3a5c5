"""Gains of an array, and the size of a magnet, from a recording in which the poses of both are known.

    raw_i = A_i R_i^T B(place_i - magnet, axis) + background_i

Gains and strength go together: their product is all that one magnet can tell. The mean gain is therefore 1, and the strength in field
units is what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from guidewire_recon.magnet_field import Magnet, magnet_field
from lodestone_core.checks import as_array
from lodestone_core.config import option
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, solve
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class GainsConfig:
    """What is free in the fit."""

    gains: bool = option(True, doc="one gain for each sensor; else all alike")
    finite: bool = option(True, doc="the magnet's octupole, and how far along its axis its middle lies from where it is said to lie")
    matrices: bool = option(False, doc="a 3x3 matrix for each sensor in place of a gain")
    matrix_sigma: float = option(0.02, doc="how far an entry of a matrix is expected from the gain alone", minimum=1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """`matrix` (S, 3, 3): raw over field along the sensor's axes; `offset_mm`: the magnet's middle from its pose, along its axis.

    `sigma`: RMS of what the model leaves, raw units.
    """

    matrix: Array
    magnet: Magnet
    offset_mm: float
    sigma: float


def fit_gains(T_sensor: Array, T_magnet: Array, raw: Array, config: GainsConfig | None = None) -> Gains:
    """From sensor poses (N, S, 4, 4), magnet poses (N, 4, 4; moment along z) in mm, and fields (N, S, 3) without background."""
    free = GainsConfig() if config is None else config
    raw = as_array("fields", raw, (len(T_magnet), T_sensor.shape[1], 3))
    model = _Model(T_sensor, T_magnet, raw, free)
    start = model.start()
    first = solve(model.problem(start), _SOLVER)
    strength, matrix = model.gains_of(first.values)
    finite = first.values.get("finite", np.zeros(2))
    count = raw.size
    sigma = float(np.sqrt(np.mean(np.square(first.residuals[:count])) * count / max(count - model.freedom, 1)) * model.scale)
    return Gains(matrix, Magnet(strength, float(finite[0])), float(finite[1]), sigma)


_SOLVER = SolverConfig(loss=Loss.NONE, step_tolerance_mm=1e-7)


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    T_sensor: Array
    T_magnet: Array
    raw: Array
    free: GainsConfig

    @property
    def scale(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.raw))))

    @property
    def freedom(self) -> int:
        return sum(len(value) for value in self.start().values())

    def start(self) -> dict[str, Array]:
        S = self.raw.shape[1]
        unit = self._field(0.0, 0.0)
        values = {"strength": np.array([np.log(abs(np.sum(unit * self.raw) / np.sum(unit * unit)))])}
        if self.free.gains:
            values["gains"] = np.zeros(S)
        if self.free.finite:
            values["finite"] = np.zeros(2)
        if self.free.matrices:
            values["matrices"] = np.zeros(9 * S)
        return values

    def problem(self, start: Mapping[str, Array]) -> Problem:
        typical = {"strength": 0.01, "gains": 0.01, "finite": 1.0, "matrices": 0.01}
        return Problem(start, self._residuals, typical={name: typical[name] for name in start})

    def gains_of(self, values: Mapping[str, Array]) -> tuple[float, Array]:
        S = self.raw.shape[1]
        gain = 1.0 + values.get("gains", np.zeros(S))
        matrix = gain[:, None, None] * np.eye(3) + values.get("matrices", np.zeros(9 * S)).reshape(S, 3, 3)
        mean = float(np.mean(np.trace(matrix, axis1=1, axis2=2) / 3.0))
        return float(np.exp(values["strength"][0])) * mean * self._sign(), matrix / mean

    def _sign(self) -> float:
        return float(np.sign(np.sum(self._field(0.0, 0.0) * self.raw)))

    def _field(self, octupole_mm2: float, offset_mm: float) -> Array:
        u = self.T_magnet[:, None, :3, 2]
        r = self.T_sensor[..., :3, 3] - self.T_magnet[:, None, :3, 3] - offset_mm * u
        outer = magnet_field(r, u, Magnet(1.0, octupole_mm2))
        return np.asarray(np.einsum("nsji,nsj->nsi", self.T_sensor[..., :3, :3], outer))

    def _residuals(self, values: Mapping[str, Array]) -> Array:
        octupole, offset = values.get("finite", np.zeros(2))
        strength, matrix = self.gains_of(values)
        modelled = strength * np.einsum("sij,nsj->nsi", matrix, self._field(float(octupole), float(offset)))
        # The gauge: a mean deviation of zero, which gains_of divides out of what is used.
        priors = [((modelled - self.raw) / self.scale).ravel()]
        if "gains" in values:
            priors.append(np.array([np.mean(values["gains"])]))
        if "matrices" in values:
            noise = _RELATIVE_NOISE / self.free.matrix_sigma
            priors.append(noise * values["matrices"])
        return np.concatenate(priors)


_RELATIVE_NOISE = 0.003


def residual_of(gains: Gains, T_sensor: Array, T_magnet: Array, raw: Array) -> Array:
    """Raw less model (N, S, 3) for a recording whose poses are known, background taken off."""
    u = T_magnet[:, None, :3, 2]
    r = T_sensor[..., :3, 3] - T_magnet[:, None, :3, 3] - gains.offset_mm * u
    local = np.einsum("nsji,nsj->nsi", T_sensor[..., :3, :3], magnet_field(r, u, gains.magnet))
    return np.asarray(raw - np.einsum("sij,nsj->nsi", gains.matrix, local))


__all__ = ["Gains", "GainsConfig", "Solution", "fit_gains", "residual_of"]
