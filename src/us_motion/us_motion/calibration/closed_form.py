"""Starts without iteration: what a search then refines.

Spots are u, v in the image plane and the pose is linear in them: a point of the probe is u r1 + v r2 + t. With points known in the probe
(where slanting wires are met) three columns are solved for; with one unknown point that rests in the reference it joins the unknowns.
"""

from __future__ import annotations

import numpy as np

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.hand_eye import JointConfig, calibrate_joint
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.model import POINT, X, Y
from us_motion.calibration.observations import Mask, Numbers, Observations
from us_motion.calibration.phantom import WirePhantom
from us_motion.calibration.plane_pose import plane_poses

_ROUNDS = 12
_TUKEY = 4.685
_MOST_POSES = 60
_SUBSETS = 3000
_SUBSET = 6
_GATE_SIGMAS = 3.0


def wires_tracked(data: Observations, phantom: WirePhantom) -> dict[str, Array]:
    """`T_probe_image` where the reference is the phantom. Raises InputError when no row is whole."""
    spots, crossings = _crossings(data, phantom)
    if len(spots) < 6:
        raise InputError(
            "probe calibration", expected="images with whole rows of three wires", got=f"{len(spots)} rows", remedy="scan the wires"
        )
    on_probe = se3.transform(se3.inverse(data.T_ref_probe)[data.image[spots]], crossings)
    uv1 = np.column_stack([data.points_mm[spots, :2], np.ones(len(spots))])
    columns = _robust(np.asarray(np.kron(uv1, np.eye(3)), dtype=np.float64), on_probe.ravel(), 3)
    return {X: _pose(*columns.reshape(3, 3))}


def wires_untracked(data: Observations, phantom: WirePhantom, config: ProbeCalibrationConfig) -> dict[str, Array]:
    """`T_probe_image` and `T_ref_phantom`: the phantom is seen from the images, the probe from the reference; both meet in hand-eye."""
    seen = _images_with_all_wires(data, phantom)
    if len(seen) < config.min_images:
        expected = f"at least {config.min_images} images that show every wire of the phantom"
        raise InputError(
            "probe calibration", expected=expected, got=len(seen), remedy="scan the whole pattern, with a gain that shows each wire"
        )
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, _MOST_POSES).astype(int))]
    T_phantom_image = _poses_in_phantom(data, chosen, phantom)
    joint = calibrate_joint(data.T_ref_probe[chosen], T_phantom_image, JointConfig(position_sigma_mm=1.0, rotation_sigma_rad=0.02))
    return {X: joint.sensors["sensor"].T_sensor_marker, Y: se3.inverse(joint.T_ref_em)}


def point(data: Observations, config: ProbeCalibrationConfig) -> tuple[dict[str, Array], Mask]:
    """`T_probe_image` and the `point` in the reference, and which spots (N,) agree with it: half of them may be something else."""
    R, t = data.T_ref_probe[data.image, :3, :3], data.T_ref_probe[data.image, :3, 3]
    u, v = data.points_mm[:, 0, None, None], data.points_mm[:, 1, None, None]
    A = np.concatenate([u * R, v * R, R, np.broadcast_to(-np.eye(3), R.shape)], axis=2)
    agreeing = _consensus(A, -t, config)
    found = _robust(A[agreeing].reshape(-1, 12), -t[agreeing].ravel(), 3)
    return {X: _pose(*found[:9].reshape(3, 3)), POINT: found[9:]}, agreeing


def _consensus(A: Array, y: Array, config: ProbeCalibrationConfig) -> Mask:
    """Spots (N,) that go with the subset of six that most agree with; A (N, 3, 12), y (N, 3)."""
    rng = np.random.default_rng(config.seed)
    drawn = np.argsort(rng.random((_SUBSETS, len(A))), axis=1)[:, :_SUBSET]
    rows = A[drawn].reshape(_SUBSETS, -1, A.shape[2])
    squares = np.swapaxes(rows, 1, 2) @ rows
    # A trace of a ridge keeps subsets that do not hold all unknowns from ending the search.
    ridge = 1e-9 * np.trace(squares, axis1=1, axis2=2)[:, None, None] * np.eye(A.shape[2])
    x = np.linalg.solve(squares + ridge, np.swapaxes(rows, 1, 2) @ y[drawn].reshape(_SUBSETS, -1, 1))[..., 0]
    off = np.linalg.norm(np.einsum("nij,sj->sni", A, x) - y, axis=2)
    gate = _GATE_SIGMAS * config.across_sigma_mm
    best = int(np.argmax(np.sum(np.clip(1.0 - (off / gate) ** 2, 0.0, None), axis=1)))
    return np.asarray(off[best] < gate)


def _crossings(data: Observations, phantom: WirePhantom) -> tuple[Numbers, Array]:
    """Spots of slanting wires whose neighbours are seen too, and where on the phantom (n, 3) each is."""
    spots, places = [], []
    number = {(int(image), int(wire)): spot for spot, (image, wire) in enumerate(zip(data.image, data.wire, strict=True))}
    for (image, wire), spot in number.items():
        layer, role = divmod(wire, 3)
        if role != 1 or (image, wire - 1) not in number or (image, wire + 1) not in number:
            continue
        left, right = (data.points_mm[number[image, wire + step]] for step in (-1, 1))
        along = right - left
        share = float((data.points_mm[spot] - left) @ along / (along @ along))
        spots.append(spot)
        places.append(phantom.crossing(layer, share))
    return np.array(spots, dtype=np.int64), np.array(places).reshape(-1, 3)


def _images_with_all_wires(data: Observations, phantom: WirePhantom) -> Numbers:
    images, counts = np.unique(data.image, return_counts=True)
    return np.asarray(images[counts == 3 * len(phantom.ends_mm)], dtype=np.int64)


def _poses_in_phantom(data: Observations, images: Numbers, phantom: WirePhantom) -> Array:
    """T_phantom_image (n, 4, 4) of images that show all wires: first as if level, at the mean of where slanting wires are met."""
    wires = len(phantom.points_mm)
    mine = np.isin(data.image, images)
    order = np.lexsort((data.wire[mine], data.image[mine]))
    spots = data.points_mm[mine][order].reshape(len(images), wires, 3)
    across = phantom.ends_mm[0, 2, 0] - phantom.ends_mm[0, 0, 0]
    down = phantom.ends_mm[-1, 0, 0] - phantom.ends_mm[0, 0, 0]
    level = _pose(across, down, np.zeros(3))[:3, :3]
    left, middle, right = (spots[:, role::3, :2] for role in range(3))
    along = right - left
    shares = np.sum((middle - left) * along, axis=2) / np.sum(along**2, axis=2)
    met = np.array([[phantom.crossing(layer, float(share)) for layer, share in enumerate(row)] for row in shares])
    place = met.mean(axis=1) - spots[:, 1::3].mean(axis=1) @ level.T
    return plane_poses(spots[..., :2], phantom, se3.make(np.broadcast_to(level, (len(images), 3, 3)), place))


def _robust(A: Array, y: Array, group: int) -> Array:
    """Solution of A x = y that a minority of wrong rows (in groups) does not move."""
    weights = np.ones(len(y))
    x: Array = np.zeros(A.shape[1])
    for _ in range(_ROUNDS):
        x = np.asarray(np.linalg.lstsq(A * weights[:, None], y * weights, rcond=None)[0], dtype=np.float64)
        off = np.linalg.norm((A @ x - y).reshape(-1, group), axis=1)
        scale = max(1.4826 * float(np.median(off)), 1e-9)
        weights = np.repeat(np.clip(1.0 - (off / (_TUKEY * scale)) ** 2, 0.0, None), group)
    return x


def _pose(r1: Array, r2: Array, t: Array) -> Array:
    """The pose nearest to two columns and a place; their lengths (a pixel's true size) are dropped."""
    a, b = r1 / np.linalg.norm(r1), r2 / np.linalg.norm(r2)
    U, _, Vt = np.linalg.svd(np.column_stack([a, b, np.cross(a, b)]))
    return se3.make(U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt, t)
