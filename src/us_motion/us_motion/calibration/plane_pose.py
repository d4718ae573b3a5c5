"""Where images lie in a phantom of wires, all images at once: damped Gauss-Newton on where the wires cross each plane."""

from __future__ import annotations

import numpy as np

from lodestone_core import se3
from lodestone_core.types import Array
from us_motion.calibration.phantom import WirePhantom

_STEPS = 25
_DAMPING = 1e-3
_LONGEST_MM = 20.0
_WIDEST_RAD = 0.3
_EDGE_ON = 1e-3


def plane_poses(spots_mm: Array, phantom: WirePhantom, start: Array) -> Array:
    """T_phantom_image (n, 4, 4) of images that show every wire at (n, wires, 2), mm in the image, from starts (n, 4, 4)."""
    T = start
    for _ in range(_STEPS):
        r, J = _residuals(spots_mm, phantom, T)
        normal = np.swapaxes(J, 1, 2) @ J
        normal = normal + _DAMPING * normal * np.eye(6) + 1e-9 * np.eye(6)
        step = -np.linalg.solve(normal, np.swapaxes(J, 1, 2) @ r[..., None])[..., 0]
        # Far from the solution a wire may be nearly in the plane, where the linear model promises anything.
        too_far = np.maximum(np.linalg.norm(step[:, :3], axis=1) / _LONGEST_MM, np.linalg.norm(step[:, 3:], axis=1) / _WIDEST_RAD)
        T = se3.exp(step / np.maximum(too_far, 1.0)[:, None]) @ T
    return T


def _residuals(spots_mm: Array, phantom: WirePhantom, T: Array) -> tuple[Array, Array]:
    """Predicted less seen (n, 2 wires), and the derivative (n, 2 wires, 6) by the left tangent of T."""
    R_t = np.swapaxes(T[:, :3, :3], 1, 2)[:, None]
    place = se3.transform(se3.inverse(T)[:, None], phantom.points_mm)
    along = (R_t @ phantom.directions[:, :, None])[..., 0]
    along[..., 2] = np.where(np.abs(along[..., 2]) < _EDGE_ON, _EDGE_ON, along[..., 2])
    reach = (place[..., 2] / along[..., 2])[..., None]
    crossing = phantom.points_mm - phantom.directions * reach
    in_image = np.zeros((*place.shape[:2], 2, 3))
    in_image[..., 0, 0] = in_image[..., 1, 1] = 1.0
    in_image[..., 2] = -along[..., :2] / along[..., 2:]
    by_point = in_image @ R_t
    J = np.concatenate([-by_point, by_point @ se3.hat(crossing)], axis=-1)
    r = place[..., :2] - along[..., :2] * reach - spots_mm
    return r.reshape(len(T), -1), J.reshape(len(T), -1, 6)
