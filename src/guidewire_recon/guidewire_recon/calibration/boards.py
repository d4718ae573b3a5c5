"""Checkerboards and ChArUco boards: what a target is made of, and its corners in an image.

`charuco:9x7:8:6` is a ChArUco board of 9 x 7 squares of 8 mm with markers of 6 mm (DICT_5X5_100; `:20` behind it lets its markers count
from 20); `checkerboard:9x6:8` has 9 x 6 squares. Board frame: origin at the outer corner of the first square (black), x along the columns,
y down the rows, z into the board. A checkerboard must have an odd sum of columns and rows: else it looks the same after half a turn, and
two cameras may count it from different ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.corners import refine
from guidewire_recon.calibration.stereo_types import Sighting
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.yaml_file import read_yaml

Image = npt.NDArray[np.uint8]
CHARUCO, CHECKERBOARD = "charuco", "checkerboard"
FEWEST_CORNERS = 8
_HOW = "write charuco:COLUMNSxROWS:SQUARE:MARKER[:FIRST_MARKER] or checkerboard:COLUMNSxROWS:SQUARE, squares counted, sizes in mm"
_DICTIONARY = cv2.aruco.DICT_5X5_100
# A plane seen through a lens of little distortion: corners that fit worse belong to another board.
_PLANE_TOLERANCE = 0.04


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One board: squares counted, sizes in mm."""

    kind: str
    columns: int
    rows: int
    square_mm: float
    marker_mm: float = 0.0
    first_marker: int = 0

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise InputError(f"board {self}", expected=problem, got=str(self), remedy=_HOW)

    def __str__(self) -> str:
        end = f":{self.marker_mm:g}" + (f":{self.first_marker}" if self.first_marker else "") if self.kind == CHARUCO else ""
        return f"{self.kind}:{self.columns}x{self.rows}:{self.square_mm:g}{end}"

    def _problem(self) -> str:
        if self.kind not in (CHARUCO, CHECKERBOARD):
            return f"{CHARUCO} or {CHECKERBOARD}"
        if min(self.columns, self.rows) < 4 or max(self.columns, self.rows) > 40:
            return "4 to 40 squares each way"
        if not 0.1 <= self.square_mm <= 1000.0:
            return "squares of 0.1 to 1000 mm"
        if self.kind == CHECKERBOARD:
            return "" if (self.columns + self.rows) % 2 else "an odd sum of columns and rows, or nobody can tell which end is which"
        if not 0.3 * self.square_mm <= self.marker_mm < self.square_mm:
            return "markers smaller than the squares, and at least a third of them"
        count = self.columns * self.rows // 2
        return "" if self.first_marker >= 0 and self.first_marker + count <= 100 else "markers of the dictionary's 100"

    @property
    def corners_mm(self) -> Array:
        """Inner corners (N, 3) in the board's frame, row by row."""
        v, u = np.meshgrid(np.arange(1, self.rows), np.arange(1, self.columns), indexing="ij")
        return np.asarray(np.column_stack([u.ravel(), v.ravel(), np.zeros(u.size)]) * self.square_mm, dtype=np.float64)


def parse_board(text: str) -> BoardSpec:
    """A board from its short text, see the head of this module. Raises InputError."""
    words = text.split(":")
    try:
        columns, rows = (int(word) for word in words[1].split("x"))
        sizes = [float(word) for word in words[2:4]]
        first = int(words[4]) if len(words) > 4 else 0
        if len(words) > 5 or len(sizes) != (2 if words[0] == CHARUCO else 1):
            raise ValueError
    except (ValueError, IndexError):
        raise InputError("board", expected=_HOW, got=repr(text), remedy="correct it") from None
    return BoardSpec(words[0], columns, rows, sizes[0], sizes[1] if len(sizes) > 1 else 0.0, first)


def read_target(path: Path) -> tuple[BoardSpec, ...]:
    """The boards of a rigid target, one a face: `faces: [charuco:..., charuco:...]`, markers of no two alike. Raises InputError."""
    tree = read_yaml(path)
    faces = tree.get("faces") if isinstance(tree, dict) else None
    if not isinstance(faces, list) or not faces or not all(isinstance(face, str) for face in faces):
        raise InputError(str(path), expected="faces: a list of boards", got=repr(tree)[:80], remedy=_HOW)
    return check_target(tuple(parse_board(face) for face in faces), str(path))


def check_target(boards: tuple[BoardSpec, ...], where: str) -> tuple[BoardSpec, ...]:
    """The boards, if an image tells them apart. Raises InputError."""
    taken: set[int] = set()
    for board in boards if len(boards) > 1 else ():
        if board.kind != CHARUCO:
            raise InputError(where, expected="ChArUco boards", got=str(board), remedy="faces without markers cannot be told apart")
        own = set(range(board.first_marker, board.first_marker + board.columns * board.rows // 2))
        if own & taken:
            remedy = "let each face's markers count from another number"
            raise InputError(where, expected="markers of no two faces alike", got=f"marker {min(own & taken)} twice", remedy=remedy)
        taken |= own
    return boards


def find_faces(image: Image, boards: tuple[BoardSpec, ...]) -> tuple[tuple[Sighting, ...], str]:
    """What an image shows of a target, and why not more ("" when nothing is wrong)."""
    found, problems = [], []
    for number, board in enumerate(boards):
        sighting, problem = find_board(image, board, number)
        if sighting is not None:
            found.append(sighting)
        if problem:
            problems.append(problem)
    return tuple(found), "; ".join(problems) if not found else ""


def find_board(image: Image, board: BoardSpec, face: int = 0) -> tuple[Sighting | None, str]:
    """The corners of one board (as face number `face`), or None and why."""
    ids, start = _find_charuco(image, board) if board.kind == CHARUCO else _find_checkerboard(image, board)
    if len(ids) < FEWEST_CORNERS:
        return None, _why_not(image, board, len(ids))
    square_px = _square_px(board.corners_mm[ids], start, board.square_mm)
    # The window must not reach the next corner or a marker's edge.
    smooth = float(np.clip(square_px / 24.0, 0.8, 1.8))
    corners = refine(image, start, smooth, reach_px=max(2.0, smooth * 2.0))
    good = np.isfinite(corners.pixels).all(axis=1)
    sighting = Sighting(face, board.corners_mm[ids[good]], corners.pixels[good], corners.covariance[good])
    if len(sighting.pixels) < FEWEST_CORNERS:
        return None, f"{len(sighting.pixels)} sharp corners of {board} found, {FEWEST_CORNERS} are needed"
    return (sighting, "") if not (problem := _plane_problem(sighting, board, square_px)) else (None, problem)


def rough_corners(image: Image, boards: tuple[BoardSpec, ...]) -> tuple[Sighting, ...]:
    """The corners as OpenCV finds them, not refined, each with a covariance of 1 px^2: for comparisons."""
    found = []
    for number, board in enumerate(boards):
        ids, pixels = _find_charuco(image, board) if board.kind == CHARUCO else _find_checkerboard(image, board)
        if len(ids) >= FEWEST_CORNERS:
            found.append(Sighting(number, board.corners_mm[ids], pixels, np.broadcast_to(np.eye(2), (len(ids), 2, 2))))
    return tuple(found)


@lru_cache(maxsize=16)
def _detector(board: BoardSpec) -> cv2.aruco.CharucoDetector:
    dictionary = cv2.aruco.getPredefinedDictionary(_DICTIONARY)
    ids = np.arange(board.first_marker, board.first_marker + board.columns * board.rows // 2)
    return cv2.aruco.CharucoDetector(cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_mm, board.marker_mm, dictionary, ids))


def _find_charuco(image: Image, board: BoardSpec) -> tuple[npt.NDArray[np.int_], Array]:
    corners, ids, _, _ = _detector(board).detectBoard(image)
    if ids is None:
        return np.zeros(0, dtype=int), np.zeros((0, 2))
    return ids.ravel().astype(int), np.asarray(corners, dtype=np.float64).reshape(-1, 2)


def _find_checkerboard(image: Image, board: BoardSpec) -> tuple[npt.NDArray[np.int_], Array]:
    size = (board.columns - 1, board.rows - 1)
    found, corners = cv2.findChessboardCornersSB(image, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
    if not found:
        return np.zeros(0, dtype=int), np.zeros((0, 2))
    grid = np.asarray(corners, dtype=np.float64).reshape(size[1], size[0], 2)
    # Counted from the end whose first square is black.
    first = 0.25 * (grid[0, 0] + grid[0, 1] + grid[1, 0] + grid[1, 1])
    # The square between the first four corners has the colour of the first square: both lie on a diagonal.
    black = _grey(image, first) < _grey(image, 0.25 * (grid[0, 1] + grid[0, 2] + grid[1, 1] + grid[1, 2]))
    grid = grid if black else grid[::-1, ::-1]
    return np.arange(size[0] * size[1]), grid.reshape(-1, 2)


def _grey(image: Image, at: Array) -> float:
    x, y = np.clip(np.rint(at).astype(int), 1, np.array(image.shape[::-1]) - 2)
    return float(image[y - 1 : y + 2, x - 1 : x + 2].mean())


def _square_px(points: Array, pixels: Array, square_mm: float) -> float:
    """The shortest distance between neighbouring corners: the side of the most foreshortened square."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = np.abs(apart - square_mm) < 0.01 * square_mm
    if not near.any():
        return 20.0
    return float(np.linalg.norm(pixels[:, None] - pixels[None], axis=-1)[near].min())


def _plane_problem(sighting: Sighting, board: BoardSpec, square_px: float) -> str:
    """Why the corners are not those of this board: they do not lie on one plane in this order, or are mirrored."""
    H, _ = cv2.findHomography(sighting.points[:, :2], sighting.pixels, cv2.RANSAC, max(_PLANE_TOLERANCE * square_px, 1.0))
    if H is None:
        return f"the corners do not lie on a plane as those of {board} do: another board?"
    mapped = cv2.perspectiveTransform(sighting.points[None, :, :2], H)[0]
    off = np.linalg.norm(mapped - sighting.pixels, axis=1)
    if np.mean(off > max(_PLANE_TOLERANCE * square_px, 1.0)) > 0.1:
        return f"the corners do not lie as those of {board} do: other numbers of columns and rows, or another board?"
    return ""


def _why_not(image: Image, board: BoardSpec, count: int) -> str:
    """In words, why a ChArUco board was not found."""
    problem = f"{count} corners of {board} found, {FEWEST_CORNERS} are needed"
    if board.kind != CHARUCO:
        return problem
    seen = _markers(image, _DICTIONARY)
    if len(seen) >= 4:
        own = [i for i in seen if 0 <= i - board.first_marker < board.columns * board.rows // 2]
        if len(own) < len(seen) / 2:
            return f"{problem}; markers {min(seen)} to {max(seen)} are seen, which belong to another board"
        return f"{problem}, though {len(own)} of its markers are seen: has the board other numbers of columns and rows?"
    if len(_markers(np.ascontiguousarray(image[:, ::-1]), _DICTIONARY)) >= 4:
        return f"{problem}; the image is mirrored"
    for name in ("DICT_4X4_100", "DICT_6X6_250", "DICT_7X7_250", "DICT_ARUCO_ORIGINAL"):
        if len(_markers(image, getattr(cv2.aruco, name))) >= 4:
            return f"{problem}; its markers are of {name}, not of DICT_5X5_100"
    return problem


def _markers(image: Image, dictionary: int) -> list[int]:
    ids = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary)).detectMarkers(image)[1]
    return [] if ids is None else sorted(int(i) for i in ids.ravel())
