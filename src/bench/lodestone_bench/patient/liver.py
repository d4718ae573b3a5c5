"""The liver's own map: parenchyma, vessels, capsule and the lung that rides on its dome. It moves with the liver's frame."""

from __future__ import annotations

import numpy as np

from lodestone_bench.patient.grid import Grid, box, empty, sampled
from lodestone_bench.patient.tissue import Tissue
from lodestone_bench.patient.vessels import Segment, distance_mm
from lodestone_core.types import Array

_LOBES = (((-10.0, 0.0, 0.0), (68.0, 60.0, 68.0)), ((42.0, -22.0, 8.0), (52.0, 28.0, 42.0)))
_LOW = (-84.0, -68.0, -76.0)
_HIGH = (98.0, 68.0, 114.0)
_CAPSULE_MM = 1.6
_LUNG_MM = (3.0, 42.0)
_WALL_MM = 1.2
_LUNG_FROM_MM = 32.0


def surface_mm(points: Array) -> Array:
    """Signed distance (...) of points (..., 3), liver frame, from its surface; negative inside, near the surface to a millimetre."""
    lobes = [_ellipsoid(points, np.array(middle), np.array(half)) for middle, half in _LOBES]
    blend = 12.0
    share = np.clip(0.5 + 0.5 * (lobes[1] - lobes[0]) / blend, 0.0, 1.0)
    joined = lobes[1] + (lobes[0] - lobes[1]) * share - blend * share * (1.0 - share)
    x, y, z = np.moveaxis(points, -1, 0)
    # The lower face is hollow: kidney and gall bladder lie there.
    hollow = 14.0 * np.exp(-(((x - 5.0) / 35.0) ** 2) - ((y - 55.0) / 30.0) ** 2 - ((z + 45.0) / 35.0) ** 2)
    return np.asarray(joined + hollow + 1.5 * np.sin(x / 17.0 + 1.0) * np.sin(y / 15.0) * np.cos(z / 19.0))


def liver_map(segments: list[Segment], spacing_mm: float) -> Grid:
    """Tissues in the liver's frame."""
    grid = empty(_LOW, _HIGH, spacing_mm)
    distance = sampled(grid, surface_mm)
    z = grid.axes_mm()[0][:, None, None]
    labels = grid.labels
    headward = z > _LUNG_FROM_MM - 4.0
    labels[(distance >= _LUNG_MM[0]) & (distance < _LUNG_MM[1]) & (z > 0.4 * distance + _LUNG_FROM_MM)] = Tissue.LUNG
    labels[(distance >= 0.0) & (distance < _LUNG_MM[0]) & headward] = Tissue.CAPSULE
    labels[(distance >= 0.0) & (distance < 0.5 * _CAPSULE_MM)] = Tissue.CAPSULE
    labels[distance < 0.0] = Tissue.LIVER
    for segment in segments:
        _draw(grid, segment, segment.radius_mm + _WALL_MM, Tissue.PORTAL_WALL, {Tissue.LIVER})
    for segment in segments:
        _draw(grid, segment, segment.radius_mm, segment.tissue, {Tissue.LIVER, Tissue.PORTAL_WALL})
    return grid


def _ellipsoid(points: Array, middle: Array, half: Array) -> Array:
    scaled = (points - middle) / half
    k = np.linalg.norm(scaled, axis=-1)
    slope = np.linalg.norm(scaled / half, axis=-1)
    return np.asarray(k * (k - 1.0) / np.maximum(slope, 1e-6))


def _draw(grid: Grid, segment: Segment, radius: float, tissue: Tissue, over: set[Tissue]) -> None:
    if tissue is Tissue.PORTAL_WALL and segment.tissue is not Tissue.PORTAL:
        return
    start, end = np.array(segment.start), np.array(segment.end)
    index, points = box(grid, np.minimum(start, end) - radius, np.maximum(start, end) + radius)
    part = grid.labels[index]
    part[(distance_mm(points, start, end) < radius) & np.isin(part, list(over))] = tissue
