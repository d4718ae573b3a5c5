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
_REACH_SIGMAS = 3.2
_Pixels = tuple[npt.NDArray[np.intp], Light, Light, Light]


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
        pieces = list(self._pieces(strand))
        if not pieces:
            nothing = np.zeros(0, dtype=np.float32)
            return Band(np.zeros(0, dtype=np.intp), nothing, nothing, nothing)
        where = np.concatenate([piece[0] for piece in pieces])
        cover, light, depth = (np.concatenate([piece[i] for piece in pieces]) for i in (1, 2, 3))
        keep = self._once(where, cover)
        return Band(where[keep], cover[keep], light[keep], depth[keep])

    def _once(self, where: npt.NDArray[np.intp], cover: Light) -> npt.NDArray[np.intp]:
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

    def _pieces(self, strand: Strand) -> Iterator[_Pixels]:
        """What each run of the strand gives to the pixels near it."""
        values = _with_ends(strand.columns(), strand)
        reach = float(np.max(_REACH_SIGMAS * strand.blur_px + strand.half_px))
        along = np.abs(np.gradient(values[:, :2], axis=0))
        down = along[:, 1] >= along[:, 0]
        for first, last in _runs(down):
            axis = 1 if down[first] else 0
            low, high = _widened(values, first, last, axis, 1.5 * reach)
            at, lines = self._lines(values[low:high], axis)
            if lines.size:
                yield self._walk(at, lines, axis, int(np.ceil(reach * 1.4142)) + 1, float(strand.arc_px[-1]))

    def _lines(self, values: Array, axis: int) -> tuple[Light, npt.NDArray[np.intp]]:
        """The strand (L, 14) where a run crosses each row (axis 1) or column (axis 0) of the image, and their numbers (L,)."""
        if values[0, axis] > values[-1, axis]:
            values = values[::-1]
        limit = (self._width, self._height)[axis]
        lines = np.arange(max(int(np.ceil(values[0, axis])), 0), min(int(np.floor(values[-1, axis])), limit - 1) + 1)
        index = np.clip(np.searchsorted(values[:, axis], lines, side="right") - 1, 0, len(values) - 2)
        share = (lines - values[index, axis]) / np.maximum(values[index + 1, axis] - values[index, axis], 1e-9)
        at = values[index] + share[:, None] * (values[index + 1] - values[index])
        return at.astype(np.float32), lines

    def _walk(self, at: Light, lines: npt.NDArray[np.intp], axis: int, reach: int, length_px: float) -> _Pixels:
        """Number, cover, light and depth of the pixels within `reach` of a run that get anything of it."""
        centre = at[:, 1 - axis, None]
        across = np.rint(centre).astype(np.intp) + np.arange(-reach, reach + 1)
        offset = across.astype(np.float32) - centre
        # Along the strand's normal and along the strand; the curve falls away from its tangent by half its bend.
        to_normal, to_tangent = (at[:, 4, None], -at[:, 5, None]) if axis == 1 else (at[:, 5, None], at[:, 4, None])
        along = offset * to_tangent
        d = offset * to_normal - 0.5 * at[:, 6, None] * along**2
        inside = (across >= 0) & (across < (self._width, self._height)[1 - axis])
        row, column = np.nonzero((np.abs(d) < at[:, 7, None] + _REACH_SIGMAS * at[:, 8, None]) & inside)
        number = across * self._width + lines[:, None] if axis == 0 else lines[:, None] * self._width + across
        return (number[row, column], *_profile(at[row], d[row, column], along[row, column], length_px))


def _profile(at: Light, d: Light, along: Light, length_px: float) -> tuple[Light, Light, Light]:
    """Cover, light and depth at distances `d` across and `along` the strand from its points `at` (M, 14)."""
    depth, arc, half, blur, shade, slant, shine, shine_at, shine_px = at[:, [2, 3, 7, 8, 9, 10, 11, 12, 13]].T
    cover = ndtr((half - d) / blur) - ndtr((-half - d) / blur)
    ends = (arc < 40.0) | (arc > length_px - 40.0)
    cover[ends] *= _ends(arc[ends] + along[ends], blur[ends], length_px)
    wide = np.sqrt(shine_px**2 + blur**2)
    # What the highlight adds is smeared, not cut off at the edge: it is divided by the cover here and multiplied with it again.
    gloss = shine * shine_px / wide * np.exp(-0.5 * ((d - shine_at) / wide) ** 2)
    light = shade + slant * np.clip(d / half, -1.0, 1.0) + gloss / np.maximum(cover, 0.05)
    return cover, light, depth


def _ends(arc: Light, blur: Light, length_px: float) -> Light:
    """Share that is left near the base and the tip, which are cut off square."""
    share: Light = ndtr(arc / blur) * ndtr((length_px - arc) / blur)
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
