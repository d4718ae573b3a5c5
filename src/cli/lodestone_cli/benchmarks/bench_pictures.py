"""One look at the simulated bench: what each of its sensors sees at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.emulators.stereo import WireView
from lodestone_bench.emulators.ultrasound import screen_of
from lodestone_bench.emulators.xray import c_arm_of
from lodestone_bench.magnetics.field import world_field
from lodestone_bench.world.sections import section_of, seed_of
from lodestone_bench.world.truth import Frame, truth_of
from lodestone_cli.benchmarks.process_watch import ProcessWatch
from lodestone_core.results import Picture
from lodestone_core.results.pictures import colours, figure_file

CAPTION = (
    "What the sensors of the simulated bench see at one moment: the wire in both cameras, the field at the sixteen magnetometers, "
    "the liver in the ultrasound image and in the X-ray, and where the probe and the liver go from then on."
)
MEMORY_CAPTION = "Resident memory of each process above what it was once settled (dotted). The five that moved most have their names."
_STILL_MM = 0.1
_NAMED = 5


def bench_at_a_glance(path: Path, world: Mapping[str, Any], world_s: float = 20.0) -> Picture:
    """A picture of all sensors at one time of a world."""
    with figure_file(path, 13.0, 7.2) as figure:
        grid = figure.subplots(2, 3)
        for axes, side in zip(grid[0, :2], ("left", "right"), strict=True):
            _image(axes, WireView(world, side).frame(round(10 * world_s), world_s), f"{side} camera")
        _field(grid[0, 2], world, world_s)
        _image(grid[1, 0], screen_of(world).frame(round(30 * world_s), world_s), "ultrasound")
        _image(grid[1, 1], c_arm_of(world).frame(round(8 * world_s), world_s), "X-ray")
        _motion(grid[1, 2], world, world_s)
    return Picture(path.name, CAPTION)


def memory_over_time(path: Path, watch: ProcessWatch) -> Picture:
    """A line for each process: flat, in steps, or growing."""
    growth = sorted(watch.growth_mb().items(), key=lambda each: -float(np.ptp(each[1][1])))
    with figure_file(path, 9.0, 3.4) as figure:
        axes = figure.subplots()
        for (name, (times_s, above_mb)), colour in zip(growth, [*colours(_NAMED), *["0.7"] * len(growth)], strict=False):
            axes.plot(times_s, above_mb, color=colour, linewidth=1.4, label=name if colour != "0.7" else None)
        axes.axvline(watch.settle_s, color="0.4", linestyle=":")
        axes.set(xlabel="time of the measurement (s)", ylabel="memory above settled (MB)")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return Picture(path.name, MEMORY_CAPTION)


def _image(axes: Axes, image: Any, title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, aspect="equal")
    axes.set_title(f"{title}, {image.shape[1]} x {image.shape[0]}", loc="left", fontsize=10)
    axes.set_axis_off()


def _field(axes: Axes, world: Mapping[str, Any], world_s: float) -> None:
    seed = seed_of(world)
    points = ArrayTruth(section_of(world, "array", ArrayConfig), seed).points_mm
    field = world_field(world, seed)
    B = 1e6 * field.field_T(points, world_s)
    arrows = axes.quiver(points[:, 0], points[:, 1], B[:, 0], B[:, 1], B[:, 2], cmap="viridis", pivot="mid", width=0.012)
    axes.figure.colorbar(arrows, ax=axes, label="vertical part (uT)")
    if field.wire is not None:
        wire = field.wire.points_mm(world_s, 81)
        axes.plot(wire[:, 0], wire[:, 1], color=colours(2)[1], linewidth=2.0, label="guidewire above")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=8)
    axes.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
    axes.set_title("field at the array", loc="left", fontsize=10)


def _motion(axes: Axes, world: Mapping[str, Any], world_s: float) -> None:
    times_s = world_s + np.linspace(0.0, 40.0, 600)
    frames = [each for each in truth_of(world) if isinstance(each, Frame) and each.parent == "bench"]
    paths = {frame.name: frame.poses(times_s)[:, :3, 3] for frame in frames}
    moving = {name: np.linalg.norm(path - path[0], axis=1) for name, path in paths.items() if np.ptp(path, axis=0).max() > _STILL_MM}
    for (name, distance), colour in zip(moving.items(), colours(len(moving)), strict=True):
        axes.plot(times_s, distance, color=colour, label=name, linewidth=1.4)
    axes.set(xlabel="time of the world (s)", ylabel="distance from there (mm)")
    axes.set_title("what moves from now on", loc="left", fontsize=10)
    axes.legend(fontsize=8)
