"""Scenes for the in-context network: a tracker of point dipoles, disturbed by point dipoles and by a generator that is not as modelled.

A scene is one patient: transmitter dipoles around a plane, a body in front of it, secondary dipoles outside the body whose
moments follow the transmitted field (polarisability tensors; negative ones stand for conductors), coils that sit or point a
little elsewhere than the solver believes, a sensor of one or two coils, and a solver that knows only the free-space field
of the nominal coils. The distortion so is a field over pose. Nothing else of physics is here, and nothing of the bench.

Everything is batched over scenes and runs on the device of the generator. Units outside: mm, radians. Inside, lengths are in
units of `UNIT_MM` and fields without mu0 / (4 pi), so that single precision suffices.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNIT_MM = 100.0
# A sensor never comes closer to the centre of a disturbing dipole than a body of this size lets it.
_SOFTENING = 0.15
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
_DAMPING = 1e-6


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """Ranges from which scenes are drawn; lengths in mm, log-uniform where a pair spans more than a factor of three."""

    noise_mm: tuple[float, float] = (0.03, 1.2)  # RMS length of the error of one landmark, tracker and image together
    distortion_mm: tuple[float, float] = (0.05, 25.0)  # mean residual that the best rigid map leaves at targets, without noise
    undistorted: float = 0.15  # share of scenes without distortion
    semi_axis_mm: tuple[float, float] = (40.0, 200.0)
    standoff_mm: tuple[float, float] = (20.0, 400.0)  # of disturbing dipoles, from the body
    dipoles: int = 8  # most of a scene
    solver_steps: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """B scenes of n landmarks and m queries. Poses are the tip's, as measured; the image frame is the true tracker frame.

    `R`, `tip` (B, n, 3, 3) and (B, n, 3) with `image` (B, n, 3); `R_query`, `tip_query` (B, m, ...) with `truth` (B, m, 3);
    `inside` (B, m): a query in the body. `noise_mm`, `distortion_mm` (B,); `valid` (B,): the solver found every pose.
    """

    R: Tensor
    tip: Tensor
    image: Tensor
    R_query: Tensor
    tip_query: Tensor
    truth: Tensor
    inside: Tensor
    noise_mm: Tensor
    distortion_mm: Tensor
    valid: Tensor

    def fewer(self, n: int) -> Scenes:
        """The same scenes with their first n landmarks only; they are in random order."""
        return replace(self, R=self.R[:, :n], tip=self.tip[:, :n], image=self.image[:, :n])


class Draw:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.device = generator.device
        # Numbers that decide shapes are drawn where they are needed, so that the device is not waited for.
        self.host = random.Random(generator.initial_seed())

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Evenly between two bounds."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def log_uniform(self, *shape: int, bounds: tuple[float, float]) -> Tensor:
        """Evenly in the logarithm."""
        return torch.exp(self.uniform(*shape, low=math.log(bounds[0]), high=math.log(bounds[1])))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, *shape: int, share: float) -> Tensor:
        """True with this probability."""
        return self.uniform(*shape) < share

    def direction(self, *shape: int) -> Tensor:
        """Unit vectors (..., 3)."""
        return torch.nn.functional.normalize(self.normal(*shape, 3), dim=-1)

    def rotation(self, *shape: int) -> Tensor:
        """Rotations (..., 3, 3), evenly over all."""
        w, x, y, z = torch.nn.functional.normalize(self.normal(*shape, 4), dim=-1).unbind(-1)
        rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)]
        rows += [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)]
        rows += [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]
        return torch.stack(rows, -1).reshape(*shape, 3, 3)


def turn(rotvec: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of rotation vectors (..., 3) in rad (Rodrigues)."""
    angle = rotvec.norm(dim=-1).clamp_min(1e-9)[..., None, None]
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    K = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotvec.shape[:-1], 3, 3)
    eye = torch.eye(3, device=rotvec.device)
    along = rotvec[..., :, None] * rotvec[..., None, :]
    return torch.cos(angle) * eye + torch.sin(angle) / angle * K + (1.0 - torch.cos(angle)) / angle**2 * along


def apply(R: Tensor, x: Tensor) -> Tensor:
    """R x for matrices (..., 3, 3) and vectors (..., 3); plain sums, since single precision must stay single precision."""
    return (R * x[..., None, :]).sum(-1)


def product(A: Tensor, B: Tensor) -> Tensor:
    """A B for many matrices of three rows or so: sums over whole batches cost less than as many small products."""
    return (A[..., :, :, None] * B[..., None, :, :]).sum(-2)


def solve_symmetric(A: Tensor, b: Tensor) -> Tensor:
    """x (..., k) of A x = b for positive definite A (..., k, k), scaled to unit diagonal and lightly damped."""
    k = b.shape[-1]
    scale = torch.rsqrt(torch.diagonal(A, dim1=-2, dim2=-1).clamp_min(1e-20))
    M = torch.cat([A * scale[..., :, None] * scale[..., None, :], (b * scale)[..., None]], -1)
    M[..., :k] += _DAMPING * torch.eye(k, device=A.device)
    for j in range(k):
        row = M[..., j, :] / M[..., j, j : j + 1]
        M = M - M[..., :, j : j + 1] * row[..., None, :]
        M[..., j, :] = row
    return M[..., k] * scale


def without_rigid(moved: Tensor, points: Tensor) -> Tensor:
    """Small displacements (B, m, 3) of points (B, m, 3), less the small rigid motion that fits them best."""
    x = points - points.mean(1, keepdim=True)
    d = moved - moved.mean(1, keepdim=True)
    inertia = (x * x).sum((1, 2))[:, None, None] * torch.eye(3, device=x.device) - (x[..., :, None] * x[..., None, :]).sum(1)
    omega = solve_symmetric(inertia, torch.linalg.cross(x, d).sum(1))
    return d - torch.linalg.cross(omega[:, None].expand_as(x), x)


def dipole_field(r: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Field (..., 3) and its gradient (..., 3, 3) at r (..., 3) from a dipole `moment` (..., 3): (3 (m.r) r / r^2 - m) / r^3."""
    r2 = (r * r).sum(-1, keepdim=True)
    inverse3 = r2 ** (-1.5)
    along = (moment * r).sum(-1, keepdim=True)
    field = (3.0 * along / r2 * r - moment) * inverse3
    outer = moment[..., :, None] * r[..., None, :]
    rr = r[..., :, None] * r[..., None, :]
    eye = torch.eye(3, device=r.device)
    scale = (3.0 * inverse3 / r2)[..., None]
    gradient = scale * (outer + outer.transpose(-1, -2) + along[..., None] * (eye - 5.0 * rr / r2[..., None]))
    return field, gradient


@dataclass(frozen=True, slots=True, eq=False)
class Tracker:
    """Transmitters `coils`, `moments` (B, K, 3) and the sensor's coil axes (B, 2, 3); `used` (B, 2): 0 for a coil that is not there."""

    coils: Tensor
    moments: Tensor
    axes: Tensor
    used: Tensor

    def signals(self, R: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Signals (B, P, 2 K + 1) of poses and their Jacobian (B, P, 2 K + 1, 6) to position and rotation (left, tracker axes)."""
        field, gradient = dipole_field(p[:, :, None] - self.coils[:, None], self.moments[:, None])
        a = product((self.axes * self.used[..., None])[:, None], R.transpose(-1, -2))
        s = product(a, field.transpose(-1, -2))
        J_p = (a[:, :, :, None, :, None] * gradient[:, :, None]).sum(-2)
        J_r = torch.linalg.cross(a[:, :, :, None].expand_as(J_p), field[:, :, None].expand_as(J_p))
        J = torch.cat([J_p, J_r], -1).flatten(2, 3)
        # With one coil a last row keeps the roll, of which the signals say nothing, where it is.
        hold = (1.0 - self.used[:, 1])[:, None, None] * a[:, :, 0] * J[..., 3:].norm(dim=(-1, -2))[..., None]
        held = torch.cat([torch.zeros_like(hold), hold], -1)
        return self._with_roll(s.flatten(2)), torch.cat([J, held[:, :, None]], 2)

    def seen(self, R: Tensor, field: Tensor) -> Tensor:
        """Signals (B, P, 2 K + 1) of fields (B, P, K, 3), one a transmitter."""
        a = product((self.axes * self.used[..., None])[:, None], R.transpose(-1, -2))
        return self._with_roll(product(a, field.transpose(-1, -2)).flatten(2))

    def _with_roll(self, s: Tensor) -> Tensor:
        return torch.cat([s, torch.zeros_like(s[..., :1])], -1)


def step(J: Tensor, s: Tensor) -> Tensor:
    """The least-squares step (B, P, 6) that explains signals s (B, P, 2 K + 1)."""
    J_t = J.transpose(-1, -2)
    d = solve_symmetric(J_t @ J, (J * s[..., None]).sum(-2))
    return torch.nan_to_num(d, 0.0, 0.0, 0.0)


def moved(R: Tensor, p: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Poses after a step (B, P, 6), which is held to what a solver would take at once."""
    dp = d[..., :3] * (0.5 / d[..., :3].norm(dim=-1, keepdim=True).clamp_min(0.5))
    dr = d[..., 3:] * (0.7 / d[..., 3:].norm(dim=-1, keepdim=True).clamp_min(0.7))
    return product(turn(dr), R), p + dp


def draw_tracker(draw: Draw, count: int) -> Tracker:
    """Eight or nine transmitters around a plane 1 to 3 units wide, a sensor of two coils (one in seven: of one)."""
    K = draw.host.choice((8, 9))
    half = draw.uniform(count, 1, 1, low=0.6, high=1.6)
    flat = torch.tensor([1.0, 1.0, 0.15], device=draw.device)
    coils = draw.uniform(count, K, 3, low=-1.0, high=1.0) * half * flat
    angle = draw.uniform(count, low=0.35, high=math.pi / 2)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    axes = torch.stack([zero, zero, one, torch.sin(angle), zero, torch.cos(angle)], -1).reshape(count, 2, 3)
    used = torch.stack([one, (~draw.chance(count, share=0.15)).float()], -1)
    return Tracker(coils, draw.direction(count, K) * draw.log_uniform(count, K, 1, bounds=(0.7, 1.4)), axes, used)
