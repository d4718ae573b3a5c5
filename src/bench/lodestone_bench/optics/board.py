"""Calibration boards and rigid targets of several boards, as things in the world: their pattern at any point of their plane.

Board frame: origin at the outer corner of the first square, x along a row of squares, y down the columns, z into the board, away from who
looks at it. The first square is black; a ChArUco board has markers in its white squares, numbered row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Light = npt.NDArray[np.float32]
_BITS = 5


@dataclass(frozen=True, slots=True)
class Board:
    """`columns` x `rows` squares of `square_mm`; with `marker_mm` a ChArUco board, whose markers count from `first_marker`."""

    columns: int
    rows: int
    square_mm: float
    marker_mm: float = 0.0
    first_marker: int = 0
    margin_mm: float = 4.0

    @property
    def corners_mm(self) -> Array:
        """Inner corners ((columns - 1) (rows - 1), 3) in the board's frame, row by row."""
        v, u = np.meshgrid(np.arange(1, self.rows), np.arange(1, self.columns), indexing="ij")
        return np.column_stack([u.ravel(), v.ravel(), np.zeros(u.size)]).astype(np.float64) * self.square_mm

    @property
    def outline_mm(self) -> Array:
        """Corners (4, 3) of the whole plate with its white margin."""
        m = self.margin_mm
        right, down = self.columns * self.square_mm + m, self.rows * self.square_mm + m
        return np.array([[-m, -m, 0.0], [right, -m, 0.0], [right, down, 0.0], [-m, down, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A board at its place on a rigid target."""

    board: Board
    T_target_board: Array


def pattern(board: Board, u: Light, v: Light, wide_u: Light, wide_v: Light) -> tuple[Light, Light]:
    """Share of white, and share of the plate, at points (u, v; mm) of the plane seen through boxes of that width (mm).

    Edges are exact means over the box, so that corners stand where they are to far below a pixel.
    """
    checks = _wave(u / board.square_mm, wide_u / board.square_mm) * _wave(v / board.square_mm, wide_v / board.square_mm)
    white = 0.5 - 0.5 * checks
    inside = _within(u, 0.0, board.columns * board.square_mm, wide_u) * _within(v, 0.0, board.rows * board.square_mm, wide_v)
    white = 1.0 - inside * (1.0 - white)
    if board.marker_mm > 0.0:
        white = white * _markers(board, u, v)
    margin, (right, down, _) = board.margin_mm, board.outline_mm[2]
    plate = np.asarray(_within(u, -margin, float(right), wide_u) * _within(v, -margin, float(down), wide_v), dtype=np.float32)
    return np.asarray(white, dtype=np.float32), plate


def _wave(a: Light, wide: Light) -> Light:
    """+1 from 0 to 1, -1 from 1 to 2 and so on, averaged over a box."""
    line = np.rint(a)
    edge = np.clip(2.0 * (a - line) / np.maximum(wide, 1e-9), -1.0, 1.0)
    return np.asarray(np.where(line % 2.0 == 0.0, edge, -edge), dtype=np.float32)


def _within(a: Light, low: float, high: float, wide: Light) -> Light:
    share = np.clip(0.5 + (a - low) / wide, 0.0, 1.0) * np.clip(0.5 + (high - a) / wide, 0.0, 1.0)
    return np.asarray(share, dtype=np.float32)


def _markers(board: Board, u: Light, v: Light) -> Light:
    """0 in a marker's black cells, 1 elsewhere."""
    cells = _BITS + 2
    column, row = np.floor(u / board.square_mm).astype(int), np.floor(v / board.square_mm).astype(int)
    white = ((column + row) % 2 == 1) & (column >= 0) & (row >= 0) & (column < board.columns) & (row < board.rows)
    number = (row * board.columns + column) // 2 if board.columns % 2 == 0 else (row * board.columns + column - 1) // 2
    side = (board.square_mm - board.marker_mm) / 2.0
    x = np.floor((u - column * board.square_mm - side) / board.marker_mm * cells).astype(int)
    y = np.floor((v - row * board.square_mm - side) / board.marker_mm * cells).astype(int)
    in_marker = white & (x >= 0) & (y >= 0) & (x < cells) & (y < cells)
    result = np.ones(u.shape, dtype=np.float32)
    pictures = _pictures(board)
    result[in_marker] = pictures[number[in_marker], y[in_marker], x[in_marker]]
    return result


def _pictures(board: Board) -> Light:
    """Cells (markers, 7, 7) of the board's markers."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    count = board.columns * board.rows // 2
    cells = [cv2.aruco.generateImageMarker(dictionary, board.first_marker + i, _BITS + 2) / 255.0 for i in range(count)]
    return np.array(cells, dtype=np.float32)
