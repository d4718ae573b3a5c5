"""What a plane through the patient sends back: scatterers and interfaces along every line, and what the way takes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.patient import Patient
from lodestone_bench.patient.grid import Grid, Labels
from lodestone_bench.patient.tissue import Tissue, column, joined
from lodestone_bench.ultrasound.beam import Beam, Complex
from lodestone_bench.ultrasound.speckle import VOXEL_MM, Scatterers
from lodestone_core import se3
from lodestone_core.types import Array

Floats = npt.NDArray[np.float32]
_COARSE = (9, 9)
_LEVELLING = 12


class PatientEchoes:
    """The patient under one beam. Scatterers move with the liver inside it, and stand still outside."""

    def __init__(self, patient: Patient, beam: Beam, seed: int) -> None:
        self.patient = patient
        self.beam = beam
        self._scatterers = Scatterers(seed)
        config = beam.fan.config
        samples, beams = config.samples, config.beams
        points = beam.fan.points_mm.reshape(-1, 2)
        offsets, self._weights = beam.offsets()
        self._planes = [
            np.column_stack([points, np.repeat(offset, beams), np.ones(len(points))]).astype(np.float32).T.copy() for offset in offsets
        ]
        self._middle = int(np.argmin(np.abs(offsets[:, 0])))
        self._shape = (samples, beams)
        self._maps = (_Padded(patient.liver_map), _Padded(patient.body_map))
        self._finer = [np.float32(grid.spacing_mm / VOXEL_MM) for grid in (patient.liver_map, patient.body_map)]
        self._joined = joined()
        step_cm = beam.fan.sample_mm / 10.0
        self._loss_db = _table(column("attenuation_db_cm_mhz") * np.float32(2.0 * config.frequency_mhz * step_cm))
        self._impedance = _table(column("impedance_mrayl"))
        self._strength = [_table(np.float32(weight) * column("scatter")) for weight in self._weights]
        self._level = self._levelled()
        self._gel = int(config.gel_mm / beam.fan.sample_mm)

    def received(self, T_bench_image: Array, world_s: float) -> tuple[Complex, Floats]:
        """Echoes (samples, beams) without the losses of the way, and these losses in dB. Liver's speckle has unit power."""
        total = np.zeros(self._shape, dtype=np.complex64)
        middle: Labels | None = None
        T_liver_image = se3.inverse(self.patient.T_bench_liver(world_s)) @ T_bench_image
        T_patient_image = se3.inverse(self.patient.T_bench_patient) @ T_bench_image
        for index, (plane, strength) in enumerate(zip(self._planes, self._strength, strict=True)):
            shift = self._deformation(plane, T_bench_image, T_liver_image, world_s)
            labels, scatterers = self._look_up(plane, T_liver_image, T_patient_image, shift)
            total += scatterers * cv2.LUT(labels, strength)
            if index == self._middle:
                middle = labels
        assert middle is not None
        interfaces, loss_db = self._along(middle)
        total *= self._level
        total += interfaces
        return self.beam.blurred(total), loss_db

    def _levelled(self) -> Floats:
        """Gain (samples, 1) that gives speckle unit power: neighbouring samples are the more alike the closer the lines lie."""
        rng = np.random.default_rng(0)
        power = np.zeros(self._shape[0])
        for _ in range(_LEVELLING):
            T = se3.exp(np.concatenate([rng.uniform(-100.0, 100.0, 3), rng.uniform(-1.0, 1.0, 3)]))
            to_voxels = (np.diag([1.0, 1.0, 1.0, VOXEL_MM]) @ T / VOXEL_MM)[:3].astype(np.float32)
            total = np.zeros(self._shape, dtype=np.complex64)
            for plane, weight in zip(self._planes, self._weights, strict=True):
                total += np.float32(weight) * self._scatterers.at(*(to_voxels @ plane).astype(np.int32)).reshape(self._shape)
            power += np.mean(np.abs(self.beam.blurred(total)) ** 2, axis=1)
        trend = np.polynomial.Polynomial.fit(np.arange(len(power)), power / _LEVELLING, 3)
        return np.asarray(1.0 / np.sqrt(trend(np.arange(len(power)))), dtype=np.float32)[:, None]

    def _look_up(self, plane: Floats, T_liver_image: Array, T_patient_image: Array, shift: Floats | float) -> tuple[Labels, Complex]:
        """Tissue and scatterers (samples, beams) on one plane; `shift`: of the material against the rigid liver, voxels."""
        liver, body = self._maps
        own = liver.index(T_liver_image, plane)
        own += shift
        around = body.index(T_patient_image, plane)
        inside, outside = liver.labels_at(own), body.labels_at(around)
        labels = np.asarray(cv2.LUT(((inside << 4) | outside).reshape(self._shape), self._joined), dtype=np.uint8)
        self._fill_gel(labels)
        index = around * self._finer[1]
        np.copyto(index, own * self._finer[0], where=inside != Tissue.NONE)
        return labels, self._scatterers.at(*index.astype(np.int32)).reshape(self._shape)

    def _deformation(self, plane: Floats, T_bench_image: Array, T_liver_image: Array, world_s: float) -> Floats | float:
        """By how much the material lies off the rigid liver, in voxels (3, N): smooth, so worked out at few points."""
        patient = self.patient
        if patient.config.breathing.deformation_mm == 0.0:
            return 0.0
        rows, columns = (np.linspace(0, count - 1, n).astype(int) for count, n in zip(self._shape, _COARSE, strict=True))
        few = plane.reshape(4, *self._shape)[:3, rows][:, :, columns].reshape(3, -1).T.astype(np.float64)
        bench = se3.transform(T_bench_image, few)
        shift = (patient.material_mm(bench, world_s) - se3.transform(T_liver_image, few)) / patient.liver_map.spacing_mm
        wide = cv2.resize(shift.astype(np.float32).reshape(*_COARSE, 3), self._shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.ascontiguousarray(wide.reshape(-1, 3).T)

    def _fill_gel(self, labels: Labels) -> None:
        near = labels[: self._gel]
        near[near == Tissue.AIR] = Tissue.GEL

    def _along(self, labels: Labels) -> tuple[Floats, Floats]:
        """Echoes of interfaces, and the loss up to every sample."""
        Z = np.asarray(cv2.LUT(labels, self._impedance), dtype=np.float32)
        step = np.zeros_like(Z)
        step[1:] = (Z[1:] - Z[:-1]) / (Z[1:] + Z[:-1])
        passed = np.float32(-20.0 / np.log(10.0)) * cv2.log(np.maximum(1.0 - step**2, 1e-4))
        lost_db = cv2.transpose(cv2.LUT(labels, self._loss_db) + passed)  # along its memory a sum takes a third of the time
        return np.float32(self.beam.config.echo_gain) * step, np.ascontiguousarray(np.cumsum(lost_db, axis=1).T)


def _table(values: Floats) -> Floats:
    """Values by tissue as cv2.LUT takes them, which is several times as fast as take() here."""
    return np.pad(values, (0, 256 - len(values)))


class _Padded:
    """A map with a border of its own kind, so that what lies outside needs no question."""

    def __init__(self, grid: Grid) -> None:
        self._labels = np.pad(grid.labels, 1)
        self._top = np.array(self._labels.shape[::-1], dtype=np.float32)[:, None] - 1.0
        # Half a voxel up, so that cutting off rounds; one more for the border.
        self._to_index = np.diag([*np.full(3, 1.0 / grid.spacing_mm), 1.0]) @ se3.make(np.eye(3), -grid.origin_mm)
        self._to_index[:3, 3] += 1.5

    def index(self, T_grid_image: Array, plane: Floats) -> Floats:
        """Coordinates (3, N) in voxels, to be cut off."""
        return np.asarray((self._to_index @ T_grid_image)[:3].astype(np.float32) @ plane)

    def labels_at(self, index: Floats) -> Labels:
        _, ny, nx = self._labels.shape
        x, y, z = np.clip(index, 0.0, self._top).astype(np.int32)
        return np.asarray(self._labels.reshape(-1).take((z * ny + y) * nx + x))
