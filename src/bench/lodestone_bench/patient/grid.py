"""A map of tissues on a regular grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from lodestone_core.types import Array

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """`labels` (Z, Y, X) in a frame of its own: the middle of voxel (0, 0, 0) is at `origin_mm` (x y z)."""

    labels: Labels
    origin_mm: Array
    spacing_mm: float

    def axes_mm(self) -> tuple[Array, Array, Array]:
        """Coordinates along z, y and x."""
        z, y, x = (self.origin_mm[2 - axis] + self.spacing_mm * np.arange(count) for axis, count in enumerate(self.labels.shape))
        return z, y, x

    def at(self, points_mm: Array) -> Labels:
        """Labels (...) nearest to points (..., 3), 0 outside."""
        x, y, z = np.moveaxis(np.rint((points_mm - self.origin_mm) / self.spacing_mm).astype(np.int64), -1, 0)
        nz, ny, nx = self.labels.shape
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
        flat = np.where(inside, (z * ny + y) * nx + x, 0)
        return np.asarray(self.labels.reshape(-1)[flat] * inside, dtype=np.uint8)


def empty(low_mm: npt.ArrayLike, high_mm: npt.ArrayLike, spacing_mm: float) -> Grid:
    """A grid between two corners (x y z), all 0."""
    low = np.asarray(low_mm, dtype=np.float64)
    count = np.ceil((np.asarray(high_mm) - low) / spacing_mm).astype(int) + 1
    return Grid(np.zeros(tuple(count[::-1]), dtype=np.uint8), low, spacing_mm)


def slabs(grid: Grid, thickness: int = 24) -> Iterator[tuple[slice, Array]]:
    """Slices of z and the points (n, Y, X, 3) in them: a whole grid of points would not fit the memory."""
    z, y, x = grid.axes_mm()
    for start in range(0, len(z), thickness):
        part = slice(start, min(start + thickness, len(z)))
        zz, yy, xx = np.meshgrid(z[part], y, x, indexing="ij")
        yield part, np.stack([xx, yy, zz], axis=-1)


def box(grid: Grid, low_mm: Array, high_mm: Array) -> tuple[tuple[slice, slice, slice], Array]:
    """Index of the part between two corners, and its points (..., 3)."""
    parts = []
    for axis, values in zip((2, 1, 0), grid.axes_mm(), strict=True):
        first, last = np.searchsorted(values, [low_mm[axis], high_mm[axis]])
        parts.append(slice(int(first), int(last)))
    z, y, x = (values[part] for values, part in zip(grid.axes_mm(), parts, strict=True))
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    return (parts[0], parts[1], parts[2]), np.stack([xx, yy, zz], axis=-1)


def sampled(grid: Grid, function: Callable[[Array], Array], coarse: int = 4) -> npt.NDArray[np.float32]:
    """A smooth function of points (..., 3) on the grid, interpolated from every so many points."""
    steps = [np.append(axis[::coarse], axis[-1] + coarse * grid.spacing_mm) for axis in grid.axes_mm()]
    zz, yy, xx = np.meshgrid(*steps, indexing="ij")
    values = function(np.stack([xx, yy, zz], axis=-1)).astype(np.float32)
    factors = [((n - 1) * coarse + 1) / n for n in values.shape]
    nz, ny, nx = grid.labels.shape
    return np.asarray(zoom(values, factors, order=1)[:nz, :ny, :nx])
