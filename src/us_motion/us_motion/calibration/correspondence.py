"""Which spot is which wire, by geometry alone: a plane cuts the layers in parallel rows of three, about as wide as the wires are apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lodestone_core.types import Array
from us_motion.calibration.phantom import WirePhantom

_OFF_LINE_MM = 1.2
_WIDEST = 1.5
_NARROWEST = 0.95
_PARALLEL_RAD = 0.07
_ALIKE_MM = 2.0
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Three spots of a line: their numbers from left to right, how far the middle one is off, and the two ends (mm)."""

    spots: tuple[int, int, int]
    off_mm: float
    left: Array
    right: Array

    @property
    def along(self) -> Array:
        """From end to end, mm."""
        along: Array = self.right - self.left
        return along


def assign_wires(spots_mm: Array, phantom: WirePhantom) -> dict[int, int] | None:
    """Wire of each spot (n, 2; x to the right, y downward) that belongs to one: spot -> wire; None where the pattern is not seen whole.

    Layers are taken from top to bottom and wires from left to right; a mirrored or turned image shows when the pose is solved for.
    """
    rows = sorted(_rows(spots_mm, float(phantom.width_mm.min()), float(phantom.width_mm.max())), key=lambda row: row.off_mm)[:_MOST_ROWS]
    best: tuple[float, tuple[Row, ...]] | None = None
    for chosen in combinations(rows, len(phantom.ends_mm)):
        ordered = tuple(sorted(chosen, key=lambda row: float(row.left[1] + row.right[1])))
        misfit = _misfit(ordered, phantom)
        if misfit is not None and (best is None or misfit < best[0]):
            best = (misfit, ordered)
    if best is None:
        return None
    return {spot: 3 * layer + place for layer, row in enumerate(best[1]) for place, spot in enumerate(row.spots)}


def _rows(spots: Array, narrowest_mm: float, widest_mm: float) -> Iterator[Row]:
    order = np.argsort(spots[:, 0], kind="stable")
    for a, b in combinations(order, 2):
        along = spots[b] - spots[a]
        length = float(np.linalg.norm(along))
        if not _NARROWEST * narrowest_mm <= length <= _WIDEST * widest_mm or abs(along[1]) > 0.8 * length:
            continue
        for m in order:
            share = float((spots[m] - spots[a]) @ along) / length**2
            off = abs(_cross(along, spots[m] - spots[a])) / length
            if m not in (a, b) and 0.02 < share < 0.98 and off <= _OFF_LINE_MM:
                yield Row((int(a), int(m), int(b)), off, spots[a], spots[b])


def _misfit(rows: tuple[Row, ...], phantom: WirePhantom) -> float | None:
    """How far rows are from being cuts of the layers by one plane, mm; None where they cannot be."""
    if len({spot for row in rows for spot in row.spots}) < 3 * len(rows):
        return None
    first = rows[0]
    direction = first.along / np.linalg.norm(first.along)
    total = sum(row.off_mm for row in rows)
    widths = phantom.width_mm
    for layer in range(1, len(rows)):
        row, above = rows[layer], rows[layer - 1]
        unit = row.along / np.linalg.norm(row.along)
        if abs(_cross(direction, unit)) > _PARALLEL_RAD:
            return None
        alike = np.linalg.norm(row.along * widths[0] / widths[layer] - first.along)
        apart = abs(_cross(direction, row.left - above.left))
        wanted = _layer_distance(phantom, layer)
        if alike > _ALIKE_MM or not _NARROWEST * wanted <= apart <= _WIDEST * wanted:
            return None
        total += float(alike)
    return total


def _cross(a: Array, b: Array) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _layer_distance(phantom: WirePhantom, layer: int) -> float:
    """Distance of two neighbouring layers: of the left wire of one from the plane of the other."""
    left, _, right = phantom.ends_mm[layer - 1]
    normal = np.cross(left[1] - left[0], right[0] - left[0])
    return abs(float((phantom.ends_mm[layer, 0, 0] - left[0]) @ normal / np.linalg.norm(normal)))
