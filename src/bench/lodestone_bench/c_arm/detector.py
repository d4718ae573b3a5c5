"""What the detector makes of line integrals: direct and scattered photons, blur, quantum noise, grey values."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.c_arm.config import CArmConfig, DetectorConfig
from lodestone_bench.c_arm.rays import Image

BITS = 12
_TOP = (1 << BITS) - 1
_TILE = 96
_PENUMBRA_MM = 2.0


class Detector:
    """One detector. Live noise is a prepared field that is laid on each picture at another place; its scale follows the photons."""

    def __init__(self, config: CArmConfig, seed: int) -> None:
        self._config: DetectorConfig = config.detector
        self._spacing_mm = config.spacing_mm
        self.size_px = config.size_px
        columns, rows = config.size_px
        self.open = self._beam()
        """Photons (rows, columns) with nothing in between: heel and collimator."""
        rng = np.random.default_rng((seed, 81))
        self._noise = rng.standard_normal((rows + _TILE, columns + _TILE), dtype=np.float32)
        self._gain = _TOP / (1.05 * self._config.photons)
        self._video = self._display()
        self._seed = seed

    def blurred(self, integral: Image) -> Image:
        """As focal spot and scintillator smear it."""
        sigma = self._config.blur_mm / self._spacing_mm
        return integral if sigma == 0.0 else np.asarray(cv2.GaussianBlur(integral, (0, 0), sigma))

    def scatter(self, integral: Image) -> Image:
        """Scattered photons (rows, columns) for such a picture: a wide glow of the direct ones."""
        direct = self.open * np.exp(-integral)
        glow = cv2.GaussianBlur(direct, (0, 0), self._config.scatter_mm / self._spacing_mm, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(self._config.scatter_share * glow)

    def expected(self, integral: Image, scatter: Image) -> Image:
        """Photons expected (rows, columns)."""
        return np.asarray(cv2.exp(-integral) * self.open + scatter)

    def grey(self, photons: Image, number: int) -> npt.NDArray[np.uint16]:
        """Grey values of 12 bits with noise; `number` picks the noise."""
        rng = np.random.default_rng((self._seed, 82, number))
        top, left = rng.integers(0, _TILE, 2)
        rows, columns = photons.shape
        noise = self._noise[top : top + rows, left : left + columns]
        sigma = cv2.sqrt(photons + np.float32(self._config.electronic_noise**2))
        value: Image = np.asarray(cv2.multiply(sigma, noise))
        value += photons
        value *= np.float32(self._gain)
        return np.asarray(np.clip(np.rint(value, out=value), 0, _TOP, out=value).astype(np.uint16))

    def video(self, grey: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """Of 8 bits, logarithmic."""
        return np.asarray(self._video[grey])

    def _display(self) -> npt.NDArray[np.uint8]:
        photons = np.maximum(np.arange(_TOP + 1) / self._gain, 1e-3)
        low, high = np.log(self._config.darkest), np.log(1.05 * self._config.photons)
        grey: npt.NDArray[np.uint8] = np.clip(np.rint(255.0 * (np.log(photons) - low) / (high - low)), 0, 255).astype(np.uint8)
        return grey

    def _beam(self) -> Image:
        columns, rows = self.size_px
        x, y = (self._spacing_mm * (np.arange(count) - (count - 1) / 2) for count in (columns, rows))
        left, right, top, bottom = self._config.collimator_mm
        field = np.outer(_between(y, top, bottom), _between(x, left, right))
        heel = 1.0 - self._config.heel * np.maximum(y / y[-1], 0.0)[:, None]
        return np.asarray(self._config.photons * heel * (self._config.leak + (1.0 - self._config.leak) * field), dtype=np.float32)


def _between(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.clip((values - low) / _PENUMBRA_MM + 0.5, 0.0, 1.0) * np.clip((high - values) / _PENUMBRA_MM + 0.5, 0.0, 1.0))
