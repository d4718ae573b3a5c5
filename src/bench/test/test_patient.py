"""The simulated patient: motion is a smooth pure function of time, displacement and its inverse agree, maps hold what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lodestone_bench.patient import Patient, PatientConfig
from lodestone_bench.patient.export import export_patient
from lodestone_bench.patient.tissue import Tissue
from lodestone_core import se3
from lodestone_core.config import load_config


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient(load_config(PatientConfig, {"liver_grid_mm": 1.2}), seed=3)


def _breathing(**settings: object) -> Patient:
    return Patient(load_config(PatientConfig, {"breathing": settings}), seed=5)


def test_a_breath_goes_from_rest_to_about_one_and_lasts_as_long_as_asked_for() -> None:
    calm = _breathing(period_spread=0.0, amplitude_spread=0.0, drift_mm=[0.0, 0.0, 0.0], lag_s=0.0)
    t = np.linspace(0.0, 40.0, 4001)
    level = calm.breathing.level(t)
    assert level.min() == pytest.approx(0.0, abs=1e-6) and level.max() == pytest.approx(1.0, abs=1e-6)
    assert np.allclose(level[:3601], level[400:], atol=1e-9), "every breath is the same, four seconds apart"
    assert t[np.argmax(level[:400])] == pytest.approx(1.6, abs=0.01), "inspiration takes 40 % of it"
    assert np.mean(level < 0.2) > np.mean(level > 0.8), "the end of expiration lasts longest"
    top = calm.T_bench_liver(1.6) @ se3.inverse(calm.T_bench_patient)
    assert np.allclose(calm.T_bench_liver(0.0), calm.T_bench_patient, atol=1e-9)
    middle = se3.transform(top, np.array([700.0, 0.0, 150.0]))
    assert np.allclose(middle, [685.0, -1.5, 154.0], atol=1e-6), "inspired: 15 mm footward (-x), 4 mm forward (+z), 1.5 mm left (-y)"


def test_breaths_differ_but_are_the_same_whoever_asks_and_in_whatever_order() -> None:
    one, other = _breathing(), _breathing()
    late = one.breathing.level(5000.0)
    t = np.linspace(0.0, 300.0, 500)
    assert np.array_equal(one.breathing.level(t), other.breathing.level(t))
    assert other.breathing.level(5000.0) == late
    fine = one.breathing.level(np.linspace(0.0, 400.0, 40001))
    tops = fine[1:-1][(fine[1:-1] > fine[:-2]) & (fine[1:-1] >= fine[2:])]
    assert 80 < len(tops) < 120 and 0.08 < np.std(tops) < 0.22, "depths vary by 15 %"
    assert not np.array_equal(Patient(seed=6).breathing.level(t), one.breathing.level(t))


def test_motion_has_no_jumps_also_where_breath_is_held_or_the_patient_coughs() -> None:
    eventful = _breathing(apnoea_s=[20.3], apnoea_length_s=10.0, apnoea_level=0.5, cough_s=[40.1])
    t = np.arange(0.0, 60.0, 0.005)
    height = eventful.T_bench_liver(t)[:, :3, 3]
    assert np.abs(np.diff(height, axis=0)).max() < 1.5, "nowhere faster than 300 mm/s"
    assert np.allclose(eventful.breathing.level(np.linspace(21.0, 29.6, 50)), 0.5)
    quiet = _breathing(apnoea_s=[20.3], apnoea_length_s=10.0, apnoea_level=0.5)
    thrown = np.linalg.norm(height - quiet.T_bench_liver(t)[:, :3, 3], axis=1)
    assert thrown[t < 40.1].max() < 1e-9 and 5.0 < thrown.max() < 12.0 and thrown[t > 44.0].max() < 0.01


@pytest.mark.parametrize("deformation_mm", [0.0, 8.0])
def test_material_points_are_found_again_where_displacement_puts_them(deformation_mm: float) -> None:
    moving = _breathing(deformation_mm=deformation_mm)
    rest = se3.transform(moving.T_bench_patient, np.random.default_rng(0).uniform(-60.0, 60.0, (200, 3)))
    there = rest + moving.displacement_mm(rest, 1.5)
    assert np.allclose(se3.transform(moving.T_bench_patient, moving.material_mm(there, 1.5)), rest, atol=1e-3)
    rigid = se3.transform(moving.T_bench_liver(1.5) @ se3.inverse(moving.T_bench_patient), rest)
    apart = np.linalg.norm(there - rigid, axis=1).max()
    assert apart < 1e-9 if deformation_mm == 0.0 else 2.0 < apart < 12.0


def test_the_liver_holds_vessels_and_the_body_holds_it(patient: Patient) -> None:
    labels, spacing = patient.liver_map.labels, patient.liver_map.spacing_mm
    volume_ml = {tissue: np.count_nonzero(labels == tissue) * spacing**3 / 1000.0 for tissue in Tissue}
    assert 900.0 < volume_ml[Tissue.LIVER] < 1900.0, "a liver has about one and a half litres"
    assert 5.0 < volume_ml[Tissue.PORTAL] + volume_ml[Tissue.HEPATIC] < 120.0
    place = patient.T_bench_patient[:3, 3]
    along = place + np.outer(np.arange(0.0, 140.0), [0.0, 0.0, 1.0])
    met = patient.tissue(along, 0.0)
    assert met[-1] == Tissue.AIR and {Tissue.FAT, Tissue.MUSCLE} <= set(met.tolist()), "up from the liver: muscle, fat, air"
    assert patient.tissue(np.array([[700.0, -60.0, 62.0]]), 0.0)[0] == Tissue.BONE, "the spine lies behind"


def test_vessels_move_with_the_liver_and_ribs_do_not(patient: Patient) -> None:
    segment = max(patient.segments, key=lambda s: s.radius_mm)
    middle = 0.5 * (np.array(segment.start) + np.array(segment.end))
    for world_s in (0.0, 1.6, 2.9):
        there = se3.transform(patient.T_bench_liver(world_s), middle)
        assert patient.tissue(there[None], world_s)[0] == segment.tissue
    bone = np.argwhere(patient.body_map.labels == Tissue.BONE)[::500, ::-1]
    points = se3.transform(patient.T_bench_patient, patient.body_map.origin_mm + bone * patient.body_map.spacing_mm)
    kept = [patient.tissue(points, world_s) == Tissue.BONE for world_s in (0.0, 1.6)]
    assert np.mean(kept) > 0.95


def test_the_density_volume_lies_where_its_pose_says(patient: Patient) -> None:
    volume, spacing, T = patient.volume_hu(4.0)
    assert spacing.tolist() == [4.0, 4.0, 4.0]
    index = np.argwhere(volume == 650.0)[::20]
    points = se3.transform(T, index[:, ::-1] * spacing)
    assert np.all(patient.tissue(points, 0.0) == Tissue.BONE)
    assert volume.min() == -1000.0 and volume[tuple(np.array(volume.shape) // 2)] > 0.0


def test_exported_truth_is_read_by_others_and_is_the_truth(patient: Patient, tmp_path: Path) -> None:
    export_patient(patient, tmp_path, duration_s=5.0)
    ct = sitk.ReadImage(str(tmp_path / "ct.mha"))
    volume, _, T = patient.volume_hu()
    assert np.array_equal(sitk.GetArrayFromImage(ct), np.rint(volume))
    index = (30, 40, 50)
    assert np.allclose(ct.TransformIndexToPhysicalPoint(index), se3.transform(T, np.array(index) * 2.0), atol=1e-6)
    motion = np.load(tmp_path / "motion.npz")
    assert np.array_equal(motion["T_bench_liver"], patient.T_bench_liver(motion["world_s"]))
    assert len(np.load(tmp_path / "vessels.npz")["radius_mm"]) == len(patient.segments)
