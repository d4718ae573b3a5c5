"""A calibrated pinhole camera with distortion: points in its optical frame (mm) to pixels and back.

Pixels (..., 2) are column and row; the centre of the first pixel is (0, 0). The optical frame is that of REP-103:
x right, y down, z forward. Names follow sensor_msgs/CameraInfo; only the fourth column of P is in px mm here
(px m in files and messages).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lodestone_core import lens
from lodestone_core.checks import as_array
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def _identity() -> Array:
    return np.eye(3)


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """One camera. `K` 3x3 (px), `D` (5,) or (8,) as lens.COEFFICIENTS of `distortion_model` says.

    `R` 3x3 turns the optical frame into the rectified one, `P` 3x4 projects rectified points (px and px mm); both are
    for users who rectify, `project` and `unproject` do not use them. Without `P` it is K with a zero column. Raises
    InputError for what is no camera.
    """

    name: str
    width: int
    height: int
    K: Array
    D: Array
    distortion_model: str = "plumb_bob"
    R: Array = field(default_factory=_identity)
    P: Array | None = None

    def __post_init__(self) -> None:
        where = f"camera {self.name}"
        _check_size(where, self.width, self.height)
        if self.distortion_model not in lens.COEFFICIENTS:
            expected, remedy = " or ".join(lens.COEFFICIENTS), "calibrate with one of these models"
            raise InputError(f"{where}, distortion model", expected=expected, got=repr(self.distortion_model), remedy=remedy)
        checked = {
            "K": _as_intrinsics(f"{where}, K", self.K),
            "D": as_array(f"{where}, D", self.D, (lens.COEFFICIENTS[self.distortion_model],)),
            "R": _as_rotation(f"{where}, R", self.R),
        }
        P = np.column_stack([checked["K"], np.zeros(3)]) if self.P is None else self.P
        checked["P"] = as_array(f"{where}, P", P, (3, 4))
        for name, value in checked.items():
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def projection(self) -> Array:
        """P (3, 4), always there."""
        assert self.P is not None
        return self.P

    def project(self, points: npt.ArrayLike) -> Array:
        """Pixels (..., 2) of points (..., 3; mm, optical frame); NaN behind the camera and where the lens model has turned back."""
        points = np.asarray(points, dtype=np.float64)
        with np.errstate(all="ignore"):
            ideal = points[..., :2] / points[..., 2:]
            pixels = self._to_pixels(lens.distort(ideal, self.D))
        seen = (points[..., 2] > 0.0) & lens.outgoing(ideal, self.D)
        return np.where(seen[..., None], pixels, np.nan)

    def project_derivative(self, points: npt.ArrayLike) -> Array:
        """d pixel / d point, (..., 2, 3) in px / mm; NaN where `project` is."""
        points = np.asarray(points, dtype=np.float64)
        with np.errstate(all="ignore"):
            ideal = points[..., :2] / points[..., 2:]
            flat = self.K[:2, :2] @ lens.distort_derivative(ideal, self.D)
            J = np.concatenate([flat, -flat @ ideal[..., None]], axis=-1) / points[..., 2, None, None]
        seen = (points[..., 2] > 0.0) & lens.outgoing(ideal, self.D)
        return np.where(seen[..., None, None], J, np.nan)

    def unproject(self, pixels: npt.ArrayLike) -> Array:
        """Points (..., 3) with z = 1 on the lines of sight of pixels (..., 2); NaN where the lens model has no inverse."""
        pixels = np.asarray(pixels, dtype=np.float64)
        y = (pixels[..., 1] - self.K[1, 2]) / self.K[1, 1]
        x = (pixels[..., 0] - self.K[0, 2] - self.K[0, 1] * y) / self.K[0, 0]
        ideal = lens.undistort(np.stack([x, y], axis=-1), self.D)
        return np.concatenate([ideal, np.where(np.isnan(ideal[..., :1]), np.nan, 1.0)], axis=-1)

    def rays(self, pixels: npt.ArrayLike) -> Array:
        """Unit vectors (..., 3) along the lines of sight of pixels (..., 2), NaN as `unproject`."""
        points = self.unproject(pixels)
        unit: Array = points / np.linalg.norm(points, axis=-1, keepdims=True)
        return unit

    def contains(self, pixels: npt.ArrayLike, margin_px: float = 0.0) -> npt.NDArray[np.bool_]:
        """Whether pixels (..., 2) lie in the image, `margin_px` from its edge; False for NaN."""
        pixels = np.asarray(pixels, dtype=np.float64)
        low = margin_px - 0.5
        high = np.array([self.width, self.height]) - 0.5 - margin_px
        return np.asarray(((pixels >= low) & (pixels <= high)).all(axis=-1))

    def check_frame(self, where: str, width: int, height: int) -> None:
        """Raises InputError unless a frame has the size that this camera was calibrated at."""
        if (width, height) == (self.width, self.height):
            return
        expected, got = f"frames of {self.width}x{self.height} px, as camera {self.name} was calibrated", f"{width}x{height}"
        swapped = (height, width) == (self.width, self.height)
        remedy = "turn the image back, or calibrate as it is now" if swapped else "set the camera to that size, or calibrate at the new one"
        raise InputError(where, expected=expected, got=got, remedy=remedy)

    def _to_pixels(self, shown: Array) -> Array:
        pixels: Array = shown @ self.K[:2, :2].T + self.K[:2, 2]
        return pixels


def triangulate(cameras: tuple[CameraModel, ...], T_camera_ref: Array, pixels: Array) -> Array:
    """Points (N, 3; mm, reference frame) closest to the lines of sight of pixels (C, N, 2) of C cameras; NaN where one is missing.

    `T_camera_ref` (C, 4, 4). Least sum of squared distances to the lines: exact for two lines that meet, the middle of
    their gap else.
    """
    A = np.zeros((pixels.shape[1], 3, 3))
    b = np.zeros((pixels.shape[1], 3))
    for camera, T, seen in zip(cameras, T_camera_ref, pixels, strict=True):
        R = T[:3, :3]
        direction = camera.rays(seen) @ R
        M = np.eye(3) - direction[:, :, None] * direction[:, None, :]
        A += M
        b += M @ (-R.T @ T[:3, 3])
    found = np.full(b.shape, np.nan)
    good = np.flatnonzero(np.isfinite(A).all(axis=(1, 2)) & np.isfinite(b).all(axis=1))
    good = good[np.linalg.cond(A[good]) < 1e12]
    found[good] = np.linalg.solve(A[good], b[good][..., None])[..., 0]
    return found


def _check_size(where: str, width: int, height: int) -> None:
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        raise InputError(f"{where}, size", expected="width and height in px", got=f"{width}x{height}", remedy="give the size of its frames")


def _as_intrinsics(where: str, value: npt.ArrayLike) -> Array:
    K = as_array(where, value, (3, 3))
    if not K.any():
        remedy = "calibrate the camera: a driver without a calibration sends zeros"
        raise InputError(where, expected="a calibrated camera", got="zeros", remedy=remedy)
    if K[0, 0] <= 0.0 or K[1, 1] <= 0.0 or K[1, 0] != 0.0 or (K[2] != (0.0, 0.0, 1.0)).any():
        expected, remedy = "fx s cx / 0 fy cy / 0 0 1 with fx, fy > 0", "check the order of its nine numbers (row by row)"
        raise InputError(where, expected=expected, got=K.ravel().tolist(), remedy=remedy)
    return K


def _as_rotation(where: str, value: npt.ArrayLike) -> Array:
    R = as_array(where, value, (3, 3))
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-4 or np.linalg.det(R) < 0.0:
        raise InputError(where, expected="a rotation matrix", got=R.ravel().tolist(), remedy="an unrectified camera has the identity")
    return R
