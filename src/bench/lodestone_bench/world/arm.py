"""The ultrasound arm of the world: joint angles and the probe's true pose at any time.

Poses are a product of exponentials over the joints' axes in the base (Murray, Li, Sastry, "A Mathematical Introduction to Robotic
Manipulation", CRC 1994, chapter 3): another way than link by link, as the drivers go. The joint angles come from the inverse of the arm
as it is drawn; where its axes deviate from the drawing, the probe's true pose follows the axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_core.errors import InputError

Array = npt.NDArray[np.float64]
JOINTS = 6
_STREAM = 61
"""The arm's own number beside the seed of the world."""
_LOOKS_DOWN = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""Axes of the probe in the base, all angles zero: z, the beam, goes down; x, along the array, to the right of the arm."""
_AHEAD = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""The arm reaches along the bench's negative y, where the patient lies."""


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Directions (6, 3) and a point on each (6, 3, mm), in the base, all angles zero."""

    directions: Array
    points: Array


class ArmWorld:
    """Everything is a pure function of the time in the world, in seconds; times may be numbers or arrays (...)."""

    def __init__(self, config: ArmConfig | None = None, seed: int = 0) -> None:
        self.config = config or ArmConfig()
        c = self.config
        self.T_bench_base = _rigid(Rotation.from_rotvec(np.deg2rad(c.base_in_bench_deg)).as_matrix(), np.array(c.base_in_bench_mm))
        self._T_base_bench = np.linalg.inv(self.T_bench_base)
        wrist = np.array([c.shoulder_offset_mm + c.upper_arm_mm + c.forearm_mm, 0.0, c.shoulder_height_mm])
        self.T_base_probe_zero = _rigid(_LOOKS_DOWN, wrist + np.array(c.probe_from_wrist_mm))
        self.axes = _deviated(_drawn_axes(c), c, np.random.default_rng([seed, _STREAM]))
        _check_reach(c, self)

    def joint_positions(self, world_s: float | Array) -> Array:
        """Angles (..., 6) in rad."""
        t = np.asarray(world_s, dtype=np.float64)
        sweep = self.config.sweep
        share = _smooth_step((t - sweep.home_s) / sweep.blend_s)[..., None]
        if share.min() == 1.0:
            return self._inverse(self._wanted(t))
        return (1.0 - share) * self._homing(t) + share * self._inverse(self._wanted(t))

    def T_bench_probe(self, world_s: float | Array) -> Array:
        """True pose (..., 4, 4) of us_probe: origin in the middle of the transducer's face, z out of it, x along the array; mm."""
        return self.T_bench_base @ self.T_base_probe(self.joint_positions(world_s))

    def T_base_probe(self, positions: Array) -> Array:
        """True pose (..., 4, 4) of us_probe in us_arm_base at joint angles (..., 6)."""
        T = self.T_base_probe_zero
        for joint in reversed(range(JOINTS)):
            T = _about(self.axes.directions[joint], self.axes.points[joint], positions[..., joint]) @ T
        return T

    def _homing(self, t: Array) -> Array:
        sweep = self.config.sweep
        phase = 2.0 * np.pi * t[..., None] / sweep.home_period_s + 0.3 + 0.7 * np.arange(JOINTS)
        return np.array(self.config.encoders.index_rad) + sweep.home_swing_rad * np.sin(phase)

    def _wanted(self, t: Array) -> Array:
        """Pose (..., 4, 4) of the probe in the base on its sweep."""
        s: SweepConfig = self.config.sweep
        turn = 2.0 * np.pi * t[..., None]
        place = np.array(s.center_mm) + np.array(s.amplitude_mm) * np.sin(turn / np.array(s.period_s))
        x, y, z = np.moveaxis(np.deg2rad(s.tilt_deg) * np.sin(turn / np.array(s.tilt_period_s) + 1.0), -1, 0)
        return self._T_base_bench @ _rigid(_AHEAD @ _LOOKS_DOWN @ _turn(2, z) @ _turn(1, y) @ _turn(0, x), place)

    def _inverse(self, T_base_probe: Array) -> Array:
        """Angles (..., 6) of the arm as drawn, its elbow up; NaN where the pose is out of reach."""
        c = self.config
        R = T_base_probe[..., :3, :3] @ _LOOKS_DOWN.T
        wrist = T_base_probe[..., :3, 3] - R @ np.array(c.probe_from_wrist_mm)
        q1 = np.arctan2(wrist[..., 1], wrist[..., 0])
        ahead = np.hypot(wrist[..., 0], wrist[..., 1]) - c.shoulder_offset_mm
        above = wrist[..., 2] - c.shoulder_height_mm
        bend = (ahead**2 + above**2 - c.upper_arm_mm**2 - c.forearm_mm**2) / (2.0 * c.upper_arm_mm * c.forearm_mm)
        q3 = np.arccos(np.where(np.abs(bend) <= 1.0, bend, np.nan))
        rise = np.arctan2(above, ahead) + np.arctan2(c.forearm_mm * np.sin(q3), c.upper_arm_mm + c.forearm_mm * np.cos(q3))
        q2 = -rise
        hand = _turn(1, -q2 - q3) @ _turn(2, -q1) @ R
        q5 = -np.arcsin(np.clip(hand[..., 2, 0], -1.0, 1.0))
        q4, q6 = np.arctan2(hand[..., 1, 0], hand[..., 0, 0]), np.arctan2(hand[..., 2, 1], hand[..., 2, 2])
        return np.stack([q1, q2, q3, q4, q5, q6], axis=-1)


def _drawn_axes(c: ArmConfig) -> Axes:
    shoulder = np.array([c.shoulder_offset_mm, 0.0, c.shoulder_height_mm])
    elbow = shoulder + np.array([c.upper_arm_mm, 0.0, 0.0])
    wrist = elbow + np.array([c.forearm_mm, 0.0, 0.0])
    x, y, z = np.eye(3)
    return Axes(np.array([z, y, y, z, y, x]), np.array([np.zeros(3), shoulder, elbow, wrist, wrist, wrist]))


def _deviated(axes: Axes, c: ArmConfig, random: np.random.Generator) -> Axes:
    shift, tilt = random.standard_normal((2, JOINTS, 3))
    turned = Rotation.from_rotvec(np.deg2rad(c.deviation_deg) * tilt).apply(axes.directions)
    return Axes(turned, axes.points + c.deviation_mm * shift)


def _about(direction: Array, point: Array, angle: Array) -> Array:
    """Rotation (..., 4, 4) about an axis through a point."""
    R = Rotation.from_rotvec(angle.reshape(-1, 1) * direction).as_matrix().reshape(*angle.shape, 3, 3)
    return _rigid(R, point - R @ point)


def _turn(axis: int, angle: Array) -> Array:
    """Rotation matrices (..., 3, 3) about x (0), y (1) or z (2)."""
    R = np.zeros((*np.shape(angle), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    R[..., axis, axis] = 1.0
    R[..., a, a] = R[..., b, b] = np.cos(angle)
    R[..., b, a] = np.sin(angle)
    R[..., a, b] = -R[..., b, a]
    return R


def _smooth_step(share: Array) -> Array:
    """0 below 0, 1 above 1, and two continuous derivatives between."""
    x = np.clip(share, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def _rigid(R: Array, t: Array) -> Array:
    T = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = R, t, 1.0
    return T


def _check_reach(config: ArmConfig, world: ArmWorld) -> None:
    """Raises InputError for a sweep that the arm cannot follow."""
    positions = world.joint_positions(np.arange(0.0, 300.0, 0.1))
    if not np.isfinite(positions).all():
        remedy = "bring `center_mm` nearer to the base or make the amplitudes smaller"
        raise InputError("world: arm, sweep", expected="a sweep within reach", got=config.sweep.center_mm, remedy=remedy)
