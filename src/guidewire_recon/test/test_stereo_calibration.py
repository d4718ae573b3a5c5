"""Stereo calibration on corners of known cameras: the truth comes back, faults are named, and the covariance says what it should."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.calibration.boards import parse_board
from guidewire_recon.calibration.stereo import StereoCalibration, calibrate_stereo
from guidewire_recon.calibration.stereo_bundle import _Model, adjust
from guidewire_recon.calibration.stereo_checks import check_nominal
from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_coverage import coverage_of, next_step
from guidewire_recon.calibration.stereo_file import bench_from_seat, frames_text, read_stereo, write_stereo
from guidewire_recon.calibration.stereo_quality import figure, hold_out, judge, point_covariance, summary
from guidewire_recon.calibration.stereo_start import medoid, pose_of, start
from guidewire_recon.calibration.stereo_types import SIDES, Sighting, StereoRig, View
from lodestone_core import se3
from lodestone_core.camera import CameraModel, triangulate
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.yaml_file import parse_yaml

SIZE = (2048, 1536)
SIZES = dict.fromkeys(SIDES, SIZE)
BOARD = np.array([(6.0 * x, 6.0 * y, 0.0) for y in range(7) for x in range(9)])
T_LEFT = se3.make(np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.0, 450.0]))  # of the volume's middle, z up
T_RIGHT = se3.make(np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]]), np.array([0.0, 0.0, 450.0]))
# A face that looks at the left camera, one that looks at the right one.
FACES = (
    se3.make(np.diag([1.0, -1.0, -1.0]), np.array([-24.0, 18.0, 14.0])),
    se3.make(np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]]), np.array([24.0, 30.0, 18.0])),
)


def cameras() -> tuple[CameraModel, CameraModel]:
    K1 = np.array([[5810.0, 0.0, 1030.0], [0.0, 5806.0, 760.0], [0.0, 0.0, 1.0]])
    K2 = np.array([[5780.0, 0.0, 1016.0], [0.0, 5783.0, 775.0], [0.0, 0.0, 1.0]])
    return (
        CameraModel("left", *SIZE, K1, np.array([-0.08, 0.15, 3e-4, -2e-4, 0.0])),
        CameraModel("right", *SIZE, K2, np.array([-0.07, 0.11, -2e-4, 4e-4, 0.0])),
    )


def truth(two: bool) -> StereoRig:
    left, right = cameras()
    faces = (np.eye(4), se3.inverse(FACES[0]) @ FACES[1]) if two else (np.eye(4),)
    return StereoRig(left, right, T_RIGHT @ se3.inverse(T_LEFT), faces)


def poses(count: int, two: bool, seed: int) -> list[Array]:
    """T_left_target (first face) of each view; a single board stands at 45 degrees to both cameras."""
    rng = np.random.default_rng(seed)
    half_way = np.column_stack([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0] / np.sqrt(2.0), [0.0, -1.0, -1.0] / np.sqrt(2.0)])
    found = []
    for _ in range(count):
        turn = Rotation.from_rotvec(np.radians(rng.normal(0.0, 15.0, 3))).as_matrix()
        R = turn if two else half_way @ turn
        middle = np.zeros(3) if two else R @ BOARD.mean(axis=0)
        T_world = se3.make(R, rng.uniform(-10.0, 10.0, 3) - middle)
        found.append(T_LEFT @ T_world @ (FACES[0] if two else np.eye(4)))
    return found


def views_of(rig: StereoRig, places: list[Array], noise_px: float, seed: int) -> list[View]:
    rng = np.random.default_rng([seed, 1])
    views = []
    for number, T in enumerate(places):
        seen: dict[str, tuple[Sighting, ...]] = {}
        for face, side in ((0, "left"), (len(rig.T_target_face) - 1, "right")):
            sighting = Sighting(face, BOARD, np.zeros((len(BOARD), 2)), np.zeros((len(BOARD), 2, 2)))
            pixels = rig.predict(side, T, sighting)
            inside = rig.camera(side).contains(pixels, 10.0)
            noisy = pixels[inside] + noise_px * rng.normal(size=(int(inside.sum()), 2))
            covariance = np.broadcast_to(max(noise_px, 0.01) ** 2 * np.eye(2), (len(noisy), 2, 2))
            seen[side] = (Sighting(face, BOARD[inside], noisy, covariance),)
        views.append(View(f"{number:03d}", seen["left"], seen["right"]))
    return views


@cache
def calibrated(two: bool, noise_px: float = 0.02, seed: int = 0) -> tuple[StereoRig, list[Array], list[View], StereoCalibration]:
    rig, places = truth(two), poses(12, two, seed)
    views = views_of(rig, places, noise_px, seed)
    return rig, places, views, calibrate_stereo(views, SIZES, len(rig.T_target_face), StereoConfig(corner_floor_px=0.0))


def errors_about_the_middle(rig: StereoRig, T_left_seat: Array, found: StereoRig, T_found_seat: Array, spread: float = 20.0) -> Array:
    """Errors (N, 3) of points seen without noise, in the frame of the target in its seat."""
    points = se3.transform(T_LEFT, np.random.default_rng(3).uniform(-spread, spread, (60, 3)))
    pixels = np.stack([rig.camera(side).project(se3.transform(rig.T_camera_left(side), points)) for side in SIDES])
    measured = triangulate((found.left, found.right), np.stack([np.eye(4), found.T_right_left]), pixels)
    return se3.transform(se3.inverse(T_found_seat), measured) - se3.transform(se3.inverse(T_left_seat), points)


@pytest.mark.parametrize("two", [False, True], ids=["one board", "two faces"])
def test_without_noise_the_true_cameras_come_back(two: bool) -> None:
    rig, places, _, found = calibrated(two, 0.0)
    for side in SIDES:
        assert np.abs(found.rig.camera(side).K - rig.camera(side).K).max() < 1e-3
        assert np.abs(found.rig.camera(side).D - rig.camera(side).D).max() < 1e-5
    assert np.abs(found.rig.T_right_left - rig.T_right_left).max() < 1e-4
    for T, T_true in zip(found.rig.T_target_face, rig.T_target_face, strict=True):
        assert np.abs(T - T_true).max() < 1e-5
    assert np.abs(found.bundle.poses["003"] - places[3]).max() < 1e-3
    assert not found.dropped


@pytest.mark.parametrize("two", [False, True], ids=["one board", "two faces"])
def test_a_point_is_found_to_a_few_micrometres_in_the_frame_of_the_seat(two: bool) -> None:
    rig, places, _, found = calibrated(two)
    assert found.bundle.rms_px() == pytest.approx(0.02, rel=0.1)
    off = errors_about_the_middle(rig, places[0], found.rig, found.bundle.poses["000"])
    assert np.sqrt((off**2).sum(axis=1).mean()) < 0.02


def test_the_derivative_of_the_residuals_agrees_with_differences() -> None:
    rig, places, views, _ = calibrated(True)
    model = _Model(views[:3], rig, "k1k2p", 0.02)
    values = {side: model.parameters(rig.camera(side)) for side in SIDES} | {
        "T_right_left": rig.T_right_left,
        "face_1": rig.T_target_face[1],
    }
    values |= {f"view_{i}": places[i] for i in range(3)}
    J = model.jacobian(values)
    for name, value in values.items():
        for k in range(J[name].shape[1]):
            step = np.zeros(J[name].shape[1])
            step[k] = 1e-4 if value.ndim == 1 or k < 3 else 1e-7
            ends = [values | {name: se3.exp(sign * step) @ value if value.ndim == 2 else value + sign * step} for sign in (1.0, -1.0)]
            difference = (model.residuals(ends[0]) - model.residuals(ends[1])) / (2.0 * step[k])
            assert np.abs(J[name][:, k] - difference).max() < 1e-5 * max(1.0, np.abs(difference).max()), (name, k)


@pytest.mark.parametrize("two", [False, True], ids=["one board", "two faces"])
def test_the_covariance_of_a_point_covers_its_error(two: bool) -> None:
    squares = []
    for seed in range(1, 6):
        rig, places, _, found = calibrated(two, 0.02, seed)
        points = np.array([[0.0, 0.0, 0.0], [15.0, -10.0, 8.0], [-15.0, 12.0, -8.0]])
        on_seat = se3.transform(se3.inverse(places[0]) @ T_LEFT, points)
        in_left = se3.transform(T_LEFT, points)
        pixels = np.stack([rig.camera(s).project(se3.transform(rig.T_camera_left(s), in_left)) for s in SIDES])
        measured = triangulate((found.rig.left, found.rig.right), np.stack([np.eye(4), found.rig.T_right_left]), pixels)
        off = se3.transform(se3.inverse(found.bundle.poses["000"]), measured) - on_seat
        C = point_covariance(found.bundle, on_seat, "000")
        squares.append(np.einsum("ni,nij,nj->n", off, np.linalg.inv(C), off))
    # Chi squared of three degrees of freedom, the three points of a seed nearly one: within what five draws allow.
    assert 0.9 < np.mean(squares) < 8.0
    assert np.mean(np.array(squares) < 7.815) >= 0.7


def test_held_out_views_and_boards_agree_with_the_noise() -> None:
    _, _, _, found = calibrated(False)
    held = hold_out(found, StereoConfig())
    figures = summary(held, StereoConfig())
    assert len(held) == 12
    reprojection, _ = figures["held_out_reprojection"]
    assert reprojection.low < reprojection.value < reprojection.high
    assert reprojection.value == pytest.approx(0.02, rel=0.15)
    geometry, unit = figures["held_out_board_geometry"]
    # Two cameras at a right angle see a point of 0.02 px to about 0.02 px of 450 / 5800 mm in each direction.
    assert (geometry.value, unit) == (pytest.approx(0.02 * 450.0 / 5800.0 * 1.5, rel=0.3), "mm")
    assert figures["held_out_board_scale_error"][0].value < 1e-4


def test_a_wrong_square_size_cannot_be_seen_but_in_the_distance_of_the_cameras() -> None:
    _, _, views, found = calibrated(False)
    grown = [
        replace(
            v,
            left=tuple(replace(s, points=s.points * 1.1) for s in v.left),
            right=tuple(replace(s, points=s.points * 1.1) for s in v.right),
        )
        for v in views
    ]
    other = calibrate_stereo(grown, SIZES, 1, StereoConfig(corner_floor_px=0.0))
    assert other.bundle.rms_px() == pytest.approx(found.bundle.rms_px(), rel=1e-3)
    frames = se3.inverse(T_LEFT), se3.inverse(T_RIGHT)
    said = check_nominal(other.rig, frames, StereoConfig(), frames[0])
    assert len(said) == 1 and "0.909 times as large" in said[0]
    assert check_nominal(found.rig, frames, StereoConfig(), frames[0]) == []


def test_swapped_cameras_are_named_by_a_seat_and_in_a_rig_that_is_not_symmetric() -> None:
    rig, _, _, found = calibrated(False)
    said = se3.inverse(T_LEFT), se3.inverse(T_RIGHT)
    swapped = replace(rig, left=rig.right, right=rig.left, T_right_left=se3.inverse(rig.T_right_left))
    # This pair looks the same from both sides: nothing but a seat tells.
    assert "--seat" in check_nominal(swapped, said, StereoConfig())[0]
    assert check_nominal(found.rig, said, StereoConfig(), T_bench_left=said[0]) == []
    with pytest.raises(InputError, match="exchanged"):
        check_nominal(swapped, said, StereoConfig(), T_bench_left=said[1])
    leaning = said[0], said[1] @ se3.exp(np.array([80.0, 0.0, -60.0, 0.0, 0.3, 0.4]))
    pair = replace(rig, T_right_left=se3.inverse(leaning[1]) @ leaning[0])
    assert check_nominal(pair, leaning, StereoConfig()) == []
    with pytest.raises(InputError, match="exchanged"):
        check_nominal(replace(pair, T_right_left=se3.inverse(pair.T_right_left)), leaning, StereoConfig())


def test_a_view_in_which_the_target_moved_between_the_images_is_dropped_and_named() -> None:
    rig, places, views, _ = calibrated(False)
    moved = views_of(rig, [se3.exp(np.array([2.0, 0.0, 0.0, 0.0, 0.0, 0.0])) @ places[5]], 0.02, 9)[0]
    wrong = [*views[:5], View("moved", views[5].left, moved.right), *views[6:]]
    found = calibrate_stereo(wrong, SIZES, 1)
    assert list(found.dropped) == ["moved"]
    assert "did it move" in found.dropped["moved"]


def test_a_view_with_left_and_right_exchanged_is_dropped_and_named() -> None:
    rig, _, views, _ = calibrated(False)
    wrong = [*views[:7], replace(views[7].exchanged(), name="swapped"), *views[8:]]
    found = calibrate_stereo(wrong, SIZES, 1)
    assert list(found.dropped) == ["swapped"]
    assert "exchanged" in found.dropped["swapped"]
    assert np.abs(found.rig.T_right_left[:3, :3] - rig.T_right_left[:3, :3]).max() < 5e-3


def test_two_corners_that_are_far_off_do_no_harm() -> None:
    rig, places, views, _ = calibrated(False)
    pixels = views[2].left[0].pixels.copy()
    pixels[[4, 17]] += 3.0
    wrong = [*views[:2], replace(views[2], left=(replace(views[2].left[0], pixels=pixels),)), *views[3:]]
    found = calibrate_stereo(wrong, SIZES, 1)
    off = errors_about_the_middle(rig, places[0], found.rig, found.bundle.poses["000"])
    assert np.sqrt((off**2).sum(axis=1).mean()) < 0.02


def test_views_of_one_camera_alone_help_its_lens_and_nothing_else() -> None:
    _, _, views, found = calibrated(False)
    alone = [View(f"left {v.name}", left=v.left) for v in views_of(truth(False), poses(8, False, 31), 0.02, 31)]
    more = calibrate_stereo([*views, *alone], SIZES, 1, StereoConfig(corner_floor_px=0.0))
    before, after = (one.bundle.solution.tangent_covariance("left") for one in (found, more))
    assert (np.diag(after) < np.diag(before)).all()


def test_too_few_views_and_views_that_connect_nothing_are_refused() -> None:
    _, _, views, _ = calibrated(True)
    with pytest.raises(InputError, match="at least 8 views of both cameras"):
        calibrate_stereo(views[:5], SIZES, 2)
    with pytest.raises(InputError, match="left camera: expected at least 4 views"):
        start([View(v.name, right=v.right) for v in views], SIZES, 2)
    with pytest.raises(InputError, match="views of both cameras"):
        start([View(v.name, left=v.left) for v in views] + [View(v.name + "r", right=v.right) for v in views], SIZES, 2)
    with pytest.raises(InputError, match="connects face"):
        start(views, SIZES, 3)


def test_boards_that_agree_with_nothing_are_refused_with_what_to_check() -> None:
    _, _, views, _ = calibrated(False)
    rng = np.random.default_rng(0)
    shuffled = [replace(v, right=views[i].right) for v, i in zip(views, rng.permutation(len(views)), strict=True)]
    with pytest.raises(InputError, match=r"rigid and still|RMS of at most"):
        calibrate_stereo(shuffled, SIZES, 1)


def test_the_pose_of_a_board_is_the_right_one_of_its_two_solutions() -> None:
    rig = truth(False)
    for T in poses(20, False, 5):
        sighting = Sighting(
            0, BOARD, rig.predict("left", T, Sighting(0, BOARD, BOARD[:, :2], np.zeros((len(BOARD), 2, 2)))), np.zeros((len(BOARD), 2, 2))
        )
        assert np.abs(pose_of(rig.left, sighting) - T).max() < 1e-3


def test_the_medoid_does_not_follow_a_third_of_wrong_transforms() -> None:
    rng = np.random.default_rng(2)
    good = [se3.exp(rng.normal(0.0, 1e-3, 6)) for _ in range(8)]
    wrong = [se3.exp(rng.normal(0.0, 1.0, 6) * (100.0, 100.0, 100.0, 1.0, 1.0, 1.0)) for _ in range(4)]
    assert np.abs(medoid(wrong + good) - np.eye(4)).max() < 0.01


def test_coverage_says_in_words_what_is_missing() -> None:
    rig = truth(False)
    assert "show the board to the left camera" in next_step([], SIZES)
    narrow = views_of(rig, [poses(1, False, 0)[0]] * 6, 0.02, 3)
    assert next_step(narrow, SIZES).startswith("move the board to the ")
    wide = views_of(rig, poses(60, False, 8), 0.02, 8)
    assert coverage_of(wide, "left", SIZE).area >= 0.5
    assert coverage_of(wide, "left", SIZE).missing_tilts == ()
    assert coverage_of(narrow, "left", SIZE).missing_tilts != ()
    assert coverage_of(wide, "left", SIZE).farthest_mm == pytest.approx(460.0, abs=25.0)


def test_the_files_of_a_rig_come_back_and_do_not_mix(tmp_path: Path) -> None:
    _, places, _, found = calibrated(False)
    held = summary([judge(found.rig, view) for view in found.views], StereoConfig())
    seat = bench_from_seat(found, "000", se3.inverse(T_LEFT) @ places[0])
    write_stereo(tmp_path / "my_rig", found, [parse_board("checkerboard:10x7:6")], held, {"images": "abc"}, seat)
    read = read_stereo(tmp_path / "my_rig", "my_rig")
    assert np.abs(read.rig.T_right_left - found.rig.T_right_left).max() < 1e-9
    assert np.array_equal(read.rig.left.K, found.rig.left.K)
    assert np.allclose(read.covariance, found.extrinsic_covariance, rtol=1e-5, atol=1e-12)
    assert read.T_bench_left is not None and np.abs(read.T_bench_left - se3.inverse(T_LEFT))[:3, 3].max() < 1.0
    assert read.calibration.figures["held_out_reprojection"]["unit"] == "px"
    with pytest.raises(InputError, match="--replace"):
        write_stereo(tmp_path / "my_rig", found, [], held, {})
    with pytest.raises(InputError, match=r"expected other_rig"):
        read_stereo(tmp_path / "my_rig", "other_rig")
    left, right = (tmp_path / "my_rig" / f"{side}.yaml" for side in SIDES)
    texts = left.read_text(), right.read_text()
    left.write_text(texts[1])
    with pytest.raises(InputError, match="exchange the two files"):
        read_stereo(tmp_path / "my_rig")
    left.write_text(texts[0].replace("5810", "5811").replace("58", "59", 1))
    with pytest.raises(InputError, match="calibrate again"):
        read_stereo(tmp_path / "my_rig")


def test_the_frames_text_is_what_the_frames_file_holds() -> None:
    rig = truth(False)
    tree = parse_yaml(frames_text(se3.inverse(T_LEFT), rig.T_right_left), "text")
    assert [edge["child"] for edge in tree] == ["stereo_left_optical", "stereo_right_optical"]
    T = se3.from_quaternion(np.array(tree[1]["quaternion_xyzw"]), np.array(tree[1]["translation_mm"]))
    assert np.abs(T - se3.inverse(T_RIGHT)).max() < 1e-6


def test_a_seat_that_was_dropped_or_never_taken_is_refused() -> None:
    _, _, _, found = calibrated(False)
    with pytest.raises(InputError, match="no such view"):
        bench_from_seat(found, "seat", np.eye(4))


def test_a_figure_over_nothing_is_no_number() -> None:
    empty = figure([float("nan")], 100)
    assert empty.n == 0 and np.isnan(empty.value)


def test_more_lens_terms_are_found_when_asked_for() -> None:
    found = calibrated(False)[3]
    wide = adjust(found.views, found.rig, found.bundle.poses, "rational_polynomial", 0.02)
    assert wide.rig.left.distortion_model == "rational_polynomial"
    assert wide.rms_px() <= found.bundle.rms_px() * 1.001
    none = adjust(found.views, found.rig, found.bundle.poses, "k1", 0.02)
    assert (none.rig.left.D[1:] == 0.0).all()
