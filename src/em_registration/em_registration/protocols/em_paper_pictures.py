"""The pictures of the paper: augmentation, error distribution, error in space, Bland-Altman; and a needle in the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from em_registration.attention.experiment import Experiment
from em_registration.attention.model import AttentionModel
from em_registration.attention.needle import NeedlePath, insertion
from em_registration.methods.interface import Prediction, poses_at
from em_registration.protocols.em_paper_rivals import BETTER, Rival
from lodestone_core.metrics import distances
from lodestone_core.results import Picture, pictures
from lodestone_core.types import Array

_RED, _BLUE, _GREEN, _GREY = "#c8102e", pictures.COLOURS[0], pictures.COLOURS[2], "#5b6675"
_ASIDE_DEG, _ABOVE_DEG = 30.0, 10.0
# What says how sure it is along the needle: the first of these that is there.
_WITH_RADIUS = (BETTER, "gp_position", "rigid")


def draw(experiment: Experiment, models: Mapping[str, Sequence[AttentionModel]], beside: Mapping[str, Rival], out: Path) -> list[Picture]:
    """All pictures of a run; the first variant of `models` is the network, its first seed is the one shown point by point."""
    main = next(iter(models))
    points, truth = (np.concatenate(x) for x in experiment.scored(experiment.held_out))
    errors = {name: np.concatenate([distances(model(points), truth) for model in every]) for name, every in models.items()}
    shown = {name: errors[name] for name in list(models)[:2]}
    predicted = models[main][0](points)
    return [
        _augmentation(experiment, out / "augmentation.png"),
        pictures.error_distribution(
            out / "distribution.png", shown, "Histogram and cumulative distribution (CED) of the errors at the points held out, all seeds."
        ),
        _error_in_space(experiment, truth, distances(predicted, truth), out / "in_space.png"),
        _bland_altman(predicted, truth, out / "bland_altman.png"),
        _needle(experiment, models[main][0], beside, out / "needle.png"),
    ]


def _augmentation(experiment: Experiment, path: Path) -> Picture:
    """Landmarks and grid points of three triangles in both frames, as figure 3 of the paper."""
    chosen = (experiment.training[0], experiment.training[len(experiment.training) // 2], experiment.training[-1])
    sides = (
        ("tracker", experiment.tracker_mm, [s.points_mm for s in chosen], _BLUE),
        ("image", experiment.image_mm, [experiment.labels(s.points_mm) for s in chosen], _GREEN),
    )
    with pictures.figure_file(path, 10.0, 4.8) as figure:
        for index, (name, landmarks, grids, colour) in enumerate(sides, start=1):
            axes = figure.add_subplot(1, 2, index, projection="3d")
            for grid in grids:
                axes.scatter(*grid.T, s=4, color=colour, depthshade=False, alpha=0.6)
            _landmarks(axes, landmarks)
            axes.set_title(f"{name}: 3 of {len(experiment.training) + len(experiment.held_out)} triangles", fontsize=10)
            _space(axes, np.concatenate([landmarks, *grids]))
    names = ", ".join(surface.name for surface in chosen)
    return Picture(path.name, f"Augmentation: landmarks (red), grid points of the triangles {names}, and their images under the spline.")


def _error_in_space(experiment: Experiment, truth: Array, error: Array, path: Path) -> Picture:
    with pictures.figure_file(path, 8.0, 5.6) as figure:
        axes = figure.add_subplot(projection="3d")
        highest = float(np.percentile(error, 98))
        dots = axes.scatter(*truth.T, c=error, s=10, cmap="viridis", vmin=0.0, vmax=highest, depthshade=False)
        _landmarks(axes, experiment.image_mm)
        _space(axes, np.concatenate([truth, experiment.image_mm]))
        figure.colorbar(dots, ax=axes, label="error (mm)", shrink=0.7, pad=0.1, extend="max")
    names = ", ".join(surface.name for surface in experiment.held_out)
    return Picture(path.name, f"Error on the triangles held out ({names}), in the image; red: the landmarks. Network of the first seed.")


def _bland_altman(predicted: Array, truth: Array, path: Path) -> Picture:
    """Difference against mean of predicted and true coordinates (N, 3), an axis a panel, as figure 5 of the paper."""
    mean, apart = 0.5 * (predicted + truth), predicted - truth
    with pictures.figure_file(path, 10.0, 3.4) as figure:
        shared = figure.subplots(1, 3, sharey=True)
        for i, (axes, name) in enumerate(zip(shared, "xyz", strict=True)):
            bias, spread = float(apart[:, i].mean()), 1.96 * float(apart[:, i].std(ddof=1))
            inside = float(np.mean(np.abs(apart[:, i] - bias) <= spread))
            axes.plot(mean[:, i], apart[:, i], ".", markersize=3.5, color=pictures.COLOURS[i], alpha=0.7)
            axes.axhline(bias, color=_GREY, linewidth=1.2)
            for end in (bias - spread, bias + spread):
                axes.axhline(end, color=_GREY, linewidth=1.0, linestyle="--")
            axes.set_title(f"{name}: bias {bias:+.3f}, 1.96 SD {spread:.3f} mm ({inside:.1%} inside)", fontsize=9)
            axes.set_xlabel("mean of predicted and true (mm)")
        shared[0].set_ylabel("predicted - true (mm)")
    return Picture(
        path.name,
        "Bland-Altman of each axis. About 95 % lie within 1.96 SD of any near-normal error; that says nothing of its size.",
    )


def _needle(experiment: Experiment, network: AttentionModel, beside: Mapping[str, Rival], path: Path) -> Picture:
    """A scripted needle from between three landmarks to the middle of all: its tip by the network, and by a method with radii."""
    needle = insertion(experiment.tracker_mm[:3].mean(axis=0), experiment.tracker_mm.mean(axis=0))
    truth, mapped = experiment.labels(needle.tips_mm), network(needle.tips_mm)
    name = next((known for known in _WITH_RADIUS if known in beside), "")
    sure = beside[name].model(poses_at(needle.tips_mm)) if name else None
    with pictures.figure_file(path, 11.0, 4.4) as figure:
        grid = figure.add_gridspec(1, 3, width_ratios=(1.0, 1.0, 1.25))
        for column, (first, second) in enumerate(((0, 1), (0, 2))):
            axes = figure.add_subplot(grid[column])
            _path(axes, (truth, mapped), sure, (first, second), name)
            axes.set(xlabel=f"{'xyz'[first]} (mm)", ylabel=f"{'xyz'[second]} (mm)")
            axes.set_aspect("equal", adjustable="datalim")
            if column == 0:
                axes.legend(loc="best", fontsize=8)
        _along(figure.add_subplot(grid[2]), needle, (truth, mapped), sure, name)
    radius = f", and the radius that {name} predicts for 95 %" if name else ""
    return Picture(
        path.name, f"Tip of a scripted needle (sensor pose times tool geometry) in the image: the spline's truth, the network{radius}."
    )


def _path(axes: Any, paths: tuple[Array, Array], sure: Prediction | None, plane: tuple[int, int], name: str) -> None:
    first, second = plane
    truth, mapped = paths
    if sure is not None:
        axes.plot(sure.mean_mm[:, first], sure.mean_mm[:, second], color=pictures.COLOURS[2], linewidth=1.2, label=name)
        around = np.linspace(0.0, 2.0 * np.pi, 73)
        for i in range(0, len(truth), 10):
            centre, radius = sure.mean_mm[i], sure.radius_95_mm[i]
            axes.plot(
                centre[first] + radius * np.cos(around), centre[second] + radius * np.sin(around), color=pictures.COLOURS[2], linewidth=0.7
            )
    axes.plot(truth[:, first], truth[:, second], color="black", linewidth=2.2, label="truth")
    axes.plot(mapped[:, first], mapped[:, second], color=pictures.COLOURS[1], linewidth=1.2, linestyle="--", label="network")


def _along(axes: Any, needle: NeedlePath, paths: tuple[Array, Array], sure: Prediction | None, name: str) -> None:
    truth, mapped = paths
    axes.plot(needle.depth_mm, distances(mapped, truth), color=pictures.COLOURS[1], label="error of the network")
    if sure is not None:
        axes.plot(needle.depth_mm, distances(sure.mean_mm, truth), color=pictures.COLOURS[2], label=f"error of {name}")
        axes.fill_between(
            needle.depth_mm, sure.radius_95_mm, color=pictures.COLOURS[2], alpha=0.12, linewidth=0.0, label="its radius, 95 %"
        )
    axes.set(xlabel="depth of the tip (mm)", ylabel="mm")
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="best", fontsize=8)


def _landmarks(axes: Any, landmarks: Array) -> None:
    axes.scatter(*landmarks.T, s=34, color=_RED, depthshade=False)
    for number, point in enumerate(landmarks, start=1):
        axes.text(*point, f"  {number}", fontsize=10, color=_RED)


def _space(axes: Any, points: Array) -> None:
    """Axes of one scale, seen from where the points (N, 3) cover most."""
    _, _, principal = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    normal = principal[2] if principal[2, 2] >= 0.0 else -principal[2]
    axes.view_init(elev=np.degrees(np.arcsin(normal[2])) + _ABOVE_DEG, azim=np.degrees(np.arctan2(normal[1], normal[0])) + _ASIDE_DEG)
    axes.set(xlabel="x (mm)", ylabel="y (mm)", zlabel="z (mm)")
    pictures.equal_axes(axes, points, zoom=0.95)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(3))
