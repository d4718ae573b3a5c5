"""The tracker: two small coils in a sensor, demodulated voltages, and a pose solver that knows the free-space field only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.coils import Generator, planar_generator
from lodestone_core import se3
from lodestone_core.types import Array

_HALF_ANGLE_RAD = np.deg2rad(20.0)
COILS = np.array([[np.sin(_HALF_ANGLE_RAD), 0.0, np.cos(_HALF_ANGLE_RAD)], [-np.sin(_HALF_ANGLE_RAD), 0.0, np.cos(_HALF_ANGLE_RAD)]])
"""Unit axes (2, 3) of the two coils in the sensor's frame, both at its origin."""
_LEVER_MM = 100.0
"""Rotations are solved in units of 1 rad / 100 mm, so that all six columns of the Jacobian have a like size."""
# A turn d of the sensor changes coil c's voltage by d . (c x b), b the field in the sensor's axes: b times this (3, 2 coils x 3) is c x b.
_TURNS = np.concatenate([-se3.hat(coil) for coil in COILS], axis=1) / _LEVER_MM
_BATCH = 1024
_LONGEST_STEP_MM = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the solver makes of N voltages without noise, and what noise of the voltages does to it, to first order.

    With white noise of 1 T on every voltage the pose moves by `noise_factor @ z`, z standard normal (N, 6): mm along the tracker's axes,
    then rad about the sensor's own. What is left of the fit is independent of it: it is perpendicular to all that a pose can explain.
    """

    T: Array
    """Poses (N, 4, 4), mm."""
    residual: Array
    """Norm (N,) of the voltages that no pose explains, T."""
    noise_factor: Array
    """(N, 6, 6) in mm or rad per T."""
    solved: npt.NDArray[np.bool_]
    """Whether the solver came to rest (N,)."""

    @property
    def unit_noise_mm(self) -> Array:
        """RMS 3-D position noise (N,) of a voltage noise of 1 T."""
        rms: Array = np.sqrt(np.square(self.noise_factor[..., :3, :]).sum(axis=(-1, -2)))
        return rms


def voltages(field: Array, T: Array) -> Array:
    """Voltages (..., F, 2) of the two coils in a field (..., F, 3) at poses (..., 4, 4), in T."""
    in_sensor: Array = field @ T[..., :3, :3] @ COILS.T
    return in_sensor


def measure(secondary: Array, T_true: Array, start: Array | None = None, steps: int = 30, tolerance_mm: float = 1e-5) -> Measured:
    """What the tracker measures at poses (N, 4, 4) where metal adds a field (N, F, 3); the solver starts at `start` or at the truth."""
    total = planar_generator().field(T_true[:, :3, 3]) + secondary
    return solve(voltages(total, T_true), T_true if start is None else start, steps, tolerance_mm)


def solve(measured: Array, start: Array, steps: int = 30, tolerance_mm: float = 1e-5) -> Measured:
    """Poses from voltages (N, F, 2) by damped Gauss-Newton from `start` (N, 4, 4), thousands at once."""
    generator = planar_generator()
    parts = [_solve(measured[i : i + _BATCH], start[i : i + _BATCH], generator, steps, tolerance_mm) for i in range(0, len(start), _BATCH)]
    return Measured(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("T", "residual", "noise_factor", "solved")))


def _solve(measured: Array, start: Array, generator: Generator, steps: int, tolerance_mm: float) -> Measured:
    T, damping = start.copy(), np.full(len(start), 1e-9)
    moving = np.arange(len(start))
    residual, J = _linearised(measured, T, generator)
    cost = np.square(residual).sum(axis=1)
    for _ in range(steps):
        step = _step(J[moving], residual[moving], damping[moving])
        trial = _moved(T[moving], step)
        new_residual, new_J = _linearised(measured[moving], trial, generator)
        new_cost = np.square(new_residual).sum(axis=1)
        small = np.abs(step).max(axis=1) < tolerance_mm
        good = (new_cost <= cost[moving]) | small
        taken = moving[good]
        T[taken], J[taken], residual[taken], cost[taken] = trial[good], new_J[good], new_residual[good], new_cost[good]
        damping[moving] = np.where(good, np.maximum(0.1 * damping[moving], 1e-12), np.maximum(30.0 * damping[moving], 1e-6))
        moving = moving[~small]
        if not len(moving):
            break
    solved = np.ones(len(start), dtype=np.bool_)
    solved[moving] = False
    return Measured(T, np.sqrt(cost), _noise_factor(J), solved)


def _linearised(measured: Array, T: Array, generator: Generator) -> tuple[Array, Array]:
    """Voltages left over (N, V), and the Jacobian (N, V, 6) of the predicted ones by mm and by rad / lever."""
    field, gradient = generator.field_and_gradient(T[:, :3, 3])
    R = T[:, :3, :3]
    b = field @ R
    left = measured - b @ COILS.T
    axes = COILS @ np.swapaxes(R, 1, 2)
    J = np.empty((*left.shape, 6))
    J[..., :3] = axes[:, None] @ gradient
    J[..., 3:] = (b @ _TURNS).reshape(*left.shape, 3)
    return left.reshape(len(T), -1), J.reshape(len(T), -1, 6)


def _step(J: Array, residual: Array, damping: Array) -> Array:
    Jt = np.swapaxes(J, 1, 2)
    normal = Jt @ J
    diagonal = np.einsum("nii->ni", normal)
    diagonal *= 1.0 + damping[:, None]
    step = np.linalg.solve(normal, Jt @ residual[..., None])[..., 0]
    longest = np.abs(step).max(axis=1, keepdims=True)
    limited: Array = step * np.minimum(1.0, _LONGEST_STEP_MM / np.maximum(longest, 1e-300))
    return limited


def _moved(T: Array, step: Array) -> Array:
    return displaced(T, step / np.repeat([1.0, _LEVER_MM], 3))


def displaced(T: Array, step: Array) -> Array:
    """Poses (..., 4, 4) moved by mm along the tracker's axes and turned by a rotation vector about their own (..., 6)."""
    moved = T.copy()
    moved[..., :3, 3] += step[..., :3]
    turn = Rotation.from_rotvec(step[..., 3:].reshape(-1, 3)).as_matrix()
    moved[..., :3, :3] = T[..., :3, :3] @ turn.reshape(*step.shape[:-1], 3, 3)
    return moved


def _noise_factor(J: Array) -> Array:
    """L (N, 6, 6) with L L^T = (J^T J)^-1, in mm and rad."""
    inverse = np.linalg.inv(np.linalg.qr(J, mode="r"))
    factor: Array = inverse / np.repeat([1.0, _LEVER_MM], 3)[:, None]
    return factor
