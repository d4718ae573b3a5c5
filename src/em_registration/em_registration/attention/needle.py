"""A needle pushed to a target: poses of the sensor in its shaft, and where its tip is (section 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from em_registration.methods.interface import tips
from lodestone_core.types import Array

# The sensor sits in the shaft, so far behind the tip along the needle's own z axis.
TIP_SENSOR_MM = np.array([0.0, 0.0, 12.0])


@dataclass(frozen=True, slots=True, eq=False)
class NeedlePath:
    """Poses T_tracker_sensor (K, 4, 4) of a needle, its tip in the sensor's frame, and how deep the tip is (K,) in mm."""

    T_tracker_sensor: Array
    tip_sensor_mm: Array
    depth_mm: Array

    @property
    def tips_mm(self) -> Array:
        """Tips (K, 3) in the tracker's frame: sensor pose and tool geometry together."""
        return tips(self.T_tracker_sensor, self.tip_sensor_mm)


def insertion(entry_mm: Array, target_mm: Array, count: int = 61, wobble_rad: float = 0.06, sway_mm: float = 4.0) -> NeedlePath:
    """A needle that goes from an entry to a target, both (3,) in the tracker's frame; the hand turns it and sways on the way."""
    along = target_mm - entry_mm
    depth = float(np.linalg.norm(along))
    share = np.linspace(0.0, 1.0, count)
    R = _facing(along / depth)
    angle = 2.0 * np.pi * share
    turn = Rotation.from_rotvec(wobble_rad * np.stack([np.sin(angle), np.cos(1.5 * angle), angle], axis=1)).as_matrix()
    sway = sway_mm * (np.sin(angle)[:, None] * R[:, 0] + np.sin(0.5 * angle)[:, None] * R[:, 1])
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = R @ turn
    T[:, :3, 3] = entry_mm + share[:, None] * along + sway - T[:, :3, :3] @ TIP_SENSOR_MM
    return NeedlePath(T, TIP_SENSOR_MM, share * depth)


def _facing(direction: Array) -> Array:
    """A rotation whose z axis is a unit vector (3,)."""
    across = np.cross(direction, np.eye(3)[int(np.argmin(np.abs(direction)))])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(direction, across), direction], axis=1)
