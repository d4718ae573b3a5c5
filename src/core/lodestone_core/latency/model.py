"""What one stream says about the other: its principal component as a smooth function of time, predicted from the other's components.

Prediction is linear in the first k components of the other stream, with or without their squares and products, since no sensor is a linear
image of the motion. How many is decided by how well left-out parts of the recording are predicted, so that noise cannot be fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from lodestone_core.latency.config import LatencyConfig
from lodestone_core.latency.motion import Motion, components, covered, smoothed
from lodestone_core.types import Array

_GRID = 4  # points of the grid in one width of the kernel: a cubic spline through them is exact to 1e-5
_CURVED = 3  # components whose products may be used
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """The first principal component `y` (n,) of one stream on a grid of times, and q features of the other as functions of time.

    `sign`: the features belong to stream b and are taken at t + sign * offset, where offset is that of b against a. `table` holds them, and
    a constant, on a grid of the same steps that begins `ahead` points earlier; `table_holds`: where the stream was there.
    """

    label: str
    sign: int
    at_s: Array
    step_s: float
    y: Array
    y_holds: Mask
    features: CubicSpline
    table: Array
    table_holds: Mask
    ahead: int

    def shifted(self, steps: int) -> tuple[Array, Mask]:
        """Features and a constant (n, q + 1) at an offset of whole steps of the grid, and which points both streams cover."""
        first = self.ahead + self.sign * steps
        part = slice(first, first + len(self.y))
        return self.table[part], self.y_holds & self.table_holds[part]

    def holds(self, offset_s: float) -> Mask:
        """Which points of the grid both streams cover, to a step of the grid."""
        return self.shifted(round(offset_s / self.step_s))[1]

    def design(self, offset_s: float, used: npt.NDArray[Any]) -> Array:
        """Features and a constant (n, q + 1)."""
        x = self.features(self.at_s[used] + self.sign * offset_s)
        return np.column_stack([np.ones(len(x)), x])


def predictors(a: Motion, b: Motion, config: LatencyConfig) -> Iterator[Predictor]:
    """Every way to predict one from the other."""
    width_s = max(config.smoothing * max(a.period_s, b.period_s), config.least_smoothing_s)
    origin = int(a.stamps_ns[0])
    for target, source, sign in ((a, b, 1), (b, a, -1)):
        t_y, t_x = target.seconds(origin), source.seconds(origin)
        at_s, x_at_s, ahead = _grid(t_y, t_x, width_s, config)
        there = covered(t_x, x_at_s, config.max_gap_periods * source.period_s)
        for view_y, numbers in enumerate(target.views):
            y = smoothed(t_y, components(numbers, 1), at_s, width_s)[:, 0]
            holds = covered(t_y, at_s, config.max_gap_periods * target.period_s) & np.isfinite(y)
            for view_x, values in enumerate(source.views):
                for label, raw in _features(components(values, config.components)):
                    x = smoothed(t_x, raw, x_at_s, width_s)
                    known = np.isfinite(x).all(axis=1)
                    spline = CubicSpline(x_at_s[known], x[known])
                    table = np.column_stack([np.ones(len(x)), np.nan_to_num(x)])
                    name = f"{target.name}[{view_y}] from {source.name}[{view_x}], {label}"
                    yield Predictor(name, sign, at_s, width_s / _GRID, y, holds, spline, table, known & there, ahead)


def _grid(t_y: Array, t_x: Array, width_s: float, config: LatencyConfig) -> tuple[Array, Array, int]:
    """Times at which the target is known and, at every offset of the search, the source too; those of the source; and how many of these
    come before the first of those."""
    step_s = width_s / _GRID
    start, end = max(t_y[0], t_x[0] + config.max_offset_s), min(t_y[-1], t_x[-1] - config.max_offset_s)
    ahead = int(np.ceil(config.max_offset_s / step_s)) + 1
    count = len(np.arange(start, end, step_s))
    return start + step_s * np.arange(count), start + step_s * np.arange(-ahead, count + ahead), ahead


def _features(scores: Array) -> Iterator[tuple[str, Array]]:
    most = scores.shape[1]
    for k in sorted({min(k, most) for k in (1, 3, 6, most)}):
        yield f"{k} linear", scores[:, :k]
        i, j = np.triu_indices(min(k, _CURVED))
        quadratic = np.column_stack([scores[:, :k], scores[:, i] * scores[:, j]])
        yield f"{k} quadratic", quadratic
        # Most of the motion is along one line: the curve of the first component is what is left.
        first = scores[:, :1]
        yield f"{k} cubic", np.column_stack([quadratic, first**2 * scores[:, : min(k, _CURVED)], first**4])
