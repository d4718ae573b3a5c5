"""Where a magnet is and where it points, from the fields at an array: five degrees of freedom, the turn about its own axis is not seen.

Starts come from a grid: at each place the moment that fits best is a linear problem, so the best places are found without an iteration.
From the best of them Levenberg and Marquardt's method descends (lodestone_core.least_squares, analytic Jacobian). The covariance follows
the house's convention: the unseen turn carries (2 pi)^2 rad^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guidewire_recon.magnet_field import Magnet, field_and_derivatives, magnet_field
from lodestone_core import se3
from lodestone_core.checks import as_array, as_points
from lodestone_core.config import option
from lodestone_core.covariance import UNOBSERVED_ROTATION_RAD2
from lodestone_core.error_radius import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, solve
from lodestone_core.types import Array

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LocalisationConfig:
    """Where to search, and what is taken for a magnet."""

    low_mm: Vector = option((-80.0, -80.0, 10.0), unit="mm", doc="corner of the space that is searched, in the array's frame")
    high_mm: Vector = option((80.0, 80.0, 150.0), unit="mm", doc="the opposite corner")
    step_mm: float = option(12.0, unit="mm", doc="grid of the starts", minimum=1.0)
    starts: int = option(3, doc="places of the grid from which it is descended", minimum=1, maximum=50)
    least_sensors: int = option(4, doc="fewest sensors that must have measured", minimum=2)
    noise_t: float = option(1.2e-7, unit="T", doc="standard deviation of one axis of one sensor, where it is not given", minimum=1e-15)
    model_share: float = option(
        0.005, doc="error of the model of a field, as a share of it (gains, sensor poses); added to the noise", minimum=0.0, maximum=0.5
    )
    worst_chi2: float = option(9.0, doc="a mean squared residual beyond this many of the expected is no magnet of this kind", minimum=1.0)
    apart_mm: float = option(5.0, unit="mm", doc="two solutions further apart than this are two", minimum=0.0)
    ambiguous_chi2: float = option(6.0, doc="a second solution whose sum of squares is within this is as good", minimum=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A magnet: its middle is the origin, its moment the z axis of `T_array_magnet` (4x4, mm).

    `covariance` (6, 6) in the message convention: the array's axes at the magnet's middle. `chi2`: mean squared residual over the expected.
    """

    T_array_magnet: Array
    covariance: Array
    chi2: float

    @property
    def position_mm(self) -> Array:
        """Its middle (3,)."""
        return np.asarray(self.T_array_magnet[:3, 3])

    @property
    def axis(self) -> Array:
        """Direction (3,) of its moment."""
        return np.asarray(self.T_array_magnet[:3, 2])

    @property
    def radius_95_mm(self) -> float:
        """Radius that holds the position's error in 95 of 100 cases."""
        return float(expected_radius_95(self.covariance[:3, :3]))


@dataclass(frozen=True, slots=True)
class NotLocated:
    """Why there is no pose."""

    reason: str


class Localiser:
    """Finds one magnet of known strength with one array."""

    def __init__(self, sensors_mm: Array, magnet: Magnet, config: LocalisationConfig | None = None) -> None:
        """Sensors (S, 3) in the array's frame. Raises InputError for a magnet without strength or a box turned inside out."""
        self.config = LocalisationConfig() if config is None else config
        self._sensors = as_points("sensors", sensors_mm, at_least=2)
        self._magnet = magnet
        if not np.isfinite(magnet.strength) or magnet.strength == 0.0:
            raise InputError("magnet: strength", expected="a number of T mm^3", got=magnet.strength, remedy="measure it in a known pose")
        low, high = np.array(self.config.low_mm), np.array(self.config.high_mm)
        if not np.all(high > low):
            raise InputError("high_mm", expected=f"above low_mm {low.tolist()}", got=high.tolist(), remedy="exchange them")
        axes = [np.linspace(a, b, max(2, round((b - a) / self.config.step_mm) + 1)) for a, b in zip(low, high, strict=True)]
        self._grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def locate(self, field_T: Array, noise_T: float | None = None, start: Array | None = None) -> Located | NotLocated:
        """From the fields (S, 3) in the array's frame, background taken off; NaN where a sensor has none.

        `start`: a pose nearby, tried beside those of the grid.
        """
        field = np.asarray(field_T, dtype=np.float64)
        if field.shape != self._sensors.shape:
            raise InputError("fields", expected=f"shape {self._sensors.shape}", got=field.shape, remedy="one field of each sensor")
        here = np.isfinite(field).all(axis=1)
        if np.count_nonzero(here) < self.config.least_sensors:
            return NotLocated(f"{np.count_nonzero(here)} sensors measured, {self.config.least_sensors} are needed")
        measured, sensors = field[here], self._sensors[here]
        strength = np.linalg.norm(measured, axis=1, keepdims=True)
        floor = self.config.noise_t if noise_T is None else noise_T
        weight = 1.0 / np.hypot(floor, self.config.model_share * strength)
        found = [self._descend(T, sensors, measured, weight) for T in self._starts(sensors, measured, weight, start)]
        return self._judged(sorted(found, key=lambda s: s.cost), measured.size)

    def _judged(self, found: list[Solution], count: int) -> Located | NotLocated:
        best = found[0]
        T = np.asarray(best.values["T"])
        chi2 = 2.0 * best.cost / max(count - 5, 1)
        if not np.isfinite(chi2) or chi2 > self.config.worst_chi2:
            return NotLocated(f"the fields are not those of this magnet: mean squared residual {chi2:.3g} of the expected")
        low, high = np.array(self.config.low_mm), np.array(self.config.high_mm)
        if np.any(T[:3, 3] < low - self.config.step_mm) or np.any(T[:3, 3] > high + self.config.step_mm):
            return NotLocated(f"the best place, {np.round(T[:3, 3], 1).tolist()} mm, lies outside of the space that is searched")
        for other in found[1:]:
            apart = float(np.linalg.norm(other.values["T"][:3, 3] - T[:3, 3]))
            if apart > self.config.apart_mm and 2.0 * (other.cost - best.cost) < self.config.ambiguous_chi2 * max(chi2, 1.0):
                return NotLocated(f"two places {apart:.0f} mm apart fit alike")
        return Located(T, _widened(best.message_covariance("T"), T[:3, 2], max(chi2, 1.0)), chi2)

    def _starts(self, sensors: Array, measured: Array, weight: Array, start: Array | None) -> list[Array]:
        r = sensors - self._grid[:, None]
        r2 = np.sum(r * r, axis=-1)[..., None, None]
        # B is linear in the moment: (3 n n^T - 1) / r^3.
        tensor = (3.0 * r[..., :, None] * r[..., None, :] / r2 - np.eye(3)) / (4.0 * np.pi * r2 * np.sqrt(r2))
        A = (tensor * weight[:, :, None]).reshape(len(r), -1, 3)
        y = (measured * weight).ravel()
        normal = np.swapaxes(A, 1, 2) @ A
        moment = np.linalg.solve(normal, (np.swapaxes(A, 1, 2) @ y)[..., None])[..., 0]
        length = np.maximum(np.linalg.norm(moment, axis=1), np.finfo(np.float64).tiny)
        u = moment / length[:, None] * np.sign(self._magnet.strength)
        misfit = np.sum(np.square(np.einsum("gki,gi->gk", A, u) * self._magnet.strength - y), axis=1)
        order = np.argsort(misfit)
        chosen: list[int] = []
        for index in order:
            if all(np.linalg.norm(self._grid[index] - self._grid[other]) > 1.5 * self.config.step_mm for other in chosen):
                chosen.append(int(index))
            if len(chosen) == self.config.starts:
                break
        starts = [pose_of(self._grid[index], u[index]) for index in chosen]
        return starts if start is None else [np.asarray(start, dtype=np.float64), *starts]

    def _descend(self, start: Array, sensors: Array, measured: Array, weight: Array) -> Solution:
        def residuals(values: dict[str, Array]) -> Array:
            T = values["T"]
            return np.asarray(((magnet_field(sensors - T[:3, 3], T[:3, 2], self._magnet) - measured) * weight).ravel())

        def jacobian(values: dict[str, Array]) -> dict[str, Array]:
            T = values["T"]
            _, by_place, by_axis = field_and_derivatives(sensors - T[:3, 3], T[:3, 2], self._magnet)
            # T = exp(xi) T0: the place moves by v + w x p, the axis by w x u.
            by_turn = by_place @ se3.hat(T[:3, 3]) - by_axis @ se3.hat(T[:3, 2])
            return {"T": (np.concatenate([-by_place, by_turn], axis=-1) * weight[:, :, None]).reshape(-1, 6)}

        return solve(Problem({"T": start}, residuals, jacobian), _SOLVER)  # type: ignore[arg-type]


def _widened(C: Array, axis: Array, factor: float) -> Array:
    """Covariance for errors larger than expected; that of the unseen turn is none of measurement and stays."""
    unseen = np.zeros((6, 6))
    unseen[3:, 3:] = UNOBSERVED_ROTATION_RAD2 * np.outer(axis, axis)
    return np.asarray(factor * (C - unseen) + unseen)


_SOLVER = SolverConfig(loss=Loss.NONE, noise_sigma=1.0, max_iterations=60, rotation_length_mm=50.0)


def pose_of(position_mm: Array, axis: Array) -> Array:
    """A pose (4x4) with that origin and z axis; its turn about the axis is arbitrary but always the same."""
    z = as_array("axis", axis, (3,)) / np.linalg.norm(axis)
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
    x /= np.linalg.norm(x)
    return se3.make(np.column_stack([x, np.cross(z, x), z]), position_mm)
