"""What the rays of one C-arm pass: the body that stands still, the liver that moves, vessels with contrast, the guidewire.

`full` integrates the patient as it is at that moment. `Layers` holds what one view costs little with: the body without its liver, what the
liver adds, what contrast adds; the last two are moved as a plane through the liver's middle would be. The wire is exact in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.c_arm.config import CArmConfig, ContrastConfig
from lodestone_bench.c_arm.geometry import View, view
from lodestone_bench.c_arm.rays import Image, attenuation, of_cloud, through_volume
from lodestone_bench.c_arm.wire import Wire
from lodestone_bench.patient.grid import empty, slabs
from lodestone_bench.patient.liver import surface_mm
from lodestone_bench.patient.patient import Patient
from lodestone_bench.patient.tissue import Tissue, column, joined
from lodestone_core.types import Array

Volume = npt.NDArray[np.float32]
_STEP_MM = 0.4
_PIECES_MM2 = 4.0
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))
_WALL = [Tissue.AIR, Tissue.FAT, Tissue.MUSCLE, Tissue.BONE, Tissue.GAS]
_ABOVE_MM, _FADE_MM = 3.0, 45.0
_DOME_MM = (10.0, 45.0)


class Scene:
    """One patient below one C-arm; a pure function of world time."""

    def __init__(self, config: CArmConfig, patient: Patient) -> None:
        self.config = config
        self.patient = patient
        self.views = [view(config, *angles) for angles in zip(config.primary_deg, config.secondary_deg, strict=True)]
        self.wire = Wire(patient.segments, config.wire)
        self._vessels = _vessel_cloud(patient)
        self._layers: dict[int, Layers] = {}
        self._parts: tuple[Volume, Volume, Array, Array] | None = None

    def view_at(self, world_s: float) -> View:
        """Where the arm stands."""
        return self.views[self.config.view(world_s)]

    def live(self, world_s: float) -> Image:
        """Line integrals (rows, columns) from layers, and the wire."""
        number = self.config.view(world_s)
        if number not in self._layers:
            self._layers[number] = self._make_layers(self.views[number])
        total = self._layers[number].at(self.patient.T_bench_liver(world_s), contrast_level(self.config.contrast, world_s))
        return self._with_wire(total, self.views[number], world_s)

    def prepare(self) -> None:
        """Make the layers of all views; seconds."""
        for number, one in enumerate(self.views):
            self._layers.setdefault(number, self._make_layers(one))
        self._parts = None

    def full(self, world_s: float) -> Image:
        """Line integrals (rows, columns) through the patient as it is at that time; seconds."""
        config, now = self.config, self.view_at(world_s)
        hounsfield, spacing, T_bench_volume = self.patient.volume_hu(config.volume_mm, world_s)
        total = through_volume(attenuation(hounsfield), spacing, T_bench_volume, now, config.size_px)
        level = contrast_level(config.contrast, world_s)
        if level > 0.0:
            points, mass = self._vessels
            self._add(total, self._on_bench(points, world_s), config.contrast.attenuation_mm * level * mass, now)
        return self._with_wire(total, now, world_s)

    def _on_bench(self, points_liver: Array, world_s: float) -> Array:
        """Points (N, 3) of the liver at rest, where they are on the bench at that time."""
        T = self.patient.T_bench_patient
        resting = points_liver @ T[:3, :3].T + T[:3, 3]
        return np.asarray(resting + self.patient.displacement_mm(resting, world_s))

    def wire_bench(self, world_s: float) -> Array:
        """The wire's middle line (n, 3) on the bench, from its visible end to its tip."""
        return self._on_bench(self.wire.points(world_s), world_s)

    def _with_wire(self, total: Image, now: View, world_s: float) -> Image:
        points, mass = self.wire.cloud(world_s)
        self._add(total, self._on_bench(points, world_s), mass, now)
        return total

    def _add(self, total: Image, points_bench: Array, mass: Array, now: View) -> None:
        rows, columns, part = of_cloud(points_bench, mass, now, self.config.size_px)
        total[rows, columns] += part

    def _make_layers(self, now: View) -> Layers:
        size = self.config.size_px
        if self._parts is None:
            self._parts = _parts(self.patient, self.config.volume_mm)
        body, liver, spacing, T_patient_volume = self._parts
        T_bench_volume = self.patient.T_bench_patient @ T_patient_volume
        still, moving = (through_volume(part, spacing, T_bench_volume, now, size) for part in (body, liver))
        contrast = np.zeros_like(still)
        points, mass = self._vessels
        T = self.patient.T_bench_patient
        self._add(contrast, points @ T[:3, :3].T + T[:3, 3], self.config.contrast.attenuation_mm * mass, now)
        return Layers(still, moving, contrast, now, T)


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Line integrals (rows, columns) of one view with the liver at rest: the body, what the liver adds, what contrast adds at its height."""

    still: Image
    liver: Image
    contrast: Image
    view: View
    T_bench_rest: Array

    def at(self, T_bench_liver: Array, contrast_level: float) -> Image:
        """Their sum with the liver at that pose."""
        moving = self.liver + np.float32(contrast_level) * self.contrast if contrast_level > 1e-3 else self.liver
        rows, columns = moving.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(self.still + cv2.warpPerspective(moving, self._rest_from_now(T_bench_liver), (columns, rows), flags=flags))

    def _rest_from_now(self, T_bench_liver: Array) -> Array:
        """Homography (3, 3) from pixels now to pixels at rest of the plane through the liver's middle, across the beam."""
        to_pixels = _projection(self.view)
        middle = self.T_bench_rest[:3, 3]
        plane = np.column_stack([self.view.column_step, self.view.row_step, middle])
        rest = np.vstack([plane, [0.0, 0.0, 1.0]])
        now = T_bench_liver @ np.linalg.inv(self.T_bench_rest) @ rest
        return np.asarray((to_pixels @ rest) @ np.linalg.inv(to_pixels @ now))


def contrast_level(config: ContrastConfig, world_s: float) -> float:
    """Share of its height that a bolus has reached, 0 to 1: a gamma variate."""
    level = 0.0
    for begin in config.begins_s:
        since = world_s - begin
        if config.every_s > 0.0 and since > 0.0:
            since %= config.every_s
        share = max(since, 0.0) / config.rise_s
        level = max(level, float((share * np.exp(1.0 - share)) ** config.sharpness))
    return level


def _projection(now: View) -> Array:
    """P (3, 4) from bench to pixels."""
    steps = np.stack([now.column_step, now.row_step])
    T = np.linalg.inv(now.T_bench_source())
    spacing = np.linalg.norm(steps, axis=1)
    corner = (T @ np.append(now.corner, 1.0))[:2] / spacing
    K = np.array([[now.distance_mm / spacing[0], 0.0, -corner[0]], [0.0, now.distance_mm / spacing[1], -corner[1]], [0.0, 0.0, 1.0]])
    return np.asarray(K @ T[:3])


def _parts(patient: Patient, spacing_mm: float) -> tuple[Volume, Volume, Array, Array]:
    """Attenuation per mm of the body that stands still, and what the liver at rest adds to it, on one grid in the patient frame."""
    around = patient.body_map
    grid = empty(around.origin_mm, around.origin_mm + around.spacing_mm * (np.array(around.labels.shape[::-1]) - 1), spacing_mm)
    of_tissue = attenuation(column("hounsfield"))
    lung = of_tissue[Tissue.LUNG]
    body, both = np.empty(grid.labels.shape, np.float32), np.empty(grid.labels.shape, np.float32)
    for part, points in slabs(grid):
        own, still = patient.liver_map.at(points), around.at(points)
        share = np.where(np.isin(still, _WALL), 0.0, _below_dome(points)).astype(np.float32)
        body[part] = of_tissue[still] + share * (lung - of_tissue[still])
        both[part] = of_tissue[joined()[16 * own.astype(np.intp) + still]]
    T = np.eye(4)
    T[:3, 3] = grid.origin_mm
    return body, both - body, np.full(3, spacing_mm), T


def _below_dome(points: Array) -> Array:
    """Share (...) of lung that the body is given below the dome: all above, less and less inward, so that a dome that has gone down
    uncovers lung, and no edge stays where it was.
    """
    inward = np.clip((_ABOVE_MM - surface_mm(points)) / _FADE_MM, 0.0, 1.0)
    headward = np.clip((points[..., 2] - _DOME_MM[0]) / (_DOME_MM[1] - _DOME_MM[0]), 0.0, 1.0)
    return np.asarray((1.0 - inward * inward * (3.0 - 2.0 * inward)) * headward * headward * (3.0 - 2.0 * headward))


def _vessel_cloud(patient: Patient) -> tuple[Array, Array]:
    """Small pieces (N, 3) that fill the vessels, liver frame, and the volume of each, mm^3."""
    points, volumes = [], []
    for segment in patient.segments:
        pieces = max(12, round(_PIECES_MM2 * np.pi * segment.radius_mm**2))
        k = np.arange(pieces) + 0.5
        radius = np.sqrt(k / pieces)
        start, end = np.array(segment.start), np.array(segment.end)
        length = float(np.linalg.norm(end - start))
        count = max(1, round(length / _STEP_MM))
        along = (end - start) / length
        side = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
        side /= np.linalg.norm(side)
        # Each disc is turned against the one before: pieces in rows would show as stripes.
        angle = _GOLDEN * (k + 1.37 * np.arange(count)[:, None] ** 2)
        across = np.cos(angle)[..., None] * side + np.sin(angle)[..., None] * np.cross(along, side)
        middle = start + (np.arange(count) + 0.5)[:, None] / count * (end - start)
        points.append((middle[:, None] + segment.radius_mm * radius[:, None] * across).reshape(-1, 3))
        volumes.append(np.full(count * pieces, np.pi * segment.radius_mm**2 * length / (count * pieces)))
    return np.concatenate(points), np.concatenate(volumes)
