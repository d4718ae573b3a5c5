"""The volume as cells of place and tilt, in the image: what a walk has covered and where it might go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from em_registration.calibration.config import CalibrationConfig
from lodestone_core import se3
from lodestone_core.types import Array

Indices = npt.NDArray[np.intp]
STRAIGHT = 0
TURNS = 5
"""Straight, and tilted towards each of four sides."""
_AXES = ("+x", "+y", "+z", "-x", "-y", "-z")


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """A box `low_mm` to `high_mm` (3,) in the image, `cells` along each axis, and tilts against how the tool is held.

    `R_image_tool`: mean orientation (3, 3). `axis_tool` (3,): the direction of the tool that is tilted, from its origin to its tip.
    `straight_rad`, `tilt_rad`: up to where a tool counts as straight, and how far a tilted one is asked to be tilted.
    """

    low_mm: Array
    high_mm: Array
    cells: int
    R_image_tool: Array
    axis_tool: Array
    straight_rad: float
    tilt_rad: float

    @property
    def centres_mm(self) -> Array:
        """Centres (cells^3, 3), x running fastest."""
        steps = (np.arange(self.cells) + 0.5) / self.cells
        z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
        return self.low_mm + np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1) * (self.high_mm - self.low_mm)

    def cells_of(self, points_mm: Array) -> Indices:
        """Cell (N,) of each point (N, 3), as `centres_mm` numbers them; -1 outside."""
        share = (points_mm - self.low_mm) / (self.high_mm - self.low_mm) * self.cells
        place = np.floor(share).astype(np.intp)
        # The far side belongs to the last cell.
        place = np.where(share == self.cells, self.cells - 1, place)
        inside = np.all((place >= 0) & (place < self.cells), axis=1)
        number = place @ np.array([1, self.cells, self.cells**2])
        return np.where(inside, number, -1)

    def turns_of(self, R_image_tool: Array) -> Indices:
        """Tilt (N,) of orientations (N, 3, 3): STRAIGHT or 1 to 4, as `sides` lists them."""
        directions = R_image_tool @ self.axis_tool
        off = np.arccos(np.clip(directions @ self._axis_image, -1.0, 1.0))
        towards = 1 + np.argmax(directions @ self.sides.T, axis=1)
        return np.where(off <= self.straight_rad, STRAIGHT, towards)

    def covered(self, T_image_tip: Array) -> npt.NDArray[np.int64]:
        """How many of the poses (N, 4, 4) lie in each cell with each tilt: (cells^3, TURNS)."""
        counts = np.zeros((self.cells**3, TURNS), dtype=np.int64)
        cell, turn = self.cells_of(T_image_tip[:, :3, 3]), self.turns_of(T_image_tip[:, :3, :3])
        inside = cell >= 0
        np.add.at(counts, (cell[inside], turn[inside]), 1)
        return counts

    def poses_at(self, points_mm: Array) -> Array:
        """T_image_tip (N * TURNS, 4, 4): each of the points (N, 3) with each tilt, tilts running fastest."""
        turned = np.stack([self._tilted(turn) for turn in range(TURNS)])
        return se3.make(np.tile(turned, (len(points_mm), 1, 1)), np.repeat(points_mm, TURNS, axis=0))

    @property
    def sides(self) -> Array:
        """Directions (4, 3) in the image, across the tool's axis, towards which it may be tilted."""
        a = self._axis_image
        first = np.eye(3)[np.argmin(np.abs(a))]
        first = first - (first @ a) * a
        first = first / np.linalg.norm(first)
        second = np.cross(a, first)
        return np.stack([first, second, -first, -second])

    def side_name(self, turn: int) -> str:
        """The tilt in words, by the image's axis that is nearest."""
        if turn == STRAIGHT:
            return "held straight"
        side = self.sides[turn - 1]
        return f"tilted towards {_AXES[int(np.argmax(np.concatenate([side, -side])))]}"

    @property
    def _axis_image(self) -> Array:
        return self.R_image_tool @ self.axis_tool

    def _tilted(self, turn: int) -> Array:
        if turn == STRAIGHT:
            return self.R_image_tool
        about = np.cross(self._axis_image, self.sides[turn - 1])
        return np.asarray(Rotation.from_rotvec(self.tilt_rad * about).as_matrix() @ self.R_image_tool)


def space_of(T_image_tip: Array, tip_tool_mm: Array, volume_mm: tuple[Array, Array] | None, config: CalibrationConfig) -> Space:
    """Cells of a volume (low and high corner; the box about the poses when None), and how these poses (N, 4, 4) hold the tool."""
    points = T_image_tip[:, :3, 3]
    low, high = volume_mm or (points.min(axis=0), points.max(axis=0))
    # A flat box still has cells.
    high = np.maximum(high, low + 1.0)
    length = float(np.linalg.norm(tip_tool_mm))
    axis = tip_tool_mm / length if length > 1.0 else np.array([0.0, 0.0, 1.0])
    held = Rotation.from_matrix(T_image_tip[:, :3, :3]).mean().as_matrix()
    return Space(low, high, config.cells, held, axis, config.straight_rad, config.tilt_rad)
