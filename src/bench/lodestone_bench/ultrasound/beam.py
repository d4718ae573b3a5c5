"""The spread of sound: along the line, across the lines, across the slice."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.ultrasound.config import BeamConfig
from lodestone_bench.ultrasound.fan import Fan
from lodestone_core.types import Array

Complex = npt.NDArray[np.complex64]
_REACH = 3.0


class Beam:
    """Spread at every depth of a fan. Lateral width is a blend of a narrow and a wide kernel, chosen to have the wanted variance."""

    def __init__(self, config: BeamConfig, fan: Fan) -> None:
        self.config = config
        self.fan = fan
        depth = fan.radii_mm - fan.radius_min_mm
        away = np.minimum(np.abs(depth - config.focus_mm) / config.focus_mm, 1.5)
        self.lateral_rad = np.radians(config.width_deg + (config.defocus_deg - config.width_deg) * away)
        """Lateral width (samples,) of the beam, in angle."""
        self.thickness_mm = np.hypot(config.thickness_mm, config.thickening * (depth - config.focus_mm))
        """Thickness (samples,) of the slice: standard deviation (half the width of a box) of amplitude."""
        step = float(fan.angles_rad[1] - fan.angles_rad[0])
        self._axial = _kernel(config.pulse_mm / fan.sample_mm)
        ends = float(self.lateral_rad.min()) / step, float(self.lateral_rad.max()) / step
        self._narrow, self._wide = (_kernel(width) for width in ends)
        share = (self.lateral_rad / step - ends[0]) / max(ends[1] - ends[0], 1e-9)
        self._share = share.astype(np.float32)[:, None]
        self._level = self._noise_gain()

    def blurred(self, echoes: Complex) -> Complex:
        """Received (samples, beams) from what scatters there; independent scatterers of unit power come out with unit power."""
        parts = echoes.view(np.float32).reshape(*echoes.shape, 2)
        narrow, wide = (
            cv2.sepFilter2D(parts, -1, kernel, self._axial, borderType=cv2.BORDER_REFLECT) for kernel in (self._narrow, self._wide)
        )
        mixed = narrow + self._share[:, :, None] * (wide - narrow)
        return np.asarray((mixed * self._level[:, :, None]).view(np.complex64)[..., 0])

    def offsets(self) -> tuple[Array, Array]:
        """Planes across the slice: offsets (planes, samples) in mm and weights (planes,) of amplitude, their squares adding up to 1."""
        count = self.config.slices
        if count == 1:
            return np.zeros((1, len(self.thickness_mm))), np.ones(1)
        reach = 1.0 if self.config.profile == "box" else 1.6
        at = np.linspace(-reach, reach, count)
        weights = np.ones(count) if self.config.profile == "box" else np.exp(-0.5 * at**2)
        return at[:, None] * self.thickness_mm, weights / np.linalg.norm(weights)

    def across(self, offset_mm: Array, sample: npt.NDArray[np.intp]) -> Array:
        """Amplitude (N,) that a point at that distance from the plane keeps, at those samples of the line."""
        x = offset_mm / self.thickness_mm[sample]
        return np.asarray(np.abs(x) <= 1.0, dtype=np.float64) if self.config.profile == "box" else np.exp(-0.5 * x**2)

    def _noise_gain(self) -> npt.NDArray[np.float32]:
        size = max(len(self._narrow), len(self._wide))
        narrow, wide = (np.pad(kernel, (size - len(kernel)) // 2) for kernel in (self._narrow, self._wide))
        mixed = narrow + self._share * (wide - narrow)
        power = np.sum(mixed**2, axis=1) * np.sum(self._axial**2)
        return np.asarray(1.0 / np.sqrt(power), dtype=np.float32)[:, None]


def _kernel(sigma: float) -> npt.NDArray[np.float32]:
    half = max(1, int(np.ceil(_REACH * sigma)))
    x = np.arange(-half, half + 1)
    weights = np.exp(-0.5 * (x / max(sigma, 1e-3)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)
