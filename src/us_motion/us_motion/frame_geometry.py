"""Where in an ultrasound image the fan is, and how large a pixel is.

Pixels are column and row, the centre of the first pixel at (0, 0). Angles count from straight down (+row), negative to the left.
Millimetres count along columns (x) and rows (y) from there, so that a pixel need not be square. A linear array is a fan whose apex is far
away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lodestone_core.config import REQUIRED, option
from lodestone_core.errors import InputError
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class FanConfig:
    """One depth of the machine, as a calibration file holds it. Pixels are those of the cropped image."""

    depth_mm: float = option(REQUIRED, unit="mm", doc="from the transducer's surface to the far end of the image", minimum=1.0)
    spacing_mm: tuple[float, float] = option(REQUIRED, unit="mm", doc="size of a pixel along columns (x) and rows (y)", minimum=1e-3)
    apex_px: tuple[float, float] = option(REQUIRED, unit="px", doc="column and row where the lines of the fan meet")
    radius_min_mm: float = option(REQUIRED, unit="mm", doc="transducer's surface from the apex", minimum=0.0)
    angle_min_rad: float = option(REQUIRED, unit="rad", doc="left edge from straight down", minimum=-math.pi / 2, maximum=math.pi / 2)
    angle_max_rad: float = option(REQUIRED, unit="rad", doc="right edge", minimum=-math.pi / 2, maximum=math.pi / 2)

    def __post_init__(self) -> None:
        if self.angle_max_rad <= self.angle_min_rad:
            got = f"{self.angle_min_rad:.4f} and {self.angle_max_rad:.4f}"
            raise InputError(
                "angle_min_rad, angle_max_rad", expected="the left edge left of the right one", got=got, remedy="exchange them"
            )

    @property
    def radius_max_mm(self) -> float:
        """Far end of the fan from the apex."""
        return self.radius_min_mm + self.depth_mm


class Fan:
    """A fan in an image of `size_px` (columns, rows)."""

    def __init__(self, config: FanConfig, size_px: tuple[int, int]) -> None:
        self.config = config
        self.size_px = size_px

    def polar(self, pixels: npt.ArrayLike) -> tuple[Array, Array]:
        """Distance from the apex (mm) and angle (rad) of pixels (..., 2)."""
        offset = (np.asarray(pixels, dtype=float) - self.config.apex_px) * self.config.spacing_mm
        return np.hypot(offset[..., 0], offset[..., 1]), np.arctan2(offset[..., 0], offset[..., 1])

    def pixels(self, radius_mm: npt.ArrayLike, angle_rad: npt.ArrayLike) -> Array:
        """Pixels (..., 2) of a distance from the apex and an angle."""
        radius, angle = np.broadcast_arrays(np.asarray(radius_mm, dtype=float), np.asarray(angle_rad, dtype=float))
        offset = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)
        return np.asarray(offset / self.config.spacing_mm + self.config.apex_px)

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Pixels (rows, columns) whose centre lies in the fan."""
        columns, rows = np.meshgrid(np.arange(self.size_px[0]), np.arange(self.size_px[1]))
        radius, angle = self.polar(np.stack([columns, rows], axis=-1))
        c = self.config
        return np.asarray(
            (radius >= c.radius_min_mm) & (radius <= c.radius_max_mm) & (angle >= c.angle_min_rad) & (angle <= c.angle_max_rad)
        )

    def outline(self, step_px: float = 3.0) -> tuple[Array, Array, npt.NDArray[np.intp]]:
        """Points (n, 2) px, unit vectors (n, 2) that point out of the fan, and what each is of: 0 left edge, 1 right edge, 2 far arc.

        The near arc is left out: what touches the transducer's surface may be dark.
        """
        c = self.config
        step_mm = step_px * min(c.spacing_mm)
        radii = np.arange(c.radius_min_mm + step_mm, c.radius_max_mm, step_mm)
        angles = np.arange(c.angle_min_rad, c.angle_max_rad, step_mm / c.radius_max_mm)
        left, right = self.pixels(radii, c.angle_min_rad), self.pixels(radii, c.angle_max_rad)
        far = self.pixels(c.radius_max_mm, angles)
        outward = [
            np.broadcast_to([-math.cos(c.angle_min_rad), math.sin(c.angle_min_rad)], left.shape),
            np.broadcast_to([math.cos(c.angle_max_rad), -math.sin(c.angle_max_rad)], right.shape),
            np.stack([np.sin(angles), np.cos(angles)], axis=1),
        ]
        normals = np.concatenate(outward) * c.spacing_mm
        kinds = np.repeat(np.arange(3), [len(left), len(right), len(far)])
        return np.concatenate([left, right, far]), normals / np.linalg.norm(normals, axis=1, keepdims=True), kinds


def spacing_from_targets(pixels: npt.ArrayLike, pairs: npt.ArrayLike, distances_mm: npt.ArrayLike) -> tuple[float, float]:
    """Size of a square pixel and its standard deviation, mm, from targets (n, 2) px whose distances (m,) between pairs (m, 2) are known.

    Raises InputError for no pair, or pairs that do not agree within 5 %.
    """
    points, index, known = np.asarray(pixels, float), np.asarray(pairs, int).reshape(-1, 2), np.asarray(distances_mm, float)
    if not len(index) or len(index) != len(known):
        raise InputError("targets", expected="a distance for each pair", got=f"{len(index)} and {len(known)}", remedy="complete them")
    seen = np.linalg.norm(points[index[:, 0]] - points[index[:, 1]], axis=1)
    if (seen < 1.0).any() or (known <= 0.0).any():
        raise InputError("targets", expected="targets apart", got="two at one place", remedy="remove the pair")
    spacing = float(seen @ known / (seen @ seen))
    rest = known - spacing * seen
    if np.abs(rest / known).max() > 0.05:
        worst = int(np.argmax(np.abs(rest / known)))
        got = f"{known[worst]:.2f} mm for {seen[worst]:.1f} px"
        raise InputError(
            f"target pair {worst}", expected=f"about {spacing:.4f} mm a pixel", got=got, remedy="check the pair, or the aspect of the video"
        )
    spread = math.sqrt(float(rest @ rest) / max(1, len(rest) - 1))
    return spacing, spread / float(np.sqrt(seen @ seen))
