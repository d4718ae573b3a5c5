"""The pixels near a strand and what they get of it: walked row by row where it runs down, column by column where it runs across."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from lodestone_bench.optics.strand import Strand

Array = npt.NDArray[np.float64]
Light = npt.NDArray[np.float32]
_REACH_SIGMAS = 3.5


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Flat pixel numbers `where` (each once), the share `cover` of each that the wire hides, the grey `light` it sends, its `depth_mm`."""

    where: npt.NDArray[np.intp]
    cover: Light
    light: Light
    depth_mm: Light


class BandPainter:
    """Finds the band of strands in images of one size; keeps its buffers."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._owner = np.zeros(width * height, dtype=np.intp)

    def paint(self, strand: Strand) -> Band:
        """The band. Where parts of the wire overlap, the one that covers more counts."""
        pieces = [_profile(*piece) for piece in self._pieces(strand)]
        if not pieces:
            nothing = np.zeros(0, dtype=np.float32)
            return Band(np.zeros(0, dtype=np.intp), nothing, nothing, nothing)
        where, cover, light, depth = (np.concatenate([piece[i] for piece in pieces]) for i in range(4))
        keep = self._once(where, cover)
        return Band(where[keep], cover[keep].astype(np.float32), light[keep].astype(np.float32), depth[keep].astype(np.float32))

    def _once(self, where: npt.NDArray[np.intp], cover: Array) -> npt.NDArray[np.intp]:
        """Which entries to keep so that each pixel stands there once, with its largest cover."""
        entry = np.arange(len(where))
        self._owner[where] = entry
        beaten = np.flatnonzero(self._owner[where] != entry)
        if not beaten.size:
            return entry
        # Only the pixels with several entries are sorted; the last one written stays, so the largest is written last.
        self._owner[where[beaten]] = -1
        shared = np.flatnonzero(self._owner[where] < 0)
        order = shared[np.argsort(cover[shared], kind="stable")]
        self._owner[where[order]] = order
        return np.flatnonzero(self._owner[where] == entry)

    def _pieces(self, strand: Strand) -> Iterator[tuple[npt.NDArray[np.intp], Array, Array, float]]:
        """For each run of the strand: pixel numbers (M,), offsets (M, 2) from the strand, its values there (M, 14), its length."""
        values = _with_ends(strand.columns(), strand)
        reach = float(np.max(_REACH_SIGMAS * strand.blur_px + strand.half_px))
        along = np.abs(np.gradient(values[:, :2], axis=0))
        down = along[:, 1] >= along[:, 0]
        for first, last in _runs(down):
            axis = 1 if down[first] else 0
            low, high = _widened(values, first, last, axis, 1.5 * reach)
            found = self._walk(values[low:high], axis, int(np.ceil(reach * 1.4142)) + 1)
            if found is not None:
                yield (*found, strand.arc_px[-1])

    def _walk(self, values: Array, axis: int, reach: int) -> tuple[npt.NDArray[np.intp], Array, Array] | None:
        """The pixels within `reach` of a run, along rows (axis 1) or columns (axis 0)."""
        if values[0, axis] > values[-1, axis]:
            values = values[::-1]
        limit = (self._width, self._height)
        lines = np.arange(max(int(np.ceil(values[0, axis])), 0), min(int(np.floor(values[-1, axis])), limit[axis] - 1) + 1)
        if not lines.size:
            return None
        index = np.clip(np.searchsorted(values[:, axis], lines, side="right") - 1, 0, len(values) - 2)
        share = (lines - values[index, axis]) / np.maximum(values[index + 1, axis] - values[index, axis], 1e-9)
        at = values[index] + share[:, None] * (values[index + 1] - values[index])
        middle = np.rint(at[:, 1 - axis]).astype(np.intp)
        across = middle[:, None] + np.arange(-reach, reach + 1)
        inside = (across >= 0) & (across < limit[1 - axis])
        number = across * self._width + lines[:, None] if axis == 0 else lines[:, None] * self._width + across
        row = np.broadcast_to(np.arange(len(lines))[:, None], across.shape)[inside]
        offset = np.zeros((row.size, 2))
        offset[:, 1 - axis] = (across - at[:, 1 - axis, None])[inside]
        return number[inside], offset, at[row]


def _profile(where: npt.NDArray[np.intp], offset: Array, at: Array, length_px: float) -> tuple[npt.NDArray[np.intp], Array, Array, Array]:
    """Pixel number, cover, light and depth of the pixels that get anything of the strand."""
    depth, arc, nx, ny, bend, half, blur, shade, slant, shine, shine_at, shine_px = at[:, 2:].T
    along = offset[:, 1] * nx - offset[:, 0] * ny
    d = offset[:, 0] * nx + offset[:, 1] * ny - 0.5 * bend * along**2
    near = np.abs(d) < half + _REACH_SIGMAS * blur
    where, depth, arc, along, d = where[near], depth[near], arc[near], along[near], d[near]
    half, blur, shade, slant, shine, shine_at, shine_px = (v[near] for v in (half, blur, shade, slant, shine, shine_at, shine_px))
    cover = ndtr((half - d) / blur) - ndtr((-half - d) / blur)
    ends = (arc < 40.0) | (arc > length_px - 40.0)
    cover[ends] *= _ends(arc[ends] + along[ends], blur[ends], length_px)
    wide = np.sqrt(shine_px**2 + blur**2)
    # What the highlight adds is smeared, not cut off at the edge: it is divided by the cover here and multiplied with it again.
    gloss = shine * shine_px / wide * np.exp(-0.5 * ((d - shine_at) / wide) ** 2)
    light = shade + slant * np.clip(d / half, -1.0, 1.0) + gloss / np.maximum(cover, 0.05)
    return where, cover, light, depth


def _ends(arc: Array, blur: Array, length_px: float) -> Array:
    """Share that is left near the base and the tip, which are cut off square."""
    share: Array = ndtr(arc / blur) * ndtr((length_px - arc) / blur)
    return share


def _with_ends(values: Array, strand: Strand) -> Array:
    """The strand with a straight piece before its base and after its tip, so that the blur of its ends has a place."""
    beyond = 6.0 + 4.0 * float(strand.blur_px.max())
    before, after = values[:1].copy(), values[-1:].copy()
    for end, sign, i in ((before, -1.0, 0), (after, 1.0, -1)):
        nx, ny = strand.normal[i]
        end[0, :2] += sign * beyond * np.array([-ny, nx])
        end[0, 3] += sign * beyond
    return np.concatenate([before, values, after])


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of equal flags."""
    cuts = np.flatnonzero(np.diff(flags.astype(np.int8))) + 1
    edges = [0, *cuts.tolist(), len(flags)]
    return [(edges[i], edges[i + 1] - 1) for i in range(len(edges) - 1)]


def _widened(values: Array, first: int, last: int, axis: int, by_px: float) -> tuple[int, int]:
    """The run made longer on both sides, so that neighbours overlap where the strand turns, as long as it still runs one way."""
    steps = np.diff(values[:, axis])
    inner = steps[first:last] if last > first else steps[max(first - 1, 0) : first + 1]
    sign = 1.0 if inner.sum() >= 0.0 else -1.0
    low, high = first, last
    while low > 0 and sign * steps[low - 1] > 0.0 and np.hypot(*(values[low, :2] - values[first, :2])) < by_px:
        low -= 1
    while high < len(values) - 1 and sign * steps[high] > 0.0 and np.hypot(*(values[high, :2] - values[last, :2])) < by_px:
        high += 1
    return low, high + 1
