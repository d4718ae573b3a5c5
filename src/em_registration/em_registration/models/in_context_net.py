"""The in-context network: any set of correspondences and a pose in, mean and covariance of the image point out, in one pass.

The rigid map is found first, in closed form; the network answers what is left of it. All it sees is free of units and frames:
positions in units of the landmarks' radius along their principal axes, residuals in units of their RMS. So a rigid motion of
the tracker changes nothing, one of the image moves the answer with it, and the order of the correspondences does not matter.
Queries look at correspondences only and never at one another.

Conditional neural processes (M. Garnelo et al., ICML 2018) with the transformer of T. Nguyen and A. Grover, ICML 2022; attention
falls with the distance between poses, as a kernel does, at lengths that are learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Numbers of landmarks between which the logarithm of the covariance's temperature is interpolated in log n.
TEMPERATURE_KNOTS = (3.0, 4.0, 6.0, 10.0, 20.0, 60.0, 200.0)
# Residuals below this say nothing of the error: three points can fit by chance.
RESIDUAL_FLOOR_MM = 0.05
# Further out than this many radii the network is asked at the border; only the covariance goes on growing.
REACH = 3.0
_FREQUENCIES = (0.5, 1.0, 2.0)
_FEATURES = 3 + 6 * len(_FREQUENCIES) + 9 + 9 + 3 + 2 + 7
_THIN = 1e-3


@dataclass(frozen=True, slots=True)
class InContextConfig:
    """Sizes of the network."""

    width: int = 128
    layers: int = 5
    heads: int = 8
    hidden: int = 384


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """B scenes after the rigid map, along the canonical axes C of each (rows; C x is along them).

    `x`, `x_query` (B, n|m, 3) in radii, `R`, `R_query` rotations of the tool, `e` (B, n, 3) residuals in units of `scale_mm` (B,),
    `rigid_mm` (B, m, 3) the rigid map of the queries in the image frame, `leverage`, `leverage_query`: root of the mean variance
    per axis that a rigid fit has there, for landmarks of unit error. `globals` (B, 7): what is one number a scene.
    """

    x: Tensor
    R: Tensor
    e: Tensor
    leverage: Tensor
    x_query: Tensor
    R_query: Tensor
    leverage_query: Tensor
    rigid_mm: Tensor
    C: Tensor
    scale_mm: Tensor
    globals: Tensor


def align(poses: Tensor, image: Tensor, queries: Tensor, signs: Tensor | None = None) -> Aligned:
    """Rigid map and canonical frame of poses (B, n, 3, 4), points (B, n, 3) and queries (B, m, 3, 4), R beside the tip, in mm.

    The principal axes of the landmarks point to where their third moment does, or are turned by `signs` (B, 2) of -1 and 1.
    """
    n = poses.shape[1]
    tip, R = poses[..., 3], poses[..., :3]
    centre, image_centre = tip.mean(1, keepdim=True), image.mean(1, keepdim=True)
    a, b = tip - centre, image - image_centre
    R_rigid = _rotation(a, b)
    x, x_query = _turned(R_rigid, a), _turned(R_rigid, queries[..., 3] - centre)
    e = b - x
    C, spread = _axes(x, signs)
    radius = x.square().sum((1, 2)).div(n).sqrt().clamp_min(1e-6)
    scale = (e.square().sum((1, 2)) / (3 * n - 6) + RESIDUAL_FLOOR_MM**2).sqrt()
    place = torch.stack([_turned(C, x), _turned(C, e)], 0)
    x_scaled, x_query_scaled = place[0] / radius[:, None, None], _turned(C, x_query) / radius[:, None, None]
    R_all = (C @ R_rigid)[:, None] @ torch.cat([R, queries[..., :3]], 1)
    mean_R = R_all[:, :n].mean(1)
    numbers = [torch.log(radius / 100.0), torch.log(scale), _like(scale, math.log(n)), _like(scale, 1.0 / n)]
    numbers += [0.5 * torch.log(spread[:, 1]), 0.5 * torch.log(spread[:, 2]), mean_R.square().sum((1, 2)) / 3.0]
    return Aligned(
        x=x_scaled,
        R=R_all[:, :n],
        e=place[1] / scale[:, None, None],
        leverage=_leverage(x_scaled, spread, n),
        x_query=x_query_scaled,
        R_query=R_all[:, n:],
        leverage_query=_leverage(x_query_scaled, spread, n),
        rigid_mm=image_centre + x_query,
        C=C,
        scale_mm=scale,
        globals=torch.stack(numbers, -1),
    )


def _like(x: Tensor, value: float) -> Tensor:
    return torch.full_like(x, value)


def _turned(R: Tensor, x: Tensor) -> Tensor:
    """R x of (B, 3, 3) and (B, n, 3)."""
    return (R[:, None] * x[:, :, None]).sum(-1)


def _rotation(a: Tensor, b: Tensor) -> Tensor:
    """R (B, 3, 3) that turns centred points a (B, n, 3) onto b best (Arun, Huang and Blostein, IEEE PAMI 9(5), 1987)."""
    U, _, Vh = torch.linalg.svd((b[..., :, None] * a[..., None, :]).sum(1))
    last = torch.linalg.det(U @ Vh)
    flip = torch.stack([torch.ones_like(last), torch.ones_like(last), last], -1)
    return (U * flip[:, None]) @ Vh


def _axes(x: Tensor, signs: Tensor | None) -> tuple[Tensor, Tensor]:
    """Principal axes (rows, right-handed) of centred points (B, n, 3), and their shares (B, 3) of the mean square radius, falling."""
    shares, V = torch.linalg.eigh((x[..., :, None] * x[..., None, :]).mean(1))
    first, second = V[..., 2], V[..., 1]
    if signs is None:
        skew = (x @ V[..., [2, 1]]).pow(3).sum(1)
        signs = torch.where(skew < 0.0, -1.0, 1.0).to(x.dtype)
    first, second = first * signs[:, :1], second * signs[:, 1:]
    C = torch.stack([first, second, torch.linalg.cross(first, second)], 1)
    shares = shares.flip(-1).clamp_min(0.0)
    return C, (shares / shares.sum(-1, keepdim=True).clamp_min(1e-12)).clamp_min(_THIN)


def _leverage(x: Tensor, spread: Tensor, n: int) -> Tensor:
    """Root of the mean variance per axis (B, n) of a rigid fit at x: (1 + sum of squared levers over inertias) / n, first order.

    J. M. Fitzpatrick, J. B. West and C. R. Maurer, IEEE TMI 17(5), 1998, in canonical axes.
    """
    square = x * x
    lever = square.sum(-1, keepdim=True) - square
    inertia = (1.0 - spread).clamp_min(_THIN)
    return ((1.0 + (lever / inertia[:, None]).sum(-1) / 3.0) / n).sqrt()


class _Layer(nn.Module):
    """Attention of all tokens to the correspondences, falling with distance in position and orientation, then two linear maps."""

    def __init__(self, config: InContextConfig) -> None:
        super().__init__()
        self.heads = config.heads
        d = config.width
        self.norm, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.query, self.key_value, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, config.hidden), nn.Linear(config.hidden, d)
        # From heads that see everything to heads that see a third of the radius.
        self.fall = nn.Parameter(torch.linspace(-4.0, 2.5, config.heads))
        self.fall_rotation = nn.Parameter(torch.linspace(-2.0, 1.5, config.heads).roll(config.heads // 2))

    def forward(self, tokens: Tensor, n: int, apart: Tensor, turned: Tensor) -> Tensor:
        B, T, d = tokens.shape
        h = self.norm(tokens)
        q = self.query(h).view(B, T, self.heads, -1).transpose(1, 2)
        k, v = self.key_value(h[:, :n]).view(B, n, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = functional.softplus(self.fall)[:, None, None] * apart[:, None]
        bias = bias + functional.softplus(self.fall_rotation)[:, None, None] * turned[:, None]
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=-bias.to(q.dtype))
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(B, T, d))
        return tokens + self.down(functional.gelu(self.up(self.norm_2(tokens))))


class InContextNet(nn.Module):
    """Mean and Cholesky factor of the residual of the rigid map at each query, in the units and axes of `Aligned`."""

    log_temperature: Tensor

    def __init__(self, config: InContextConfig | None = None) -> None:
        super().__init__()
        self.config = config or InContextConfig()
        d = self.config.width
        self.embed = nn.Sequential(nn.Linear(_FEATURES, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.layers = nn.ModuleList(_Layer(self.config) for _ in range(self.config.layers))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, 9))
        nn.init.zeros_(self.head[2].weight)
        nn.init.zeros_(self.head[2].bias)
        self.register_buffer("log_temperature", torch.zeros(len(TEMPERATURE_KNOTS)))

    def forward(self, scene: Aligned) -> tuple[Tensor, Tensor]:
        """Mean (B, m, 3) and lower Cholesky factor (B, m, 3, 3)."""
        n = scene.x.shape[1]
        x_query = scene.x_query * (REACH / scene.x_query.norm(dim=-1, keepdim=True).clamp_min(REACH))
        x, R = torch.cat([scene.x, x_query], 1), torch.cat([scene.R, scene.R_query], 1)
        tokens = self.embed(_features(scene, x, R)).float()
        apart, turned = _distances(x, R, n)
        for layer in self.layers:
            tokens = layer(tokens, n, apart, turned)
        out = self.head(self.norm(tokens[:, n:])).float()
        return out[..., :3], self._cholesky(out, scene.leverage_query, n)

    def _cholesky(self, out: Tensor, leverage: Tensor, n: int) -> Tensor:
        grown = (leverage / math.sqrt(3.0) * torch.exp(_interpolated(self.log_temperature, n)))[..., None, None]
        diagonal = torch.diag_embed(torch.exp(out[..., 3:6].clamp(-9.0, 9.0)))
        zero = torch.zeros_like(out[..., 0])
        a, b, c = out[..., 6], out[..., 7], out[..., 8]
        lower = torch.stack([zero, zero, zero, a, zero, zero, b, c, zero], -1).unflatten(-1, (3, 3))
        # Rows share the size of their diagonal, so that a correlation is a number of order one.
        return grown * (diagonal + torch.diagonal(diagonal, dim1=-2, dim2=-1)[..., None] * lower)


def _interpolated(values: Tensor, n: int) -> Tensor:
    """The value at n between knots that are even in no way, linear in log n and constant outside."""
    knots = torch.log(torch.tensor(TEMPERATURE_KNOTS, dtype=values.dtype, device=values.device))
    at = torch.tensor(math.log(n), dtype=values.dtype, device=values.device).clamp(knots[0], knots[-1])
    i = int(torch.searchsorted(knots, at).clamp(1, len(knots) - 1))
    share = (at - knots[i - 1]) / (knots[i] - knots[i - 1])
    return values[i - 1] * (1.0 - share) + values[i] * share


def _distances(x: Tensor, R: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Squared distances (B, T, n) in radii and 1 - cos-like differences of orientation between all tokens and the correspondences."""
    with torch.autocast(x.device.type, enabled=False):
        square, flat = x.square().sum(-1), R.flatten(2)
        apart = square[:, :, None] + square[:, None, :n] - 2.0 * x @ x[:, :n].transpose(1, 2)
        turned = 1.0 - flat @ flat[:, :n].transpose(1, 2) / 3.0
    return apart.clamp_min(0.0), turned


def _features(scene: Aligned, x: Tensor, R: Tensor) -> Tensor:
    """What a token says (B, T, features)."""
    B, T, n, m = len(x), x.shape[1], scene.x.shape[1], scene.x_query.shape[1]
    waves = torch.cat([wave(math.pi * f * x) for f in _FREQUENCIES for wave in (torch.sin, torch.cos)], -1)
    relative = R @ scene.R.mean(1, keepdim=True).transpose(-1, -2)
    e = torch.cat([scene.e, scene.e.new_zeros(B, m, 3)], 1)
    asked = torch.cat([e.new_zeros(B, n, 1), e.new_ones(B, m, 1)], 1)
    leverage = torch.log(torch.cat([scene.leverage, scene.leverage_query.clamp(max=10.0)], 1))[..., None]
    constants = scene.globals[:, None].expand(B, T, -1)
    return torch.cat([x, waves, R.flatten(2), relative.flatten(2), e, leverage, asked, constants], -1)
