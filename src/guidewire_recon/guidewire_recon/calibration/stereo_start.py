"""A start for the bundle adjustment: each camera alone, then how they stand to one another, in whatever way the views allow.

A board that both cameras see gives T_right_left at once. Where each camera sees its own face of a rigid target, T_right_left and the faces'
relation come out of the target's motions together, as in a robot-world and hand-eye calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import cv2
import numpy as np

from guidewire_recon.calibration.stereo_types import SIDES, Sighting, StereoRig, View
from lodestone_core import se3
from lodestone_core.camera import CameraModel
from lodestone_core.errors import InputError
from lodestone_core.hand_eye import JointConfig, calibrate_joint
from lodestone_core.types import Array

FEWEST_VIEWS = 4
Poses = dict[tuple[str, int], Array]
"""T_camera_face by side and face."""


def start(views: Sequence[View], sizes: Mapping[str, tuple[int, int]], faces: int) -> tuple[StereoRig, dict[str, Array]]:
    """Rig and T_left_target of each view. `sizes`: width and height of each side's images.

    Raises InputError when a camera has too few views, or the views do not connect the cameras or the faces.
    """
    cameras = {side: camera_alone(views, side, sizes[side]) for side in SIDES}
    poses = [_poses(view, cameras) for view in views]
    T_right_left, known = _between(views, poses)
    T_target_face = _faces(poses, T_right_left, faces, known)
    rig = StereoRig(cameras["left"], cameras["right"], T_right_left, T_target_face)
    return rig, {view.name: T_left_target(rig, found) for view, found in zip(views, poses, strict=True)}


def camera_alone(views: Sequence[View], side: str, size: tuple[int, int]) -> CameraModel:
    """K and a little distortion of one camera from all the faces that it saw."""
    seen = [sighting for view in views for sighting in view.of(side)]
    if len(seen) < FEWEST_VIEWS:
        remedy = f"take more images of the board with the {side} camera, tilted in different ways"
        raise InputError(f"{side} camera", expected=f"at least {FEWEST_VIEWS} views of a board", got=len(seen), remedy=remedy)
    objects = [sighting.points.astype(np.float32) for sighting in seen]
    pixels = [sighting.pixels.astype(np.float32)[:, None] for sighting in seen]
    flags = cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3
    _, K, D, _, _ = cv2.calibrateCamera(objects, pixels, size, np.eye(3), np.zeros(5), flags=flags)
    K[0, 1] = K[1, 0] = 0.0
    return CameraModel(side, size[0], size[1], np.asarray(K, dtype=np.float64), np.asarray(D, dtype=np.float64).ravel()[:5])


def pose_of(camera: CameraModel, sighting: Sighting) -> Array:
    """T_camera_face of one planar face, the better of its two solutions (T. Collins and A. Bartoli, IJCV 109, 2014)."""
    ideal = camera.unproject(sighting.pixels)[:, :2]
    middle = sighting.points.mean(axis=0)
    _, turns, shifts, errors = cv2.solvePnPGeneric(sighting.points - middle, ideal[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    best = int(np.argmin(np.ravel(errors)))
    R = np.asarray(cv2.Rodrigues(turns[best])[0], dtype=np.float64)
    return se3.make(R, shifts[best].ravel() - R @ middle)


def T_left_target(rig: StereoRig, poses: Poses) -> Array:
    """The target's pose from one view's faces: the left camera's where it saw one."""
    (side, face), T = min(poses.items(), key=lambda item: SIDES.index(item[0][0]))
    found: Array = se3.inverse(rig.T_camera_left(side)) @ T @ se3.inverse(rig.T_target_face[face])
    return found


def medoid(candidates: Sequence[Array], lever_mm: float = 100.0) -> Array:
    """The transform with the least sum of distances (mm, rotations at a lever) to all the others: half of them may be wrong."""
    stack = np.stack(candidates)
    shift = np.linalg.norm(stack[:, None, :3, 3] - stack[None, :, :3, 3], axis=-1)
    turn = se3.geodesic(stack[:, None], stack[None]) * lever_mm
    best: Array = stack[int(np.argmin((shift + turn).sum(axis=1)))]
    return best


def _poses(view: View, cameras: Mapping[str, CameraModel]) -> Poses:
    return {(side, s.face): pose_of(cameras[side], s) for side in SIDES for s in view.of(side)}


def _between(views: Sequence[View], poses: Sequence[Poses]) -> tuple[Array, dict[tuple[int, int], Array]]:
    """T_right_left, and faces' relations T_first_second found on the way."""
    same = [
        T @ se3.inverse(found["left", face])
        for found in poses
        for (side, face), T in found.items()
        if side == "right" and ("left", face) in found
    ]
    if same:
        return medoid(same), {}
    if not any(view.paired for view in views):
        remedy = "take images with both cameras at the same time, named alike"
        raise InputError("stereo calibration", expected="views of both cameras", got="none", remedy=remedy)
    return _by_motion(poses)


def _by_motion(poses: Sequence[Poses]) -> tuple[Array, dict[tuple[int, int], Array]]:
    """From a target of which the left camera sees one face and the right another: T_left_a = T_left_right T_right_b T_b_a."""
    pairs = {(a, b) for found in poses for (s, a), (t, b) in product(found, found) if s == "left" and t == "right"}
    counts = {(a, b): [f for f in poses if ("left", a) in f and ("right", b) in f] for a, b in pairs}
    (a, b), used = max(counts.items(), key=lambda item: len(item[1]))
    config = JointConfig(min_pairs=FEWEST_VIEWS, correlated_poses=1, position_sigma_mm=1.0, rotation_sigma_rad=0.003)
    left, right = np.stack([f["left", a] for f in used]), np.stack([f["right", b] for f in used])
    found = calibrate_joint(right, left, config)
    if found.unobserved:
        got = "; ".join(str(direction) for direction in found.unobserved)
        remedy = "turn the target about different axes between the views, not only to and fro"
        raise InputError("stereo calibration", expected="motions that tell the cameras' relation", got=got, remedy=remedy)
    T_b_a = next(iter(found.sensors.values())).T_sensor_marker
    return se3.inverse(found.T_ref_em), {(b, a): T_b_a}


def _faces(poses: Sequence[Poses], T_right_left: Array, count: int, known: dict[tuple[int, int], Array]) -> tuple[Array, ...]:
    """T_target_face of all faces, walked from face to face through the views that show two of them."""
    seen: dict[tuple[int, int], list[Array]] = {}
    to_left = {"left": np.eye(4), "right": se3.inverse(T_right_left)}
    for found in poses:
        for (s, a), (t, b) in product(found, found):
            if a != b:
                seen.setdefault((a, b), []).append(se3.inverse(to_left[s] @ found[s, a]) @ to_left[t] @ found[t, b])
    for (a, b), T in known.items():
        seen.setdefault((a, b), []).append(T)
        seen.setdefault((b, a), []).append(se3.inverse(T))
    place = {0: np.eye(4)}
    while new := [(a, b) for a, b in seen if a in place and b not in place]:
        a, b = max(new, key=lambda pair: len(seen[pair]))
        place[b] = place[a] @ medoid(seen[a, b])
    missing = [i for i in range(count) if i not in place]
    if missing:
        remedy = "take views in which such a face and another one are seen at once, by one camera or by both"
        raise InputError(
            "target", expected="faces that are connected by the views", got=f"nothing that connects face {missing}", remedy=remedy
        )
    return tuple(place[i] for i in range(count))
