"""How good a stereo calibration is: views that it never saw, boards triangulated, and what its covariance says of a point.

Views are held out in turn; only the target's pose is fitted in a held-out view. Where a camera sees another face than the other one, its
pixels are also predicted from the other camera alone. Intervals are bootstraps over held-out views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from guidewire_recon.calibration.stereo import StereoCalibration
from guidewire_recon.calibration.stereo_bundle import EXTRINSICS, Bundle, adjust
from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_start import T_left_target, pose_of
from guidewire_recon.calibration.stereo_types import SIDES, StereoRig, View
from lodestone_core import se3
from lodestone_core.camera import triangulate
from lodestone_core.least_squares import Loss, Problem, SolverConfig, Values, solve
from lodestone_core.paired_points import register_points
from lodestone_core.types import Array

_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What one held-out view says.

    `reprojection_px`: RMS of a coordinate with the target's pose fitted to both cameras; `across_px`: of the right camera's pixels
    predicted from the left camera's pose of the target. `geometry_mm`: RMS distance of triangulated corners from the board after a rigid
    fit, and `scale` its size over the true one; NaN where no face was seen by both.
    """

    view: str
    reprojection_px: float
    across_px: float
    geometry_mm: float
    scale: float


@dataclass(frozen=True, slots=True)
class Figure:
    """RMS over held-out views with its 95 % bootstrap interval; NaN without any."""

    value: float
    low: float
    high: float
    n: int


def hold_out(found: StereoCalibration, config: StereoConfig, seed: int = 0) -> list[HeldOut]:
    """Calibrate without each part of the views and judge it on that part."""
    order = np.random.default_rng(seed).permutation(len(found.views))
    results = []
    for part in np.array_split(order, min(config.folds, len(found.views))):
        rest = [view for i, view in enumerate(found.views) if i not in set(part.tolist())]
        bundle = adjust(rest, found.rig, found.bundle.poses, config.distortion, config.corner_floor_px)
        results += [judge(bundle.rig, found.views[i]) for i in sorted(part.tolist()) if found.views[i].paired]
    return results


def judge(rig: StereoRig, view: View) -> HeldOut:
    """One view that the rig was not made from."""
    poses = {(side, s.face): pose_of(rig.camera(side), s) for side in SIDES for s in view.of(side)}
    T = fit_pose(rig, view, T_left_target(rig, poses))
    off = [rig.predict(side, T, s) - s.pixels for side in SIDES for s in view.of(side)]
    alone = fit_pose(rig, View(view.name, left=view.left), T_left_target(rig, poses))
    across = [rig.predict("right", alone, s) - s.pixels for s in view.right]
    return HeldOut(view.name, _rms(off), _rms(across), *_geometry(rig, view))


def fit_pose(rig: StereoRig, view: View, initial: Array) -> Array:
    """T_left_target that fits a view best, the rig as it is."""

    def residuals(values: Values) -> Array:
        return np.concatenate([(rig.predict(side, values["T"], s) - s.pixels).ravel() for side in SIDES for s in view.of(side)])

    def jacobian(values: Values) -> dict[str, Array]:
        rows = []
        for side in SIDES:
            T = rig.T_camera_left(side)
            for s in view.of(side):
                in_left = se3.transform(values["T"] @ rig.T_target_face[s.face], s.points)
                by_point = rig.camera(side).project_derivative(se3.transform(T, in_left)) @ T[:3, :3]
                rows.append(
                    (by_point @ np.concatenate([np.broadcast_to(np.eye(3), (len(in_left), 3, 3)), -se3.hat(in_left)], -1)).reshape(-1, 6)
                )
        return {"T": np.concatenate(rows)}

    return solve(Problem({"T": initial}, residuals, jacobian, group=2), SolverConfig(loss=Loss.HUBER)).values["T"]


def _rms(parts: Sequence[Array]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([part.ravel() for part in parts]) ** 2)))


def _geometry(rig: StereoRig, view: View) -> tuple[float, float]:
    """RMS distance (mm) of triangulated corners from the board's, and their scale; NaN where no face is seen by both."""
    measured, true = [], []
    for left in view.left:
        for right in (s for s in view.right if s.face == left.face):
            same, i, j = _common(left.points, right.points)
            if len(same) < 6:
                continue
            T = np.stack([np.eye(4), rig.T_right_left])
            measured.append(triangulate((rig.left, rig.right), T, np.stack([left.pixels[i], right.pixels[j]])))
            true.append(same)
    if not measured:
        return float("nan"), float("nan")
    off, sizes = [], []
    for found, board in zip(measured, true, strict=True):
        T = register_points(board, found).T_target_source
        off.append(se3.transform(T, board) - found)
        spread = [float(np.sqrt(((p - p.mean(axis=0)) ** 2).sum())) for p in (found, board)]
        sizes.append(spread[0] / spread[1])
    return float(np.sqrt(np.mean((np.concatenate(off) ** 2).sum(axis=1)))), float(np.mean(sizes))


def _common(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Points in both lists, and where they stand in each."""
    places = {tuple(np.rint(p * 1000.0).astype(int).tolist()): i for i, p in enumerate(first)}
    pairs = [(places[key], j) for j, p in enumerate(second) if (key := tuple(np.rint(p * 1000.0).astype(int).tolist())) in places]
    i, j = np.array(pairs, dtype=int).reshape(-1, 2).T
    return first[i], i, j


def figure(values: Sequence[float], resamples: int, seed: int = 0) -> Figure:
    """RMS of values over views, those that are not NaN, with the percentiles of a bootstrap over views."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not known.size:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    drawn = known[np.random.default_rng(seed).integers(0, known.size, (resamples, known.size))]
    spread = np.sqrt((drawn**2).mean(axis=1))
    low, high = np.percentile(spread, [2.5, 97.5])
    return Figure(float(np.sqrt(np.mean(known**2))), float(low), float(high), int(known.size))


def point_covariance(bundle: Bundle, points: Array, reference: str = "") -> Array:
    """Covariance (N, 3, 3; mm^2) that the calibration alone gives to triangulated points (N, 3).

    In the left camera's frame; with `reference`, the name of a view, in the frame of the target as it lay in that view, where `points` are
    given then. That is how a bench fixes its frame, and the left optical frame's own uncertainty (its axis may lie anywhere within a
    pixel or two, which no view can tell) drops out.
    """
    solution = bundle.solution
    names = ["left", "right", EXTRINSICS] + ([_block(bundle, reference)] if reference else [])
    parts = [solution.parts[name] for name in names]
    index = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    covariance = solution.covariance[np.ix_(index, index)]
    T = bundle.poses[reference] if reference else np.eye(4)
    in_left = se3.transform(T, points)
    pixels = np.stack([bundle.rig.camera(s).project(se3.transform(bundle.rig.T_camera_left(s), in_left)) for s in SIDES])
    columns = []
    scale = np.sqrt(np.diag(covariance)) + 1e-15
    for k in range(len(index)):
        step = np.zeros(len(index))
        step[k] = _STEP * scale[k]
        ends = [_moved(bundle, names, sign * step, pixels) for sign in (1.0, -1.0)]
        columns.append((ends[0] - ends[1]) / (2.0 * step[k]))
    J = np.stack(columns, axis=-1)
    result: Array = J @ covariance @ np.swapaxes(J, 1, 2)
    return result


def _block(bundle: Bundle, view: str) -> str:
    return f"view_{list(bundle.poses).index(view)}"


def _moved(bundle: Bundle, names: Sequence[str], step: Array, pixels: Array) -> Array:
    """Points triangulated by a rig whose blocks are moved by a tangent step, in the reference's frame."""
    start = 0
    values: dict[str, Array] = dict(bundle.solution.values)
    for name in names:
        size = 6 if values[name].ndim == 2 else len(values[name])
        change = step[start : start + size]
        values[name] = se3.exp(change) @ values[name] if values[name].ndim == 2 else values[name] + change
        start += size
    rig = bundle.rebuilt(values)
    points = triangulate((rig.left, rig.right), np.stack([np.eye(4), rig.T_right_left]), pixels)
    return se3.transform(se3.inverse(values[names[3]]), points) if len(names) > 3 else points


def summary(held: Sequence[HeldOut], config: StereoConfig) -> Mapping[str, tuple[Figure, str]]:
    """The figures of a report by name, each with its unit."""
    return {
        "held_out_reprojection": (figure([h.reprojection_px for h in held], config.resamples), "px"),
        "held_out_across_cameras": (figure([h.across_px for h in held], config.resamples), "px"),
        "held_out_board_geometry": (figure([h.geometry_mm for h in held], config.resamples), "mm"),
        "held_out_board_scale_error": (figure([h.scale - 1.0 for h in held], config.resamples), "1"),
    }


__all__ = ["Figure", "HeldOut", "figure", "fit_pose", "hold_out", "judge", "point_covariance", "summary"]
