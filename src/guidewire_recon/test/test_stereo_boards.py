"""Boards in words and in images: corners to a few hundredths of a pixel, and what is said when a board is not there."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guidewire_recon.calibration.boards import BoardSpec, check_target, find_board, find_faces, parse_board, read_target
from guidewire_recon.calibration.corners import noise_of, refine
from guidewire_recon.calibration.stereo_picker import Picker
from lodestone_core.errors import InputError
from lodestone_core.types import Array

SQUARE_PX = 40
CHARUCO, CHECKERBOARD = parse_board("charuco:7x5:10:7.5"), parse_board("checkerboard:7x6:10")
# Turned, foreshortened and shifted: pixel ~ H (x, y, 1) of the board in mm.
H = np.array([[5.1, -0.9, 60.3], [0.7, 4.6, 41.2], [6e-4, 9e-4, 1.0]])


def picture(board: BoardSpec, noise: float = 2.0, seed: int = 0, H: Array = H) -> np.ndarray:
    """A board under a known homography: OpenCV's own picture of it, enlarged four times, warped and averaged down."""
    if board.kind == "charuco":
        dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
        ids = np.arange(board.first_marker, board.first_marker + board.columns * board.rows // 2)
        flat = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_mm, board.marker_mm, dictionary, ids)
        sheet = flat.generateImage((board.columns * SQUARE_PX, board.rows * SQUARE_PX))
    else:
        dark = (np.add.outer(np.arange(board.rows), np.arange(board.columns)) % 2 == 0).astype(np.uint8)
        sheet = np.kron(1 - dark, np.ones((SQUARE_PX, SQUARE_PX), dtype=np.uint8)) * 255
    # Pixel centres are whole: the sheet's point (x, y) in mm lies at x SQUARE_PX / square - 1/2.
    to_mm = np.array(
        [
            [board.square_mm / SQUARE_PX, 0.0, 0.5 * board.square_mm / SQUARE_PX],
            [0.0, board.square_mm / SQUARE_PX, 0.5 * board.square_mm / SQUARE_PX],
            [0.0, 0.0, 1.0],
        ]
    )
    fine = np.array([[4.0, 0.0, 1.5], [0.0, 4.0, 1.5], [0.0, 0.0, 1.0]])
    big = cv2.warpPerspective(sheet, fine @ H @ to_mm, (2000, 1600), flags=cv2.INTER_LINEAR, borderValue=255)
    soft = cv2.resize(cv2.GaussianBlur(big, (0, 0), 3.0), (500, 400), interpolation=cv2.INTER_AREA).astype(float)
    noisy = 20.0 + 0.75 * soft + noise * np.random.default_rng(seed).normal(size=soft.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def where(points: Array, H: Array = H) -> Array:
    return np.asarray(cv2.perspectiveTransform(points[None, :, :2].astype(np.float64), H)[0])


@pytest.mark.parametrize("board", [CHARUCO, CHECKERBOARD], ids=str)
def test_corners_are_found_to_a_few_hundredths_with_an_honest_covariance(board: BoardSpec) -> None:
    squares = []
    for seed in range(6):
        sighting, why = find_board(picture(board, seed=seed), board)
        assert sighting is not None, why
        assert len(sighting.pixels) == (board.columns - 1) * (board.rows - 1)
        off = sighting.pixels - where(sighting.points)
        assert np.sqrt((off**2).mean()) < 0.03
        squares.append(np.einsum("ni,nij,nj->n", off, np.linalg.inv(sighting.covariance), off))
    # Chi squared of two degrees of freedom; a picture as full of edges as this one counts some of them as noise.
    assert 1.0 < np.mean(squares) < 3.0


def test_a_checkerboard_is_counted_from_its_black_end_whichever_way_it_lies() -> None:
    half_turn = np.array([[-1.0, 0.0, 499.0], [0.0, -1.0, 399.0], [0.0, 0.0, 1.0]]) @ H
    sighting, _ = find_board(picture(CHECKERBOARD, H=half_turn), CHECKERBOARD)
    assert sighting is not None
    assert np.abs(sighting.pixels - where(sighting.points, half_turn)).max() < 0.1


@pytest.mark.parametrize(
    ("image", "board", "said"),
    [
        (picture(CHARUCO)[:, ::-1].copy(), CHARUCO, "mirrored"),
        (picture(CHARUCO), parse_board("charuco:6x5:10:7.5"), "numbers of columns and rows"),
        (picture(CHARUCO), parse_board("charuco:7x5:10:7.5:60"), "another board"),
        (np.full((400, 500), 120, dtype=np.uint8), CHARUCO, "0 corners"),
        (picture(CHECKERBOARD), parse_board("checkerboard:9x6:10"), "0 corners"),
    ],
    ids=["mirrored", "columns", "markers", "empty", "checkerboard"],
)
def test_why_a_board_is_not_found_is_said(image: np.ndarray, board: BoardSpec, said: str) -> None:
    sighting, why = find_board(image, board)
    assert sighting is None and said in why
    assert find_faces(image, (board,)) == ((), why)


def test_the_noise_of_an_image_is_that_of_its_plain_parts() -> None:
    for noise in (0.0, 1.0, 3.0, 8.0):
        expected = float(np.hypot(noise, 12.0**-0.5))
        assert noise_of(picture(CHARUCO, noise)) == pytest.approx(expected, rel=0.25)


def test_a_start_that_is_no_corner_or_outside_gives_nothing() -> None:
    image = picture(CHECKERBOARD, 0.0)
    inside = where(CHECKERBOARD.corners_mm)[8]
    found = refine(image, np.array([inside + 0.7, [1e9, 5.0], [-3.0, 4.0], [np.nan, 1.0], inside + 9.0]))
    assert np.abs(found.pixels[0] - inside).max() < 0.05
    assert np.isnan(found.pixels[1:4]).all()
    flat = refine(np.full((50, 50), 90, dtype=np.uint8), np.array([[25.0, 25.0]]))
    assert np.isnan(flat.pixels).all()
    assert refine(image, np.zeros((0, 2))).pixels.shape == (0, 2)


@pytest.mark.parametrize("text", ["charuco:11x8:6:4.5", "charuco:9x7:6:4.5:40", "checkerboard:9x6:8"])
def test_a_board_comes_back_from_its_text(text: str) -> None:
    assert str(parse_board(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "charuco",
        "charuco:9x7:6",
        "charuco:9x7:6:6",
        "charuco:9x7:6:4.5:90",
        "checkerboard:8x6:8",
        "checkerboard:9x6:0",
        "checkerboard:3x2:8",
        "dots:9x6:8",
        "checkerboard:9x6:8:2",
    ],
)
def test_what_is_no_board_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(InputError, match="write charuco:COLUMNSxROWS"):
        parse_board(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="charuoekbd:x0123456789.-en", max_size=24))
def test_any_text_is_a_board_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_board(text).square_mm > 0.0


def test_a_target_of_faces_that_look_alike_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "target.yaml"
    path.write_text("faces: [charuco:9x7:6:4.5, charuco:9x7:6:4.5:40]\n")
    assert [face.first_marker for face in read_target(path)] == [0, 40]
    with pytest.raises(InputError, match="marker 20 twice"):
        check_target((parse_board("charuco:9x7:6:4.5"), parse_board("charuco:9x7:6:4.5:20")), "here")
    with pytest.raises(InputError, match="told apart"):
        check_target((CHECKERBOARD, CHARUCO), "here")
    path.write_text("faces: 3\n")
    with pytest.raises(InputError, match="a list of boards"):
        read_target(path)


def test_views_are_taken_when_the_target_is_still_and_new_only() -> None:
    picker = Picker((CHARUCO,))
    image, later = picture(CHARUCO), picture(CHARUCO, seed=1)
    moved = np.array([[1.0, 0.0, 45.0], [0.0, 1.0, 20.0], [0.0, 0.0, 1.0]]) @ H
    assert not picker.add(image, image) and picker.said == "hold the target still"
    assert picker.add(later, later)
    assert not picker.add(image, image) and "already" in picker.said
    assert not picker.add(picture(CHARUCO, H=moved), picture(CHARUCO, H=moved))
    assert picker.add(picture(CHARUCO, seed=2, H=moved), picture(CHARUCO, seed=2, H=moved))
    assert [view.paired for view in picker.views] == [True, True]
    with pytest.raises(InputError, match="500x400 px as before, got 480x400"):
        picker.add(image[:, :480].copy(), image)
