"""Random bodies in front of the field generator: ellipsoids with landmarks on the surface, targets inside, and a tool that touches them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.types import Array

LANDMARKS, TARGETS = 60, 16
POSES = LANDMARKS + TARGETS
_CANDIDATES = 240
_CLEAR_MM = 45.0
"""The body's nearest point keeps this distance from the generator's face."""
_DEEPEST = 0.92
"""Targets lie inside the body scaled by this."""
_SMALLEST_MM, _LARGEST_MM = np.array([90.0, 60.0, 50.0]), np.array([170.0, 120.0, 100.0])


@dataclass(frozen=True, slots=True)
class Grip:
    """How a tool is held: its axis within `tilt_deg` of one direction a scene, its roll within `roll_deg` of one roll a scene."""

    tilt_deg: float
    roll_deg: float


HELD = Grip(30.0, 30.0)
"""One person, on one side of the patient, whose pointer and needle hang on a cable."""
FREE = Grip(180.0, 180.0)
"""Any orientation anywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """S ellipsoids: T_field_body (S, 4, 4), semi-axes (S, 3) in mm, T_image_field (S, 4, 4), poses of a tool on targets (S, 16, 4, 4).

    `R_field_hold` (S, 3, 3): about which orientation the tool is held, and by whom.
    """

    T_field_body: Array
    semi_axes_mm: Array
    T_image_field: Array
    T_field_target: Array
    R_field_hold: Array
    grip: Grip

    def __len__(self) -> int:
        return len(self.semi_axes_mm)

    def support(self, directions: Array) -> Array:
        """How far the bodies reach (S,) from their centres along unit directions (S, 3) of the tracker's frame."""
        local = (directions[:, None] @ self.T_field_body[:, :3, :3])[:, 0]
        reach: Array = np.linalg.norm(local * self.semi_axes_mm, axis=1)
        return reach

    def with_landmarks(self, rng: np.random.Generator, rows: npt.NDArray[np.intp]) -> Array:
        """Poses (len(rows), 76, 4, 4) of a tool in these scenes: on 60 landmarks, then on the targets.

        The first n landmarks are spread well for every n: each is the farthest from those before it.
        """
        landmarks = _on_surface(rng, self.semi_axes_mm[rows])
        places = se3.transform(self.T_field_body[rows, None], landmarks)
        poses = se3.make(_held(rng, self.R_field_hold[rows], LANDMARKS, self.grip), places)
        return np.concatenate([poses, self.T_field_target[rows]], axis=1)


def draw_anatomy(rng: np.random.Generator, count: int, grip: Grip = HELD) -> Anatomy:
    """So many random bodies, 150 to 330 mm from the generator."""
    semi = rng.uniform(_SMALLEST_MM, _LARGEST_MM, (count, 3))
    T = se3.make(_lying(rng, count), np.zeros((count, 3)))
    reach = np.linalg.norm(T[:, 2, :3] * semi, axis=1)
    centers = np.stack([_place(rng, least) for least in reach + _CLEAR_MM])
    T[:, :3, 3] = centers
    image = se3.make(random_rotations(rng, count), rng.uniform(-300.0, 300.0, (count, 3)))
    hold = random_rotations(rng, count)
    # The same hand holds the pointer on a landmark and the needle at a target.
    poses = se3.make(_held(rng, hold, TARGETS, grip), se3.transform(T[:, None], _inside(rng, semi)))
    return Anatomy(T, semi, image, poses, hold, grip)


def random_rotations(rng: np.random.Generator, count: int) -> Array:
    """Rotation matrices (count, 3, 3), uniform."""
    return np.asarray(Rotation.random(count, random_state=rng).as_matrix())


def unit(v: Array) -> Array:
    """Vectors (..., 3) at unit length."""
    out: Array = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return out


def frames_along(z: Array, rng: np.random.Generator) -> Array:
    """Rotations (..., 3, 3) whose z axes are the unit vectors (..., 3), with random roll."""
    x = unit(np.cross(z, rng.standard_normal(z.shape)))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def cone(rng: np.random.Generator, axes: Array, half_angle_deg: float) -> Array:
    """Unit vectors (..., 3) spread evenly over the cone about each of the unit vectors `axes` (..., 3)."""
    cosine = rng.uniform(np.cos(np.deg2rad(half_angle_deg)), 1.0, axes.shape[:-1])[..., None]
    aside = unit(np.cross(axes, rng.standard_normal(axes.shape)))
    spread: Array = cosine * axes + np.sqrt(1.0 - cosine**2) * aside
    return spread


def _held(rng: np.random.Generator, hold: Array, poses: int, grip: Grip) -> Array:
    """Orientations (S, poses, 3, 3) about those in which the tool is held (S, 3, 3)."""
    shape = (len(hold), poses)
    axis = cone(rng, np.broadcast_to([0.0, 0.0, 1.0], (*shape, 3)), grip.tilt_deg)
    tilt = np.arccos(np.clip(axis[..., 2], -1.0, 1.0))
    aside = np.stack([-axis[..., 1], axis[..., 0], np.zeros(shape)], axis=-1)
    tilts = aside * (tilt / np.maximum(np.linalg.norm(aside, axis=-1), 1e-12))[..., None]
    rolls = np.zeros_like(tilts)
    rolls[..., 2] = np.deg2rad(rng.uniform(-grip.roll_deg, grip.roll_deg, shape))
    turns = Rotation.from_rotvec(tilts.reshape(-1, 3)) * Rotation.from_rotvec(rolls.reshape(-1, 3))
    held: Array = hold[:, None] @ turns.as_matrix().reshape(*shape, 3, 3)
    return held


def _lying(rng: np.random.Generator, count: int) -> Array:
    """Orientations (count, 3, 3) with the long axis about along the face of the generator."""
    turn = Rotation.from_euler("z", rng.uniform(-180.0, 180.0, (count, 1)), degrees=True)
    tilt = Rotation.from_rotvec(np.deg2rad(rng.uniform(-35.0, 35.0, (count, 3))))
    return np.asarray((tilt * turn).as_matrix())


def _place(rng: np.random.Generator, least_depth: float) -> Array:
    """A centre 150 to 330 mm from the generator within 35 degrees of its axis, at least so deep."""
    while True:
        direction = cone(rng, np.array([0.0, 0.0, -1.0]), 35.0)
        center: Array = direction * rng.uniform(150.0, 330.0)
        if -center[2] >= least_depth:
            return center


def _on_surface(rng: np.random.Generator, semi: Array) -> Array:
    """Landmarks (S, 60, 3), farthest first, out of random places on the surface."""
    rows = np.arange(len(semi))
    places = unit(rng.standard_normal((len(semi), _CANDIDATES, 3))) * semi[:, None]
    chosen = np.zeros((len(semi), LANDMARKS), dtype=np.intp)
    nearest = np.linalg.norm(places - places[:, :1], axis=2)
    for i in range(1, LANDMARKS):
        chosen[:, i] = nearest.argmax(axis=1)
        nearest = np.minimum(nearest, np.linalg.norm(places - places[rows, chosen[:, i]][:, None], axis=2))
    return places[rows[:, None], chosen]


def _inside(rng: np.random.Generator, semi: Array) -> Array:
    shape = (len(semi), TARGETS, 3)
    depth = np.cbrt(rng.uniform(0.0, 1.0, shape[:2]))[..., None]
    inside: Array = _DEEPEST * depth * unit(rng.standard_normal(shape)) * semi[:, None]
    return inside
