"""Sweeps of the arm over a tank: images, and the poses that encoders and a drawn arm give for them.

The arm's axes may deviate from the drawing and its encoders count in whole numbers; where the probe truly was decides what is in the image,
where it is said to be goes into the recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lodestone_bench.ultrasound.tank import Tank
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_core import se3
from lodestone_core.types import Array

_BEGIN_S = 3.0
_RATE_HZ = 5.0
_R_BENCH_PHANTOM = np.diag([-1.0, 1.0, -1.0])
"""x against the bench's, y along it, z down: as the probe looks at it."""


@dataclass(frozen=True, slots=True, eq=False)
class TankSweep:
    """`frames` (M, rows, columns) mono8; `T_base_probe` (M, 4, 4) as measured and `T_base_probe_true`; `joints_rad` (M, 6) as measured."""

    frames: npt.NDArray[np.uint8]
    T_base_probe: Array
    T_base_probe_true: Array
    joints_rad: Array
    world_s: Array


def phantom_pose(center_mm: tuple[float, float, float], T_bench_face_mm: tuple[float, float, float], depth_mm: float) -> Array:
    """T_bench_phantom (4, 4) that puts the phantom's point `center_mm` so far below a place of the face."""
    R = _R_BENCH_PHANTOM
    return se3.make(R, np.array(T_bench_face_mm) - [0.0, 0.0, depth_mm] - R @ np.array(center_mm))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What lies in the tank: wires (n, 2, 3) or points (n, 3) of a phantom, mm in its frame, and where that is."""

    tank: Tank
    T_bench_phantom: Array
    wires_mm: Array | None = None
    points_mm: Array | None = None


def sweep(scene: Scene, arm: ArmConfig, motion: SweepConfig, images: int = 60, seed: int = 0, first: int = 0) -> TankSweep:
    """One recording at 5 images a second; `first` is the number of its first frame."""
    built = ArmWorld(replace(arm, sweep=motion), seed)
    drawn = ArmWorld(replace(arm, sweep=motion, deviation_mm=0.0, deviation_deg=0.0), seed)
    times = _BEGIN_S + np.arange(images) / _RATE_HZ
    joints = built.joint_positions(times)
    true, measured = built.T_base_probe(joints), _quantised(joints, arm)
    T_image = se3.inverse(scene.T_bench_phantom) @ built.T_bench_base @ true @ scene.tank.fan.T_probe_image
    frames = [scene.tank.frame(first + k, T, scene.wires_mm, scene.points_mm) for k, T in enumerate(T_image)]
    return TankSweep(np.stack(frames), drawn.T_base_probe(measured), true, measured, times)


def _quantised(joints_rad: Array, arm: ArmConfig) -> Array:
    counts_per_rad = np.array(arm.encoders.counts_per_revolution) * np.array(arm.encoders.gear_ratio) / (2.0 * np.pi)
    return np.asarray(np.rint(joints_rad * counts_per_rad) / counts_per_rad)
