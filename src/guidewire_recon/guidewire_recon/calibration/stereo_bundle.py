"""Joint bundle adjustment of two cameras: intrinsics, distortion, extrinsics, the target's faces and its pose in every view at once.

pixel = camera(T_camera_left T_left_target T_target_face point); each corner is weighed with its own covariance. Analytic Jacobian by the
left tangents of the poses and by the camera parameters (after B. Triggs and others, "Bundle adjustment: a modern synthesis", 2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.stereo_types import SIDES, Sighting, StereoRig, View
from lodestone_core import lens, se3
from lodestone_core.camera import CameraModel
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, Values, solve
from lodestone_core.types import Array

EXTRINSICS = "T_right_left"
# Which coefficients of the lens are found: the others stay zero.
FREE = {
    "k1": ("plumb_bob", (0,)),
    "k1k2": ("plumb_bob", (0, 1)),
    "k1k2p": ("plumb_bob", (0, 1, 2, 3)),
    "plumb_bob": ("plumb_bob", (0, 1, 2, 3, 4)),
    "rational_polynomial": ("rational_polynomial", tuple(range(8))),
}
_TYPICAL_PX = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """The adjusted rig, T_left_target of each view by its name, the solution behind it, and residuals in px of each sighting.

    `residuals` holds (view, side, sighting, predicted minus seen (N, 2) px) in the order of the views.
    """

    rig: StereoRig
    poses: Mapping[str, Array]
    solution: Solution
    residuals: tuple[tuple[View, str, Sighting, Array], ...]
    distortion: str

    def view_rms_px(self, view: View, side: str = "") -> float:
        """RMS of the residuals' coordinates of a view, of both cameras or of one; NaN where there are none."""
        mine = [r.ravel() for v, s, _, r in self.residuals if v is view and side in ("", s)]
        return float(np.sqrt(np.mean(np.concatenate(mine) ** 2))) if mine else float("nan")

    def rms_px(self, side: str = "") -> float:
        """RMS of all residuals' coordinates, of both cameras or of one."""
        mine = [r.ravel() for _, s, _, r in self.residuals if side in ("", s)]
        return float(np.sqrt(np.mean(np.concatenate(mine) ** 2)))

    def rebuilt(self, values: Values) -> StereoRig:
        """The rig of other values of the solution's blocks."""
        faces = (np.eye(4), *(values[f"face_{i}"] for i in range(1, len(self.rig.T_target_face))))
        left, right = (camera_of(self.rig.camera(side), values[side], self.distortion) for side in SIDES)
        return StereoRig(left, right, values[EXTRINSICS], faces)


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """All corners of one camera in one array: view and face of each, place on the face, pixel, and what whitens its residual."""

    side: str
    view: npt.NDArray[np.int_]
    face: npt.NDArray[np.int_]
    points: Array
    pixels: Array
    whiten: Array


def adjust(
    views: Sequence[View], start: StereoRig, poses: Mapping[str, Array], distortion: str, corner_floor_px: float, loss: Loss = Loss.HUBER
) -> Bundle:
    """The rig and poses with the least weighed residuals. `poses`: T_left_target of each view to start from.

    `corner_floor_px`: standard deviation that no corner falls below. Raises InputError when there are too few corners.
    """
    model = _Model(views, start, distortion, corner_floor_px)
    initial = {side: model.parameters(start.camera(side)) for side in SIDES} | {EXTRINSICS: start.T_right_left}
    initial |= {f"face_{i}": T for i, T in enumerate(start.T_target_face) if i > 0}
    initial |= {f"view_{i}": poses[view.name] for i, view in enumerate(views)}
    typical = dict.fromkeys(SIDES, _TYPICAL_PX)
    problem = Problem(initial, model.residuals, model.jacobian, group=2, typical=typical)
    # Views that fit nothing make a search without an end; what it has reached by then shows which they are.
    # Terms that are nearly alike (rational_polynomial) take longer to part.
    iterations = 200 if distortion == "rational_polynomial" else 40
    limits = SolverConfig(loss=loss, rotation_length_mm=400.0, observability_ratio=1e-14, max_iterations=iterations, max_rescales=5)
    solution = solve(problem, limits)
    rig = model.rig(solution.values)
    fitted = {view.name: solution.values[f"view_{i}"] for i, view in enumerate(views)}
    return Bundle(rig, fitted, solution, tuple(_residuals(views, rig, fitted)), distortion)


def _residuals(views: Sequence[View], rig: StereoRig, poses: Mapping[str, Array]) -> list[tuple[View, str, Sighting, Array]]:
    return [
        (view, side, sighting, rig.predict(side, poses[view.name], sighting) - sighting.pixels)
        for view in views
        for side in SIDES
        for sighting in view.of(side)
    ]


class _Model:
    """Residuals and their derivative for the solver."""

    def __init__(self, views: Sequence[View], start: StereoRig, distortion: str, floor_px: float) -> None:
        self._start, self._count = start, len(views)
        self._distortion = distortion
        self._kind, self._free = FREE[distortion][0], list(FREE[distortion][1])
        self._rays = [_collect(views, side, floor_px) for side in SIDES]
        self._faces = len(start.T_target_face)

    def parameters(self, camera: CameraModel) -> Array:
        """fx fy cx cy and the free coefficients, in px at a radius of 0.2 so that all are of like size."""
        D = np.zeros(lens.COEFFICIENTS[self._kind])
        D[: len(camera.D)] = camera.D[: len(D)]
        K = camera.K
        return np.concatenate([[K[0, 0], K[1, 1], K[0, 2], K[1, 2]], D[self._free] / _COEFFICIENT_UNIT[self._free]])

    def camera(self, side: str, values: Values) -> CameraModel:
        """The camera of its parameters."""
        return camera_of(self._start.camera(side), values[side], self._distortion)

    def rig(self, values: Values) -> StereoRig:
        """The rig of all parameters."""
        faces = (np.eye(4), *(values[f"face_{i}"] for i in range(1, self._faces)))
        return StereoRig(self.camera("left", values), self.camera("right", values), values[EXTRINSICS], faces)

    def residuals(self, values: Values) -> Array:
        """Whitened predicted minus seen, (2 M,), left before right."""
        return np.concatenate([self._whitened(rays, values).ravel() for rays in self._rays])

    def jacobian(self, values: Values) -> dict[str, Array]:
        """Derivative of `residuals` by each block."""
        rows = sum(2 * len(rays.view) for rays in self._rays)
        sizes = {name: 6 if np.ndim(value) == 2 else len(value) for name, value in values.items()}
        J = {name: np.zeros((rows, size)) for name, size in sizes.items()}
        first = 0
        for rays in self._rays:
            part = slice(first, first + 2 * len(rays.view))
            for name, picked, block in self._blocks(rays, values):
                where = np.flatnonzero(np.repeat(picked, 2)) + first if picked is not None else part
                J[name][where] = block.reshape(-1, sizes[name])
            first = part.stop
        return J

    def _blocks(self, rays: _Rays, values: Values) -> list[tuple[str, npt.NDArray[np.bool_] | None, Array]]:
        """Name, which corners (None for all) and derivative (m, 2, n) of each block that a camera's corners depend on."""
        on_target, in_left, in_camera = self._places(rays, values)
        camera = self.camera(rays.side, values)
        ideal = in_camera[:, :2] / in_camera[:, 2:]
        flat = camera.K[:2, :2] @ lens.distort_derivative(ideal, camera.D)
        by_point = rays.whiten @ (np.concatenate([flat, -flat @ ideal[..., None]], axis=-1) / in_camera[:, 2, None, None])
        shown = lens.distort(ideal, camera.D)
        by_lens = camera.K[:2, :2] @ (lens.coefficient_derivative(ideal, camera.D)[..., self._free] * _COEFFICIENT_UNIT[self._free])
        by_k = np.zeros((len(ideal), 2, 4))
        by_k[:, 0, 0], by_k[:, 1, 1], by_k[:, 0, 2], by_k[:, 1, 3] = shown[:, 0], shown[:, 1], 1.0, 1.0
        blocks: list[tuple[str, npt.NDArray[np.bool_] | None, Array]] = [
            (rays.side, None, rays.whiten @ np.concatenate([by_k, by_lens], axis=-1))
        ]
        if rays.side == "right":
            blocks.append((EXTRINSICS, None, by_point @ _by_tangent(in_camera)))
            by_point = by_point @ values[EXTRINSICS][:3, :3]
        by_view = by_point @ _by_tangent(in_left)
        for i in np.unique(rays.view):
            blocks.append((f"view_{i}", rays.view == i, by_view[rays.view == i]))
        turn = np.stack([values[f"view_{i}"][:3, :3] for i in range(self._count)])[rays.view]
        by_face = by_point @ turn @ _by_tangent(on_target)
        for i in range(1, self._faces):
            picked = rays.face == i
            if picked.any():
                blocks.append((f"face_{i}", picked, by_face[picked]))
        return blocks

    def _places(self, rays: _Rays, values: Values) -> tuple[Array, Array, Array]:
        """The corners (M, 3) in the target's, the left camera's and this camera's frame."""
        faces = np.stack([np.eye(4), *(values[f"face_{i}"] for i in range(1, self._faces))])[rays.face]
        poses = np.stack([values[f"view_{i}"] for i in range(self._count)])[rays.view]
        on_target = se3.transform(faces, rays.points)
        in_left = se3.transform(poses, on_target)
        in_camera = in_left if rays.side == "left" else se3.transform(values[EXTRINSICS], in_left)
        return on_target, in_left, in_camera

    def _whitened(self, rays: _Rays, values: Values) -> Array:
        camera = self.camera(rays.side, values)
        point = self._places(rays, values)[2]
        # Not `project`: what it refuses (behind the camera, a lens that turns back) must cost the solver, not stop it.
        with np.errstate(all="ignore"):
            pixels = lens.distort(point[:, :2] / point[:, 2:], camera.D) @ camera.K[:2, :2].T + camera.K[:2, 2]
        whitened: Array = (rays.whiten @ (pixels - rays.pixels)[..., None])[..., 0]
        return whitened


def camera_of(like: CameraModel, parameters: Array, distortion: str) -> CameraModel:
    """A camera of fx fy cx cy and the scaled free coefficients, as the solver has them; name and size of `like`."""
    kind, free = FREE[distortion]
    D = np.zeros(lens.COEFFICIENTS[kind])
    D[list(free)] = parameters[4:] * _COEFFICIENT_UNIT[list(free)]
    fx, fy, cx, cy = parameters[:4]
    return CameraModel(like.name, like.width, like.height, np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), D, kind)


# Changes of k1 k2 p1 p2 k3 k4 k5 k6 that move a pixel at a radius of 0.2 by about as much.
_COEFFICIENT_UNIT = np.array([1e-3, 2.5e-2, 2e-4, 2e-4, 0.6, 1e-3, 2.5e-2, 0.6])


def _by_tangent(points: Array) -> Array:
    """d (exp(xi) point) / d xi, (M, 3, 6)."""
    return np.concatenate([np.broadcast_to(np.eye(3), (len(points), 3, 3)), -se3.hat(points)], axis=-1)


def _collect(views: Sequence[View], side: str, floor_px: float) -> _Rays:
    found = [(i, sighting) for i, view in enumerate(views) for sighting in view.of(side)]
    counts = [len(sighting.pixels) for _, sighting in found]
    if not found:
        nothing = np.zeros(0, dtype=int)
        return _Rays(side, nothing, nothing, np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 2, 2)))
    covariance = np.concatenate([sighting.covariance for _, sighting in found]) + floor_px**2 * np.eye(2)
    return _Rays(
        side,
        np.repeat([i for i, _ in found], counts),
        np.repeat([sighting.face for _, sighting in found], counts),
        np.concatenate([sighting.points for _, sighting in found]),
        np.concatenate([sighting.pixels for _, sighting in found]),
        np.linalg.inv(np.linalg.cholesky(covariance)),
    )
