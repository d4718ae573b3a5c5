"""The patient as the rest of the bench sees it: tissues at any place and time, motion, density for X-rays.

Frames, all in mm: `patient` is LPS (left, back, head) with its origin in the middle of the liver at the end of expiration; `liver` is
the same frame, moving. On the bench the patient lies on the back, head towards +x, the right side towards +y.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.patient import body, liver, vessels
from lodestone_bench.patient.breathing import Breathing
from lodestone_bench.patient.config import PatientConfig
from lodestone_bench.patient.grid import Grid, Labels, empty, slabs
from lodestone_bench.patient.tissue import column, joined
from lodestone_core import se3
from lodestone_core.types import Array

_LYING = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""R_bench_patient: left is -y, back is -z, head is +x."""
_INVERSION_STEPS = 4


class Patient:
    """One patient; everything is a pure function of configuration, seed and world time."""

    def __init__(self, config: PatientConfig | None = None, seed: int = 0) -> None:
        self.config = PatientConfig() if config is None else config
        self.seed = seed
        self.breathing = Breathing(self.config.breathing, seed)
        turn = se3.exp(np.concatenate([np.zeros(3), np.radians(self.config.rotation_deg)]))
        self.T_bench_patient: Array = se3.make(turn[:3, :3] @ _LYING, np.array(self.config.position_mm))

    @cached_property
    def segments(self) -> list[vessels.Segment]:
        """All vessels, liver frame."""
        return vessels.grow(self.config.vessels, liver.surface_mm, self.seed)

    @cached_property
    def liver_map(self) -> Grid:
        """Tissues in the liver's frame at rest; NONE where the body's map counts."""
        return liver.liver_map(self.segments, self.config.liver_grid_mm)

    @cached_property
    def body_map(self) -> Grid:
        """Tissues in the patient frame that do not move."""
        return body.body_map(self.config, self.seed)

    def T_bench_liver(self, world_s: npt.ArrayLike) -> Array:
        """Rigid pose (..., 4, 4) of the liver."""
        T: Array = self.T_bench_patient @ self.breathing.T_patient_liver(world_s)
        return T

    def displacement_mm(self, points_mm: Array, world_s: float) -> Array:
        """Where material points went: displacement (N, 3) on the bench of liver points that rest (end of expiration) at (N, 3) there."""
        points = np.asarray(points_mm, dtype=np.float64)
        material = se3.transform(se3.inverse(self.T_bench_patient), points)
        moved = material + self.breathing.deformation_mm(material, world_s)
        return np.asarray(se3.transform(self.T_bench_liver(world_s), moved) - points)

    def material_mm(self, points_mm: Array, world_s: float) -> Array:
        """Liver points (N, 3), liver frame at rest, that are at bench points (N, 3) at that time."""
        inside = np.asarray(se3.transform(se3.inverse(self.T_bench_liver(world_s)), points_mm))
        material = inside
        for _ in range(_INVERSION_STEPS if self.config.breathing.deformation_mm > 0.0 else 0):
            material = inside - self.breathing.deformation_mm(material, world_s)
        return material

    def tissue(self, points_mm: Array, world_s: float) -> Labels:
        """Tissue (N,) at bench points (N, 3)."""
        own = self.liver_map.at(self.material_mm(points_mm, world_s))
        around = self.body_map.at(se3.transform(se3.inverse(self.T_bench_patient), points_mm))
        return np.asarray(joined()[16 * own.astype(np.intp) + around])

    def volume_hu(self, spacing_mm: float = 2.0, world_s: float = 0.0) -> tuple[npt.NDArray[np.float32], Array, Array]:
        """CT-like volume: Hounsfield units (Z, Y, X), spacing (x y z, mm), T_bench_volume of the middle of voxel (0, 0, 0).

        Axes are the patient's: x left, y back, z head.
        """
        around = self.body_map
        high = around.origin_mm + around.spacing_mm * (np.array(around.labels.shape[::-1]) - 1)
        grid = empty(around.origin_mm, high, spacing_mm)
        hounsfield = column("hounsfield")
        volume = np.empty(grid.labels.shape, dtype=np.float32)
        for part, points in slabs(grid):
            flat = se3.transform(self.T_bench_patient, points.reshape(-1, 3))
            volume[part] = hounsfield[self.tissue(flat, world_s)].reshape(points.shape[:-1])
        T_bench_volume: Array = self.T_bench_patient @ se3.make(np.eye(3), grid.origin_mm)
        return volume, np.full(3, spacing_mm), T_bench_volume

    def skin_bench_mm(self, head_mm: float, left_mm: float) -> tuple[Array, Array]:
        """Point (3,) of the front skin on the bench and the outward normal (3,) there; raises ValueError beside the body."""
        back = body.skin_mm(left_mm, self.config)
        half = np.array(self.config.body_half_mm)
        normal = np.append((np.array([left_mm, back]) - body.MIDDLE) / half**2, 0.0)
        point = se3.transform(self.T_bench_patient, np.array([left_mm, back, head_mm]))
        return np.asarray(point), np.asarray(self.T_bench_patient[:3, :3] @ (normal / np.linalg.norm(normal)))

    def truth(self, world_s: float) -> dict[str, Any]:
        """Ground truth of one moment in plain values: level of the breath, pose of the liver."""
        return {"world_s": world_s, "level": float(self.breathing.level(world_s)), "T_bench_liver": self.T_bench_liver(world_s).tolist()}
