"""What a stereo calibration works on: corners of boards as each camera saw them, and the pair of cameras that explains them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core import se3
from lodestone_core.camera import CameraModel
from lodestone_core.types import Array

SIDES = ("left", "right")


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Corners of one face of the target in one image: their places on the face (N, 3; mm), pixels (N, 2), covariance (N, 2, 2; px^2)."""

    face: int
    points: Array
    pixels: Array
    covariance: Array


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One instant: what each camera saw; an empty tuple for a camera that saw nothing or was not asked."""

    name: str
    left: tuple[Sighting, ...] = ()
    right: tuple[Sighting, ...] = ()

    def of(self, side: str) -> tuple[Sighting, ...]:
        """The sightings of `left` or `right`."""
        return self.left if side == "left" else self.right

    @property
    def paired(self) -> bool:
        """Whether both cameras saw something."""
        return bool(self.left and self.right)

    def exchanged(self) -> View:
        """The same with left and right exchanged."""
        return View(self.name, self.right, self.left)


@dataclass(frozen=True, slots=True, eq=False)
class StereoRig:
    """Two cameras, T_right_left (4x4, mm) and where the target's faces sit: T_target_face of each, the first is the identity."""

    left: CameraModel
    right: CameraModel
    T_right_left: Array
    T_target_face: tuple[Array, ...]

    def camera(self, side: str) -> CameraModel:
        """The `left` or the `right` one."""
        return self.left if side == "left" else self.right

    def T_camera_left(self, side: str) -> Array:
        """From the left camera's optical frame to that camera's (4x4, mm)."""
        return np.eye(4) if side == "left" else self.T_right_left

    def predict(self, side: str, T_left_target: Array, sighting: Sighting) -> Array:
        """Pixels (N, 2) at which a camera should see a sighting's corners."""
        T = self.T_camera_left(side) @ T_left_target @ self.T_target_face[sighting.face]
        return self.camera(side).project(se3.transform(T, sighting.points))
