"""From light to grey values: shot and read noise, the backdrop with its texture, uneven light."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.pinhole import Pinhole

Image = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]
WHITE = 255.0


def noise_sigma(config: CamerasConfig, light: Light) -> Light:
    """Standard deviation in grey of a pixel that gets this much light (grey)."""
    e_per_grey = config.full_well_e / WHITE
    return np.asarray(np.sqrt(np.maximum(light, 0.0) * e_per_grey + config.read_noise_e**2) / e_per_grey, dtype=np.float32)


def expose(config: CamerasConfig, light: Light, rng: np.random.Generator) -> Image:
    """The picture of so much light: Poisson electrons, read noise, rounding."""
    e_per_grey = config.full_well_e / WHITE
    # Above some hundred electrons a Poisson number is a rounded Gaussian one, at a tenth of the time.
    electrons = np.maximum(light, 0.0).astype(np.float64) * e_per_grey
    few = electrons < 300.0
    drawn = electrons + np.sqrt(electrons) * rng.standard_normal(electrons.shape)
    drawn[few] = rng.poisson(electrons[few])
    drawn += config.read_noise_e * rng.standard_normal(electrons.shape)
    return np.asarray(np.clip(np.rint(drawn / e_per_grey), 0.0, WHITE), dtype=np.uint8)


def light_field(camera: Pinhole) -> Light:
    """Share of full light (height, width) at each pixel: vignetting and a lamp that stands to one side."""
    config = camera.config
    columns, rows = np.meshgrid(np.arange(0, config.width + 15, 16), np.arange(0, config.height + 15, 16))
    pixels = np.stack([columns, rows], axis=-1).astype(np.float64)
    toward = (camera.R_eye_bench @ (np.array(config.light_mm) - camera.centre_mm))[:2]
    toward = toward / max(float(np.linalg.norm(toward)), 1e-9)
    half = np.hypot(config.width, config.height) / 2.0
    along = (pixels - (config.width / 2.0, config.height / 2.0)) @ toward / half
    share = camera.light_share(pixels) * (1.0 - config.uneven * (1.0 - along) / 2.0)
    return _enlarged(share.astype(np.float32), 16, config.height, config.width)


def backdrop(camera: Pinhole, rng: np.random.Generator) -> Light:
    """The lit backdrop (height, width) without noise."""
    config = camera.config
    white = rng.standard_normal((config.height, config.width)).astype(np.float32)
    fine = cv2.GaussianBlur(white, (0, 0), config.texture_px / 2.0)
    grain = fine + 0.5 * cv2.GaussianBlur(white[::-1, ::-1], (0, 0), config.texture_px * 6.0)
    grain *= config.texture / max(float(grain.std()), 1e-9)
    return np.asarray((config.background + grain) * light_field(camera), dtype=np.float32)


def _enlarged(coarse: Light, step: int, height: int, width: int) -> Light:
    """Values of a grid of nodes every `step` pixels at each pixel, linear in between."""
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32) / step, np.arange(height, dtype=np.float32) / step)
    return np.asarray(cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)
