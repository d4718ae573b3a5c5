"""Where the C-arm's source and detector are on the bench, by turning the arm about the patient's axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_bench.c_arm.config import CArmConfig
from lodestone_core.types import Array

LYING = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: the patient's left, back and head on the bench."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One position of the arm, bench frame, mm: the source (3,), the middle of the pixel in column 0 and row 0 (3,), and the steps (3,)
    from column to column and from row to row. The picture is as seen from the source.
    """

    source: Array
    corner: Array
    column_step: Array
    row_step: Array

    @property
    def beam(self) -> Array:
        """Unit vector across the detector, away from the source."""
        across = np.cross(self.column_step, self.row_step)
        return np.asarray(across / np.linalg.norm(across))

    @property
    def distance_mm(self) -> float:
        """Source to detector."""
        return float((self.corner - self.source) @ self.beam)

    def T_bench_source(self) -> Array:
        """Pose (4, 4) of the source: x along columns, y along rows, z along the beam."""
        T = np.eye(4)
        T[:3, 0] = self.column_step / np.linalg.norm(self.column_step)
        T[:3, 1] = self.row_step / np.linalg.norm(self.row_step)
        T[:3, 2] = self.beam
        T[:3, 3] = self.source
        return T

    def pixels(self, points_bench: Array) -> tuple[Array, Array]:
        """Column and row (N, 2) where rays through points (N, 3) meet the detector, and how much larger they appear there (N,)."""
        ray = points_bench - self.source
        scale = self.distance_mm / (ray @ self.beam)
        on_detector = self.source + ray * scale[:, None] - self.corner
        steps = np.stack([self.column_step, self.row_step])
        return on_detector @ steps.T / (steps**2).sum(axis=1), scale


def view(config: CArmConfig, primary_deg: float, secondary_deg: float) -> View:
    """The arm turned to these angles: about the head axis to the left, then about the arm's own cross axis to the head."""
    turned = LYING @ _about_head(np.radians(primary_deg)) @ _about_left(-np.radians(secondary_deg))
    right, down, forward = turned @ np.array([-1.0, 0, 0]), turned @ np.array([0, 0, -1.0]), turned @ np.array([0, -1.0, 0])
    source = np.array(config.isocentre_mm) - config.source_to_isocentre_mm * forward
    middle = source + config.source_to_detector_mm * forward
    columns, rows = config.size_px
    corner = middle - config.spacing_mm * ((columns - 1) / 2 * right + (rows - 1) / 2 * down)
    return View(source, corner, config.spacing_mm * right, config.spacing_mm * down)


def _about_head(angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _about_left(angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
