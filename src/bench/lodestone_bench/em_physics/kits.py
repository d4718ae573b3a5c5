"""Random metal that stands beside a body: sheets, rings, rods and combinations of them, at a distance that is chosen afterwards.

A kit lies beyond the plane that touches the body in the direction `away`, its nearest part `gap` from it. Its shape does not change with
the gap, so that a scene's distortion is set by where the metal is and never by a scale on the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from lodestone_bench.em_physics.anatomy import Anatomy, cone, frames_along
from lodestone_bench.em_physics.element import Element
from lodestone_bench.em_physics.ring import Ring
from lodestone_bench.em_physics.rod import Rod
from lodestone_bench.em_physics.sheet import Sheet
from lodestone_core import se3
from lodestone_core.types import Array

ALUMINIUM, COPPER, STAINLESS, CARBON_STEEL = 3.5e7, 5.8e7, 1.4e6, 5.0e6
"""Conductivities, S/m."""
Draw = Callable[[np.random.Generator, Array, Array, bool], Element]
"""Draws a body for each of (S, 3) points on the touching plane and (S, 3) directions away; bulky or not."""
_ASPECTS = (1.0, 1.4, 2.0)
_APART_MM = 8.0
_TRIES = 16
_BOX_MM = (130.0, 130.0, 40.0)
"""No metal comes nearer to the generator than this: half sizes along x and y, and how far in front of its face."""


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """S sets of metal bodies at gap 0; `away` (S, 3) is where a larger gap moves them, mm."""

    kind: str
    bodies: tuple[Element, ...]
    away: Array

    def at(self, gap_mm: Array, rows: npt.NDArray[np.intp]) -> tuple[Element, ...]:
        """The bodies of these rows at gaps (len(rows),)."""
        return tuple(body.taken(rows).moved(self.away[rows] * gap_mm[:, None]) for body in self.bodies)

    def coarse(self) -> Kit:
        """The same with coarser sheets, for a first look."""
        return replace(
            self, bodies=tuple(replace(b, meshes_across=8, patterns_across=3) if isinstance(b, Sheet) else b for b in self.bodies)
        )

    def gap_min_mm(self) -> float:
        """Filaments of a sheet are told apart from nearer than this."""
        return 25.0 if any(isinstance(body, Sheet) for body in self.bodies) else 12.0


def draw_kit(rng: np.random.Generator, anatomy: Anatomy, kind: str, bulky: bool = False) -> Kit:
    """Metal of one of KINDS for each body, on the sides that do not face the generator; bulky metal is large and stands beside the body."""
    away = draw_directions(rng, len(anatomy), bulky)
    start = anatomy.T_field_body[:, :3, 3] + away * anatomy.support(away)[:, None]
    return Kit(kind, draw_bodies(rng, KINDS[kind], start, away, bulky), away)


def draw_bodies(rng: np.random.Generator, draws: Sequence[Draw], start: Array, away: Array, bulky: bool) -> tuple[Element, ...]:
    """The bodies of a kit, drawn one after the other; those that would touch an earlier one are drawn again a few times."""
    bodies: list[Element] = []
    for draw in draws:
        body = draw(rng, start, away, bulky)
        for _ in range(_TRIES if bodies and not isinstance(body, Sheet) else 0):
            touching = np.flatnonzero(~apart((body,), bodies))
            if not len(touching):
                break
            again = draw(rng, start[touching], away[touching], bulky)
            body = body.replaced(touching, again)
        bodies.append(body)
    return tuple(bodies)


def clear_of_generator(bodies: tuple[Element, ...]) -> npt.NDArray[np.bool_]:
    """Whether all bodies (S,) keep out of the generator's box, seen from points on them."""
    outline = np.concatenate([body.outline() for body in bodies], axis=1)
    x, y, z = np.moveaxis(outline, -1, 0)
    inside = (np.abs(x) < _BOX_MM[0]) & (np.abs(y) < _BOX_MM[1]) & (z > -_BOX_MM[2])
    clear: npt.NDArray[np.bool_] = ~inside.any(axis=1)
    return clear


def apart(some: Sequence[Element], others: Sequence[Element] | None = None) -> npt.NDArray[np.bool_]:
    """Whether no two of the bodies, or none of some and one of the others, are nearer than 8 mm (S,), seen from points on each."""
    pairs = list(combinations(some, 2)) if others is None else list(product(some, others))
    free = np.ones(len(some[0].T_field_body), dtype=np.bool_)
    for a, b in pairs:
        from_a, from_b = a.distance(b.outline()).min(axis=1) - b.girth_mm(), b.distance(a.outline()).min(axis=1) - a.girth_mm()
        free &= np.minimum(from_a, from_b) > _APART_MM
    return free


def draw_directions(rng: np.random.Generator, count: int, beside: bool) -> Array:
    """Unit vectors (count, 3) away from the generator, which lies at +z; or only such that go to the sides."""
    z, angle = rng.uniform(*((-0.4, 0.35) if beside else (-1.0, 0.3)), count), rng.uniform(0.0, 2.0 * np.pi, count)
    across = np.sqrt(1.0 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1)


def draw_sheet(rng: np.random.Generator, start: Array, away: Array, bulky: bool) -> Sheet:
    """A table, a detector, a tray: 120 to 600 mm wide, 0.5 to 4 mm of aluminium, copper or stainless steel."""
    count = len(start)
    width, aspect = _log_uniform(rng, *((280.0, 600.0) if bulky else (120.0, 400.0)), count), float(rng.choice(_ASPECTS))
    normal = cone(rng, away, 25.0)
    slope = np.sqrt(np.maximum(0.0, 1.0 - np.einsum("si,si->s", normal, away) ** 2))
    reach = 0.5 * width * np.hypot(1.0, aspect) * slope
    center = start + away * reach[:, None] + lateral(rng, away, 0.5 * width)
    conductivity = rng.choice([ALUMINIUM, COPPER, STAINLESS], count)
    return Sheet(se3.make(frames_along(normal, rng), center), width, _log_uniform(rng, 0.5, 4.0, count), conductivity, aspect)


def draw_ring(rng: np.random.Generator, start: Array, away: Array, bulky: bool) -> Ring:
    """A retractor, a frame, a gantry: 30 to 300 mm in radius, wire of 2 to 12 mm."""
    count = len(start)
    radius, wire = _log_uniform(rng, *((120.0, 300.0) if bulky else (30.0, 150.0)), count), _log_uniform(rng, 2.0, 12.0, count)
    axis = cone(rng, away, 90.0)
    slope = np.sqrt(np.maximum(0.0, 1.0 - np.einsum("si,si->s", axis, away) ** 2))
    center = start + away * (radius * slope + wire)[:, None] + lateral(rng, away, radius)
    return Ring(se3.make(frames_along(axis, rng), center), radius, wire, rng.choice([ALUMINIUM, COPPER, STAINLESS], count))


def draw_rod(rng: np.random.Generator, start: Array, away: Array, bulky: bool) -> Rod:
    """An instrument, a handle, a bracket: 80 to 400 mm long, 4 to 40 mm in radius, mostly of magnetic steel."""
    count = len(start)
    half = _log_uniform(rng, *((60.0, 200.0) if bulky else (40.0, 140.0)), count)
    radius = np.minimum(_log_uniform(rng, *((8.0, 40.0) if bulky else (4.0, 30.0)), count), 0.6 * half)
    axis = cone(rng, away, 90.0)
    reach = half * np.abs(np.einsum("si,si->s", axis, away)) + radius
    center = start + away * reach[:, None] + lateral(rng, away, np.full(count, 100.0))
    magnetic = rng.uniform(size=count) < 0.8
    mu_r = np.where(magnetic, _log_uniform(rng, 20.0, 400.0, count), 1.001)
    return Rod(se3.make(frames_along(axis, rng), center), half, radius, mu_r, np.where(magnetic, CARBON_STEEL, ALUMINIUM))


KINDS: dict[str, tuple[Draw, ...]] = {
    "sheet": (draw_sheet,),
    "ring": (draw_ring,),
    "rods": (draw_rod, draw_rod, draw_rod),
    "sheet_and_rods": (draw_sheet, draw_rod, draw_rod),
    "ring_and_sheet": (draw_sheet, draw_ring),
    "ring_and_rods": (draw_ring, draw_rod, draw_rod),
}
"""What a kit of each kind consists of."""


def lateral(rng: np.random.Generator, away: Array, scale: Array) -> Array:
    """Random shifts (S, 3) along the touching plane."""
    shift = rng.standard_normal(away.shape) * 0.5 * scale[:, None]
    along: Array = shift - np.einsum("si,si->s", shift, away)[:, None] * away
    return along


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))
