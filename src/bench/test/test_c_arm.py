"""The C-arm's pictures against known answers: where things fall on the detector, how much their rays lose, what noise is left."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lodestone_bench.c_arm.config import CArmConfig, ContrastConfig, DetectorConfig
from lodestone_bench.c_arm.detector import Detector
from lodestone_bench.c_arm.geometry import View, view
from lodestone_bench.c_arm.rays import attenuation, of_cloud, through_sphere, through_volume
from lodestone_bench.c_arm.scene import contrast_level
from lodestone_bench.c_arm.source import CArm
from lodestone_bench.patient.config import PatientConfig, VesselsConfig
from lodestone_bench.patient.patient import Patient
from lodestone_core.types import Array

SMALL = CArmConfig(size_px=(128, 96), spacing_mm=2.8, volume_mm=4.0)
ISOCENTRE = np.array(SMALL.isocentre_mm)


@pytest.fixture(scope="module")
def c_arm() -> CArm:
    patient = Patient(PatientConfig(liver_grid_mm=2.0, vessels=VesselsConfig(generations=4)))
    arm = CArm(SMALL, patient)
    arm.prepare()
    return arm


@pytest.mark.parametrize(
    ("primary", "secondary", "beam"),
    [(0, 0, (0, 0, 1)), (90, 0, (0, -1, 0)), (-90, 0, (0, 1, 0)), (0, 90, (1, 0, 0)), (0, -90, (-1, 0, 0))],
)
def test_the_beam_goes_where_the_angles_say(primary: float, secondary: float, beam: tuple[float, ...]) -> None:
    """The patient lies on the back, head towards +x, so the left side is at -y."""
    now = view(SMALL, primary, secondary)
    assert now.beam == pytest.approx(beam, abs=1e-12) and now.distance_mm == pytest.approx(1200.0)
    assert now.source == pytest.approx(ISOCENTRE - 750.0 * np.array(beam))
    assert now.pixels(ISOCENTRE[None])[0][0] == pytest.approx((63.5, 47.5))
    assert np.linalg.det(now.T_bench_source()[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize("angles", [(0.0, 0.0), (25.0, -15.0), (-80.0, 10.0)])
def test_a_sphere_of_voxels_weighs_as_the_chords_of_a_sphere(angles: tuple[float, float]) -> None:
    now, radius, spacing = view(SMALL, *angles), 40.0, 1.5
    centre = ISOCENTRE + np.array([7.0, -5.0, 3.0])
    half = 50.0
    axis = np.arange(-half, half + spacing / 2, spacing)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    # Voxels on the surface count by their share.
    volume = np.clip((radius - np.sqrt(x**2 + y**2 + z**2)) / spacing + 0.5, 0.0, 1.0).astype(np.float32)
    T = np.eye(4)
    T[:3, 3] = centre - half
    found = through_volume(volume, np.full(3, spacing), T, now, SMALL.size_px)
    known = through_sphere(centre, radius, now, SMALL.size_px)
    inside = known > 55.0
    assert inside.sum() > 500
    error = (found - known)[inside]
    # Steps of the voxels at the surface make a few tenths of a voxel; on the whole they cancel.
    assert np.sqrt(np.mean(error**2)) < 0.4 and abs(float(error.mean())) < 0.05
    assert found.sum() == pytest.approx(known.sum(), rel=2e-3)


def test_a_ray_through_the_middle_of_a_box_is_as_long_as_the_box_and_a_slanted_one_longer() -> None:
    now = view(SMALL, 0.0, 0.0)
    T = np.eye(4)
    T[:3, 3] = ISOCENTRE - np.array([200.0, 200.0, 0.0])
    found = through_volume(np.ones((10, 101, 101), np.float32), np.array([4.0, 4.0, 5.0]), T, now, SMALL.size_px)
    assert found[47:49, 63:65].mean() == pytest.approx(50.0, rel=1e-4)
    slant = np.hypot(1200.0, 63.5 * 2.8) / 1200.0
    assert found[47:49, 0].mean() == pytest.approx(50.0 * slant, rel=1e-4)


def test_the_chord_of_a_sphere_is_its_diameter_in_the_middle_and_nothing_beside_it() -> None:
    now = view(SMALL, 30.0, 10.0)
    lengths = through_sphere(ISOCENTRE, 10.0, now, SMALL.size_px)
    assert lengths[47:49, 63:65].max() == pytest.approx(20.0, abs=0.2) and lengths[:, 0].max() == 0.0


def test_a_cloud_weighs_what_the_body_weighs_and_falls_where_it_is() -> None:
    now = view(SMALL, 20.0, 5.0)
    rng = np.random.default_rng(1)
    points = rng.uniform(-1.0, 1.0, (60_000, 3))
    points = ISOCENTRE + [20.0, 10.0, -5.0] + 15.0 * points[np.linalg.norm(points, axis=1) < 1.0]
    mass = np.full(len(points), 4.0 / 3.0 * np.pi * 15.0**3 / len(points))
    rows, columns, part = of_cloud(points, mass, now, SMALL.size_px)
    found = np.zeros(SMALL.size_px[::-1])
    found[rows, columns] = part
    known = through_sphere(ISOCENTRE + np.array([20.0, 10.0, -5.0]), 15.0, now, SMALL.size_px)
    assert found.sum() == pytest.approx(known.sum(), rel=5e-3)
    assert centroid(found) == pytest.approx(centroid(known), abs=0.05)
    assert len(of_cloud(points + 1e4, mass, now, SMALL.size_px)[2]) == 0


def centroid(image: Array) -> Array:
    rows, columns = np.indices(image.shape)
    return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()


def test_water_and_air_attenuate_as_they_are_defined() -> None:
    assert attenuation(np.array([0.0, -1000.0, 1000.0], np.float32)) == pytest.approx([0.0206, 0.0, 0.0412])


def test_quantum_noise_follows_the_photons() -> None:
    detector = Detector(CArmConfig(detector=DetectorConfig(photons=40_000.0, scatter_share=0.0, electronic_noise=0.0)), seed=3)
    integral = np.full((512, 512), 1.5, np.float32)
    expected = 40_000.0 * np.exp(-1.5)
    grey = detector.grey(detector.expected(integral, np.float32(0.0)), 7)[100:400, 100:400] * (1.05 * 40_000.0 / 4095)
    assert grey.mean() == pytest.approx(expected, rel=1e-3)
    quantised = (1.05 * 40_000.0 / 4095) ** 2 / 12
    assert grey.var() == pytest.approx(expected + quantised, rel=0.02)


def test_scatter_heel_and_collimator_do_what_they_do() -> None:
    config = DetectorConfig(scatter_share=0.5, heel=0.3, collimator_mm=(-60.0, 80.0, -100.0, 100.0), leak=0.01)
    detector = Detector(CArmConfig(detector=config), seed=0)
    assert detector.open[256, 0] == pytest.approx(0.01 * config.photons, rel=0.02)
    assert detector.open[256, 300] == pytest.approx(config.photons, rel=0.01)
    assert detector.open[410, 300] < 0.85 * config.photons
    glow = detector.scatter(np.zeros((512, 512), np.float32))
    assert glow.max() < 0.5 * config.photons and glow[256, 110] > 0.05 * config.photons > glow[0, 0]


def test_pictures_repeat_with_seed_number_and_time_and_not_without(c_arm: CArm) -> None:
    one = c_arm.frame(3, 7.0)
    assert one.shape == (96, 128) and one.dtype == np.uint8
    assert np.array_equal(one, c_arm.frame(3, 7.0))
    assert not np.array_equal(one, c_arm.frame(4, 7.0))


def test_live_pictures_are_those_of_the_patient_of_the_moment(c_arm: CArm) -> None:
    """At rest to rounding; in the middle of a breath to a few per cent of what the rays lose, and better than a liver that stands still."""
    scene = c_arm.scene
    assert np.abs(scene.live(0.0) - scene.full(0.0)).max() < 1e-4
    now, still = scene.full(1.2), scene.full(0.0)
    error = np.sqrt(np.mean((scene.live(1.2) - now) ** 2))
    assert error < 0.03 * now.mean() and error < 0.6 * np.sqrt(np.mean((still - now) ** 2))


def test_the_wire_of_the_picture_is_the_wire_of_the_truth(c_arm: CArm) -> None:
    scene, world_s = c_arm.scene, 3.0
    bare = scene._layers[0].at(scene.patient.T_bench_liver(world_s), contrast_level(SMALL.contrast, world_s))
    wire = scene.live(world_s) - bare
    pixels = np.array(c_arm.truth(world_s)["wire_px"])
    assert centroid(wire) == pytest.approx(weighted(pixels, scene.view_at(world_s), scene.wire_bench(world_s)), abs=0.05)


def weighted(pixels: Array, now: View, points: Array) -> Array:
    """A piece of the wire weighs by its length and by how much larger it appears."""
    weight = now.pixels(points)[1] ** 2 * np.linalg.norm(np.gradient(points, axis=0), axis=1)
    return np.asarray((pixels * weight[:, None]).sum(axis=0) / weight.sum())


def test_a_bolus_rises_to_its_height_fades_and_comes_again() -> None:
    config = ContrastConfig(begins_s=(6.0,), every_s=30.0, rise_s=1.5)
    assert contrast_level(config, 5.9) == 0.0 and contrast_level(config, 7.5) == pytest.approx(1.0)
    assert 0.0 < contrast_level(config, 14.0) < 0.1 and contrast_level(config, 37.5) == pytest.approx(1.0)


def test_views_follow_one_another_in_world_time() -> None:
    config = CArmConfig(primary_deg=(0.0, 30.0), secondary_deg=(0.0, 10.0), dwell_s=5.0)
    assert [config.view(at) for at in (0.0, 4.9, 5.1, 10.1)] == [0, 0, 1, 0]


@pytest.mark.parametrize("changes", [{"primary_deg": (0.0, 1.0)}, {"source_to_isocentre_mm": 1300.0}])
def test_a_c_arm_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="c_arm"):
        CArmConfig(**changes)


def test_a_live_picture_costs_less_than_a_fifth_of_its_time_in_the_video() -> None:
    """Of 512 x 512 pixels; the cheapest of several counts, since the machine may be busy."""
    arm = CArm(CArmConfig(volume_mm=6.0), Patient(PatientConfig(liver_grid_mm=2.0, vessels=VesselsConfig(generations=3))))
    arm.prepare()
    costs = []
    for number in range(12):
        start = time.perf_counter()
        arm.frame(number, number / 8.0)
        costs.append(time.perf_counter() - start)
    assert min(costs) < 0.025
