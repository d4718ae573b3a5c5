"""Probe calibration against known answers: exact data, noise, outliers; and every refusal with its cause."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.config import load_config
from lodestone_core.covariance import tre_covariance_at
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.correspondence import assign_wires
from us_motion.calibration.model import POINT, SPACING, PointModel, WireModel, X, Y
from us_motion.calibration.observations import Observations, as_observations, joined
from us_motion.calibration.phantom import ROLES, as_phantom, load_phantom
from us_motion.calibration.probe import calibrate_point, calibrate_wires
from us_motion.calibration.recording import TrackedImages, spots_of
from us_motion.calibration.store import as_file
from us_motion.probe_calibration import load_probe_calibration

CONFIG = load_config(ProbeCalibrationConfig, {"resamples": 100})
WIRES = np.array(
    [
        [[[-20, 0, z], [-20, 60, z]], [[-20 * slant, 0, z], [20 * slant, 60, z]], [[20, 0, z], [20, 60, z]]]
        for z, slant in ((0.0, 1.0), (18.0, -1.0), (36.0, 1.0))
    ]
)
PHANTOM = as_phantom(WIRES)
TRUE = se3.make(Rotation.from_rotvec([1.52, 0.04, -0.06]).as_matrix(), np.array([-98.0, 2.0, -7.0]))
T_REF_PHANTOM = se3.make(Rotation.from_euler("zyx", [170.0, 3.0, -4.0], degrees=True).as_matrix(), np.array([-30.0, -420.0, 200.0]))
SPACING_MM = np.array([0.5, 0.5])


def _poses(count: int, rng: np.random.Generator, tilt_deg: float = 14.0) -> Array:
    """T_ref_probe (n, 4, 4) of a probe some 50 mm above the wires' middle."""
    look = np.column_stack([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]) @ np.diag([1.0, -1.0, 1.0])
    turns = Rotation.from_rotvec(np.radians(rng.uniform(-tilt_deg, tilt_deg, (count, 3)))).as_matrix()
    place = np.column_stack([rng.uniform(-5, 5, count), 30.0 + rng.uniform(-14, 14, count), rng.uniform(-60, -45, count)])
    return T_REF_PHANTOM @ se3.make(turns @ look, place)


def _crossings(T_ref_probe: Array, T_probe_image: Array = TRUE) -> tuple[Array, Array]:
    """Where every wire crosses the plane, px (n, 9, 2), by plain intersection in the phantom; and whether within its ends."""
    T = se3.inverse(T_REF_PHANTOM) @ T_ref_probe @ T_probe_image
    origin, normal = T[:, :3, 3], T[:, :3, 2]
    a, b = WIRES.reshape(-1, 2, 3)[:, 0], WIRES.reshape(-1, 2, 3)[:, 1]
    share = np.einsum("nwi,ni->nw", origin[:, None] - a, normal) / np.einsum("wi,ni->nw", b - a, normal)
    points = a + share[..., None] * (b - a)
    local = np.einsum("nji,nwj->nwi", T[:, :3, :3], points - origin[:, None])
    return local[..., :2] / SPACING_MM, (share > 0.0) & (share < 1.0)


def _wires(
    images: int = 40, sweeps: int = 3, noise_px: float = 0.0, seed: int = 0, tilt_deg: float = 14.0, named: bool = True
) -> Observations:
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(sweeps):
        T = _poses(images, rng, tilt_deg)
        px, seen = _crossings(T)
        px = px + noise_px * rng.normal(size=px.shape)
        image, wire = np.nonzero(seen)
        parts.append(as_observations(T, image, px[image, wire], SPACING_MM, wire if named else np.full(len(wire), -1)))
    return joined(parts)


def _point(images: int = 60, noise_px: float = 0.0, off_plane_mm: float = 0.0, seed: int = 0) -> tuple[Observations, Array]:
    """Spots of one point: the probe is put so that the point lies near the image's plane."""
    rng = np.random.default_rng(seed)
    target = se3.transform(T_REF_PHANTOM, np.array([0.0, 30.0, 18.0]))
    T, px = _poses(images, rng, 20.0), []
    for k in range(images):
        place = np.array([rng.uniform(60.0, 140.0), rng.uniform(40.0, 120.0), off_plane_mm * rng.normal()])
        T[k, :3, 3] += target - se3.transform(T[k] @ TRUE, place)
        px.append(place[:2] / SPACING_MM + noise_px * rng.normal(size=2))
    return as_observations(T, np.arange(images), np.array(px), SPACING_MM), target


def _off_mm(T: Array, data: Observations) -> float:
    points = data.points_mm
    return float(np.linalg.norm(se3.transform(T, points) - se3.transform(TRUE, points), axis=1).max())


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_exact_spots_give_the_exact_pose(tracked: bool, named: bool) -> None:
    data = _wires(named=named)
    if tracked:
        data = replace(data, T_ref_probe=se3.inverse(T_REF_PHANTOM) @ data.T_ref_probe)
    found = calibrate_wires(data, PHANTOM, tracked, CONFIG)
    assert _off_mm(found.T_probe_image, data) < 1e-5
    assert found.held_out_rms_mm < 1e-5 and found.inliers.all() and not found.unobserved
    assert np.allclose(found.spacing_factor, 1.0, atol=1e-7)
    if not tracked:
        turned = se3.make(Rotation.from_euler("z", 180.0, degrees=True).as_matrix(), np.array([0.0, 60.0, 0.0]))
        off = [np.abs(se3.log(se3.inverse(T_REF_PHANTOM @ S) @ found.values[Y])).max() for S in (np.eye(4), turned)]
        assert min(off) < 1e-5, "the phantom is the same turned by half about its own middle"


def test_an_exact_point_gives_the_exact_pose_and_the_point() -> None:
    data, target = _point()
    found = calibrate_point(data, CONFIG)
    assert _off_mm(found.T_probe_image, data) < 1e-5 and np.allclose(found.values[POINT], target, atol=1e-5)


def _moved(value: Array, step: Array) -> Array:
    return np.asarray(se3.exp(step) @ value if value.shape == (4, 4) else value + step)


def test_derivatives_are_those_of_differences() -> None:
    data = _wires(images=4, sweeps=1)
    values = {X: se3.exp(np.full(6, 0.02)) @ TRUE, Y: se3.exp(np.full(6, -0.01)) @ T_REF_PHANTOM, SPACING: np.array([1.01, 0.98])}
    models = [(WireModel(data, PHANTOM, CONFIG), values)]
    points, target = _point(6)
    models.append((PointModel(points, CONFIG), {X: values[X], POINT: target + 0.3, SPACING: values[SPACING]}))  # type: ignore[arg-type]
    for model, at in models:
        for name, J in model.jacobian(at).items():
            for k in range(J.shape[1]):
                step = np.zeros(J.shape[1])
                step[k] = 1e-5
                ahead, behind = (
                    {**at, name: se3.exp(s * step) @ at[name] if at[name].shape == (4, 4) else at[name] + s * step} for s in (1, -1)
                )
                numeric = (model.residuals(ahead) - model.residuals(behind)).ravel() / 2e-5
                assert np.allclose(J[:, k], numeric, atol=1e-4 * max(1.0, np.abs(numeric).max())), (name, k)


def test_a_seventh_of_wrong_spots_changes_nothing() -> None:
    data = _wires(noise_px=0.3, named=False)
    rng = np.random.default_rng(1)
    clean = calibrate_wires(data, PHANTOM, config=CONFIG)
    extra = len(data.px) // 7
    image = np.concatenate([data.image, rng.integers(0, len(data.T_ref_probe), extra)])
    px = np.concatenate([data.px, rng.uniform([100, 100], [300, 250], (extra, 2))])
    dirty = calibrate_wires(
        as_observations(data.T_ref_probe, image, px, SPACING_MM, np.full(len(image), -1), data.sweep), PHANTOM, config=CONFIG
    )
    assert _off_mm(dirty.T_probe_image, data) < _off_mm(clean.T_probe_image, data) + 0.05


def test_half_of_the_spots_of_a_point_may_be_something_else() -> None:
    data, _ = _point(120, noise_px=0.3, off_plane_mm=1.0)
    rng = np.random.default_rng(2)
    wrong = rng.permutation(120)[:54]
    px = data.px.copy()
    px[wrong] = rng.uniform([60, 60], [340, 300], (54, 2))
    found = calibrate_point(replace(data, px=px), CONFIG)
    assert _off_mm(found.T_probe_image, data) < 1.5


def test_errors_are_as_large_as_predicted() -> None:
    normalised = []
    for seed in range(6):
        data = _wires(images=20, noise_px=0.4, seed=seed)
        found = calibrate_wires(data, PHANTOM, config=CONFIG)
        error = se3.transform(found.T_probe_image, found.corners_mm[0]) - se3.transform(TRUE, found.corners_mm[0])
        C = tre_covariance_at(found.T_probe_image, found.covariance, found.corners_mm[0])
        normalised.append(float(error @ np.linalg.solve(C, error)))
    assert 0.8 < np.mean(normalised) < 8.0, "three degrees of freedom: three on average"


def test_the_bootstrap_holds_the_truth_and_shrinks_with_data() -> None:
    few, many = (calibrate_wires(_wires(images=n, noise_px=0.4), PHANTOM, config=CONFIG) for n in (20, 80))
    width = [np.diff(found.intervals[:3], axis=1).mean() for found in (few, many)]
    assert 1.4 < width[0] / width[1] < 3.0, "twice as narrow for four times as many images"
    assert np.all(np.abs(many.intervals[:3].mean(axis=1) - TRUE[:3, 3]) < 3.0 * np.diff(many.intervals[:3], axis=1)[:, 0])


def test_a_sweep_with_late_poses_shows_in_its_own_held_out_error() -> None:
    data = _wires(noise_px=0.2, sweeps=4)
    late = data.T_ref_probe.copy()
    late[data.sweep == 2, 1, 3] += 1.0
    found = calibrate_wires(replace(data, T_ref_probe=late), PHANTOM, config=CONFIG)
    rms = {part: float(np.sqrt(np.mean(errors**2))) for part, errors in found.held_out_mm.items()}
    assert max(rms, key=lambda part: rms[part]) == 2


@pytest.mark.parametrize(
    ("flip", "cause"),
    [
        (([400.0, 0.0], [-1.0, 1.0]), "mirrored"),
        (([0.0, 320.0], [1.0, -1.0]), "upside down"),
        (([400.0, 320.0], [-1.0, -1.0]), "180 degrees"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_mirrored_or_turned_image_is_named(flip: tuple[list[int], list[int]], cause: str, named: bool) -> None:
    data = _wires(noise_px=0.2, named=named)
    data = replace(data, px=np.array(flip[0]) + np.array(flip[1]) * data.px)
    with pytest.raises(InputError, match=cause):
        calibrate_wires(data, PHANTOM, config=CONFIG)


@pytest.mark.parametrize(
    ("factor", "cause"), [((1.25, 1.25), "another depth"), ((1.0, 1.04), "speed of sound"), ((1.06, 1.0), "distorts the picture")]
)
def test_pixels_of_another_size_are_named(factor: tuple[float, float], cause: str) -> None:
    data = _wires(noise_px=0.2)
    with pytest.raises(InputError, match=cause) as refusal:
        calibrate_wires(replace(data, spacing_mm=SPACING_MM * factor), PHANTOM, config=CONFIG)
    if cause == "another depth":
        told = re.search(r"got ([\d.]+) x ([\d.]+) mm measured", str(refusal.value))
        assert told is not None and [float(size) for size in told.groups()] == pytest.approx([0.5, 0.5], rel=0.005)
    point, _ = _point(100, noise_px=0.2)
    with pytest.raises(InputError, match=cause):
        calibrate_point(replace(point, spacing_mm=SPACING_MM * factor), CONFIG)


def test_too_little_turning_is_refused_with_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"turn the probe more: tilt it forward and back \(about x\)"):
        calibrate_wires(_wires(tilt_deg=1.5), PHANTOM, config=CONFIG)


def test_too_few_images_and_images_without_the_pattern_are_refused() -> None:
    with pytest.raises(InputError, match="at least 20 images"):
        calibrate_wires(_wires(images=4), PHANTOM, config=CONFIG)
    data = _wires(named=False)
    kept = np.arange(len(data.px)) % 3 > 0
    with pytest.raises(InputError, match="every wire of the phantom"):
        calibrate_wires(data.chosen(kept), PHANTOM, config=CONFIG)


def test_poses_of_another_recording_are_refused() -> None:
    data = _wires()
    rng = np.random.default_rng(5)
    with pytest.raises(InputError):
        calibrate_wires(replace(data, T_ref_probe=_poses(len(data.T_ref_probe), rng)), PHANTOM, config=CONFIG)


def test_wires_are_told_apart_by_geometry_with_other_spots_around() -> None:
    rng = np.random.default_rng(3)
    px, seen = _crossings(_poses(60, rng))
    whole = 0
    for spots in px[seen.all(axis=1)] * SPACING_MM:
        order = rng.permutation(11)
        crowd = np.concatenate([spots, rng.uniform([40, 30], [160, 140], (2, 2))])[order]
        found = assign_wires(crowd, PHANTOM)
        if found is not None:
            whole += 1
            assert sum(order[spot] == wire for spot, wire in found.items()) >= 8
    assert whole > 0.8 * np.count_nonzero(seen.all(axis=1))
    assert assign_wires(px[0, :5] * SPACING_MM, PHANTOM) is None and assign_wires(np.zeros((0, 2)), PHANTOM) is None


def test_where_the_slanting_wire_is_met_is_where_it_is() -> None:
    assert np.allclose(PHANTOM.crossing(0, 0.25), [-10.0, 15.0, 0.0])
    assert np.allclose(PHANTOM.crossing(1, 0.25), [-10.0, 45.0, 18.0])


def _phantom_text(**changed: str) -> str:
    wires = {"left": "[[-20, 0, Z], [-20, 60, Z]]", "middle": "[[-20, 0, Z], [20, 60, Z]]", "right": "[[20, 0, Z], [20, 60, Z]]", **changed}
    layer = "- {" + ", ".join(f"{role}: {ends}" for role, ends in wires.items()) + "}\n"
    return "layers:\n" + "".join(layer.replace("Z", str(z)) for z in (0, 18))


def test_a_phantom_comes_from_its_file_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "phantom.yaml"
    path.write_text(_phantom_text())
    assert np.allclose(load_phantom(path).width_mm, 40.0)
    wrong = (
        ({"right": "[[20, 0, Z], [26, 60, Z]]"}, "parallel"),
        ({"middle": "[[20, 0, Z], [20, 60, Z]]"}, "slants"),
        ({"right": "[[20, 0, Z]]"}, "shape"),
        ({"right": "[[-20, 0, Z], [-20, 60, Z]]"}, "apart"),
    )
    for changed, cause in wrong:
        path.write_text(_phantom_text(**changed))
        with pytest.raises(InputError, match=cause):
            load_phantom(path)


_LEAVES = st.none() | st.floats() | st.text(max_size=4)
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(ROLES), inner, max_size=3))


@settings(max_examples=60, deadline=None)
@given(_TREES)
def test_no_tree_breaks_the_reader_of_phantoms(tree: object) -> None:
    with pytest.raises(InputError):
        as_phantom(tree)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_no_file_breaks_the_reader_of_phantoms(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "phantom.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    with pytest.raises(InputError):
        load_phantom(path)


def test_a_file_of_a_calibration_is_what_drivers_read(tmp_path: Path) -> None:
    found = calibrate_wires(_wires(noise_px=0.3), PHANTOM, config=CONFIG)
    path = tmp_path / "us_probe.yaml"
    as_file(found, "wires", "my_bench", ("probe 7",), {"a.npz": "00"}).save(path)
    assert np.allclose(load_probe_calibration(path, "my_bench"), found.T_probe_image, atol=1e-9)
    with pytest.raises(InputError, match="rig"):
        load_probe_calibration(path, "another")


def test_spots_of_recorded_images_keep_their_poses() -> None:
    rows, columns = np.indices((200, 200))
    images = [
        (
            np.clip(220.0 * np.exp(-0.5 * ((columns - x) ** 2 + (rows - 90.0) ** 2) / 4.0), 0, 255).astype(np.uint8),
            se3.make(np.eye(3), np.array([x, 0.0, 0.0])),
        )
        for x in (60.0, 80.0)
    ]
    found = spots_of(TrackedImages("two", iter(images), SPACING_MM), True, CONFIG.detection)
    assert np.allclose(found.px, [[60.0, 90.0], [80.0, 90.0]], atol=0.05) and found.T_ref_probe[1, 0, 3] == 80.0
    with pytest.raises(InputError, match="pose of the probe"):
        spots_of(TrackedImages("none", iter([]), SPACING_MM), True, CONFIG.detection)


def test_recordings_of_two_depths_are_not_joined() -> None:
    data = _wires(sweeps=1)
    with pytest.raises(InputError, match="each depth by itself"):
        joined([data, replace(data, spacing_mm=np.array([0.4, 0.4]))])


def test_images_in_which_a_point_is_faint_are_left_out() -> None:
    rows, columns = np.indices((200, 200))
    blob = np.exp(-0.125 * ((columns - 90.0) ** 2 + (rows - 90.0) ** 2))
    images = [((peak * blob).astype(np.uint8), np.eye(4)) for peak in (220.0, 200.0, 215.0, 120.0)]
    assert spots_of(TrackedImages("four", images, SPACING_MM), True, CONFIG.detection).image.tolist() == [0, 1, 2]
    assert spots_of(TrackedImages("four", images, SPACING_MM), False, CONFIG.detection).image.tolist() == [0, 1, 2, 3]
