"""Pictures of calibration boards: exact edges, light that falls at an angle, defocus that changes over a tilted board, noise."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.blur import blurred_by
from lodestone_bench.optics.board import Board, Face, pattern
from lodestone_bench.optics.pinhole import Array, Pinhole
from lodestone_bench.optics.sensor import Image, Light, backdrop, expose, light_field

_STEP = 4
FINE = 2
"""Points each way at which a pixel is made; lenses blur before a sensor samples, so one is not enough."""
_WHITE, _BLACK = 225.0, 22.0


class BoardCamera:
    """A camera that looks at boards; keeps its lines of sight, so that the second picture costs less."""

    def __init__(self, camera: Pinhole, seed: int = 0) -> None:
        config = camera.config
        self.camera = camera
        self._seed = seed
        columns, rows = np.meshgrid(np.arange(0, config.width + _STEP, _STEP), np.arange(0, config.height + _STEP, _STEP))
        self._sight = camera.sight(np.stack([columns, rows], axis=-1).astype(np.float64))
        self._light = light_field(camera)
        self._backdrop = backdrop(camera, np.random.default_rng([seed, 0]))

    def image(self, T_bench_target: Array, faces: Board | Sequence[Face], number: int = 0) -> Image:
        """The picture (height, width) of a board, or of a target of several faces, at T_bench_target; `number` draws the noise."""
        light = self.light(T_bench_target, faces)
        return expose(self.camera.config, light, np.random.default_rng([self._seed, 1, number]))

    def light(self, T_bench_target: Array, faces: Board | Sequence[Face]) -> Light:
        """The same without noise and rounding, in grey. A face that is turned away is not seen; faces do not hide one another."""
        each = [Face(faces, np.eye(4))] if isinstance(faces, Board) else faces
        picture = self._backdrop.copy()
        for face in each:
            self._add(picture, T_bench_target @ face.T_target_board, face.board)
        return picture

    def _add(self, picture: Light, T_bench_board: Array, board: Board) -> None:
        """Put one face into the picture, within its own rectangle."""
        camera = self.camera
        outline, depth = camera.see(board.outline_mm @ T_bench_board[:3, :3].T + T_bench_board[:3, 3])
        normal = T_bench_board[:3, 2]
        if not np.isfinite(outline).all() or float(normal @ (T_bench_board[:3, 3] - camera.centre_mm)) <= 0.0:
            return
        margin = 8.0 + float(camera.defocus_px(depth).max()) + 4.0 * camera.config.lens_blur_px
        low = np.maximum(np.floor(outline.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(outline.max(axis=0) + margin), (camera.config.width, camera.config.height)).astype(int)
        if (high - low < 2).any():
            return
        window = np.s_[low[1] : high[1], low[0] : high[0]]
        white, plate, distance = self._plane(T_bench_board, board, low, high)
        middle = T_bench_board[:3, :3] @ board.outline_mm.mean(axis=0) + T_bench_board[:3, 3]
        lamp = np.array(camera.config.light_mm) - middle
        lit = 0.55 + 0.45 * max(float(-normal @ lamp) / float(np.linalg.norm(lamp)), 0.0)
        sharp = np.dstack([plate, plate * (_BLACK + (_WHITE - _BLACK) * white) * lit])
        # Beside the plate its plane may run into the distance, or behind the camera: no blur there is larger than the plate's largest.
        largest = float(camera.defocus_px(depth).max())
        disc = np.minimum(np.nan_to_num(camera.defocus_px(distance.astype(np.float64)), nan=largest), largest).astype(np.float32)
        soft = [blurred_by(np.ascontiguousarray(sharp[..., i]), disc * FINE, camera.config.lens_blur_px * FINE, 0.5 * FINE) for i in (0, 1)]
        cover, light = (np.asarray(cv2.resize(one, tuple(high - low), interpolation=cv2.INTER_AREA)) for one in soft)
        picture[window] = picture[window] * (1.0 - cover) + light * self._light[window]

    def _plane(
        self, T_bench_board: Array, board: Board, low: npt.NDArray[np.int_], high: npt.NDArray[np.int_]
    ) -> tuple[Light, Light, Light]:
        """Share of white, share of plate and depth (mm) at the fine points of a rectangle of pixels."""
        normal = T_bench_board[:3, 2]
        first = low // _STEP
        last = -(-high // _STEP) + 1
        sight = self._sight[first[1] : last[1] + 1, first[0] : last[0] + 1]
        with np.errstate(divide="ignore"):
            depth = ((T_bench_board[:3, 3] - self.camera.centre_mm) @ normal) / (sight @ normal)
        on_board = (self.camera.centre_mm + depth[..., None] * sight - T_bench_board[:3, 3]) @ T_bench_board[:3, :2]
        nodes = [on_board[..., 0], on_board[..., 1]]
        # The width of a fine pixel on the board: the box that its edges are averaged over.
        nodes += [sum(np.abs(part) for part in np.gradient(on_board[..., i])) / (_STEP * FINE) for i in (0, 1)]
        columns, rows = np.meshgrid(*(_fine(low[i], high[i]) for i in (0, 1)))
        # Eighths of a node and a sixteenth: exact in cv2.remap, which rounds to 1/32.
        x, y = (columns / _STEP - first[0]).astype(np.float32), (rows / _STEP - first[1]).astype(np.float32)
        u, v, wide_u, wide_v, distance = (
            np.asarray(cv2.remap(node.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)
            for node in (*nodes, depth)
        )
        return (*pattern(board, u, v, wide_u, wide_v), distance)


def _fine(low: int, high: int) -> Array:
    """Places of the fine points of pixels low .. high - 1."""
    return low + (np.arange((high - low) * FINE) + 0.5) / FINE - 0.5


def board_image(camera: Pinhole, T_bench_board: Array, board: Board, seed: int = 0) -> Image:
    """One picture of one board; BoardCamera makes several of them faster."""
    return BoardCamera(camera, seed).image(T_bench_board, board)
