"""Pictures of calibration boards: corners to a hundredth of a pixel, markers that OpenCV reads, faces that turn away, defocus."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from lodestone_bench.optics.blur import blurred, blurred_by
from lodestone_bench.optics.board import Board, Face
from lodestone_bench.optics.board_view import BoardCamera, board_image
from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.pinhole import Array, pinhole

SMALL = Board(7, 5, 3.0, 0.0, margin_mm=1.5)
CHARUCO = Board(6, 5, 4.0, 3.0, first_marker=20, margin_mm=2.0)


def at_45_degrees(board: Board, turn_deg: float = 10.0) -> Array:
    """T_bench_board of a board in the middle of the volume that both cameras see at 45 degrees."""
    z = -np.array([0.0, 1.0, 1.0]) / np.sqrt(2.0)
    R = np.column_stack([[1.0, 0.0, 0.0], np.cross(z, [1.0, 0.0, 0.0]), z]) @ Rotation.from_euler("z", turn_deg, degrees=True).as_matrix()
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = (0.0, 0.0, 70.0) - R @ board.outline_mm.mean(axis=0)
    return T


def corners_in(light: np.ndarray, near: Array) -> Array:
    """Where the gradient of the smoothed picture is zero, by spline interpolation and a general root finder."""
    slopes = [ndimage.gaussian_filter(light.astype(np.float64), 2.0, order=order) for order in ((0, 1), (1, 0))]
    slopes = [ndimage.spline_filter(slope) for slope in slopes]

    def gradient(at: Array) -> Array:
        return np.array([float(ndimage.map_coordinates(slope, [[at[1]], [at[0]]], prefilter=False)[0]) for slope in slopes])

    return np.array([optimize.root(gradient, start).x for start in near])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("turn_deg", "aperture_mm"), [(10.0, 2.5), (45.0, 6.0), (0.0, 0.0)])
def test_corners_lie_where_the_projection_says_to_a_hundredth_of_a_pixel(side: str, turn_deg: float, aperture_mm: float) -> None:
    camera = pinhole(replace(CamerasConfig(), aperture_mm=aperture_mm, texture=0.0), side)
    T = at_45_degrees(SMALL, turn_deg)
    pixels, _ = camera.see(SMALL.corners_mm @ T[:3, :3].T + T[:3, 3])
    found = corners_in(BoardCamera(camera).light(T, SMALL), pixels + 0.3)
    assert np.abs(found - pixels).max() < 0.01


def test_opencv_reads_the_markers_with_their_numbers_at_their_places() -> None:
    camera = pinhole(CamerasConfig(), "right")
    T = at_45_degrees(CHARUCO)
    pixels, _ = camera.see(CHARUCO.corners_mm @ T[:3, :3].T + T[:3, 3])
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    board = cv2.aruco.CharucoBoard((6, 5), 4.0, 3.0, dictionary, np.arange(20, 35))
    found, ids, _, marker_ids = cv2.aruco.CharucoDetector(board).detectBoard(board_image(camera, T, CHARUCO))
    assert sorted(marker_ids.ravel()) == list(range(20, 35))
    assert sorted(ids.ravel()) == list(range(20))
    assert np.abs(found[:, 0] - pixels[ids.ravel()]).max() < 0.15


def test_a_target_shows_each_camera_the_face_that_looks_at_it() -> None:
    T_target_top, T_target_side = np.eye(4), np.eye(4)
    T_target_top[:3, :3] = np.diag([1.0, -1.0, -1.0])
    T_target_top[:3, 3] = (-12.0, 10.0, 15.0)
    T_target_side[:3, :3] = np.column_stack([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
    T_target_side[:3, 3] = (12.0, 15.0, 10.0)
    faces = [Face(CHARUCO, T_target_top), Face(replace(CHARUCO, first_marker=40), T_target_side)]
    T_bench_target = np.eye(4)
    T_bench_target[:3, 3] = (0.0, 0.0, 60.0)
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100))
    for side, first in (("left", 20), ("right", 40)):
        image = BoardCamera(pinhole(CamerasConfig(), side)).image(T_bench_target, faces)
        ids = detector.detectMarkers(image)[1]
        assert sorted(ids.ravel()) == list(range(first, first + 15)), side


def test_a_board_behind_the_camera_or_out_of_view_is_not_there() -> None:
    camera = BoardCamera(pinhole(CamerasConfig(), "left"))
    empty = camera.light(np.eye(4), [])
    for shift in ((0.0, 0.0, 900.0), (900.0, 0.0, 0.0)):
        T = at_45_degrees(SMALL)
        T[:3, 3] += shift
        assert np.array_equal(camera.light(T, SMALL), empty)
    away = at_45_degrees(SMALL)
    away[:3, :3] = away[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    assert np.array_equal(camera.light(away, SMALL), empty)


def test_a_face_seen_edge_on_costs_no_more_than_another() -> None:
    camera = BoardCamera(pinhole(CamerasConfig(), "left"))
    T = np.eye(4)
    # Its normal is a degree off the image plane and it lies aslant: its plane meets the horizon within the rectangle around it.
    T[:3, :3] = Rotation.from_euler("ZX", (45.0, -89.0), degrees=True).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    T[:3, 3] = (0.0, 0.0, 75.0)
    began = time.process_time()
    picture = camera.light(T, CHARUCO)
    assert np.isfinite(picture).all() and np.abs(picture - camera.light(T, [])).max() > 10.0
    assert time.process_time() - began < 5.0


def test_the_picture_repeats_with_its_number_and_seed() -> None:
    camera = pinhole(CamerasConfig(), "left")
    T = at_45_degrees(SMALL)
    first = BoardCamera(camera, 3).image(T, SMALL, 4)
    assert np.array_equal(BoardCamera(camera, 3).image(T, SMALL, 4), first)
    assert not np.array_equal(BoardCamera(camera, 3).image(T, SMALL, 5), first)
    assert first.dtype == np.uint8 and first.shape == (1536, 2048)


@pytest.mark.parametrize("diameter", [0.0, 0.5, 1.0, 2.7, 3.1, 9.0])
def test_a_point_becomes_as_wide_as_disc_and_gaussian_together(diameter: float) -> None:
    point = np.zeros((41, 41), dtype=np.float32)
    point[20, 20] = 1.0
    spread = blurred(point, diameter, 0.8).astype(np.float64)
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    at = np.arange(41) - 20.0
    assert float((spread.sum(axis=0) * at**2).sum()) == pytest.approx(diameter**2 / 16.0 + 0.64, rel=0.04)


def test_a_blur_that_changes_over_the_picture_is_at_each_place_the_blur_of_that_place() -> None:
    picture = np.zeros((60, 400), dtype=np.float32)
    picture[:, ::40] = 100.0
    diameters = np.broadcast_to(np.linspace(0.0, 6.0, 400, dtype=np.float32), picture.shape)
    mixed = blurred_by(picture, np.ascontiguousarray(diameters), 0.8)
    for column in (120, 240, 320):
        exact = blurred(picture, float(diameters[0, column]), 0.8)
        assert np.abs(mixed - exact)[30, column - 6 : column + 7].max() < 0.05 * exact[30, column]
