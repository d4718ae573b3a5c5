"""Pictures that show a result at a glance, as PNG files; drawn without a display and without global state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lodestone_core.results.result import Picture

Array = npt.NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#5b6675"
_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e9ee",
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa4b1",
    "legend.frameon": False,
}
_DOTS_PER_INCH = 130


def error_over_time(path: Path, series: Mapping[str, tuple[Array, Array]], caption: str, unit: str = "mm") -> Picture:
    """Error against time: for each name the times (N,) in s and the errors (N,); a dashed line marks each RMS."""
    with figure_file(path, 9.0, 1.0 + 1.7 * len(series)) as figure:
        shared = figure.subplots(len(series), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (name, (time_s, error)), colour in zip(shared, series.items(), colours(len(series)), strict=True):
            rms = float(np.sqrt(np.mean(np.square(error))))
            axes.plot(time_s, error, ".", markersize=3.5, color=colour, alpha=0.7)
            axes.axhline(rms, color=colour, linestyle="--", linewidth=1.2, label=f"RMS {rms:.2f} {unit}")
            axes.set_ylabel(f"error ({unit})")
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_ylim(bottom=0.0)
            legend_above(axes, 1)
        shared[-1].set_xlabel("time (s)")
    return Picture(path.name, caption)


def error_distribution(path: Path, errors: Mapping[str, Array], caption: str, unit: str = "mm") -> Picture:
    """Histogram, and share of the samples below an error, of the errors (N,) of each name."""
    highest = max(float(np.max(error)) for error in errors.values())
    bins = np.linspace(0.0, highest, 41)
    with figure_file(path, 9.0, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        for (name, error), colour in zip(errors.items(), colours(len(errors)), strict=True):
            left.hist(error, bins=list(bins), color=colour, alpha=0.45, label=name)
            right.plot(np.sort(error), np.arange(1, len(error) + 1) / len(error), color=colour, label=name)
        right.axhline(0.95, color=_GREY, linewidth=1.0, linestyle=":")
        right.annotate("95 %", (highest, 0.95), color=_GREY, ha="right", va="top", xytext=(0, -3), textcoords="offset points")
        left.set(xlabel=f"error ({unit})", ylabel="samples")
        right.set(xlabel=f"error ({unit})", ylabel="share of samples below", ylim=(0.0, 1.02))
        left.legend()
    return Picture(path.name, caption)


def error_in_space(path: Path, points: Mapping[str, tuple[Array, Array]], caption: str, unit: str = "mm") -> Picture:
    """Errors (N,) at places (N, 3) in mm by colour; for each name the view along z and the one along y."""
    # The few worst would leave no colours for the others.
    highest = float(np.percentile(np.concatenate([error for _, error in points.values()]), 98))
    with figure_file(path, 9.0, 3.6) as figure:
        shared = figure.subplots(1, 2 * len(points), squeeze=False)[0]
        for index, (name, (place, error)) in enumerate(points.items()):
            for axes, (first, second) in zip(shared[2 * index :], ((0, 1), (0, 2)), strict=False):
                across, up = place[:, first], place[:, second]
                dots = axes.scatter(across, up, c=error, s=9, cmap="viridis", vmin=0.0, vmax=highest)
                axes.set(xlabel=f"{'xyz'[first]} (mm)", ylabel=f"{'xyz'[second]} (mm)", aspect="equal")
                axes.set_title(name, fontsize=10)
        figure.colorbar(dots, ax=list(shared), label=f"error ({unit})", fraction=0.03, shrink=0.8, extend="max")
    return Picture(path.name, caption)


def residuals_3d(path: Path, points: Array, residuals: Array, caption: str, names: Sequence[str] = (), magnify: float = 30.0) -> Picture:
    """Residual vectors (N, 3) at points (N, 3), in mm, drawn `magnify` times their length."""
    with figure_file(path, 9.0, 4.6) as figure:
        axes = figure.add_subplot(projection="3d")
        # The box is drawn larger than its axes, which would cut off what reaches beyond them.
        axes.scatter(*points.T, color=COLOURS[0], s=28, depthshade=False, clip_on=False)
        axes.quiver(*points.T, *(magnify * residuals).T, color=COLOURS[1], linewidth=1.8, clip_on=False)
        for name, point in zip(names, points, strict=False):
            axes.text(*point, f"  {name}", fontsize=10)
        axes.set(xlabel="x (mm)", ylabel="y (mm)", zlabel="z (mm)")
        axes.set_title(f"residuals, {magnify:g} times their length", fontsize=10)
        equal_axes(axes, points)
    return Picture(path.name, caption)


def error_by_sample(path: Path, error: Array, kept: npt.NDArray[np.bool_], caption: str, unit: str = "mm") -> Picture:
    """Error (N,) of each sample in its order; those not `kept` (N,) are marked as outliers."""
    with figure_file(path, 9.0, 3.4) as figure:
        axes = figure.subplots()
        index = np.arange(1, len(error) + 1)
        axes.vlines(index, 0.0, error, color=np.where(kept, COLOURS[0], COLOURS[1]).tolist(), linewidth=2.0)
        axes.plot(index[kept], error[kept], "o", color=COLOURS[0], label=f"{np.count_nonzero(kept)} inliers")
        axes.plot(index[~kept], error[~kept], "s", color=COLOURS[1], label=f"{np.count_nonzero(~kept)} outliers")
        axes.set(xlabel="sample", ylabel=f"error ({unit})")
        axes.set_ylim(bottom=0.0)
        legend_above(axes, 2)
    return Picture(path.name, caption)


def error_by_case(path: Path, errors: Mapping[str, Mapping[str, float]], caption: str, limit: float) -> Picture:
    """Errors in mm by name and case on a logarithmic axis, with the limit as a line."""
    cases = sorted({case for by_case in errors.values() for case in by_case})
    markers = "os^Dv"
    with figure_file(path, 9.0, 3.8) as figure:
        axes = figure.subplots()
        for (name, by_case), colour, marker in zip(errors.items(), COLOURS, markers, strict=False):
            places = [cases.index(case) for case in by_case]
            axes.plot(places, list(by_case.values()), marker, color=colour, markersize=7, label=name)
        axes.axhline(limit, color=_GREY, linestyle="--", linewidth=1.2, label=f"limit {limit:g} mm")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylabel("error (mm)")
        axes.set_xticks(range(len(cases)), cases, rotation=35, ha="right")
        legend_above(axes, 3)
    return Picture(path.name, caption)


def bars(path: Path, cases: Sequence[str], values: Mapping[str, Array], caption: str, unit: str = "mm") -> Picture:
    """Values (N,) of each name side by side, one group a case."""
    width = 0.8 / len(values)
    with figure_file(path, 9.0, 3.4) as figure:
        axes = figure.subplots()
        for index, ((name, value), colour) in enumerate(zip(values.items(), colours(len(values)), strict=True)):
            places = np.arange(len(cases)) + (index - 0.5 * (len(values) - 1)) * width
            axes.bar(places, value, width=0.92 * width, color=colour, label=name)
        axes.set_xticks(range(len(cases)), list(cases))
        axes.set_ylabel(f"error ({unit})")
        axes.grid(False, axis="x")
        legend_above(axes, len(values))
    return Picture(path.name, caption)


def track_over_time(path: Path, time_s: Array, points: Array, spans: Sequence[tuple[float, float]], caption: str) -> Picture:
    """Coordinates of points (N, 3) in mm against time (N,) in s, with spans of time shaded."""
    with figure_file(path, 9.0, 3.4) as figure:
        axes = figure.subplots()
        for start, end in spans:
            axes.axvspan(start, end, color="#e6e9ee", linewidth=0.0)
        for name, coordinate, colour in zip("xyz", points.T, COLOURS, strict=False):
            axes.plot(time_s, coordinate, color=colour, linewidth=1.3, label=name)
        axes.set(xlabel="time (s)", ylabel="position (mm)")
        axes.grid(False)
        legend_above(axes, 3)
    return Picture(path.name, caption)


def track_and_error(
    path: Path, points: Array, error: Array, series: Mapping[str, tuple[Array, Array, Array]], caption: str, title: str
) -> Picture:
    """Where a tool went and how far off it was.

    Left: places (N, 3) in mm, coloured by their error (N,). Right, for each name: times (M,) in s, errors (M,) and the radii (M,) that
    were predicted to hold 95 % of them, in mm.
    """
    with figure_file(path, 11.0, 4.6) as figure:
        grid = figure.add_gridspec(max(1, len(series)), 2, width_ratios=(1.0, 1.25))
        space = figure.add_subplot(grid[:, 0], projection="3d")
        highest = float(np.percentile(error, 98))
        dots = space.scatter(*points.T, c=error, s=9, cmap="viridis", vmin=0.0, vmax=highest, depthshade=False)
        space.plot(*points.T, color=_GREY, linewidth=0.4, alpha=0.5)
        space.set(xlabel="x (mm)", ylabel="y (mm)")
        space.set_zlabel("z (mm)", labelpad=10.0)
        space.set_title(title, fontsize=10)
        equal_axes(space, points, zoom=0.95)
        for axis in (space.xaxis, space.yaxis, space.zaxis):
            axis.set_major_locator(MaxNLocator(4))
        figure.colorbar(dots, ax=space, label="error (mm)", shrink=0.6, pad=0.12, extend="max", location="left")
        shared = None
        for row, ((name, (time_s, errors, radii)), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
            axes = figure.add_subplot(grid[row, 1], sharex=shared, sharey=shared)
            shared = shared or axes
            axes.fill_between(time_s, radii, color=colour, alpha=0.12, linewidth=0.0, label="expected, 95 %")
            axes.plot(time_s, errors, ".", markersize=3.5, color=colour, label=f"error, RMS {np.sqrt(np.mean(errors**2)):.2f} mm")
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_ylabel("mm")
            axes.set_ylim(bottom=0.0)
            legend_above(axes, 2)
        if shared is not None:
            figure.axes[-1].set_xlabel("time (s)")
    return Picture(path.name, caption)


def legend_above(axes: Axes, columns: int) -> None:
    """A legend that covers no data."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns)


@contextmanager
def figure_file(path: Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """A figure that is written to `path` at the end; the style holds for it alone."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        # Without the software's version the same result gives the same file.
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Software": None})


def colours(count: int) -> tuple[str, ...]:
    return tuple(COLOURS[i % len(COLOURS)] for i in range(count))


def equal_axes(axes: Any, points: Array, zoom: float = 1.25) -> None:
    """The same scale on all axes, so that a residual points where it should; a flat set keeps some depth."""
    extent = points.max(axis=0) - points.min(axis=0)
    half = 0.5 * np.maximum(extent, 0.25 * extent.max()) + 0.05 * extent.max()
    middle = 0.5 * (points.max(axis=0) + points.min(axis=0))
    for set_limits, low, high in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle - half, middle + half, strict=True):
        set_limits(float(low), float(high))
    axes.set_box_aspect(tuple(half.tolist()), zoom=zoom)
