"""Bodies, landmarks, targets, orientations and disturbances of the dipole world, and the scenes that come of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from dipole_world import (
    _GOLDEN_ANGLE,
    _SOFTENING,
    UNIT_MM,
    Draw,
    Scenes,
    Tracker,
    WorldConfig,
    apply,
    dipole_field,
    draw_tracker,
    moved,
    product,
    step,
    turn,
    without_rigid,
)
from torch import Tensor

_DEFAULTS = WorldConfig()


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Ellipsoids: `T` their axes as columns times semi-axes (B, 3, 3), centre (B, 3)."""

    T: Tensor
    centre: Tensor

    def at(self, unit: Tensor) -> Tensor:
        """Points (B, P, 3) of points in the unit ball; the generator's cover is never crossed."""
        p = apply(self.T[:, None], unit) + self.centre[:, None]
        return torch.cat([p[..., :2], p[..., 2:].clamp_min(0.4)], -1)


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Poses that the solver found (B, P, ...), its Jacobian there, how many of them are landmarks, and the scenes (B,) without a gap."""

    R: Tensor
    p: Tensor
    J: Tensor
    n: int
    valid: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """True poses of the sensor (B, P, ...), where the tip is on it (B, 3), and which of them lie in the body (B, P)."""

    R: Tensor
    p: Tensor
    tip: Tensor
    inside: Tensor


def scenes(draw: Draw, count: int, n: int, m: int, config: WorldConfig = _DEFAULTS) -> Scenes:
    """`count` scenes of n landmarks and m queries each."""
    tracker = draw_tracker(draw, count)
    body = draw_body(draw, count, config)
    # Where a solver fails a tracker gives no pose: more are drawn than are kept.
    spare = (n + 2) // 3 + 1, (m + 2) // 3
    poses = draw_poses(draw, body, n + spare[0], m + spare[1], config)
    s0, J = tracker.signals(poses.R, poses.p)
    disturbed = disturbance(draw, tracker, body, poses, J, n + spare[0], config)
    R, p = poses.R, poses.p
    d = step(J, disturbed)
    for _ in range(config.solver_steps - 1):
        R, p = moved(R, p, d)
        s, J = tracker.signals(R, p)
        d = step(J, s0 + disturbed - s)
    R, p = moved(R, p, d)
    found = ((p - poses.p).norm(dim=-1) < 1.0) & torch.isfinite(p).all(-1) & (d[..., :3].norm(dim=-1) < 0.02)
    kept = first_found(found, n + spare[0], n, m)
    valid = found.gather(1, kept).all(1)
    poses = Poses(pick(poses.R, kept), pick(poses.p, kept), poses.tip, pick(poses.inside, kept))
    return measured(draw, tracker, poses, Solved(pick(R, kept), pick(p, kept), pick(J, kept), n, valid), config)


def first_found(found: Tensor, border: int, n: int, m: int) -> Tensor:
    """Indices (B, n + m) of the first n poses that were found before the border, and the first m after it."""
    lost = (~found).to(torch.int8)
    before, after = (torch.argsort(part, dim=1, stable=True) for part in (lost[:, :border], lost[:, border:]))
    return torch.cat([before[:, :n], border + after[:, :m]], 1)


def pick(x: Tensor, index: Tensor) -> Tensor:
    """Entries (B, k, ...) of x (B, P, ...) by index (B, k)."""
    return x.gather(1, index.reshape(*index.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:]))


def draw_body(draw: Draw, count: int, config: WorldConfig) -> Body:
    """A body whose nearest point is some centimetres in front of the generator."""
    low, high = config.semi_axis_mm
    size = draw.log_uniform(count, 1, bounds=(low, high))
    axes = (size * draw.log_uniform(count, 3, bounds=(0.6, 1.6))).clamp(low, high) / UNIT_MM
    gap = draw.uniform(count, low=0.4, high=2.2)
    side = draw.uniform(count, 2, low=-1.2, high=1.2)
    T = draw.rotation(count) * axes[:, None, :]
    reach = (T[:, 2, :] ** 2).sum(-1).sqrt()
    return Body(T, torch.cat([side, (gap + reach)[:, None]], -1))


def draw_poses(draw: Draw, body: Body, n: int, m: int, config: WorldConfig) -> Poses:
    """Poses of n landmarks, then of m queries."""
    count = len(body.centre)
    unit = landmarks(draw, count, n + m)
    inner = targets(draw, count, m)
    # Held-out poses of one recording are like those it was fitted to: so are the queries of a quarter of the scenes.
    like = draw.chance(count, 1, 1, share=0.25)
    unit = torch.cat([unit[:, :n], torch.where(like, unit[:, n:], inner)], 1)
    R = orientations(draw, unit, n)
    tip = torch.zeros(count, 3, device=draw.device)
    tip[:, 2] = draw.log_uniform(count, bounds=(0.05, 1.5)) * draw.chance(count, share=0.4)
    # The tips are where the body says; the sensor sits behind them.
    p = body.at(unit) - apply(R, tip[:, None])
    return Poses(R, torch.cat([p[..., :2], p[..., 2:].clamp_min(0.3)], -1), tip, unit.norm(dim=-1) < 1.0)


def landmarks(draw: Draw, count: int, P: int) -> Tensor:
    """Points (B, P, 3) of the unit ball in random order: on its surface, a cap, in its volume, on planes, in clusters."""
    kind = draw.uniform(count, 1, 1)
    order = torch.argsort(draw.uniform(count, P), dim=1)
    floor = torch.where(kind < 0.35, -torch.ones_like(kind), draw.uniform(count, 1, 1, low=-0.6, high=0.8))[..., 0]
    # A spiral of even density over the cap z > floor, from regular to random.
    at = (torch.arange(P, device=draw.device) + 0.5)[None] / P
    z = (1.0 - (1.0 - floor) * at)[..., None]
    around = (torch.arange(P, device=draw.device) * _GOLDEN_ANGLE)[None, :, None]
    rim = (1.0 - z * z).clamp_min(0.0).sqrt()
    spiral = torch.cat([rim * torch.cos(around), rim * torch.sin(around), z], -1)
    spacing = (2.0 * (1.0 - floor) / P).sqrt()[..., None]
    surface = spiral + spacing * draw.uniform(count, 1, 1, high=1.2) * draw.normal(count, P, 3)
    surface = torch.nn.functional.normalize(surface, dim=-1).gather(1, order[..., None].expand(-1, -1, 3))
    volume = draw.direction(count, P) * draw.uniform(count, P, 1) ** (1.0 / 3.0)
    levels = draw.uniform(count, 1, 1, low=0.5, high=2.5).round().clamp_min(1.0)
    planes = torch.cat([volume[..., :2], (volume[..., 2:] * levels).round() / levels * draw.uniform(count, 1, 1, low=0.2, high=0.8)], -1)
    centres = 0.7 * draw.direction(count, 4)
    chosen = torch.randint(0, 4, (count, P, 1), generator=draw.generator, device=draw.device)
    clusters = centres.gather(1, chosen.expand(-1, -1, 3)) + 0.25 * volume
    points = torch.where(kind < 0.65, surface, torch.where(kind < 0.82, volume, torch.where(kind < 0.93, planes, clusters)))
    return apply(draw.rotation(count)[:, None], points)


def targets(draw: Draw, count: int, m: int) -> Tensor:
    """Points (B, m, 3): most inside the unit ball, some at its surface, some as far as 1.9 of its radius."""
    kind = draw.uniform(count, m, 1)
    near, far = draw.uniform(count, m, 1, low=0.85, high=1.1), draw.uniform(count, m, 1, low=1.1, high=1.9)
    radius = torch.where(kind < 0.75, 0.95 * draw.uniform(count, m, 1) ** (1.0 / 3.0), torch.where(kind < 0.87, near, far))
    return radius * draw.direction(count, m)


def orientations(draw: Draw, unit: Tensor, n: int) -> Tensor:
    """Rotations (B, P, 3, 3): all alike, spread, free, or along the surface; in a quarter of scenes the queries' are a needle's."""
    count, P, _ = unit.shape
    kind = draw.uniform(count, 1, 1, 1)
    spread = draw.log_uniform(count, 1, 1, bounds=(0.03, 1.2)) * (draw.uniform(count, 1, 1) > 0.2)
    scatter = turn(spread * draw.normal(count, P, 3))
    alike = product(draw.rotation(count)[:, None], scatter)
    z = torch.nn.functional.normalize(unit, dim=-1)
    x = torch.nn.functional.normalize(torch.linalg.cross(draw.direction(count, 1).expand_as(z), z), dim=-1)
    normal = product(product(torch.stack([x, torch.linalg.cross(z, x), z], -1), draw.rotation(count)[:, None]), scatter)
    R = torch.where(kind < 0.55, alike, torch.where(kind < 0.75, draw.rotation(count, P), normal))
    needle = product(draw.rotation(count)[:, None], scatter)
    other = draw.chance(count, 1, 1, 1, share=0.25) & (torch.arange(P, device=unit.device) >= n)[None, :, None, None]
    return torch.where(other, needle, R)


def disturbance(draw: Draw, tracker: Tracker, body: Body, poses: Poses, J: Tensor, n: int, config: WorldConfig) -> Tensor:
    """What is added to the signals (B, P, 2 K + 1) so that the best rigid map leaves about the distortion that is drawn."""
    count = len(body.centre)
    dipoles = tracker.seen(poses.R, secondary_field(draw, tracker, body, poses.p, config))
    tilt = tilted(draw, tracker, poses)
    wanted = draw.log_uniform(count, bounds=config.distortion_mm) * ~draw.chance(count, share=config.undistorted)
    share = draw.uniform(count)
    # A quarter of the scenes knows only metal, a sixth only the generator.
    tilt_share = torch.where(share < 0.25, torch.zeros_like(share), torch.where(share < 0.42, torch.ones_like(share), draw.uniform(count)))
    both = (1.0 - tilt_share)[:, None, None] * _unit(dipoles, J, poses, n) + tilt_share[:, None, None] * _unit(tilt, J, poses, n)
    return _unit(both, J, poses, n) * (wanted / UNIT_MM)[:, None, None]


def _unit(s: Tensor, J: Tensor, poses: Poses, n: int) -> Tensor:
    """Signals scaled so that, to first order, they leave a mean of one length unit at the queries beyond a rigid map."""
    d = step(J, s)
    tips = poses.p + apply(poses.R, poses.tip[:, None])
    shift = d[..., :3] + torch.linalg.cross(d[..., 3:], apply(poses.R, poses.tip[:, None].expand_as(poses.p)))
    left = without_rigid(shift[:, n:], tips[:, n:]).norm(dim=-1)
    weight = poses.inside[:, n:] + 0.05
    return s / ((left * weight).sum(1) / weight.sum(1)).clamp_min(1e-12)[:, None, None]


def secondary_field(draw: Draw, tracker: Tracker, body: Body, p: Tensor, config: WorldConfig) -> Tensor:
    """Field (B, P, K, 3) of one to `dipoles` bodies outside the patient, each answering every transmitter: free, in a row, in a sheet."""
    count, S = len(p), config.dipoles
    present = (torch.arange(S, device=p.device)[None] < draw.uniform(count, 1, low=1.0, high=S + 0.99).floor())[..., None]
    extended = draw.chance(count, 1, 1, share=0.45)
    standoff = draw.log_uniform(count, S, 1, bounds=config.standoff_mm) / UNIT_MM
    standoff = torch.where(extended, standoff[:, :1], standoff)
    u = torch.where(extended, draw.direction(count, 1), draw.direction(count, S))
    surface = apply(body.T[:, None], u)
    x = body.centre[:, None] + surface + standoff * torch.nn.functional.normalize(surface, dim=-1)
    grid = draw.uniform(count, S, 3, low=-1.0, high=1.0) * torch.tensor([1.0, 1.0, 0.1], device=p.device)
    grid[..., 1] *= draw.chance(count, 1, share=0.5)
    extent = draw.log_uniform(count, 1, 1, bounds=(0.2, 1.5)) * standoff[:, :1].clamp_min(0.3)
    x = x + extended * extent * apply(draw.rotation(count)[:, None], grid)
    A = polarisabilities(draw, count, S, extended[..., None])
    size = torch.where(extended, torch.ones_like(standoff), (standoff + 0.5) ** 3) * present
    primary, _ = dipole_field(x[:, :, None] - tracker.coils[:, None], tracker.moments[:, None])
    induced = primary @ (A * size[..., None]).transpose(-1, -2)
    r = p[:, :, None] - x[:, None]
    r2 = (r * r).sum(-1)[..., None, None] + _SOFTENING**2
    H = (3.0 * r[..., :, None] * r[..., None, :] / r2 - torch.eye(3, device=p.device)) * r2 ** (-1.5)
    field = H.transpose(2, 3).flatten(3).flatten(1, 2) @ induced.transpose(2, 3).flatten(1, 2)
    return field.reshape(*p.shape, -1).transpose(-1, -2)


def polarisabilities(draw: Draw, count: int, S: int, common: Tensor) -> Tensor:
    """Symmetric tensors (B, S, 3, 3): permeable (positive), conducting (negative), or of either sign; alike where `common`."""
    lengths = torch.exp(0.8 * draw.normal(count, S, 3))
    kind = draw.uniform(count, 1, 1)
    random_sign = torch.sign(draw.normal(count, S, 3))
    sign = torch.where(kind < 0.4, torch.ones_like(lengths), torch.where(kind < 0.8, -torch.ones_like(lengths), random_sign))
    # A thin sheet or ring answers along its normal only.
    flat = draw.chance(count, S, 1, share=0.4) * torch.tensor([0.95, 0.95, 0.0], device=draw.device)
    Q = draw.rotation(count, S)
    A = (Q * (lengths * sign * (1.0 - flat))[..., None, :]) @ Q.transpose(-1, -2)
    strength = torch.exp(0.5 * draw.normal(count, S, 1, 1))
    return torch.where(common, A[:, :1] * strength, A * strength)


def tilted(draw: Draw, tracker: Tracker, poses: Poses) -> Tensor:
    """Signals (B, P, 2 K + 1), to first order, of coils that sit, point and send a little elsewhere than the solver believes."""
    count, K, _ = tracker.coils.shape
    together = draw.chance(count, 1, 1, share=0.5)
    affine = 0.2 * draw.normal(count, 1, 3, 3)
    shift = 0.01 * torch.where(together, apply(affine, tracker.coils), 0.3 * draw.normal(count, K, 3))
    bend = torch.where(together, apply(affine, tracker.moments), 0.3 * draw.normal(count, K, 3))
    bend = 0.01 * draw.log_uniform(count, 1, 1, bounds=(0.03, 1.0)) * bend
    r = poses.p[:, :, None] - tracker.coils[:, None]
    true, _ = dipole_field(r - shift[:, None], (tracker.moments + bend)[:, None])
    nominal, _ = dipole_field(r, tracker.moments[:, None])
    return tracker.seen(poses.R, true - nominal)


def measured(draw: Draw, tracker: Tracker, poses: Poses, solved: Solved, config: WorldConfig) -> Scenes:
    """Scenes of solved poses: noise on signals or positions and on image points, an unobserved roll made up, tips for sensors."""
    R, p, J, n = solved.R, solved.p, solved.J, solved.n
    count, P = p.shape[:2]
    truth = poses.p + apply(poses.R, poses.tip[:, None])
    clean = p + apply(R, poses.tip[:, None])
    distortion = rigid_residual(clean[:, n:], truth[:, n:])
    noise = draw.log_uniform(count, bounds=config.noise_mm) / UNIT_MM
    share = draw.uniform(count)
    tracker_share = torch.where(
        share < 0.6, torch.ones_like(share), torch.where(share < 0.72, torch.zeros_like(share), draw.uniform(count))
    )
    d = pose_noise(draw, J, n, poses.tip, R)
    R, p = moved(R, p, d * (noise * tracker_share.sqrt())[:, None, None])
    blind = (tracker.used[:, 1] == 0.0)[:, None, None]
    roll = draw.uniform(count, P, 1, low=-math.pi, high=math.pi) * torch.tensor([0.0, 0.0, 1.0], device=p.device)
    R = product(R, turn(torch.where(blind, roll, torch.zeros_like(roll))))
    # Some trackers and recordings give no orientation at all.
    unknown = draw.chance(count, share=0.04)[:, None, None, None]
    R_told = torch.where(unknown, torch.eye(3, device=p.device), R)
    tip = (p + apply(R, poses.tip[:, None])) * UNIT_MM
    image = truth[:, :n] + (noise * (1.0 - tracker_share).sqrt() / math.sqrt(3.0))[:, None, None] * draw.normal(count, n, 3)
    valid = solved.valid & (distortion * UNIT_MM < 2.0 * config.distortion_mm[1]) & torch.isfinite(tip).all(-1).all(-1)
    parts = R_told[:, :n], tip[:, :n], image * UNIT_MM, R_told[:, n:], tip[:, n:], truth[:, n:] * UNIT_MM, poses.inside[:, n:]
    return Scenes(*parts, noise * UNIT_MM, distortion * UNIT_MM, valid)


def pose_noise(draw: Draw, J: Tensor, n: int, tip: Tensor, R: Tensor) -> Tensor:
    """Pose errors (B, P, 6) of unit RMS length at the tips of the landmarks: of noisy signals, or alike everywhere."""
    count, P = J.shape[:2]
    signal = step(J, draw.normal(*J.shape[:3]))
    even = torch.cat([draw.normal(count, P, 3), draw.log_uniform(count, 1, 1, bounds=(0.1, 1.0)) * draw.normal(count, P, 3)], -1)
    d = torch.where(draw.chance(count, 1, 1, share=0.65), signal, even)
    at_tip = d[..., :3] + torch.linalg.cross(d[..., 3:], apply(R, tip[:, None].expand(-1, P, -1)))
    rms = at_tip[:, :n].square().sum(-1).mean(1).sqrt()
    return d / rms.clamp_min(1e-9)[:, None, None]


def rigid_residual(source: Tensor, target: Tensor) -> Tensor:
    """Mean distance (B,) that the best rigid map leaves between points (B, m, 3)."""
    a, b = source - source.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    U, _, Vh = torch.linalg.svd(torch.nan_to_num(b.transpose(1, 2) @ a))
    flip = torch.ones(len(a), 3, device=a.device)
    flip[:, 2] = torch.det(U @ Vh)
    R = (U * flip[:, None]) @ Vh
    return (apply(R[:, None], a) - b).norm(dim=-1).mean(1)
