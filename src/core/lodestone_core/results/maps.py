"""Pictures of figures over a grid of cases: maps and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lodestone_core.results.pictures import colours, figure_file, legend_above
from lodestone_core.results.result import Picture
from lodestone_core.types import Array


def heat_maps(path: Path, rows: Sequence[str], columns: Sequence[str], maps: Mapping[str, Array], caption: str) -> Picture:
    """Values (rows, columns) of each name side by side, on one scale of colours, each written into its field."""
    low, high = (float(reduce(values[np.isfinite(values)])) for reduce, values in ((np.min, _all(maps)), (np.max, _all(maps))))
    with figure_file(path, 3.6 * len(maps) + 1.2, 0.6 + 0.45 * len(rows) + 0.6) as figure:
        shared = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
        for axes, (name, values) in zip(shared, maps.items(), strict=True):
            axes.imshow(values, vmin=low, vmax=high, cmap="viridis", aspect="auto")
            axes.set_xticks(range(len(columns)), list(columns))
            axes.set_yticks(range(len(rows)), list(rows))
            axes.grid(False)
            axes.set_title(name, fontsize=10)
            for (i, j), value in np.ndenumerate(values):
                dark = value < low + 0.6 * (high - low)
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    return Picture(path.name, caption)


def curves(path: Path, x: Array, values: Mapping[str, Array], caption: str, labels: tuple[str, str]) -> Picture:
    """Values (N,) of each name over x (N,) on a logarithmic axis; NaN where there is none. `labels`: of both axes, with units."""
    with figure_file(path, 9.0, 3.8) as figure:
        axes = figure.subplots()
        for (name, y), colour, marker in zip(values.items(), colours(len(values)), "os^Dvp" * len(values), strict=False):
            axes.plot(x, y, marker=marker, markersize=5, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0.0)
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.minorticks_off()
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        legend_above(axes, min(len(values), 6))
    return Picture(path.name, caption)


def _all(maps: Mapping[str, Array]) -> Array:
    return np.concatenate([values.ravel() for values in maps.values()])
