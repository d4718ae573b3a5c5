"""Where the lines of a curved array lie in the image, and how samples along them become pixels.

Image frame `us_image`: origin in the middle of pixel (0, 0), x along columns, y along rows, z = x cross y across the slice; mm.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_core import se3
from lodestone_core.types import Array

_TOP_ROW = 4.0
_ROUND_MM = 0.01
_R_PROBE_IMAGE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""As drawn: x of the image along the array, y out of the face."""


class Fan:
    """Geometry of one depth."""

    def __init__(self, config: UltrasoundConfig, depth_mm: float) -> None:
        self.config = config
        self.depth_mm = depth_mm
        self.radius_min_mm = config.radius_mm
        self.radius_max_mm = config.radius_mm + depth_mm
        self.half_angle_rad = float(np.radians(config.half_angle_deg))
        self.spacing_mm = self._spacing()
        top = self.radius_min_mm * np.cos(self.half_angle_rad)
        self.apex_px = np.array([0.5 * (config.columns - 1), _TOP_ROW - top / self.spacing_mm])
        """Column and row where all lines meet."""
        self.radii_mm = np.linspace(self.radius_min_mm, self.radius_max_mm, config.samples)
        self.angles_rad = np.linspace(-self.half_angle_rad, self.half_angle_rad, config.beams)

    @property
    def sample_mm(self) -> float:
        """Distance of two samples of a line."""
        return float(self.radii_mm[1] - self.radii_mm[0])

    @property
    def face_mm(self) -> Array:
        """Middle of the transducer's face (3,) in the image."""
        return np.array([self.apex_px[0] * self.spacing_mm, self.apex_px[1] * self.spacing_mm + self.radius_min_mm, 0.0])

    @property
    def T_probe_image(self) -> Array:
        """True pose (4, 4) of the image in us_probe at this depth: what a probe calibration finds."""
        turn = se3.exp(np.concatenate([np.zeros(3), np.radians(self.config.offset_deg)]))[:3, :3]
        T: Array = se3.make(turn @ _R_PROBE_IMAGE, np.array(self.config.offset_mm)) @ se3.make(np.eye(3), -self.face_mm)
        return T

    @cached_property
    def points_mm(self) -> Array:
        """Samples (samples, beams, 2) in the image: x, y."""
        r, angle = np.meshgrid(self.radii_mm, self.angles_rad, indexing="ij")
        apex = self.apex_px * self.spacing_mm
        return np.stack([apex[0] + r * np.sin(angle), apex[1] + r * np.cos(angle)], axis=-1)

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Pixels (rows, columns) inside the fan."""
        r, angle = self._polar_of_pixels()
        return np.asarray((np.abs(angle) <= self.half_angle_rad) & (r >= self.radius_min_mm) & (r <= self.radius_max_mm))

    def image(self, samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Pixels (rows, columns) of samples (samples, beams); 0 outside the fan."""
        pixels = cv2.remap(samples, *self._maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(pixels * self.mask, dtype=np.uint8)

    def _spacing(self) -> float:
        """Least pixel, rounded up, at which the fan fits into the image."""
        c = self.config
        wide = 2.0 * self.radius_max_mm * np.sin(self.half_angle_rad) / (c.columns - 8)
        high = (self.radius_max_mm - self.radius_min_mm * np.cos(self.half_angle_rad)) / (c.rows - 1 - 1.5 * _TOP_ROW)
        return float(np.ceil(max(wide, high) / _ROUND_MM - 1e-9) * _ROUND_MM)

    def _polar_of_pixels(self) -> tuple[Array, Array]:
        columns, rows = np.meshgrid(np.arange(self.config.columns), np.arange(self.config.rows))
        x, y = ((v - a) * self.spacing_mm for v, a in ((columns, self.apex_px[0]), (rows, self.apex_px[1])))
        return np.hypot(x, y), np.arctan2(x, y)

    @cached_property
    def _maps(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        r, angle = self._polar_of_pixels()
        beam = (angle + self.half_angle_rad) / (self.angles_rad[1] - self.angles_rad[0])
        sample = (r - self.radius_min_mm) / self.sample_mm
        fixed, share = cv2.convertMaps(beam.astype(np.float32), sample.astype(np.float32), cv2.CV_16SC2)
        return np.asarray(fixed, dtype=np.int16), np.asarray(share, dtype=np.uint16)
