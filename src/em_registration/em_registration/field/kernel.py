"""How alike the distortion of two poses is: by their places as the field generator sees them, and by the turn between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.field.config import Hypotheses
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Sensor poses as the kernel needs them, leading axes free: places (..., N, 3) in mm and rotation matrices (..., N, 9).

    `reach` (..., N): their distance from the field generator, in units of the data's RMS distance.
    """

    points_mm: Array
    rotations: Array
    reach: Array


def places(T_tracker_sensor: Array, scale_mm: Array) -> Places:
    """Of poses (..., N, 4, 4); `scale_mm` (...): RMS distance of the data from the tracker's origin."""
    points = T_tracker_sensor[..., :3, 3]
    reach = np.linalg.norm(points, axis=-1) / np.asarray(scale_mm)[..., None]
    # The kernel is not meant for a sensor inside the generator; this only keeps powers of the distance finite.
    return Places(points, T_tracker_sensor[..., :3, :3].reshape(*points.shape[:-1], 9), np.maximum(reach, 1e-3))


def rms_distance(T_tracker_sensor: Array) -> Array:
    """RMS distance (...) in mm of poses (..., N, 4, 4) from the tracker's origin."""
    return np.asarray(np.sqrt(np.mean(np.sum(T_tracker_sensor[..., :3, 3] ** 2, axis=-1), axis=-1)))


def covariance(a: Places, b: Places, h: Hypotheses) -> Array:
    """r^2 k in units of the noise variance: (P, N, M), or (B, N, M) for B scenes and one hypothesis.

    Matern 5/2 in the place. A share of it also in the orientation, as exp(-(1 - cos theta) / turn^2), which is positive definite on
    rotations
    since 1 - cos theta is a quarter of their squared Frobenius distance.
    """
    length, turn, share, ratio = (values[:, None, None] for values in (h.length_mm, h.turn_rad, h.turned_share, h.ratio))
    scaled = np.sqrt(5.0 * _squared(_warped(a, h), _warped(b, h))) / length
    by_place = (1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled)
    turned = 1.5 - 0.5 * a.rotations @ np.swapaxes(b.rotations, -1, -2)
    by_turn = 1.0 - share + share * np.exp(-np.maximum(turned, 0.0) / turn**2)
    grown = a.reach[..., :, None] ** h.growth[:, None, None] * np.swapaxes(b.reach[..., :, None] ** h.growth[:, None, None], -1, -2)
    return np.asarray(ratio**2 * grown * by_turn * by_place)


def variance(a: Places, h: Hypotheses) -> Array:
    """r^2 k of each pose with itself: (P, N), or (B, N) for B scenes and one hypothesis."""
    return np.asarray(h.ratio[:, None] ** 2 * a.reach ** (2.0 * h.growth[:, None]))


def _warped(a: Places, h: Hypotheses) -> Array:
    return np.asarray(a.points_mm * a.reach[..., None] ** -h.warp[:, None, None])


def _squared(x: Array, y: Array) -> Array:
    """Squared distances (..., N, M) of points (..., N, 3) and (..., M, 3)."""
    s = np.sum(x**2, axis=-1)[..., :, None] + np.sum(y**2, axis=-1)[..., None, :] - 2.0 * x @ np.swapaxes(y, -1, -2)
    return np.asarray(np.maximum(s, 0.0))
