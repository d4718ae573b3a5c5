"""The wire as a curve of constant length that bends and is pushed and pulled: a pure function of time and seed.

The direction of its tangent is prescribed along it as azimuth and elevation, and integrated: so no bend changes its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_bench.magnetics.config import WireConfig
from lodestone_core.types import Array

SHAPES = ("straight", "arc", "s_bend", "hook", "helix", "rise")
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_FINEST = 240
_STREAM = 7101
_TURN = 2.0 * np.pi


def _profiles(u: Array) -> Array:
    """Azimuth and elevation in rad (shape, 2, N) of each shape at shares u of the length (0 at the base, 1 at the tip)."""
    rise = np.clip((u - 0.55) / 0.45, 0.0, 1.0)
    late = rise * rise * (3.0 - 2.0 * rise)
    nothing = np.zeros_like(u)
    return np.array(
        [
            (nothing, nothing),
            (1.3 * (u - 0.5), 0.15 * (u - 0.5)),
            (0.85 * np.sin(_TURN * u), 0.1 * np.cos(_TURN * u)),
            (2.2 * late - 0.5, 0.2 * late),
            (0.65 * np.sin(1.5 * _TURN * u), 0.45 * np.cos(1.5 * _TURN * u)),
            (0.3 * (u - 0.5), 0.75 * (u - 0.45)),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What the seed draws: phases in rad, the order of the shapes, and the mean heading in rad."""

    phases: Array
    order: tuple[int, ...]
    heading_rad: float


class WireShape:
    """Where the wire is at any time of the world, in `bench`."""

    def __init__(self, config: WireConfig, seed: int = 0) -> None:
        self.config = config
        rng = np.random.default_rng([seed, _STREAM])
        order = tuple(int(i) for i in rng.permutation(len(SHAPES)))
        self._known_profiles: dict[int, Array] = {}
        self._motion = Motion(rng.uniform(0.0, _TURN, 8), order, float(rng.uniform(-0.25, 0.25)))

    @property
    def length_mm(self) -> float:
        """Its length, the same at all times."""
        return self.config.length_mm

    @property
    def radius_mm(self) -> float:
        """Radius of its round cross-section."""
        return self.config.radius_mm

    def points_mm(self, world_s: float, n: int) -> Array:
        """Points (n, 3) of the centre line at equal distances along it, from the base to the tip; n of at least 2."""
        pieces = (n - 1) * -(-_FINEST // (n - 1))
        if pieces not in self._known_profiles:
            self._known_profiles[pieces] = _profiles(((np.arange(pieces)[:, None] + 0.5 * (1.0 + _NODES)) / pieces).ravel())
        steps = (self._tangents(world_s, self._known_profiles[pieces]).reshape(pieces, -1, 3) * (0.5 * _WEIGHTS)[:, None]).sum(axis=1)
        curve = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]) * (self.length_mm / pieces)
        middle = 0.5 * (curve.min(axis=0) + curve.max(axis=0))
        return np.asarray(curve[:: pieces // (n - 1)] - middle + self._place(world_s))

    def tangents(self, world_s: float, n: int) -> Array:
        """Directions (n, 3) of length 1 in the middles of n equal pieces, towards the tip."""
        return self._tangents(world_s, _profiles((np.arange(n) + 0.5) / n))

    def _tangents(self, world_s: float, profiles: Array) -> Array:
        azimuth, elevation = np.tensordot(self._weights(world_s), profiles, axes=1)
        azimuth = azimuth + self._motion.heading_rad
        return np.column_stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])

    def _weights(self, world_s: float) -> Array:
        """Share of each shape: cross-faded on a tour, and opened and closed slowly."""
        weights = np.zeros(len(SHAPES))
        if self.config.shape == "tour":
            at = world_s / self.config.hold_s
            now, gone = int(np.floor(at)), at - np.floor(at)
            fade = gone * gone * gone * (10.0 - 15.0 * gone + 6.0 * gone * gone)
            order = self._motion.order
            weights[order[now % len(order)]] += 1.0 - fade
            weights[order[(now + 1) % len(order)]] += fade
        else:
            weights[SHAPES.index(self.config.shape)] = 1.0
        phases = self._motion.phases
        opened = 1.0 - 0.5 * self.config.bending * (1.0 + np.sin(_TURN * world_s / (1.3 * self.config.period_s) + phases[0]))
        return np.asarray(weights * opened)

    def _place(self, world_s: float) -> Array:
        """Where the middle of the box around the wire is."""
        c, phases = self.config, self._motion.phases
        swing = np.sin(_TURN * world_s / (c.period_s * np.array([1.0, 1.7, 2.3])) + phases[1:4])
        return np.asarray(c.center_mm + np.array([c.insertion_mm, c.sway_mm, c.sway_mm]) * swing)
