"""Scoring of `stereo_calibration`: one scene calibrated by a method, against the truth of the bench."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.stereo import StereoCalibration, calibrate_stereo
from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_quality import HeldOut, fit_pose, hold_out, point_covariance
from guidewire_recon.calibration.stereo_start import T_left_target, pose_of
from guidewire_recon.calibration.stereo_types import SIDES, StereoRig, View
from lodestone_cli.protocols.stereo_scenes import CENTRE_MM, CHECKERBOARD, TWO_FACES, Scene, drawn, make_scene, rendered
from lodestone_core import se3
from lodestone_core.camera import CameraModel, triangulate
from lodestone_core.errors import InputError
from lodestone_core.paired_points import register_points
from lodestone_core.types import Array

JOINT, OPENCV = "joint", "opencv"
CENTRE = CENTRE_MM + np.array(list(product((-10.0, 0.0, 10.0), repeat=3)))
FIDUCIALS = CENTRE_MM + np.array(list(product((-40.0, 40.0), (-30.0, 30.0), (-25.0, 25.0))))
"""Spheres about the centre, none of them there, whose places in bench are known: a rig's frame may come from such as well."""
FIDUCIAL_NOISE_PX = 0.1
VOLUME = np.array(list(product(np.linspace(-55.0, 55.0, 5), np.linspace(-40.0, 40.0, 5), np.linspace(42.0, 98.0, 5))))


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One scene of one case; `rendered` or with drawn corners."""

    case: str
    seed: int
    views: int
    rendered: bool
    noise_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What one calibration is worth.

    `centre_mm` (27, 3) and `volume_mm` (125, 3): errors of true points in bench, whose frame the seat's view gives; `registered_mm` (27,
    3): of the centre's points where bench's frame comes from the fiducials about it; `in_left_mm` (27, 3): of the centre's points in the
    left optical frame. `parameters`: errors of single numbers by name. `problem`: why there is no
    calibration.
    """

    case: str
    seed: int
    method: str
    centre_mm: Array
    volume_mm: Array
    registered_mm: Array
    in_left_mm: Array
    parameters: dict[str, float]
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """All scores of a scene, what was held out, and for the joint method its calibration and normalised squared errors (9,)."""

    job: Job
    scores: tuple[Score, ...]
    held: tuple[HeldOut, ...]
    found: StereoCalibration | None
    squares: Array
    radius_mm: Array
    lost: dict[str, str]


def score(job: Job) -> Scored:
    """Make the scene's views and calibrate them."""
    scene = make_scene(job.case, job.views, job.seed)
    if not job.rendered:
        return _scored(job, scene, drawn(scene, job.noise_px), None, {})
    fine, rough, lost = rendered(scene)
    return _scored(job, scene, fine, rough, lost)


def _scored(job: Job, scene: Scene, fine: list[View], rough: list[View] | None, lost: dict[str, str]) -> Scored:
    scores, held, squares, radius, found = [], [], np.zeros(0), np.zeros(0), None
    config = StereoConfig()
    try:
        found = calibrate_stereo(fine, dict.fromkeys(SIDES, scene.size), len(scene.faces), config)
        seat = fine[0].name
        if seat not in found.bundle.poses:
            raise InputError("seat", expected="its view", got="none", remedy="take it again")
        scores.append(_against_truth(scene, JOINT, found.rig, found.bundle.poses[seat]))
        squares, radius = _squares(scene, found, seat)
        held = hold_out(found, config) if job.rendered else []
    except InputError as error:
        scores.append(_failed(scene, JOINT, str(error)))
    if rough is not None and scene.case != TWO_FACES:
        scores.append(_plain(scene, rough))
    return Scored(job, tuple(scores), tuple(held), found, squares, radius, lost)


def _against_truth(scene: Scene, method: str, rig: StereoRig, T_left_seat: Array) -> Score:
    T_bench_left = scene.T_bench_seat @ se3.inverse(T_left_seat)
    centre = _measured(scene, rig, CENTRE)
    centre_off = se3.transform(T_bench_left, centre) - CENTRE
    volume_off = se3.transform(T_bench_left, _measured(scene, rig, VOLUME)) - VOLUME
    registered = se3.transform(_registered(scene, rig), centre) - CENTRE
    in_left = centre - scene.true_in_left(CENTRE)
    return Score(scene.case, scene.seed, method, centre_off, volume_off, registered, in_left, _parameters(scene, rig))


def _registered(scene: Scene, rig: StereoRig) -> Array:
    """T_bench_left by the fiducials, which are seen with noise."""
    measured = _measured(scene, rig, FIDUCIALS, FIDUCIAL_NOISE_PX)
    seen = np.isfinite(measured).all(axis=1)
    return register_points(measured[seen], FIDUCIALS[seen]).T_target_source


def _measured(scene: Scene, rig: StereoRig, points: Array, noise_px: float = 0.0) -> Array:
    """Points (N, 3) of bench as the rig triangulates their pixels, in the left optical frame; NaN out of either image."""
    pixels = np.stack([scene.cameras[side].see(points)[0] for side in SIDES])
    pixels += noise_px * np.random.default_rng([scene.seed, 78]).normal(size=pixels.shape)
    seen = np.stack([rig.camera(side).contains(pixels[i]) for i, side in enumerate(SIDES)]).all(axis=0)
    pixels[:, ~seen] = np.nan
    return triangulate((rig.left, rig.right), np.stack([np.eye(4), rig.T_right_left]), pixels)


def _parameters(scene: Scene, rig: StereoRig) -> dict[str, float]:
    truth = scene.T_right_left()
    found = {
        "baseline (mm)": float(np.linalg.norm(rig.T_right_left[:3, 3]) - np.linalg.norm(truth[:3, 3])),
        "angle between the cameras (deg)": float(np.degrees(se3.geodesic(rig.T_right_left, truth))),
    }
    for side in SIDES:
        eye = scene.cameras[side].eye
        found[f"{side} focal length (px)"] = float(rig.camera(side).K[0, 0] - eye.focal_px[0])
        found[f"{side} principal point x (px)"] = float(rig.camera(side).K[0, 2] - eye.principal_px[0])
        found[f"{side} principal point y (px)"] = float(rig.camera(side).K[1, 2] - eye.principal_px[1])
    return found


def _squares(scene: Scene, found: StereoCalibration, seat: str) -> tuple[Array, Array]:
    """Squared errors over their predicted covariance, and predicted 95 % radii (mm), at the centre and eight places about it."""
    points = CENTRE_MM + np.array([(0.0, 0.0, 0.0), *product((-30.0, 30.0), (-25.0, 25.0), (-20.0, 20.0))])
    on_seat = se3.transform(se3.inverse(scene.T_bench_seat), points)
    covariance = point_covariance(found.bundle, on_seat, seat)
    measured = se3.transform(se3.inverse(found.bundle.poses[seat]), _measured(scene, found.rig, points))
    off = measured - on_seat
    seen = np.isfinite(off).all(axis=1)
    squares = np.einsum("ni,nij,nj->n", off[seen], np.linalg.inv(covariance[seen]), off[seen])
    return squares, np.sqrt(7.815 / 3.0 * np.trace(covariance[seen], axis1=1, axis2=2))


def _plain(scene: Scene, views: list[View]) -> Score:
    """OpenCV's calibrateCamera for each camera and stereoCalibrate for the pair, on OpenCV's own corners."""
    usable = [view for view in views if view.paired]
    cameras = {}
    for side in SIDES:
        seen = [s for view in views for s in view.of(side)]
        objects = [s.points.astype(np.float32) for s in seen]
        pixels = [s.pixels.astype(np.float32)[:, None] for s in seen]
        if len(seen) < 4:
            return _failed(scene, OPENCV, f"{len(seen)} views of the {side} camera")
        cameras[side] = cv2.calibrateCamera(objects, pixels, scene.size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3)[1:3]
    sets: list[tuple[Array, Array, Array]] = [_shared(view) for view in usable]
    sets = [one for one in sets if len(one[0]) >= 8]
    objects, left, right = ([one[i].astype(np.float32) for one in sets] for i in range(3))
    (K1, D1), (K2, D2) = cameras["left"], cameras["right"]
    found = cv2.stereoCalibrate(objects, left, right, K1, D1, K2, D2, scene.size, flags=cv2.CALIB_FIX_INTRINSIC)
    models = [_model(side, scene, *cameras[side]) for side in SIDES]
    R, t = (np.asarray(found[i], dtype=np.float64) for i in (5, 6))
    rig = StereoRig(models[0], models[1], se3.make(R, t.ravel()), (np.eye(4),))
    poses = {(side, s.face): pose_of(rig.camera(side), s) for side in SIDES for s in views[0].of(side)}
    if not poses:
        return _failed(scene, OPENCV, "the seat's view was not found")
    return _against_truth(scene, OPENCV, rig, fit_pose(rig, views[0], T_left_target(rig, poses)))


def _model(side: str, scene: Scene, K: npt.ArrayLike, D: npt.ArrayLike) -> CameraModel:
    """A camera of what OpenCV found, which has no skew."""
    shape = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    return CameraModel(side, *scene.size, np.asarray(K, dtype=np.float64) * shape, np.asarray(D, dtype=np.float64).ravel()[:5])


def _shared(view: View) -> tuple[Array, Array, Array]:
    """Corners that both cameras saw: on the board, in the left and in the right image."""
    left, right = ({tuple(np.rint(p * 1e3).astype(int)): i for i, p in enumerate(s.points)} for s in (view.left[0], view.right[0]))
    keys = sorted(set(left) & set(right))
    i, j = [left[k] for k in keys], [right[k] for k in keys]
    return view.left[0].points[i], view.left[0].pixels[i], view.right[0].pixels[j]


def _failed(scene: Scene, method: str, problem: str) -> Score:
    def nothing(count: int) -> Array:
        return np.full((count, 3), np.nan)

    return Score(
        scene.case, scene.seed, method, nothing(len(CENTRE)), nothing(len(VOLUME)), nothing(len(CENTRE)), nothing(len(CENTRE)), {}, problem
    )


__all__ = ["CHECKERBOARD", "JOINT", "OPENCV", "Job", "Score", "Scored", "score"]
