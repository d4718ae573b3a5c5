"""The guidewire: a path through the vena cava into a hepatic vein, pushed to and fro, as a cloud of small pieces. Liver frame, mm."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from lodestone_bench.c_arm.config import WireConfig
from lodestone_bench.patient.tissue import Tissue
from lodestone_bench.patient.vessels import Segment
from lodestone_core.types import Array

_STEP_MM = 0.25
_CAVA_MM = 110.0
_RING = 12
_FOOTWARD = np.array([0.0, 0.05, -1.0])


class Wire:
    """`points(world_s)` from its visible end to its tip; `cloud(world_s)` the same with its thickness."""

    def __init__(self, segments: list[Segment], config: WireConfig) -> None:
        self._config = config
        self._path, self._cava_mm = _path(segments)
        self._across = _across(self._path, config.radius_mm)
        volume = np.pi * config.radius_mm**2 * np.linalg.norm(np.gradient(self._path, axis=0), axis=1)
        self._mass = np.repeat(config.attenuation_mm * volume / _RING, _RING)

    def tip_index(self, world_s: float) -> int:
        """How many points of the path the wire has reached."""
        config = self._config
        reached = self._cava_mm + config.start_mm + config.advance_mm * np.sin(2.0 * np.pi * world_s / config.period_s)
        return int(np.clip(reached / _STEP_MM, 2, len(self._path)))

    def points(self, world_s: float) -> Array:
        """Middle line (n, 3), liver frame at rest."""
        return self._path[: self.tip_index(world_s)]

    def cloud(self, world_s: float) -> tuple[Array, Array]:
        """Pieces (N, 3) and the attenuation times volume (N,) of each, mm^2."""
        pieces = self._across[: self.tip_index(world_s)].reshape(-1, 3)
        return pieces, self._mass[: len(pieces)]


def _path(segments: list[Segment]) -> tuple[Array, float]:
    """The longest hepatic vein from the cava on, with a piece of the cava before it; points at even steps, and the cava's length."""
    veins = [segment for segment in segments if segment.tissue is Tissue.HEPATIC]
    roots = [segment for segment in veins if not any(other.end == segment.start for other in veins)]
    best = max((_longest(root, veins) for root in roots), key=_length)
    start = np.array(best[0].start)
    knots = [start + _FOOTWARD * _CAVA_MM * share for share in (1.0, 0.66, 0.33)]
    knots += [start, *(np.array(segment.end) for segment in best)]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    spline = CubicSpline(along, np.array(knots))
    return np.asarray(spline(np.arange(0.0, along[-1], _STEP_MM))), float(along[3])


def _longest(root: Segment, veins: list[Segment]) -> list[Segment]:
    following = [_longest(segment, veins) for segment in veins if segment.start == root.end]
    return [root, *max(following, key=_length, default=[])]


def _length(chain: list[Segment]) -> float:
    return sum(float(np.linalg.norm(np.subtract(segment.end, segment.start))) for segment in chain)


def _across(path: Array, radius_mm: float) -> Array:
    """Pieces (n, m, 3) spread evenly over the wire's cross-section at each point."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, np.array([0.31, 0.87, 0.38]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(tangent, side)
    # A sunflower's seeds: each piece stands for the same area.
    k = np.arange(_RING) + 0.5
    radius, angle = radius_mm * np.sqrt(k / _RING), k * np.pi * (3.0 - np.sqrt(5.0))
    offsets = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return np.asarray(path[:, None] + offsets[:, :1] * side[:, None] + offsets[:, 1:] * other[:, None])
