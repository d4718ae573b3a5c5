"""Scenes of `stereo_calibration`: pairs of cameras, targets and their places, rendered or drawn, all out of the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from guidewire_recon.calibration.boards import BoardSpec, find_faces, rough_corners
from guidewire_recon.calibration.stereo_types import SIDES, Sighting, View
from lodestone_bench.optics.board import Board, Face
from lodestone_bench.optics.board_view import BoardCamera
from lodestone_bench.optics.config import CamerasConfig, EyeConfig
from lodestone_bench.optics.pinhole import Pinhole, pinhole
from lodestone_core import se3
from lodestone_core.types import Array

CENTRE_MM = np.array([0.0, 0.0, 70.0])
# Seen at 45 degrees by both cameras: its normal halves the angle between their axes.
_HALF_WAY = np.column_stack([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0] / np.sqrt(2.0), [0.0, -1.0, -1.0] / np.sqrt(2.0)])
ONE_BOARD, CHECKERBOARD, TWO_FACES = "ChArUco board at 45 degrees", "checkerboard at 45 degrees", "two faces, one for each camera"
CASES = (ONE_BOARD, CHECKERBOARD, TWO_FACES)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Two true cameras, the target's faces as the bench has them, and T_bench_target of each view; the first is the seat's."""

    case: str
    seed: int
    cameras: Mapping[str, Pinhole]
    faces: tuple[Face, ...]
    poses: tuple[Array, ...]

    @property
    def boards(self) -> tuple[BoardSpec, ...]:
        """The faces as the calibration is told of them."""
        return tuple(_spec(face.board) for face in self.faces)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images."""
        config = self.cameras["left"].config
        return config.width, config.height

    @property
    def T_bench_seat(self) -> Array:
        """Where the target's first face lies in the first view, which the person who calibrates knows."""
        return self.poses[0] @ self.faces[0].T_target_board

    def T_right_left(self) -> Array:
        """The truth."""
        left, right = (_pose(self.cameras[side]) for side in SIDES)
        return right @ se3.inverse(left)

    def true_in_left(self, points: Array) -> Array:
        """Points (N, 3) of bench in the true left optical frame."""
        return se3.transform(_pose(self.cameras["left"]), points)


def make_scene(case: str, views: int, seed: int) -> Scene:
    """The scene of a seed: cameras a little off their places, lenses of their own, the target turned and moved."""
    rng = np.random.default_rng([seed, CASES.index(case)])
    config = CamerasConfig()
    config = replace(
        config, left=_eye(config.left, rng), right=_eye(config.right, rng), light_mm=tuple(rng.uniform([100, 150, 400], [260, 330, 520]))
    )
    return Scene(case, seed, {side: pinhole(config, side) for side in SIDES}, _target(case), tuple(_places(case, views, rng)))


def rendered(scene: Scene) -> tuple[list[View], list[View], dict[str, str]]:
    """Views out of rendered pictures: with refined corners, with OpenCV's own, and what was not found and why."""
    cameras = {side: BoardCamera(scene.cameras[side], scene.seed) for side in SIDES}
    fine: list[dict[str, tuple[Sighting, ...]]] = []
    rough: list[dict[str, tuple[Sighting, ...]]] = []
    lost: dict[str, str] = {}
    for number, T in enumerate(scene.poses):
        images = {side: cameras[side].image(T, scene.faces, number) for side in SIDES}
        found = {side: find_faces(image, scene.boards) for side, image in images.items()}
        lost |= {f"{number:03d} {side}": why for side, (_, why) in found.items() if why}
        fine.append({side: sightings for side, (sightings, _) in found.items()})
        rough.append({side: rough_corners(image, scene.boards) for side, image in images.items()})
    return _views(fine), _views(rough), lost


def drawn(scene: Scene, noise_px: float) -> list[View]:
    """Views whose corners are the true pixels with Gaussian noise of known size."""
    rng = np.random.default_rng([scene.seed, 77])
    views = []
    for T in scene.poses:
        views.append({side: tuple(_drawn_face(scene, side, T, i, noise_px, rng) for i in _facing(scene, side, T)) for side in SIDES})
    return _views(views)


def _drawn_face(scene: Scene, side: str, T: Array, face: int, noise_px: float, rng: np.random.Generator) -> Sighting:
    points = scene.faces[face].board.corners_mm
    pixels, _ = scene.cameras[side].see(se3.transform(T @ scene.faces[face].T_target_board, points))
    inside = ((pixels > 8.0) & (pixels < np.array(scene.size) - 9.0)).all(axis=1)
    noisy = pixels[inside] + noise_px * rng.normal(size=(int(inside.sum()), 2))
    return Sighting(face, points[inside], noisy, np.broadcast_to(noise_px**2 * np.eye(2), (len(noisy), 2, 2)))


def _facing(scene: Scene, side: str, T: Array) -> list[int]:
    """The faces that a camera sees at less than 70 degrees, with enough of their corners."""
    camera, found = scene.cameras[side], []
    for i, face in enumerate(scene.faces):
        T_bench_board = T @ face.T_target_board
        toward = se3.transform(T_bench_board, face.board.outline_mm.mean(axis=0)) - camera.centre_mm
        pixels, _ = camera.see(se3.transform(T_bench_board, face.board.corners_mm))
        inside = ((pixels > 8.0) & (pixels < np.array(scene.size) - 9.0)).all(axis=1)
        if T_bench_board[:3, 2] @ toward > np.cos(np.radians(70.0)) * np.linalg.norm(toward) and inside.sum() >= 12:
            found.append(i)
    return found


def _views(found: list[dict[str, tuple[Sighting, ...]]]) -> list[View]:
    return [View(f"{number:03d}", sides["left"], sides["right"]) for number, sides in enumerate(found)]


def _eye(eye: EyeConfig, rng: np.random.Generator) -> EyeConfig:
    """A camera a little off its place, with a lens of its own."""
    turn = Rotation.from_quat(eye.quaternion_xyzw) * Rotation.from_rotvec(np.radians(rng.normal(0.0, 1.0, 3)))
    return replace(
        eye,
        position_mm=tuple(np.array(eye.position_mm) + rng.normal(0.0, 3.0, 3)),
        quaternion_xyzw=tuple(turn.as_quat()),
        focal_px=tuple(np.array(eye.focal_px) * (1.0 + rng.normal(0.0, 0.01)) * (1.0 + rng.normal(0.0, 2e-4, 2))),
        principal_px=tuple(np.array([1023.5, 767.5]) + rng.normal(0.0, 8.0, 2)),
        radial=(float(rng.normal(-0.08, 0.03)), float(rng.normal(0.15, 0.1)), 0.0),
        tangential=tuple(rng.normal(0.0, 3e-4, 2)),
        prism=tuple(rng.normal(0.0, 3e-4, 2)),
    )


def _target(case: str) -> tuple[Face, ...]:
    if case == ONE_BOARD:
        return (Face(Board(11, 8, 6.0, 4.5), np.eye(4)),)
    if case == CHECKERBOARD:
        return (Face(Board(11, 8, 6.0), np.eye(4)),)
    top, side = Board(9, 7, 6.0, 4.5), Board(9, 7, 6.0, 4.5, first_marker=40)
    half = np.array([27.0, 21.0, 0.0])
    T_top = se3.make(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 14.0]))
    T_side = se3.make(np.column_stack([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]), np.array([0.0, 30.0, -12.0]))
    return tuple(Face(board, T @ se3.make(np.eye(3), -half)) for board, T in ((top, T_top), (side, T_side)))


def _places(case: str, views: int, rng: np.random.Generator) -> list[Array]:
    """T_bench_target: the seat in the middle, then turned and moved as a hand would."""
    base, spread_deg = (np.eye(3), (14.0, 14.0, 14.0)) if case == TWO_FACES else (_HALF_WAY, (16.0, 16.0, 30.0))
    middle = np.zeros(3) if case == TWO_FACES else np.array([33.0, 24.0, 0.0])
    places = []
    for number in range(views):
        turn = np.zeros(3) if number == 0 else np.radians(rng.normal(0.0, spread_deg))
        shift = np.zeros(3) if number == 0 else rng.uniform(-12.0, 12.0, 3)
        R = base @ Rotation.from_rotvec(turn).as_matrix()
        places.append(se3.make(R, CENTRE_MM + shift - R @ middle))
    return places


def _spec(board: Board) -> BoardSpec:
    kind = "charuco" if board.marker_mm > 0.0 else "checkerboard"
    return BoardSpec(kind, board.columns, board.rows, board.square_mm, board.marker_mm, board.first_marker)


def _pose(camera: Pinhole) -> Array:
    """T_eye_bench of a true camera."""
    return se3.make(camera.R_eye_bench, -camera.R_eye_bench @ camera.centre_mm)
