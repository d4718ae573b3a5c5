"""Joint refinement of all sensors of an array: every raw value of every recording in one least-squares problem.

    rotation recording:  raw_ni = C_i B_n + b_i,  |B_n| = F       (a uniform field: the same at every sensor)
    magnet recording:    raw_mi = C_i f(p_i; T_m) + o_i           (background taken off, so without bias; o_i: the noise of the background)

Unknown of each sensor: C (3x3), b (3), p (3), o (3). Each B_n, and each pose T_m about where it is said to be, belongs to one sample alone
and is eliminated (Schur complement), so that a step costs one system of 18 unknowns a sensor. Of F and the magnet's
strength one is free. Levenberg and Marquardt's damping, Huber's weights on the three values of a sensor. Units: T, mm, rad.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from guidewire_recon.magnet_field import Magnet, field_and_derivatives
from lodestone_core import se3
from lodestone_core.types import Array

PER_SENSOR = 18
_MATRIX, _BIAS, _PLACE, _REST = slice(0, 9), slice(9, 12), slice(12, 15), slice(15, 18)
_HUBER = 2.8
_SETTLED = 1e-7
_UNKNOWN_MM = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All unknowns: C (S, 3, 3), bias (S, 3) T, place (S, 3) mm, rest of the background (S, 3) T, strength F of the uniform field in T.

    `log_strength` of the magnet, fields (N, 3) T of the rotation samples, poses (M, 4, 4) of the magnet.
    """

    matrix: Array
    bias: Array
    place: Array
    rest: Array
    uniform_T: float
    log_strength: float
    fields: Array
    poses: Array


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What was measured and what is known before.

    `rotation` (N, S, 3) and `magnet` (M, S, 3) in T, NaN where not usable; noise of each value (N, S), (M, S). Sigmas are 0 for what is
    fixed and infinite for what is free.
    """

    rotation: Array
    rotation_sigma: Array
    magnet: Array
    magnet_sigma: Array
    octupole_mm2: float
    rest_sigma: Array
    drawn_mm: Array
    drawn_sigma_mm: float
    poses: Array
    pose_sigma_mm: float
    pose_sigma_rad: float
    uniform_T: float
    uniform_sigma_T: float
    sameness_T: float
    log_strength: float
    log_strength_sigma: float
    held_together: bool


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """The minimum.

    `covariance` (18 S + 2, 18 S + 2): of each sensor the matrix row by row, bias, place, rest; then F and the log of the strength.
    `rotation` (N, S, 3) and `magnet` (M, S, 3): residuals over their noise. `chi2`: mean squared residual over the expected.
    """

    state: State
    covariance: Array
    rotation: Array
    magnet: Array
    chi2: float
    converged: bool


def refine(start: State, data: Data, iterations: int) -> Refined:
    """Descend from a start."""
    state, damping, growth, converged = start, 1e-4, 2.0, False
    cost = _cost(state, data)
    for _ in range(iterations):
        system = _System(state, data)
        step = system.step(damping)
        moved = _moved(state, *step)
        trial = _cost(moved, data)
        if trial < cost:
            settled = cost - trial < _SETTLED * (cost + 1.0)
            state, cost, damping, growth = moved, trial, max(damping / 5.0, 1e-12), 2.0
            if settled:
                converged = True
                break
        else:
            damping, growth = damping * growth, growth * 2.0
            if damping > 1e8:
                converged = True
                break
    system = _System(state, data)
    rotation, magnet = _residuals(state, data)
    count = 3 * (np.isfinite(rotation[..., 0]).sum() + np.isfinite(magnet[..., 0]).sum())
    # A pose that is known is measured by its prior; one that is not takes five values of the fields.
    free = 5 * len(state.poses) if data.pose_sigma_mm > _UNKNOWN_MM else 0
    unknowns = PER_SENSOR * len(state.matrix) + 2 * len(state.fields) + free
    chi2 = 2.0 * cost / max(int(count) - unknowns, 1)
    return Refined(state, system.covariance(), rotation, magnet, chi2, converged)


def model_magnet(matrix: Array, place: Array, poses: Array, magnet: Magnet) -> Array:
    """Raw values (M, S, 3) of a magnet in poses (M, 4, 4)."""
    field, _, _ = _magnet_fields(place, poses, magnet)
    return np.asarray(np.einsum("sij,msj->msi", matrix, field))


def _magnet_fields(place: Array, poses: Array, magnet: Magnet) -> tuple[Array, Array, Array]:
    u = np.broadcast_to(poses[:, None, :3, 2], (len(poses), len(place), 3))
    return field_and_derivatives(place - poses[:, None, :3, 3], u, magnet)


def _residuals(state: State, data: Data) -> tuple[Array, Array]:
    rotation = (data.rotation - np.einsum("sij,nj->nsi", state.matrix, state.fields) - state.bias) / data.rotation_sigma[..., None]
    magnet = Magnet(float(np.exp(state.log_strength)), data.octupole_mm2)
    modelled = model_magnet(state.matrix, state.place, state.poses, magnet) + state.rest
    return rotation, (data.magnet - modelled) / data.magnet_sigma[..., None]


def _huber(r: Array) -> tuple[Array, Array]:
    """Cost and weight (K, S) of residuals (K, S, 3); nothing for NaN."""
    length = np.linalg.norm(r, axis=-1)
    known = np.isfinite(length)
    length = np.where(known, length, 0.0)
    cost = np.where(length <= _HUBER, 0.5 * length**2, _HUBER * (length - 0.5 * _HUBER))
    return cost, np.where(known, np.minimum(1.0, _HUBER / np.maximum(length, 1e-12)), 0.0)


def _cost(state: State, data: Data) -> float:
    rotation, magnet = _residuals(state, data)
    total = float(_huber(rotation)[0].sum() + _huber(magnet)[0].sum())
    total += 0.5 * float(np.sum(np.square(_sameness(state, data))) + np.sum(np.square(_pose_prior(state, data))))
    r, _ = _priors(state, data)
    return total + 0.5 * float(r @ r)


def _sameness(state: State, data: Data) -> Array:
    return np.asarray((np.linalg.norm(state.fields, axis=1) - state.uniform_T) / data.sameness_T)


def _pose_prior(state: State, data: Data) -> Array:
    """(M, 6): how far each pose is from where it is said to be, over its sigma."""
    shift = (state.poses[:, :3, 3] - data.poses[:, :3, 3]) / data.pose_sigma_mm
    turn = state.poses[:, :3, :3] @ np.swapaxes(data.poses[:, :3, :3], 1, 2)
    return np.asarray(np.concatenate([shift, se3.log(se3.make(turn, np.zeros(3)))[:, 3:] / data.pose_sigma_rad], axis=1))


def _priors(state: State, data: Data) -> tuple[Array, Array]:
    """Residuals (R,) on sensors and scales, and their derivatives (R, 18 S + 2)."""
    S = len(state.matrix)
    size = PER_SENSOR * S + 2
    residuals, rows = [], []
    for s in range(S):
        for axis in range(3):
            row = np.zeros(size)
            row[PER_SENSOR * s + 12 + axis] = 1.0 / data.drawn_sigma_mm
            rows.append(row)
            residuals.append((state.place[s, axis] - data.drawn_mm[s, axis]) / data.drawn_sigma_mm)
            row = np.zeros(size)
            row[PER_SENSOR * s + 15 + axis] = 1.0 / data.rest_sigma[s]
            rows.append(row)
            residuals.append(state.rest[s, axis] / data.rest_sigma[s])
    scales = ((state.uniform_T, data.uniform_T, data.uniform_sigma_T), (state.log_strength, data.log_strength, data.log_strength_sigma))
    for index, (value, expected, sigma) in enumerate(scales):
        if np.isfinite(sigma):
            row = np.zeros(size)
            row[PER_SENSOR * S + index] = 1.0 / sigma
            rows.append(row)
            residuals.append((value - expected) / sigma)
    if data.held_together:
        # Without a magnet nothing says how the array as a whole is turned: on average as it was drawn.
        for i, j in ((0, 1), (0, 2), (1, 2)):
            row = np.zeros(size)
            row[3 * i + j : PER_SENSOR * S : PER_SENSOR] = 1e4 / S
            row[3 * j + i : PER_SENSOR * S : PER_SENSOR] = -1e4 / S
            rows.append(row)
            residuals.append(1e4 * float(np.mean(state.matrix[:, i, j] - state.matrix[:, j, i])))
    return np.array(residuals), np.array(rows)


class _System:
    """The normal equations at a state: U over sensors and scales, V over what belongs to one sample, W between them."""

    def __init__(self, state: State, data: Data) -> None:
        self.size = PER_SENSOR * len(state.matrix) + 2
        rotation, magnet = _residuals(state, data)
        r, rows = _priors(state, data)
        self.U, self.g = rows.T @ rows, rows.T @ r
        self.groups = [self._rotation(state, data, rotation), self._magnet(state, data, magnet)]

    def _rotation(self, state: State, data: Data, r: Array) -> tuple[Array, Array, Array]:
        K, S = r.shape[:2]
        J = np.zeros((K, S, 3, PER_SENSOR))
        for a in range(3):
            J[:, :, a, 3 * a : 3 * a + 3] = state.fields[:, None]
            J[:, :, a, 9 + a] = 1.0
        own = np.broadcast_to(state.matrix, (K, S, 3, 3))
        W, V, h = self._add(J, own, np.zeros((K, S, 3)), r, data.rotation_sigma)
        n = state.fields / np.linalg.norm(state.fields, axis=1, keepdims=True)
        same = _sameness(state, data)
        V += n[:, :, None] * n[:, None] / data.sameness_T**2
        h += n * (same / data.sameness_T)[:, None]
        W[:, -2] -= n / data.sameness_T**2
        self.U[-2, -2] += K / data.sameness_T**2
        self.g[-2] -= same.sum() / data.sameness_T
        return W, V, h

    def _magnet(self, state: State, data: Data, r: Array) -> tuple[Array, Array, Array]:
        K, S = r.shape[:2]
        magnet = Magnet(float(np.exp(state.log_strength)), data.octupole_mm2)
        field, by_place, by_axis = _magnet_fields(state.place, state.poses, magnet)
        J = np.zeros((K, S, 3, PER_SENSOR))
        for a in range(3):
            J[:, :, a, 3 * a : 3 * a + 3] = field
            J[:, :, a, 15 + a] = 1.0
        slope = state.matrix @ by_place
        J[..., _PLACE] = slope
        turned = -(state.matrix @ by_axis) @ se3.hat(state.poses[:, :3, 2])[:, None]
        own = np.concatenate([-slope, turned], axis=-1)
        W, V, h = self._add(J, own, np.einsum("sij,ksj->ksi", state.matrix, field), r, data.magnet_sigma)
        sigma = np.repeat([data.pose_sigma_mm, data.pose_sigma_rad], 3)
        V += np.diag(1.0 / sigma**2)
        h += _pose_prior(state, data) / sigma
        return W, V, h

    def _add(self, J: Array, own: Array, by_strength: Array, r: Array, sigma: Array) -> tuple[Array, Array, Array]:
        """Add one recording to U and g; its W (K, D, E), V (K, E, E) and gradient (K, E)."""
        K, S = r.shape[:2]
        weight = _huber(r)[1] / sigma**2
        e = np.where(np.isfinite(r), r, 0.0) * sigma[..., None]  # measured less modelled
        WJ = J * weight[..., None, None]
        for s in range(S):
            part = slice(PER_SENSOR * s, PER_SENSOR * (s + 1))
            flat = WJ[:, s].reshape(-1, PER_SENSOR)
            self.U[part, part] += flat.T @ J[:, s].reshape(-1, PER_SENSOR)
            across = flat.T @ by_strength[:, s].ravel()
            self.U[part, -1] += across
            self.U[-1, part] += across
            self.g[part] -= flat.T @ e[:, s].ravel()
        strong = by_strength * weight[..., None]
        self.U[-1, -1] += float(np.sum(strong * by_strength))
        self.g[-1] -= float(np.sum(strong * e))
        W = np.zeros((K, self.size, own.shape[-1]))
        W[:, :-2] = (np.swapaxes(WJ, -1, -2) @ own).reshape(K, self.size - 2, own.shape[-1])
        W[:, -1] = np.einsum("ksi,ksie->ke", strong, own)
        heavy = own * weight[..., None, None]
        V = np.einsum("ksie,ksif->kef", heavy, own)
        return W, V, -np.einsum("ksie,ksi->ke", heavy, e)

    def step(self, damping: float) -> tuple[Array, Array, Array]:
        """Changes of sensors and scales (D,), fields (N, 3), poses (M, 6)."""
        S, g = self._reduced(damping)
        # Units differ by many orders of magnitude: T, mm, and numbers.
        scale = 1.0 / np.sqrt(np.diag(S))
        common = -scale * np.linalg.solve(S * np.outer(scale, scale), scale * g)
        own = []
        for W, V, h in self.groups:
            damped = _damped(V, damping)
            own.append(-np.linalg.solve(damped, (h + np.einsum("kde,d->ke", W, common))[..., None])[..., 0] if len(V) else h)
        return common, own[0], own[1]

    def covariance(self) -> Array:
        """Of sensors and scales, with what belongs to the samples free."""
        S, _ = self._reduced(0.0)
        scale = 1.0 / np.sqrt(np.diag(S))
        return np.asarray(np.linalg.pinv(S * np.outer(scale, scale), rcond=1e-12, hermitian=True) * np.outer(scale, scale))

    def _reduced(self, damping: float) -> tuple[Array, Array]:
        S = self.U + np.diag(damping * np.diag(self.U) + 1e-300)
        g = self.g.copy()
        for W, V, h in self.groups:
            if not len(V):
                continue
            L = np.linalg.inv(np.linalg.cholesky(_damped(V, damping)))
            Y = W @ np.swapaxes(L, 1, 2)
            flat = np.swapaxes(Y, 0, 1).reshape(self.size, -1)
            S -= flat @ flat.T
            g -= flat @ np.einsum("kef,kf->ke", L, h).ravel()
        # Where a scale is fixed, or nothing depends on it, it stands still.
        floor = 1e-12 * np.maximum(np.diag(self.U), 1e-300)
        S[np.diag_indices(self.size)] = np.maximum(np.diag(S), floor)
        return S, g


def _damped(V: Array, damping: float) -> Array:
    return np.asarray(V * (1.0 + damping * np.eye(V.shape[-1])))


def _moved(state: State, common: Array, fields: Array, poses: Array) -> State:
    S = len(state.matrix)
    sensors = common[: PER_SENSOR * S].reshape(S, PER_SENSOR)
    turned = se3.exp(np.concatenate([np.zeros((len(poses), 3)), poses[:, 3:]], axis=1))[:, :3, :3] @ state.poses[:, :3, :3]
    return replace(
        state,
        matrix=state.matrix + sensors[:, _MATRIX].reshape(S, 3, 3),
        bias=state.bias + sensors[:, _BIAS],
        place=state.place + sensors[:, _PLACE],
        rest=state.rest + sensors[:, _REST],
        uniform_T=state.uniform_T + float(common[-2]),
        log_strength=state.log_strength + float(common[-1]),
        fields=state.fields + fields,
        poses=se3.make(turned, state.poses[:, :3, 3] + poses[:, :3]),
    )
