"""The simulated ultrasound against known answers: where a point is seen, attenuation, shadows, statistics of speckle."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import binary_erosion, uniform_filter

from lodestone_bench.patient import Patient, PatientConfig
from lodestone_bench.patient.tissue import PROPERTIES, Tissue
from lodestone_bench.ultrasound import Fan, UltrasoundConfig, UltrasoundSource
from lodestone_bench.ultrasound.beam import Beam
from lodestone_bench.ultrasound.display import Display
from lodestone_bench.ultrasound.echoes import PatientEchoes
from lodestone_bench.ultrasound.tank import Tank, TankConfig, n_wires
from lodestone_bench.ultrasound.volume import reconstructed_volume
from lodestone_core import se3
from lodestone_core.config import load_config
from lodestone_core.errors import InputError

CONFIG = UltrasoundConfig()
FAN = Fan(CONFIG, 150.0)
SILENT = load_config(UltrasoundConfig, {"noise_db": -300.0})
QUIET = TankConfig(water=0.0, debris=0.0, face_echo=0.0, roughness=0.0)
RAYLEIGH_SNR = 1.91


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient(load_config(PatientConfig, {"liver_grid_mm": 1.2}), seed=3)


class Uniform:
    """A patient of one tissue, with a slab of another where asked for: what the known answers are about."""

    def __init__(self, patient: Patient, tissue: Tissue, slab: Tissue | None = None) -> None:
        self.patient, self.tissue, self.slab = patient, tissue, slab

    def received(
        self, seed: int, T_bench_image: npt.NDArray[np.float64] | None = None
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32]]:
        echoes = PatientEchoes(self.patient, Beam(CONFIG.beam, FAN), seed)
        labels = np.full((CONFIG.samples, CONFIG.beams), self.tissue, dtype=np.uint8)
        if self.slab is not None:
            labels[100:110, 40:80] = self.slab
        own = echoes._look_up

        def look_up(*place: object) -> object:
            return labels, own(*place)[1]  # type: ignore[arg-type]

        echoes._look_up = look_up  # type: ignore[method-assign, assignment]
        T = self.patient.T_bench_patient if T_bench_image is None else T_bench_image
        return echoes.received(T, 0.0)


def _below(tank: Tank, offset_mm: list[float]) -> npt.NDArray[np.float64]:
    """A point (1, 3) at an offset from the middle of the face, image frame."""
    return (tank.fan.face_mm + np.array(offset_mm))[None]


def _centroid(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    weights = np.maximum(image.astype(float) - 60.0, 0.0)
    rows, columns = np.nonzero(weights)
    return np.array([np.average(columns, weights=weights[rows, columns]), np.average(rows, weights=weights[rows, columns])])


@pytest.mark.parametrize(("x_mm", "y_mm"), [(0.0, 30.0), (0.0, 120.0), (25.0, 60.0), (-40.0, 110.0)])
def test_a_point_is_seen_at_its_place(x_mm: float, y_mm: float) -> None:
    tank = Tank(SILENT, QUIET)
    place = _below(tank, [x_mm, y_mm, 0.0])[0]
    found = _centroid(tank.frame(0, np.eye(4), points_mm=place[None])) * tank.fan.spacing_mm
    assert np.linalg.norm(found - place[:2]) < 0.15


def test_a_point_fades_beside_the_slice_and_is_wider_further_down() -> None:
    tank = Tank(SILENT, QUIET)
    brightest = []
    for z in (0.0, 1.5, 3.0, 8.0):
        brightest.append(int(tank.frame(0, np.eye(4), points_mm=_below(tank, [0.0, 80.0, z]))[:230].max()))
    assert brightest[0] > brightest[1] > brightest[2] > brightest[3]
    # Off the plane by 1.5 mm where the slice is 1.2 mm thick: 10 log10(e) x^2 = 6.8 dB.
    assert (brightest[0] - brightest[1]) * CONFIG.dynamic_range_db / 255.0 == pytest.approx(4.343 * (1.5 / 1.2) ** 2, abs=0.8)
    widths = [
        np.count_nonzero(tank.frame(0, np.eye(4), points_mm=_below(tank, [0.0, y, 0.0]))[int(16 + y / 0.5)] > 100) for y in (50.0, 130.0)
    ]
    assert widths[1] > widths[0]


def test_a_wrong_speed_of_sound_stretches_depth_alone() -> None:
    tank = Tank(SILENT, TankConfig(water=0.0, debris=0.0, face_echo=0.0, roughness=0.0, speed_error=0.03))
    found = _centroid(tank.frame(0, np.eye(4), points_mm=_below(tank, [0.0, 100.0, 0.0]))) * tank.fan.spacing_mm
    assert found - tank.fan.face_mm[:2] == pytest.approx([0.0, 103.0], abs=0.15)


def test_wires_are_seen_where_they_cross_the_plane() -> None:
    tank = Tank(SILENT, QUIET)
    wire = np.array([[[-20.0, 50.0, -30.0], [20.0, 70.0, 30.0]]]) + tank.fan.face_mm
    found = _centroid(tank.frame(0, np.eye(4), wires_mm=wire)) * tank.fan.spacing_mm
    assert np.linalg.norm(found - _below(tank, [0.0, 60.0, 0.0])[0, :2]) < 0.2
    assert n_wires().shape == (9, 2, 3)


def test_speckle_of_one_tissue_is_fully_developed(patient: Patient) -> None:
    received, _ = Uniform(patient, Tissue.LIVER).received(0)
    amplitude = np.abs(received[40:300, 6:-6])
    assert amplitude.mean() / amplitude.std() == pytest.approx(RAYLEIGH_SNR, abs=0.06)
    assert np.sqrt(np.mean(amplitude**2)) == pytest.approx(1.0, abs=0.05), "liver's speckle has unit power at every depth"
    assert np.sqrt(np.mean(amplitude[:60] ** 2)) == pytest.approx(np.sqrt(np.mean(amplitude[-60:] ** 2)), rel=0.12)


def test_speckle_follows_the_tissue_and_not_the_probe(patient: Patient) -> None:
    def correlation(a: npt.NDArray[np.complex64], b: npt.NDArray[np.complex64]) -> float:
        a, b = (np.abs(x[60:280, 8:-8]) for x in (a, b))
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    uniform = Uniform(patient, Tissue.LIVER)
    T = patient.T_bench_liver(0.0) @ se3.exp(np.array([0.0, 0.0, 0.0, 0.2, 0.1, 0.05]))
    here = uniform.received(0, T)[0]
    assert correlation(here, uniform.received(0, T)[0]) == pytest.approx(1.0)
    assert abs(correlation(here, uniform.received(1, T)[0])) < 0.08, "another realisation has nothing in common"
    shifts = [correlation(here, uniform.received(0, T @ se3.make(np.eye(3), np.array([0.0, 0.0, z])))[0]) for z in (0.6, 1.5, 10.0)]
    assert shifts[0] > shifts[1] > 0.05 and shifts[0] < 0.98 and abs(shifts[2]) < 0.08, "it decorrelates within the slice's thickness"


def test_sound_fades_as_the_tissue_attenuates(patient: Patient) -> None:
    received, loss_db = Uniform(patient, Tissue.LIVER).received(0)
    levels = 20.0 * np.log10(np.abs(received)) - loss_db
    depth_cm = (FAN.radii_mm - FAN.radius_min_mm) / 10.0
    slope = np.polyfit(depth_cm[20:300], levels[20:300].mean(axis=1), 1)[0]
    assert slope == pytest.approx(-2.0 * 3.5 * PROPERTIES[Tissue.LIVER].attenuation_db_cm_mhz, rel=0.03)


@pytest.mark.parametrize("slab", [Tissue.BONE, Tissue.GAS])
def test_bone_and_gas_throw_a_shadow_below_them_alone(patient: Patient, slab: Tissue) -> None:
    uniform = Uniform(patient, Tissue.LIVER, slab)
    # Speckle alone scatters by 5.6 dB: the mean of these areas is sure to 1 dB only over several realisations.
    levels = np.mean([Display(FAN, 0).levels_db(*uniform.received(seed), 0) for seed in range(6)], axis=0)
    shadow, lit, above = levels[150:250, 50:70], levels[150:250, 95:115], levels[40:90, 50:70]
    assert lit.mean() - shadow.mean() > 25.0
    assert abs(above.mean() - levels[40:90, 95:115].mean()) < 1.0
    assert levels[98:103, 50:70].max() > above.max(), "its surface is bright"


def test_the_fan_fills_the_image_at_every_depth_and_the_pose_goes_with_it() -> None:
    faces = []
    for depth in CONFIG.depth_mm:
        fan = Fan(CONFIG, depth)
        rows, columns = np.nonzero(fan.mask)
        assert rows.min() >= 2 and rows.max() <= CONFIG.rows - 2 and columns.min() >= 1 and columns.max() <= CONFIG.columns - 2
        assert max(np.ptp(columns) / CONFIG.columns, np.ptp(rows) / CONFIG.rows) > 0.95
        faces.append(se3.transform(fan.T_probe_image, fan.face_mm))
    assert np.allclose(faces, CONFIG.offset_mm), "the face stays where it is when the depth changes"
    assert FAN.spacing_mm == pytest.approx(0.5)


def test_frames_repeat_follow_the_breath_and_are_cheap(patient: Patient) -> None:
    face, outward = patient.skin_bench_mm(-20.0, 0.0)
    R = np.column_stack([np.cross(outward, [1.0, 0.0, 0.0]), [1.0, 0.0, 0.0], outward]) @ np.diag([1.0, -1.0, -1.0])
    pose = se3.make(R, face)
    source, twin = (UltrasoundSource(patient, lambda _: pose, seed=1) for _ in range(2))
    frame = source.frame(4, 1.6)
    assert frame.shape == (320, 400) and frame.dtype == np.uint8
    assert not frame[~source.fan.mask].any() and 40 < frame[source.fan.mask].mean() < 200
    assert np.array_equal(frame, twin.frame(4, 1.6)), "same time, same frame, whichever process makes it"
    still, moved = source.frame(5, 1.6), source.frame(5, 2.6)
    inside = source.fan.mask & (np.arange(320)[:, None] > 120)
    unlike = [float(np.abs(frame.astype(int) - other)[inside].mean()) for other in (still, moved)]
    assert unlike[1] > 3.0 * unlike[0], "the liver moves, the noise alone does not"
    times = []
    for k in range(30):
        start = time.process_time()
        source.frame(k, 2.0 + k / 30.0)
        times.append(time.process_time() - start)
    assert np.percentile(times, 20) < 0.012, "seconds of one core"


@pytest.mark.parametrize("deformation_mm", [0.0, 8.0])
def test_every_line_meets_the_tissue_that_is_there(deformation_mm: float) -> None:
    settings = {"liver_grid_mm": 1.2, "breathing": {"deformation_mm": deformation_mm}}
    bending = Patient(load_config(PatientConfig, settings), seed=3)
    echoes = PatientEchoes(bending, Beam(CONFIG.beam, FAN), 0)
    met: list[npt.NDArray[np.uint8]] = []
    along = echoes._along
    echoes._along = lambda labels: (met.append(labels), along(labels))[1]  # type: ignore[method-assign]
    T = bending.T_bench_patient @ se3.exp(np.array([0.0, 0.0, 0.0, 0.3, -0.2, 0.4])) @ se3.make(np.eye(3), np.array([-100.0, -80.0, 0.0]))
    echoes.received(T, 1.6)
    points = np.concatenate([FAN.points_mm, np.zeros((*FAN.points_mm.shape[:2], 1))], axis=2).reshape(-1, 3)
    truth = bending.tissue(se3.transform(T, points), 1.6).reshape(met[0].shape)
    inner = slice(int(CONFIG.gel_mm / FAN.sample_mm) + 1, None)
    assert len(np.unique(truth)) > 6
    assert np.mean(met[0][inner] == truth[inner]) > (0.999 if deformation_mm == 0.0 else 0.98)


def test_another_depth_is_another_scale_and_an_unknown_one_is_refused(patient: Patient) -> None:
    source = UltrasoundSource(patient, lambda _: patient.T_bench_patient)
    source.set_depth(100.0)
    assert source.geometry()["pixel_spacing_mm"][0] < 0.4 and source.geometry()["depth_mm"] == 100.0
    with pytest.raises(InputError, match="one of 150, 100, 200"):
        source.set_depth(120.0)


def test_volume_and_live_frame_show_the_same_anatomy_with_other_speckle(patient: Patient) -> None:
    volume = reconstructed_volume(patient, length_mm=8.0, step_mm=4.0)
    T = volume.T_bench_volume @ se3.make(np.eye(3), np.array([0.0, 0.0, 4.0]))
    source = UltrasoundSource(patient, lambda _: T @ se3.inverse(FAN.T_probe_image))
    live, swept = (image.astype(float) for image in (source.frame(0, 0.0), volume.voxels[1]))
    rows, columns = np.indices(live.shape)
    points = np.stack([columns * FAN.spacing_mm, rows * FAN.spacing_mm, np.zeros(live.shape)], axis=-1).reshape(-1, 3)
    tissue = patient.tissue(se3.transform(T, points), 0.0).reshape(live.shape)
    liver = binary_erosion((tissue == Tissue.LIVER) & source.fan.mask, iterations=8)
    assert np.count_nonzero(liver) > 3000
    fine = [(image - uniform_filter(image, 9))[liver] for image in (live, swept)]
    assert abs(np.corrcoef(*fine)[0, 1]) < 0.1, "speckle has nothing in common"
    inside = source.fan.mask & (rows > 40)
    coarse = [uniform_filter(image, 15)[inside] for image in (live, swept)]
    assert np.corrcoef(*coarse)[0, 1] > 0.7
