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
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

# Numbers of landmarks and sizes of residuals (mm) between which the logarithm of the covariance's temperature is interpolated.
LANDMARK_KNOTS = (3.0, 4.0, 6.0, 10.0, 20.0, 60.0, 200.0)
SCALE_KNOTS_MM = (0.1, 0.4, 1.5, 6.0)
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
class Known:
    """Correspondences of B scenes after their rigid map, in radii along the canonical axes `C` of each (rows; C x is along them).

    `x` (B, n, 3) tips, `R` (B, n, 3, 3) rotations of the tool, `e` (B, n, 3) residuals in units of `scale_mm` (B,), `leverage` (B, n):
    root of the mean variance per axis that a rigid fit has there, for landmarks of unit error. `globals` (B, 7): what is one number a
    scene. The rigid map is R_rigid (p - centre) + image_centre; `radius_mm` (B,); `spread` (B, 3): shares of its square by axis.
    """

    x: Tensor
    R: Tensor
    e: Tensor
    leverage: Tensor
    globals: Tensor
    C: Tensor
    scale_mm: Tensor
    R_rigid: Tensor
    centre: Tensor
    image_centre: Tensor
    radius_mm: Tensor
    spread: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Queries as `Known` has the correspondences: `x`, `R`, `leverage` (B, m, ...); `rigid_mm` (B, m, 3) their rigid map, image frame."""

    x: Tensor
    R: Tensor
    leverage: Tensor
    rigid_mm: Tensor


def align(poses: Tensor, image: Tensor, signs: Tensor | None = None) -> Known:
    """Rigid map and canonical frame of poses (B, n, 3, 4), R beside the tip, and image points (B, n, 3), in mm.

    The principal axes of the landmarks point to where their third moment does, or are turned by `signs` (B, 2) of -1 and 1.
    """
    n = poses.shape[1]
    centre, image_centre = poses[..., 3].mean(1, keepdim=True), image.mean(1, keepdim=True)
    a, b = poses[..., 3] - centre, image - image_centre
    R_rigid = _rotation(a, b)
    x = _turned(R_rigid, a)
    e = b - x
    C, spread = _axes(x, signs)
    radius = x.square().sum((1, 2)).div(n).sqrt().clamp_min(1e-6)
    scale = (e.square().sum((1, 2)) / (3 * n - 6) + RESIDUAL_FLOOR_MM**2).sqrt()
    x_scaled, R = _turned(C, x) / radius[:, None, None], (C @ R_rigid)[:, None] @ poses[..., :3]
    numbers = [torch.log(radius / 100.0), torch.log(scale), _like(scale, math.log(n)), _like(scale, 1.0 / n)]
    numbers += [0.5 * torch.log(spread[:, 1]), 0.5 * torch.log(spread[:, 2]), R.mean(1).square().sum((1, 2)) / 3.0]
    return Known(
        x=x_scaled,
        R=R,
        e=_turned(C, e) / scale[:, None, None],
        leverage=_leverage(x_scaled, spread, n),
        globals=torch.stack(numbers, -1),
        C=C,
        scale_mm=scale,
        R_rigid=R_rigid,
        centre=centre,
        image_centre=image_centre,
        radius_mm=radius,
        spread=spread,
    )


def ask(known: Known, queries: Tensor) -> Asked:
    """Queries (B, m, 3, 4), R beside the tip in mm, as the network sees them."""
    x = _turned(known.R_rigid, queries[..., 3] - known.centre)
    scaled = _turned(known.C, x) / known.radius_mm[:, None, None]
    R = (known.C @ known.R_rigid)[:, None] @ queries[..., :3]
    return Asked(scaled, R, _leverage(scaled, known.spread, known.x.shape[1]), known.image_centre + x)


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
    R: Tensor = (U * flip[:, None]) @ Vh
    return R


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


# Keys and values (B, heads, n, width of a head) of one layer.
Memory = tuple[Tensor, Tensor]


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

    def memory(self, tokens: Tensor) -> Memory:
        """Keys and values of the correspondences' tokens."""
        k, v = self.key_value(self.norm(tokens)).view(*tokens.shape[:2], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return k, v

    def forward(self, tokens: Tensor, memory: Memory, apart: Tensor, turned: Tensor) -> Tensor:
        B, T, d = tokens.shape
        q = self.query(self.norm(tokens)).view(B, T, self.heads, -1).transpose(1, 2)
        bias = functional.softplus(self.fall)[:, None, None] * apart[:, None]
        bias = bias + functional.softplus(self.fall_rotation)[:, None, None] * turned[:, None]
        mixed = functional.scaled_dot_product_attention(q, *memory, attn_mask=-bias.to(q.dtype))
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(B, T, d))
        tokens = tokens + self.down(functional.gelu(self.up(self.norm_2(tokens))))
        return tokens


class InContextNet(nn.Module):
    """Mean and Cholesky factor of the residual of the rigid map at each query, in the units and axes of `Known`."""

    log_temperature: Tensor

    def __init__(self, config: InContextConfig | None = None) -> None:
        super().__init__()
        self.config = config or InContextConfig()
        d = self.config.width
        self.embed = nn.Sequential(nn.Linear(_FEATURES, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.layers = nn.ModuleList(_Layer(self.config) for _ in range(self.config.layers))
        self.norm = nn.LayerNorm(d)
        last = nn.Linear(d, 9)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(nn.Linear(d, d), nn.GELU(), last)
        self.register_buffer("log_temperature", torch.zeros(len(LANDMARK_KNOTS), len(SCALE_KNOTS_MM)))

    def forward(self, known: Known, asked: Asked) -> tuple[Tensor, Tensor]:
        """Mean (B, m, 3) and lower Cholesky factor (B, m, 3, 3), in units of `scale_mm` along the canonical axes."""
        return self.answer(known, self.remember(known), asked)

    def remember(self, known: Known) -> list[Memory]:
        """What queries look at, a layer each: it does not depend on them."""
        tokens = self._embedded(known, known)
        apart, turned = _distances(known.x, known.R, known)
        memories = []
        for layer in self._layers():
            memories.append(layer.memory(tokens))
            if len(memories) < self.config.layers:
                tokens = layer(tokens, memories[-1], apart, turned)
        return memories

    def answer(self, known: Known, memories: list[Memory], asked: Asked) -> tuple[Tensor, Tensor]:
        """As `forward`, with what was remembered."""
        x = asked.x * (REACH / asked.x.norm(dim=-1, keepdim=True).clamp_min(REACH))
        tokens = self._embedded(known, replace(asked, x=x))
        apart, turned = _distances(x, asked.R, known)
        for layer, memory in zip(self._layers(), memories, strict=True):
            tokens = layer(tokens, memory, apart, turned)
        out = self.head(self.norm(tokens)).float()
        factor = self._cholesky(out, asked.leverage) * self._temperature(known.scale_mm, known.x.shape[1])[:, None, None, None]
        return out[..., :3], factor

    def _embedded(self, known: Known, tokens: Known | Asked) -> Tensor:
        embedded: Tensor = self.embed(_features(known, tokens)).float()
        return embedded

    def _layers(self) -> list[_Layer]:
        return [layer for layer in self.layers if isinstance(layer, _Layer)]

    def _temperature(self, scale_mm: Tensor, n: int) -> Tensor:
        """Factors (B,) of the standard deviation."""
        along_n = _weights(scale_mm.new_full((1,), float(n)), LANDMARK_KNOTS)
        return torch.exp(((along_n @ self.log_temperature) * _weights(scale_mm, SCALE_KNOTS_MM)).sum(-1))

    @staticmethod
    def _cholesky(out: Tensor, leverage: Tensor) -> Tensor:
        grown = (leverage / math.sqrt(3.0))[..., None, None]
        diagonal = torch.diag_embed(torch.exp(out[..., 3:6].clamp(-9.0, 9.0)))
        zero = torch.zeros_like(out[..., 0])
        a, b, c = out[..., 6], out[..., 7], out[..., 8]
        lower = torch.stack([zero, zero, zero, a, zero, zero, b, c, zero], -1).reshape(*a.shape, 3, 3)
        # Rows share the size of their diagonal, so that a correlation is a number of order one.
        factor: Tensor = grown * (diagonal + torch.diagonal(diagonal, dim1=-2, dim2=-1)[..., None] * lower)
        return factor


def _weights(values: Tensor, knots: tuple[float, ...]) -> Tensor:
    """Shares (..., knots) of a linear interpolation in the logarithm, constant beyond the ends."""
    at = torch.log(torch.tensor(knots, dtype=values.dtype, device=values.device))
    x = torch.log(values).clamp(at[0], at[-1])
    left = torch.searchsorted(at, x.contiguous()).clamp(1, len(knots) - 1)
    share = (x - at[left - 1]) / (at[left] - at[left - 1])
    count = len(knots)
    return functional.one_hot(left - 1, count) * (1.0 - share)[..., None] + functional.one_hot(left, count) * share[..., None]


def _distances(x: Tensor, R: Tensor, known: Known) -> tuple[Tensor, Tensor]:
    """Squared distances (B, T, n) in radii and 1 - cos-like differences of orientation from tokens to the correspondences."""
    with torch.autocast(x.device.type, enabled=False):
        apart = x.square().sum(-1)[:, :, None] + known.x.square().sum(-1)[:, None] - 2.0 * x @ known.x.transpose(1, 2)
        turned = 1.0 - R.flatten(2) @ known.R.flatten(2).transpose(1, 2) / 3.0
    return apart.clamp_min(0.0), turned


def _features(known: Known, tokens: Known | Asked) -> Tensor:
    """What a token says (B, T, features)."""
    x, R = tokens.x, tokens.R
    asked = torch.full_like(x[..., :1], 1.0 if isinstance(tokens, Asked) else 0.0)
    waves = torch.cat([wave(math.pi * f * x) for f in _FREQUENCIES for wave in (torch.sin, torch.cos)], -1)
    relative = R @ known.R.mean(1, keepdim=True).transpose(-1, -2)
    e = torch.zeros_like(x) if isinstance(tokens, Asked) else tokens.e
    # The clamp is felt by queries only: no landmark has a leverage above 1.
    leverage = torch.log(tokens.leverage.clamp(max=10.0))[..., None]
    constants = known.globals[:, None].expand(*x.shape[:2], -1)
    return torch.cat([x, waves, R.flatten(2), relative.flatten(2), e, leverage, asked, constants], -1)
