"""The bench's own pinhole camera with a real lens: projection, its inverse, and how far out of focus a depth is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.config import CamerasConfig, EyeConfig

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pinhole:
    """A camera at its place in bench. `R_eye_bench` (3, 3) and `centre_mm` (3,) in bench; pixels are column, row."""

    eye: EyeConfig
    config: CamerasConfig
    R_eye_bench: Array
    centre_mm: Array

    def see(self, points_mm: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depths (...; mm) of points (..., 3) in bench; NaN pixels for what is not in front."""
        local = (points_mm - self.centre_mm) @ self.R_eye_bench.T
        depth = local[..., 2]
        with np.errstate(all="ignore"):
            plane = np.where(depth[..., None] > 0.0, local[..., :2] / depth[..., None], np.nan)
        return self._bend(plane) * self.eye.focal_px + self.eye.principal_px, depth

    def sight(self, pixels: Array) -> Array:
        """Directions (..., 3) in bench of the lines of sight of pixels, with 1 along the optical axis."""
        bent = (pixels - self.eye.principal_px) / self.eye.focal_px
        plane = bent.copy()
        for _ in range(60):  # a contraction: the bend is a few per mille
            change = bent - self._bend(plane)
            plane = plane + change
            if np.abs(change).max(initial=0.0) < 1e-14:
                break
        local = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
        direction: Array = local @ self.R_eye_bench
        return direction

    def px_per_mm(self, depth_mm: Array) -> Array:
        """Scale across the line of sight at a depth."""
        return float(np.mean(self.eye.focal_px)) / depth_mm

    def defocus_px(self, depth_mm: Array) -> Array:
        """Diameter of the disc that a point at this depth becomes (thin lens)."""
        focal = float(np.mean(self.eye.focal_px))
        spread: Array = self.config.aperture_mm * focal * np.abs(1.0 / np.asarray(depth_mm) - 1.0 / self.config.focus_mm)
        return spread

    def light_share(self, pixels: Array) -> Array:
        """Share of the light that reaches the sensor at pixels (..., 2): vignetting."""
        half = np.hypot(self.config.width, self.config.height) / 2.0
        middle = ((self.config.width - 1) / 2.0, (self.config.height - 1) / 2.0)
        off = np.linalg.norm(pixels - middle, axis=-1) / half
        share: Array = 1.0 - self.config.vignetting * off**2
        return share

    def _bend(self, plane: Array) -> Array:
        """What the lens makes of a point of the plane at depth 1."""
        x, y = plane[..., 0], plane[..., 1]
        square = x * x + y * y
        a1, a2, a3 = self.eye.radial
        stretch = 1.0 + square * (a1 + square * (a2 + square * a3))
        t1, t2 = self.eye.tangential
        s1, s2 = self.eye.prism
        across = stretch * x + 2.0 * t1 * x * y + t2 * (square + 2.0 * x * x) + s1 * square
        down = stretch * y + t1 * (square + 2.0 * y * y) + 2.0 * t2 * x * y + s2 * square
        return np.stack([across, down], axis=-1)


def pinhole(config: CamerasConfig, side: str) -> Pinhole:
    """The `left` or the `right` camera of the world."""
    eye: EyeConfig = getattr(config, side)
    x, y, z, w = np.array(eye.quaternion_xyzw) / np.linalg.norm(eye.quaternion_xyzw)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return Pinhole(eye, config, turn.T, np.array(eye.position_mm))
