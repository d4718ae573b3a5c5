"""Time series for detectors of distortion: a tool with two sensors moves inside a body while metal comes in, or does not.

The secondary currents are solved at places along the metal's way and interpolated between them; they change as slowly as the metal moves.
The fields of those currents, the voltages and the poses are computed for each frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.anatomy import Anatomy, cone, draw_anatomy, frames_along, unit
from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.element import Element
from lodestone_bench.em_physics.kits import (
    CARBON_STEEL,
    Draw,
    Kit,
    apart,
    clear_of_generator,
    draw_bodies,
    draw_directions,
    draw_kit,
    draw_ring,
    draw_rod,
    draw_sheet,
    lateral,
)
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.pool import indicator_mm
from lodestone_bench.em_physics.rod import Rod
from lodestone_bench.em_physics.tracker import Measured, displaced, measure
from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.types import Array

SENSORS = 2
_WAY_MM = 450.0
"""How far the metal comes."""
_NODES = 40
_TRIES = 200
_ABSURD_MM = 100.0
_NEAREST_MM = 12.0
"""No sensor comes nearer to metal."""


@dataclass(frozen=True, slots=True)
class IntrusionConfig:
    """Ranges from which a run is drawn."""

    rate_hz: float = option(40.0, unit="Hz", doc="frames per second", minimum=1.0)
    quiet_s: tuple[float, float] = option((8.0, 12.0), unit="s", doc="before the metal moves", minimum=0.0)
    after_s: float = option(3.0, unit="s", doc="after it has arrived", minimum=0.0)
    speed_mm_s: tuple[float, float] = option((20.0, 500.0), unit="mm/s", doc="speed of the metal, logarithmically uniform", minimum=0.1)
    gap_mm: tuple[float, float] = option((15.0, 90.0), unit="mm", doc="where it stops beside the body", minimum=5.0)
    noise_mm: tuple[float, float] = option((0.1, 0.3), unit="mm", doc="RMS 3-D position noise over the run", minimum=0.0)
    baseline_mm: tuple[float, float] = option((40.0, 80.0), unit="mm", doc="distance of the two sensors on the tool", minimum=1.0)
    tool_speed: tuple[float, float] = option((0.3, 1.5), doc="of the tool's motion, 1 is about 15 mm/s", minimum=0.0)
    background: float = option(0.5, doc="share of the runs with other metal that stays where it is", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Intrusion:
    """One run of N frames; poses (N, 2, 4, 4) of the two sensors in the tracker's frame, mm.

    `T_measured` with noise is what the tracker tells, `indicator_mm` (N, 2) what it says of itself. `error_mm` and `error_rad` (N, 2) say
    how far, without noise, the metal that came in moves a pose from where the static background alone would put it; 0 in a run without.
    """

    kind: str
    speed_mm_s: float
    moves_s: float
    times_s: Array
    T_true: Array
    T_measured: Array
    indicator_mm: Array
    error_mm: Array
    error_rad: Array


def draw_intrusion(rng: np.random.Generator, kind: str, config: IntrusionConfig | None = None, duration_s: float = 60.0) -> Intrusion:
    """A run with metal of that kind, which comes from 450 mm further away and stays; `none` for a clean one of `duration_s`.

    Raises InputError for a kind that is not in INTRUDERS.
    """
    config = config or IntrusionConfig()
    if kind != "none" and kind not in INTRUDERS:
        raise InputError("kind of intrusion", expected="none or one of " + ", ".join(INTRUDERS), got=kind, remedy="name one of them")
    for _ in range(_TRIES):
        run = _attempt(rng, kind, config, duration_s)
        if run is not None:
            return run
    raise InputError("intrusion", expected="a run whose poses can be solved", got=f"none in {_TRIES}", remedy="widen gap_mm")


def _attempt(rng: np.random.Generator, kind: str, config: IntrusionConfig, duration_s: float) -> Intrusion | None:
    anatomy = draw_anatomy(rng, 1)
    speed = float(np.exp(rng.uniform(*np.log(config.speed_mm_s))))
    moves_s = float(rng.uniform(*config.quiet_s))
    end_s = duration_s if kind == "none" else moves_s + _WAY_MM / speed + config.after_s
    times_s = np.arange(1, int(end_s * config.rate_hz) + 1) / config.rate_hz
    T = _tool_path(rng, anatomy, times_s, config)
    static = _background(rng, anatomy) if rng.uniform() < config.background else ()
    kit = None if kind == "none" else _intruder(rng, anatomy, T, kind, float(rng.uniform(*config.gap_mm)))
    way = np.maximum(0.0, _WAY_MM - speed * np.maximum(0.0, times_s - moves_s))
    if not _clear(static, kit, T):
        return None
    before = _measured(static, None, way, T)
    after = before if kit is None else _measured(static, kit, way, T)
    shape = T.shape[:2]
    if not (before.solved.all() and after.solved.all()):
        return None
    off = np.linalg.norm(after.T[:, :3, 3] - before.T[:, :3, 3], axis=-1).reshape(shape)
    if off.max() > _ABSURD_MM:
        return None
    noisy, indicator = _with_noise(rng, after, float(rng.uniform(*config.noise_mm)))
    turn = se3.geodesic(after.T, before.T).reshape(shape)
    return Intrusion(kind, speed, moves_s, times_s, T, noisy.reshape(T.shape), indicator.reshape(shape), off, turn)


def _tool_path(rng: np.random.Generator, anatomy: Anatomy, times_s: Array, config: IntrusionConfig) -> Array:
    """Poses (N, 2, 4, 4): both sensors stay inside the body; sines in place and orientation, as a hand moves."""
    semi, count = anatomy.semi_axes_mm[0], len(times_s)
    rate = rng.uniform(*config.tool_speed)
    turn = 2.0 * np.pi * times_s[:, None] * rate / rng.uniform(8.0, 20.0, 3) + rng.uniform(0.0, 2.0 * np.pi, 3)
    place = semi * (rng.uniform(-0.25, 0.25, 3) + rng.uniform(0.1, 0.3, 3) * np.sin(turn))
    swing = 2.0 * np.pi * times_s[:, None] * rate / rng.uniform(8.0, 20.0, 3) + rng.uniform(0.0, 2.0 * np.pi, 3)
    start = Rotation.from_matrix(frames_along(unit(rng.standard_normal((1, 3))), rng)[0])
    R = (start * Rotation.from_rotvec(np.deg2rad(rng.uniform(5.0, 20.0, 3)) * np.sin(swing))).as_matrix()
    tip = anatomy.T_field_body[0] @ se3.make(R, place)
    # The second sensor lies behind the first on the shaft, somewhat askew.
    askew = Rotation.from_rotvec(np.deg2rad(15.0) * rng.standard_normal(3)).as_matrix()
    second = se3.make(askew, np.array([0.0, 0.0, -float(rng.uniform(*config.baseline_mm))]))
    return np.stack([tip, tip @ np.broadcast_to(second, (count, 4, 4))], axis=1)


def _background(rng: np.random.Generator, anatomy: Anatomy) -> tuple[Element, ...]:
    kit = draw_kit(rng, anatomy, str(rng.choice(["sheet", "rods", "ring"])))
    return kit.at(rng.uniform(60.0, 250.0, 1), np.zeros(1, dtype=np.intp))


def _intruder(rng: np.random.Generator, anatomy: Anatomy, T: Array, kind: str, gap_mm: float) -> Kit:
    """The metal where it stops, large things beside the body, small ones beside the tool's path; `away` is the way it came."""
    bulky = kind == "c_arm"
    away = draw_directions(rng, 1, bulky)
    large = draw_sheet in INTRUDERS[kind]
    start = anatomy.T_field_body[:, :3, 3] + away * anatomy.support(away) if large else T[:, 0, :3, 3].mean(axis=0)[None]
    there = draw_bodies(rng, INTRUDERS[kind], start + gap_mm * away, away, bulky)
    return Kit(kind, there, cone(rng, away, 35.0))


def _clear(static: Sequence[Element], kit: Kit | None, T: Array) -> bool:
    """Whether the metal keeps out of the generator, off the sensors and off other metal, there and on its way."""
    stops = _stops(static, kit, np.linspace(0.0, _WAY_MM, 12))
    if not stops:
        return True
    there = tuple(body.taken(np.zeros(1, dtype=np.intp)) for body in stops)
    sensors = T[:, :, :3, 3].reshape(1, -1, 3)
    nearest = min(float(body.distance(sensors).min()) for body in there)
    return nearest > _NEAREST_MM and bool(clear_of_generator(there).all()) and bool(apart(stops).all())


def _stops(static: Sequence[Element], kit: Kit | None, way: Array) -> tuple[Element, ...]:
    """All metal with so much of the way to go (N,), in N placements."""
    rows = np.zeros(len(way), dtype=np.intp)
    return (*(body.taken(rows) for body in static), *(() if kit is None else kit.at(way, rows)))


def _measured(static: Sequence[Element], kit: Kit | None, way: Array, T: Array) -> Measured:
    secondary = np.zeros((*T.shape[:2], len(planar_generator()), 3))
    points = T[..., :3, 3]
    if kit is not None:
        secondary += moving_field(static, kit, way, points)
    elif static:
        secondary += respond(static, planar_generator()).in_phase_field(points.reshape(1, -1, 3)).reshape(secondary.shape)
    return measure(secondary.reshape(-1, *secondary.shape[2:]), T.reshape(-1, 4, 4), steps=20, tolerance_mm=1e-3)


def moving_field(static: Sequence[Element], kit: Kit, way: Array, points: Array) -> Array:
    """In-phase field (N, P, F, 3) at points (N, P, 3) of static bodies (one placement) and of a kit (one) that has `way` (N,) mm to go."""
    # Closer together towards the end of the way, where the metal comes near to other metal.
    nodes = max(way.max(), 1.0) * np.linspace(0.0, 1.0, _NODES) ** 2
    response = respond(_stops(static, kit, nodes), planar_generator())
    bodies = _stops(static, kit, way)
    parts = [body.field(points, CubicSpline(nodes, a.real)(way)) for body, a in zip(bodies, response.amplitudes, strict=True)]
    total: Array = np.sum(parts, axis=0)
    return total


def _with_noise(rng: np.random.Generator, clean: Measured, noise_mm: float) -> tuple[Array, Array]:
    unit_noise = clean.unit_noise_mm
    sigma = np.array(noise_mm / np.sqrt(np.square(unit_noise).mean()))
    moved = np.einsum("nij,nj->ni", clean.noise_factor, rng.standard_normal((len(unit_noise), 6)))
    return displaced(clean.T, sigma * moved), indicator_mm(clean.residual, sigma, unit_noise, rng)


def _ball(rng: np.random.Generator, start: Array, away: Array, bulky: bool) -> Element:
    """A round piece of steel or aluminium, 10 to 40 mm in radius."""
    radius = np.exp(rng.uniform(np.log(10.0), np.log(40.0), len(start)))
    magnetic = rng.uniform(size=len(start)) < 0.5
    T = se3.make(frames_along(away, rng), start + away * radius[:, None] + lateral(rng, away, np.full(len(start), 80.0)))
    return Rod(T, radius, radius, np.where(magnetic, 100.0, 1.001), np.where(magnetic, CARBON_STEEL, 3.5e7))


INTRUDERS: Mapping[str, tuple[Draw, ...]] = {
    "ball": (_ball,),
    "ball_pair": (_ball, _ball),
    "rod": (draw_rod,),
    "ferrous_pair": (draw_rod, draw_rod),
    "ring": (draw_ring,),
    "sheet": (draw_sheet,),
    "c_arm": (draw_sheet, draw_ring),
    "tray": (draw_sheet, draw_rod),
}
"""What comes in. The balls are point-like: to calibrate on; the others are to be met for the first time in a test."""
