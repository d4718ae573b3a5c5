"""What the views of a calibration cover so far, and what to do next, in words.

A camera's model is held by corners all over its image, by a board that is tilted differently from view to view (the focal length) and by
one that is now nearer, now farther.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from guidewire_recon.calibration.stereo_start import FEWEST_VIEWS, camera_alone, pose_of
from guidewire_recon.calibration.stereo_types import SIDES, View
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.types import Array

COLUMNS, ROWS = 4, 3
_ACROSS, _DOWN = ("left", "middle left", "middle right", "right"), ("top", "middle", "bottom")
# Where the nearer edge of the board is in the image, by the sign of its normal's x and y against the mean of all views.
_TILTS = {(0, 1): "left edge", (0, -1): "right edge", (1, 1): "upper edge", (1, -1): "lower edge"}


@dataclass(frozen=True, slots=True)
class CoverageConfig:
    """When the views are enough."""

    views: int = option(20, doc="views of both cameras", minimum=4)
    cells: float = option(0.75, doc="share of the image's 12 cells in which there were corners", minimum=0.0, maximum=1.0)
    tilt_deg: float = option(8.0, unit="deg", doc="a board is tilted to a side when its normal leaves the mean of all by this", minimum=0.1)
    depth_ratio: float = option(1.04, doc="largest over smallest distance of the board", minimum=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """One camera's: corners in each cell (ROWS, COLUMNS), tilts that are missing, and the range of the board's distance (mm)."""

    side: str
    views: int
    cells: Array
    missing_tilts: tuple[str, ...]
    nearest_mm: float
    farthest_mm: float

    @property
    def area(self) -> float:
        """Share of the cells with corners."""
        return float(np.mean(self.cells > 0))


def coverage_of(views: Sequence[View], side: str, size: tuple[int, int], config: CoverageConfig | None = None) -> Coverage:
    """What one camera's views cover. With too few of them for a first model the tilts are all missing and the distances NaN."""
    config = config or CoverageConfig()
    seen = [sighting for view in views for sighting in view.of(side)]
    cells = np.zeros((ROWS, COLUMNS))
    for sighting in seen:
        at = np.floor(sighting.pixels / np.array(size) * (COLUMNS, ROWS)).astype(int)
        np.add.at(cells, (np.clip(at[:, 1], 0, ROWS - 1), np.clip(at[:, 0], 0, COLUMNS - 1)), 1.0)
    count = sum(bool(view.of(side)) for view in views)
    try:
        camera = camera_alone(views, side, size)
        poses = [pose_of(camera, sighting) for sighting in seen]
    except InputError:
        return Coverage(side, count, cells, tuple(_TILTS.values()), float("nan"), float("nan"))
    normals = np.array([T[:3, 2] for T in poses])
    off = np.degrees(normals - normals.mean(axis=0))
    missing = tuple(name for (axis, sign), name in _TILTS.items() if (sign * off[:, axis]).max() < config.tilt_deg)
    depths = np.array([(T[:3, :3] @ s.points.mean(axis=0) + T[:3, 3])[2] for T, s in zip(poses, seen, strict=True)])
    return Coverage(side, count, cells, missing, float(depths.min()), float(depths.max()))


def next_step(views: Sequence[View], sizes: Mapping[str, tuple[int, int]], config: CoverageConfig | None = None) -> str:
    """What to do next, in words; "" when the views are enough."""
    config = config or CoverageConfig()
    paired = sum(view.paired for view in views)
    for found in (coverage_of(views, side, sizes[side], config) for side in SIDES):
        if found.views < FEWEST_VIEWS:
            return f"show the board to the {found.side} camera, tilted a little, {FEWEST_VIEWS - found.views} more times"
        if found.area < config.cells:
            return f"move the board to the {_emptiest(found.cells)} of the {found.side} image"
        if found.missing_tilts:
            return f"tilt the board so that its {found.missing_tilts[0]} in the {found.side} image comes nearer"
        if found.farthest_mm < config.depth_ratio * found.nearest_mm:
            return f"bring the board nearer to the {found.side} camera, then farther away, as far as it stays sharp"
    if paired < config.views:
        return f"take {config.views - paired} more views in which each camera sees its board"
    return ""


def _emptiest(cells: Array) -> str:
    """The empty cell that has most empty neighbours, in words."""
    empty = np.pad((cells == 0).astype(float), 1)
    around = sum(empty[1 + i : 1 + i + ROWS, 1 + j : 1 + j + COLUMNS] for i in (-1, 0, 1) for j in (-1, 0, 1))
    row, column = np.unravel_index(int(np.argmax(np.where(cells == 0, around, -1.0))), cells.shape)
    return f"{_DOWN[row]} {_ACROSS[column]}"
