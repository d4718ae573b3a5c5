"""Trees of vessels in the liver: capsules between points, thinner at each division by Murray's law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lodestone_bench.patient.config import VesselsConfig
from lodestone_bench.patient.tissue import Tissue
from lodestone_core.types import Array

Inside = Callable[[Array], Array]
"""Signed distance (N,) in mm of points (N, 3) from the liver's surface, negative inside."""

_LENGTH_PER_RADIUS = 5.5
_MURRAY = 3.0
_MARGIN_MM = 4.0
_HILUM = np.array([20.0, 22.0, -42.0])
_INTO_LIVER = np.array([-0.45, -0.30, 0.84])
_CAVA = np.array([18.0, 30.0, 42.0])


@dataclass(frozen=True, slots=True)
class Segment:
    """One straight piece, liver frame: from `start` to `end`, mm, of one radius."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius_mm: float
    tissue: Tissue


def grow(config: VesselsConfig, inside: Inside, seed: int) -> list[Segment]:
    """Portal tree from the hilum, three hepatic veins from the vena cava."""
    rng = np.random.default_rng((seed, 72))
    portal = _Tree(Tissue.PORTAL, config, inside, rng)
    portal.branch(_HILUM, _INTO_LIVER, config.portal_radius_mm, 0)
    hepatic = _Tree(Tissue.HEPATIC, config, inside, rng)
    for towards in ([-0.95, -0.25, -0.1], [-0.45, -0.75, -0.45], [0.75, -0.6, -0.2]):
        hepatic.branch(_CAVA, np.array(towards), config.hepatic_radius_mm, 0)
    return portal.segments + hepatic.segments


class _Tree:
    """One tree as it grows."""

    def __init__(self, tissue: Tissue, config: VesselsConfig, inside: Inside, rng: np.random.Generator) -> None:
        self.segments: list[Segment] = []
        self._tissue, self._config, self._inside, self._rng = tissue, config, inside, rng

    def branch(self, start: Array, towards: Array, radius: float, generation: int) -> None:
        """One vessel in three bent pieces, then its two children."""
        if generation > self._config.generations or radius < self._config.least_radius_mm:
            return
        rng = self._rng
        direction = towards / np.linalg.norm(towards)
        length = _LENGTH_PER_RADIUS * radius * rng.uniform(0.75, 1.25) / 3.0
        for _ in range(3):
            direction, end = self._within(start, direction, length, generation)
            if end is None:
                return
            self.segments.append(Segment(_plain(start), _plain(end), radius, self._tissue))
            start = end
            direction = direction + 0.22 * rng.normal(size=3)
            direction /= np.linalg.norm(direction)
        share = rng.uniform(0.35, 0.65)
        across = np.cross(direction, rng.normal(size=3))
        across /= np.linalg.norm(across)
        for part, side in ((share, 1.0), (1.0 - share, -1.0)):
            bend = np.radians(rng.uniform(22.0, 48.0))
            child = np.cos(bend) * direction + side * np.sin(bend) * across
            self.branch(start, child, radius * part ** (1.0 / _MURRAY), generation + 1)

    def _within(self, start: Array, direction: Array, length: float, generation: int) -> tuple[Array, Array | None]:
        """Direction and end of the next piece; near the surface it turns inward once, and ends (None) where that does not help."""
        end = start + direction * length
        if generation == 0 or float(self._inside(end[None])[0]) <= -_MARGIN_MM:
            return direction, end
        inward = direction - 1.3 * end / np.linalg.norm(end)
        inward /= np.linalg.norm(inward)
        end = start + inward * length
        return inward, end if float(self._inside(end[None])[0]) <= -_MARGIN_MM else None


def _plain(point: Array) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])


def distance_mm(points: Array, start: Array, end: Array) -> Array:
    """Distance (...) of points (..., 3) from the axis of a piece."""
    along = end - start
    share = np.clip(((points - start) @ along) / float(along @ along), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - start - share[..., None] * along, axis=-1))
