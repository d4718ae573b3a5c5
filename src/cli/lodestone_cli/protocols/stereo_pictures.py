"""Pictures of `stereo_calibration`: what the cameras saw, residuals as vectors, coverage of the images, errors of points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from guidewire_recon.calibration.stereo_types import SIDES
from lodestone_bench.optics.board_view import BoardCamera
from lodestone_cli.protocols.stereo_scenes import CASES, make_scene
from lodestone_cli.protocols.stereo_scoring import JOINT, Scored
from lodestone_core.results import Picture, pictures


def draw(done: Sequence[Scored], out: Path) -> list[Picture]:
    """All pictures of the first rendered scene of each case."""
    first = [next((one for one in done if one.job.case == case and one.job.rendered and one.found), None) for case in CASES]
    shown = [one for one in first if one is not None]
    if not shown:
        return []
    return [_views(shown, out / "views.png"), _residuals(shown, out / "residuals.png"), _errors(done, out / "errors.png")]


def _views(shown: Sequence[Scored], path: Path) -> Picture:
    """The seat's view and another one, as each camera has them, with the corners that were found."""
    with pictures.figure_file(path, 11.0, 2.2 * len(shown)) as figure:
        grid = figure.subplots(len(shown), 4, squeeze=False)
        for row, one in zip(grid, shown, strict=True):
            scene = make_scene(one.job.case, one.job.views, one.job.seed)
            for i, side in enumerate(SIDES):
                camera = BoardCamera(scene.cameras[side], scene.seed)
                for j, number in enumerate((0, 5)):
                    axes = row[2 * i + j]
                    image = cv2.resize(
                        camera.image(scene.poses[number], scene.faces, number), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
                    )
                    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
                    assert one.found is not None
                    for view in one.found.views:
                        if view.name == f"{number:03d}":
                            for s in view.of(side):
                                axes.plot(*(s.pixels.T / 4.0), ".", color=pictures.COLOURS[1], markersize=1.5)
                    axes.set_axis_off()
                    axes.set_title(f"{side}, {'seat' if number == 0 else f'view {number}'}", fontsize=8)
            row[0].text(-0.02, 0.5, one.job.case, transform=row[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
    return Picture(path.name, "The target in its seat and in another view as both cameras have it, with the corners that were found.")


def _residuals(shown: Sequence[Scored], path: Path) -> Picture:
    """Where in the image corners were seen, and how far the calibrated cameras miss them."""
    scale = 2000.0
    with pictures.figure_file(path, 10.0, 3.6 * len(shown)) as figure:
        grid = figure.subplots(len(shown), 2, squeeze=False)
        for row, one in zip(grid, shown, strict=True):
            assert one.found is not None
            bundle = one.found.bundle
            for axes, side in zip(row, SIDES, strict=True):
                seen = np.concatenate([s.pixels for _, where, s, _ in bundle.residuals if where == side])
                off = np.concatenate([r for _, where, _, r in bundle.residuals if where == side])
                axes.quiver(*seen.T, *(off.T * scale), angles="xy", scale_units="xy", scale=1.0, width=0.0015, color=pictures.COLOURS[0])
                camera = bundle.rig.camera(side)
                axes.set(xlim=(0, camera.width), ylim=(camera.height, 0), aspect="equal")
                axes.set_title(f"{one.job.case}: {side}, RMS {bundle.rms_px(side):.4f} px, {len(seen)} corners", fontsize=8)
    return Picture(path.name, f"Corners of all views with their residuals, {scale:g} times as long as they are.")


def _errors(done: Sequence[Scored], path: Path) -> Picture:
    """RMS of the points at the centre for each calibration."""
    with pictures.figure_file(path, 9.0, 3.4) as figure:
        axes = figure.subplots()
        methods = sorted({s.method for one in done for s in one.scores}, key=lambda name: name != JOINT)
        for offset, (method, colour) in enumerate(zip(methods, pictures.colours(len(methods)), strict=True)):
            for i, case in enumerate(CASES):
                values = [
                    float(np.sqrt(np.nanmean((s.centre_mm**2).sum(axis=1))))
                    for one in done
                    if one.job.rendered and one.job.case == case
                    for s in one.scores
                    if s.method == method and not s.problem
                ]
                axes.plot(np.full(len(values), i + 0.15 * offset), values, "o", color=colour, label=method if i == 0 else None)
        axes.axhline(0.05, color="#5b6675", linestyle="--", linewidth=1.0, label="limit 0.05 mm")
        axes.set_yscale("log")
        axes.set_ylabel("error at the centre (mm)")
        axes.set_xticks(range(len(CASES)), list(CASES))
        pictures.legend_above(axes, 3)
    return Picture(path.name, "RMS error of triangulated points near the middle of the working volume, one mark for each calibration.")
