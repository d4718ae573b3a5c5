"""How alike the distortion of two poses is: by their places as the field generator sees them, and by the turn between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field.config import Hypotheses
from lodestone_core import se3
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Sensor poses as the kernel needs them, leading axes free: places (..., N, 3) in mm and rotation matrices (..., N, 9).

    `reach` (..., N): their distance from the field generator, in units of the data's RMS distance. `swing_rad` (..., N, 3): rotation
    vectors that turn the generator's axis into the direction to each place.
    """

    points_mm: Array
    rotations: Array
    reach: Array
    swing_rad: Array

    def take(self, kept: npt.NDArray[np.intp]) -> Places:
        """Those of the scenes with these indices."""
        return Places(self.points_mm[kept], self.rotations[kept], self.reach[kept], self.swing_rad[kept])


def places(T_tracker_sensor: Array, scale_mm: Array) -> Places:
    """Of poses (..., N, 4, 4); `scale_mm` (...): RMS distance of the data from the tracker's origin."""
    points = T_tracker_sensor[..., :3, 3]
    distance = np.maximum(np.linalg.norm(points, axis=-1), 1e-3)
    # The kernel is not meant for a sensor inside the generator; this only keeps powers of the distance finite.
    reach = np.maximum(distance / np.asarray(scale_mm)[..., None], 1e-3)
    rotations = T_tracker_sensor[..., :3, :3].reshape(*points.shape[:-1], 9)
    return Places(points, rotations, reach, _swing(points / distance[..., None]))


def _swing(directions: Array) -> Array:
    """Shortest rotations (..., N, 3) from the generator's axis (the end of it on the directions' side) to unit vectors (..., N, 3)."""
    side = np.where(directions[..., 2:] < 0.0, -1.0, 1.0)
    axis = np.concatenate([-side * directions[..., 1:2], side * directions[..., :1], np.zeros_like(side)], axis=-1)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, np.abs(directions[..., 2:]))
    return np.asarray(axis * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 1.0))


def axes(a: Places, h: Hypotheses) -> Array:
    """Axes (P, N, 3, 3) in the tracker's frame along which the distortion at each place is compared; columns are the axes."""
    w = a.swing_rad * h.swing[:, None, None]
    angle = np.linalg.norm(w, axis=-1)[..., None, None]
    W = se3.hat(w)
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * W + 0.5 * np.sinc(0.5 * angle / np.pi) ** 2 * (W @ W))


def noise(a: Places, h: Hypotheses) -> Array:
    """Variance (P, N) of the noise at each place, 1 at the data's RMS distance."""
    return np.asarray(a.reach ** (2.0 * h.noise_growth[:, None]))


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
