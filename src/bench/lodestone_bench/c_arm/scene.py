"""What the rays of one C-arm pass: the body that stands still, the liver that moves, vessels with contrast, the guidewire.

`full` integrates the patient as it is at that moment. `Layers` holds what one view costs little with: the body alone, what the liver adds
at a few places of its way through a breath, and what contrast adds. Between two of these places each is moved as a plane through the
liver's middle would be, and the two are blended; beyond the last one it is moved alone. The wire is exact in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lodestone_bench.c_arm.config import CArmConfig, ContrastConfig
from lodestone_bench.c_arm.geometry import View, view
from lodestone_bench.c_arm.rays import Image, Volume, attenuation, of_cloud, through_volume
from lodestone_bench.c_arm.wire import Wire
from lodestone_bench.patient.grid import empty, slabs
from lodestone_bench.patient.patient import Patient
from lodestone_bench.patient.tissue import column
from lodestone_core.types import Array

_STEP_MM = 0.4
_PIECES_MM2 = 4.0
_KEYS = 6
_WATCHED_S = 60.0
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


class Scene:
    """One patient below one C-arm; a pure function of world time."""

    def __init__(self, config: CArmConfig, patient: Patient) -> None:
        self.config = config
        self.patient = patient
        self.views = [view(config, *angles) for angles in zip(config.primary_deg, config.secondary_deg, strict=True)]
        self.wire = Wire(patient.segments, config.wire)
        self._vessels = _vessel_cloud(patient)
        self._layers: dict[int, Layers] = {}
        self._keys: list[tuple[float, Volume, Array, Array]] = []

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
        self._keys.clear()

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
        size, patient = self.config.size_px, self.patient
        if not self._keys:
            self._body = _body(patient, self.config.volume_mm)
            for world_s in _key_times(patient):
                self._keys.append((world_s, *patient.volume_hu(self.config.volume_mm, world_s)))
        still = through_volume(*self._body, now, size)
        keys = []
        for world_s, hounsfield, spacing, T_bench_volume in self._keys:
            T = patient.T_bench_liver(world_s)
            adds = through_volume(attenuation(hounsfield), spacing, T_bench_volume, now, size) - still
            keys.append(Key(float(T[:3, 3] @ _way(patient)), T, adds))
        contrast = np.zeros_like(still)
        points, mass = self._vessels
        rest = patient.T_bench_patient
        self._add(contrast, points @ rest[:3, :3].T + rest[:3, 3], self.config.contrast.attenuation_mm * mass, now)
        return Layers(still, tuple(keys), contrast, now, rest, _way(patient))


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What the liver adds (rows, columns) at one pose, and how far along its way that is, mm."""

    way_mm: float
    T_bench_liver: Array
    adds: Image


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Line integrals (rows, columns) of one view: the body, what the liver adds at its keys, what a bolus at its height adds at rest."""

    still: Image
    keys: tuple[Key, ...]
    contrast: Image
    view: View
    T_bench_rest: Array
    way: Array

    def at(self, T_bench_liver: Array, contrast_level: float) -> Image:
        """Their sum with the liver at that pose, between the two keys that are nearest on its way."""
        place = float(T_bench_liver[:3, 3] @ self.way)
        ways = np.array([key.way_mm for key in self.keys])
        upper = int(np.clip(np.searchsorted(ways, place), 1, len(ways) - 1))
        share = float(np.clip((place - ways[upper - 1]) / max(ways[upper] - ways[upper - 1], 1e-9), 0.0, 1.0))
        total = self.still.copy()
        for key, weight in ((self.keys[upper - 1], 1.0 - share), (self.keys[upper], share)):
            if weight > 0.0:
                total += np.float32(weight) * self._moved(key.adds, key.T_bench_liver, T_bench_liver)
        if contrast_level > 1e-3:
            total += np.float32(contrast_level) * self._moved(self.contrast, self.T_bench_rest, T_bench_liver)
        return total

    def _moved(self, image: Image, T_bench_before: Array, T_bench_now: Array) -> Image:
        """An image of the liver at one pose as it looks at another: as the plane through its middle, across the beam, moves."""
        to_pixels = _projection(self.view)
        plane = np.vstack([np.column_stack([self.view.column_step, self.view.row_step, T_bench_now[:3, 3]]), [0.0, 0.0, 1.0]])
        before = T_bench_before @ np.linalg.inv(T_bench_now) @ plane
        before_from_now = (to_pixels @ before) @ np.linalg.inv(to_pixels @ plane)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpPerspective(image, before_from_now, image.shape[::-1], flags=flags))


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


def _key_times(patient: Patient) -> list[float]:
    """World times of the first minute at which the liver stands at even steps of its way through a breath."""
    times = np.arange(0.0, _WATCHED_S, 0.05)
    way = patient.T_bench_liver(times)[:, :3, 3] @ _way(patient)
    steps = np.linspace(way.min(), way.max(), _KEYS)
    return [float(times[np.argmin(np.abs(way - step))]) for step in steps]


def _way(patient: Patient) -> Array:
    """Unit vector on the bench along which a breath moves the liver."""
    shift = np.array(patient.config.breathing.inspired_mm)
    along = patient.T_bench_patient[:3, :3] @ shift
    return np.asarray(along / max(float(np.linalg.norm(along)), 1e-9))


def _body(patient: Patient, spacing_mm: float) -> tuple[Volume, Array, Array]:
    """Attenuation per mm of what stands still, its spacing and T_bench_volume."""
    around = patient.body_map
    grid = empty(around.origin_mm, around.origin_mm + around.spacing_mm * (np.array(around.labels.shape[::-1]) - 1), spacing_mm)
    of_tissue = attenuation(column("hounsfield"))
    body = np.empty(grid.labels.shape, np.float32)
    for part, points in slabs(grid):
        body[part] = of_tissue[around.at(points)]
    T = np.eye(4)
    T[:3, 3] = grid.origin_mm
    return body, np.full(3, spacing_mm), patient.T_bench_patient @ T


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
