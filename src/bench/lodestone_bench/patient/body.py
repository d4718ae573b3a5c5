"""The map of the body at rest, in the patient frame: wall, ribs, spine, stomach and bowel gas, lung. It does not move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from lodestone_bench.patient.config import PatientConfig
from lodestone_bench.patient.grid import Grid, box, empty, sampled
from lodestone_bench.patient.liver import surface_mm
from lodestone_bench.patient.tissue import Tissue
from lodestone_bench.patient.vessels import distance_mm
from lodestone_core.types import Array

MIDDLE = np.array([60.0, 15.0])
"""Axis of the body (left, back) from the middle of the liver: the liver lies on the right."""
_HALF_LENGTH_MM = (-125.0, 150.0)
_RIB_MM = 4.2
_LUNG_AT_REST_MM = 18.0
_LUNG_FROM_MM = 55.0
_KIDNEY_MM = np.array([-28.0, 72.0, -58.0])
_WAVES = 24


def body_map(config: PatientConfig, seed: int) -> Grid:
    """Tissues in the patient frame."""
    half = np.array(config.body_half_mm)
    low, high = MIDDLE - half - 4.0, MIDDLE + half + 4.0
    grid = empty((*low, _HALF_LENGTH_MM[0]), (*high, _HALF_LENGTH_MM[1]), 2.0 * config.liver_grid_mm)
    _fill(grid, config, seed)
    for points in ribs(config):
        _tube(grid, points, _RIB_MM, Tissue.BONE)
    _tube(grid, np.array([[60.0, 88.0, _HALF_LENGTH_MM[0]], [60.0, 88.0, _HALF_LENGTH_MM[1]]]), 17.0, Tissue.BONE)
    rng = np.random.default_rng((seed, 73))
    for middle, size in _gas(rng):
        _tube(grid, np.stack([middle, middle + size * np.array([0.8, 0.3, 0.3])]), float(size), Tissue.GAS)
    return grid


def depth_mm(points: Array, config: PatientConfig) -> Array:
    """Depth (...) of points (..., 3) below the skin; negative outside. Exact to a millimetre near the skin."""
    half = np.array(config.body_half_mm)
    scaled = (points[..., :2] - MIDDLE) / half
    k = np.linalg.norm(scaled, axis=-1)
    return np.asarray(k * (1.0 - k) / np.maximum(np.linalg.norm(scaled / half, axis=-1), 1e-6))


def skin_mm(left_mm: float, config: PatientConfig) -> float:
    """Coordinate `back` of the front skin at that place; raises ValueError beside the body."""
    share = (left_mm - MIDDLE[0]) / config.body_half_mm[0]
    if abs(share) >= 1.0:
        raise ValueError("beside the body")
    return float(MIDDLE[1] - config.body_half_mm[1] * np.sqrt(1.0 - share**2))


def ribs(config: PatientConfig) -> list[Array]:
    """Middle lines (n, 3) of the ribs, patient frame: down from the back to the front, where the lower ones end earlier."""
    half = np.array(config.body_half_mm) - config.fat_mm - config.muscle_mm + 2.0
    lines = []
    for k in range(7):
        end = np.pi - 0.05 + 0.16 * k
        angle = np.linspace(0.55 * np.pi, min(end, 1.44 * np.pi), 40)
        height = 22.0 * k - 12.0 - 26.0 * (angle - np.pi)
        for side in (1.0, -1.0):
            around = np.stack([side * half[0] * np.cos(angle), -half[1] * np.sin(angle) * -1.0], axis=1)
            lines.append(np.column_stack([MIDDLE + around, height]))
    return lines


def _fill(grid: Grid, config: PatientConfig, seed: int) -> None:
    z, y, x = grid.axes_mm()
    depth = depth_mm(np.stack(np.meshgrid(x, y), axis=-1), config)
    grid.labels[:] = Tissue.SOFT
    grid.labels[sampled(grid, _mottle(seed)) > 0.0] = Tissue.FATTY
    _kidney(grid)
    grid.labels[(sampled(grid, surface_mm) > _LUNG_AT_REST_MM) & (z[:, None, None] > _LUNG_FROM_MM)] = Tissue.LUNG
    for limit, tissue in ((config.fat_mm + config.muscle_mm, Tissue.MUSCLE), (config.fat_mm, Tissue.FAT), (0.0, Tissue.AIR)):
        grid.labels[:, depth < limit] = tissue


def _mottle(seed: int) -> Callable[[Array], Array]:
    """A smooth random function of points (..., 3), positive over a third of space: fat between the organs."""
    rng = np.random.default_rng((seed, 74))
    directions = rng.normal(size=(_WAVES, 3))
    waves = directions / np.linalg.norm(directions, axis=1, keepdims=True) * rng.uniform(0.10, 0.40, (_WAVES, 1))
    phases = rng.uniform(0.0, 2.0 * np.pi, _WAVES)
    return lambda points: np.asarray(np.sum(np.sin(points @ waves.T + phases), axis=-1) - 0.43 * np.sqrt(0.5 * _WAVES))


def _kidney(grid: Grid) -> None:
    half = np.array([24.0, 22.0, 50.0])
    index, points = box(grid, _KIDNEY_MM - half, _KIDNEY_MM + half)
    k = np.linalg.norm((points - _KIDNEY_MM) / half, axis=-1)
    part = grid.labels[index]
    part[k < 1.0] = Tissue.KIDNEY
    part[k < 0.45] = Tissue.FATTY
    part[(k >= 1.0) & (k < 1.06)] = Tissue.CAPSULE


def _tube(grid: Grid, points: Array, radius: float, tissue: Tissue) -> None:
    for start, end in pairwise(points):
        index, inside = box(grid, np.minimum(start, end) - radius, np.maximum(start, end) + radius)
        part = grid.labels[index]
        part[(distance_mm(inside, start, end) < radius) & (part != Tissue.AIR)] = tissue


def _gas(rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Pockets: stomach on the left, bowel below the liver."""
    stomach = [(np.array([118.0, -38.0, -8.0]) + rng.normal(0.0, 5.0, 3), 15.0)]
    bowel = []
    for _ in range(7):
        place = np.array([rng.uniform(-30.0, 130.0), rng.uniform(-58.0, -40.0), rng.uniform(-112.0, -82.0)])
        bowel.append((place, float(rng.uniform(6.0, 11.0))))
    return stomach + bowel
