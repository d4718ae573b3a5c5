"""A stream as a few numbers over time: what moves in it, reduced to its principal components, and as a smooth function of time.

What smooths is symmetric in time, so that it shifts nothing, and keeps local parabolas, so that it takes little of the motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline, make_interp_spline
from scipy.spatial.transform import Rotation

from lodestone_core.errors import InputError
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array

_REACH = 4.0  # widths of the kernel beyond which it is zero
_WIDTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # of that kernel, in periods of the stream
_GRID = 3  # points of the spline in one width
_JUDGED = 400  # samples are enough to choose a width by
_CELLS, _BINS = 24, 96
_BACKGROUND = 0.15
_LEAST_NOISE = 1e-3  # of a column's standard deviation, lest one without noise is all there is
_LEVER_MM = 100.0
Stamps = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Numbers that change with the motion, at rising acquisition stamps (N,) in ns.

    `views`: one or more ways to put it into numbers, each (N, d) of any unit; the estimate takes the one that tells most.
    """

    name: str
    stamps_ns: Stamps
    views: tuple[Array, ...]

    @property
    def period_s(self) -> float:
        """Usual time from sample to sample."""
        return float(np.median(np.diff(self.stamps_ns))) / NS_PER_S

    def seconds(self, origin_ns: int) -> Array:
        """Stamps (N,) in s since `origin_ns`."""
        return np.asarray((self.stamps_ns - origin_ns) / NS_PER_S)


def as_motion(name: str, stamps_ns: npt.ArrayLike, *views: npt.ArrayLike, at_least: int = 20) -> Motion:
    """A stream in the order of its stamps, without samples that are not finite; of those with one stamp the first is kept.

    Raises InputError for stamps that are not int nanoseconds, fewer than `at_least` good samples, or a stream in which nothing moves.
    """
    stamps = np.asarray(stamps_ns)
    numbers = [np.asarray(view, dtype=np.float64) for view in views]
    numbers = [view[:, None] if view.ndim == 1 else view for view in numbers]
    if stamps.dtype.kind not in "iu" or not numbers or any(view.ndim != 2 or stamps.shape != view.shape[:1] for view in numbers):
        got = f"{stamps.dtype} {stamps.shape} and values {[view.shape for view in numbers]}"
        remedy = "give one row of numbers a stamp, in nanoseconds"
        raise InputError(name, expected="stamps (N,) in nanoseconds and values (N, d)", got=got, remedy=remedy)
    good = np.all([np.isfinite(view).all(axis=1) for view in numbers], axis=0)
    stamps, first = np.unique(stamps[good].astype(np.int64), return_index=True)
    if len(stamps) < at_least:
        remedy = "record longer, or mend the device: samples that are not valid do not count"
        raise InputError(name, expected=f"at least {at_least} valid samples", got=len(stamps), remedy=remedy)
    moving = tuple(view[good][first] for view in numbers if np.ptp(view[good][first], axis=0).any())
    if not moving:
        remedy = "record while what it sees moves; a device that repeats itself is stuck"
        raise InputError(name, expected="a stream in which something moves", got="the same values all the time", remedy=remedy)
    return Motion(name, stamps, moving)


def pose_motion(T: Array) -> Array:
    """Position in mm and orientation against the first pose (N, 6) of poses (N, 4, 4); the orientation as an arc at 100 mm."""
    turn = Rotation.from_matrix(T[0, :3, :3].T @ T[:, :3, :3]).as_rotvec()
    return np.column_stack([T[:, :3, 3], _LEVER_MM * turn])


def field_motion(fields: Array) -> tuple[Array, ...]:
    """Views of fields (N, sensors, 3) of an array: as they are (N, 3 sensors), and the pattern of what is not uniform with its logarithm.

    The background and Earth's field are nearly uniform. The field of a magnet falls with a power of the distance: its logarithm and its
    pattern follow the motion much more evenly than the field itself. One sensor alone has no pattern.
    """
    plain = fields.reshape(len(fields), -1)
    if fields.shape[1] < 2:
        return (plain,)
    own = (fields - fields.mean(axis=1, keepdims=True)).reshape(len(fields), -1)
    size = np.maximum(np.linalg.norm(own, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return plain, np.column_stack([own / size, np.log(size)])


def image_motion(frames: npt.ArrayLike) -> tuple[Array, Array]:
    """Two views of images (N, rows, columns): place and spread along both axes of what moves (N, 4), and means of cells (N, cells)."""
    stack = np.asarray(frames)
    cells = _binned(_binned(stack, 1, _CELLS), 2, _CELLS)
    profiles = (_binned(stack.mean(axis=other, dtype=np.float64), 1, _BINS) for other in (1, 2))
    return np.column_stack([_moving_part(profile) for profile in profiles]), cells.reshape(len(stack), -1)


def _binned(values: Array, axis: int, most: int) -> Array:
    """Means of neighbours along an axis, at least `most` of them where there are as many."""
    size = max(1, values.shape[axis] // most)
    values = np.take(values, np.arange(values.shape[axis] // size * size), axis)
    shape = (*values.shape[:axis], -1, size, *values.shape[axis + 1 :])
    return np.asarray(values.reshape(shape).mean(axis=axis + 1, dtype=np.float64))


def _moving_part(profile: Array) -> Array:
    """Centroid and spread (N, 2; bins) of what moves in profiles (N, bins) before a background that does not.

    What moves is brighter or darker than the background, and where it is most of the time still not always: a low (high) quantile sees the
    background. The fourth power keeps echoes and shades, a quarter as bright as what casts them, out of the centroid.
    """
    sign = 1.0 if np.sum(np.mean(profile, axis=0) - np.median(profile, axis=0)) >= 0.0 else -1.0
    difference = sign * profile
    difference = np.maximum(difference - np.quantile(difference, _BACKGROUND, axis=0), 0.0)
    weight = (difference + 1e-9) ** 4
    weight /= weight.sum(axis=1, keepdims=True)
    place = np.arange(profile.shape[1], dtype=np.float64)
    centre = weight @ place
    return np.column_stack([centre, np.sqrt(np.maximum(weight @ place**2 - centre**2, 0.0))])


def components(values: Array, most: int) -> Array:
    """Scores (N, k) of the first principal components of columns in units of their own noise, over the standard deviation of the first."""
    centred = values - values.mean(axis=0)
    size = centred.std(axis=0)
    # Third differences take smooth motion away, and make twenty of the variance of white noise.
    noise = np.diff(centred, 3, axis=0).std(axis=0) / np.sqrt(20.0)
    moving = size > 0.0
    scaled = centred[:, moving] / np.maximum(noise, _LEAST_NOISE * size)[moving]
    U, s, _ = np.linalg.svd(scaled, full_matrices=False)
    kept = np.flatnonzero(s[:most] > 1e-6 * s[0])
    return np.asarray(U[:, kept] * (s[kept] / s[0]) * np.sqrt(len(values)))


def as_function(times_s: Array, values: Array) -> BSpline:
    """Values (N, d) as a function of time: through local parabolas as wide as predicts left-out samples best, or through the samples
    themselves where any smoothing takes more of the motion than of the noise."""
    period_s = float(np.median(np.diff(times_s)))
    some = np.linspace(0, len(times_s) - 1, min(len(times_s), _JUDGED)).astype(int)
    lost = [_left_out(times_s, values, some, width * period_s) for width in _WIDTHS]
    best = int(np.argmin(lost))
    if best == 0:
        return make_interp_spline(times_s, values, k=5)
    width_s = _WIDTHS[best] * period_s
    at_s = np.arange(times_s[0] - width_s, times_s[-1] + 2.0 * width_s, width_s / _GRID)
    smooth = smoothed(times_s, values, at_s, width_s)
    known = np.isfinite(smooth).all(axis=1)
    return make_interp_spline(at_s[known], smooth[known], k=5)


def smoothed(times_s: Array, values: Array, at_s: Array, width_s: float) -> Array:
    """Values (M, d) at other times: local parabolas under a Gaussian of standard deviation `width_s`; the ends are continued.

    A parabola keeps the size of what moves in the time of the kernel, which a mean or a line takes away. A time without any sample in the
    reach of the kernel is NaN.
    """
    index, weight = _parabolas(times_s, at_s, width_s)
    return np.asarray(np.einsum("mw,mwd->md", weight, values[index]))


def _left_out(times_s: Array, values: Array, some: npt.NDArray[np.int64], width_s: float) -> float:
    """Mean square by which local parabolas miss samples that were left out."""
    index, weight = _parabolas(times_s, times_s[some], width_s)
    own = np.sum(np.where(index == some[:, None], weight, 0.0), axis=1, keepdims=True)
    found = np.einsum("mw,mwd->md", weight, values[index])
    return float(np.mean(((values[some] - found) / np.maximum(1.0 - own, 1e-3)) ** 2))


def _parabolas(times_s: Array, at_s: Array, width_s: float) -> tuple[npt.NDArray[np.int64], Array]:
    """Which samples (M, w) make the value at each time, and with what weight."""
    first = np.searchsorted(times_s, at_s - _REACH * width_s)
    last = np.searchsorted(times_s, at_s + _REACH * width_s)
    index = first[:, None] + np.arange(max(1, int(np.max(last - first))))
    inside = index < last[:, None]
    index = np.minimum(index, len(times_s) - 1)
    u = (times_s[index] - at_s[:, None]) / width_s
    w = np.where(inside, np.exp(-0.5 * u * u), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        w /= w.sum(axis=1, keepdims=True)
    powers = u[..., None] ** np.arange(3)
    normal = np.einsum("mw,mwp,mwq->mpq", w, powers, powers)
    # A lone sample has neither slope nor curvature: the small terms keep its value.
    normal += np.diag([0.0, 1e-9, 1e-9])
    there = inside.any(axis=1)
    own = np.full((len(at_s), 3), np.nan)
    own[there] = np.linalg.solve(normal[there], np.broadcast_to(np.eye(3)[:, :1], (int(there.sum()), 3, 1)))[..., 0]
    return index, w * np.einsum("mwp,mp->mw", powers, own)


def covered(times_s: Array, at_s: Array, max_gap_s: float) -> npt.NDArray[np.bool_]:
    """Whether each time lies between two samples that are no further apart than `max_gap_s`."""
    after = np.clip(np.searchsorted(times_s, at_s), 1, len(times_s) - 1)
    inside = (at_s >= times_s[0]) & (at_s <= times_s[-1])
    return np.asarray(inside & (times_s[after] - times_s[after - 1] <= max_gap_s))
