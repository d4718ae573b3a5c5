"""A reconstructed volume: parallel planes of a motorised sweep in a breath-hold, with scatterers and a beam of their own.

Nothing random is shared with live frames: of the same anatomy, other speckle, another profile across the slice, other noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_bench.patient import Patient
from lodestone_bench.ultrasound.beam import Beam
from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.display import Display
from lodestone_bench.ultrasound.echoes import PatientEchoes
from lodestone_bench.ultrasound.fan import Fan
from lodestone_core import se3
from lodestone_core.types import Array

_VOLUME = 2
_PRESSED_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class UltrasoundVolume:
    """`voxels` (Z, Y, X) mono8, 0 outside the fan; `spacing_mm` (x y z); T_bench_volume of the middle of voxel (0, 0, 0).

    `held_s` is the world time whose breath was held: the liver is where it was then.
    """

    voxels: npt.NDArray[np.uint8]
    spacing_mm: Array
    T_bench_volume: Array
    held_s: float


def reconstructed_volume(
    patient: Patient,
    config: UltrasoundConfig | None = None,
    seed: int = 0,
    T_bench_first: Array | None = None,
    length_mm: float = 90.0,
    step_mm: float = 0.7,
    held_s: float = 0.0,
) -> UltrasoundVolume:
    """Sweep from the pose (4, 4) of the first image along its z axis; without one across the liver, from its foot to its dome."""
    config = UltrasoundConfig() if config is None else config
    fan = Fan(config, config.depth_mm[0])
    echoes = PatientEchoes(patient, Beam(config.volume_beam, fan), 10 * seed + _VOLUME)
    display = Display(fan, 1000 + seed)
    first = across_liver(patient, fan, length_mm) if T_bench_first is None else T_bench_first
    planes = []
    for k in range(round(length_mm / step_mm) + 1):
        T = first @ se3.make(np.eye(3), np.array([0.0, 0.0, k * step_mm]))
        planes.append(display.pixels(display.levels_db(*echoes.received(T, held_s), k)))
    return UltrasoundVolume(np.stack(planes), np.array([fan.spacing_mm, fan.spacing_mm, step_mm]), first, held_s)


def across_liver(patient: Patient, fan: Fan, length_mm: float) -> Array:
    """T_bench_image of a transverse plane at the liver's foot; planes above it follow along its z axis."""
    face, outward = patient.skin_bench_mm(head_mm=-0.75 * length_mm, left_mm=0.0)
    down = -outward
    head = patient.T_bench_patient[:3, 2]
    R = np.column_stack([np.cross(down, head), down, head])
    T: Array = se3.make(R, face + _PRESSED_MM * down) @ se3.make(np.eye(3), -fan.face_mm)
    return T
