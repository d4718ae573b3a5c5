"""From received echoes to pixels: noise, gain against depth, logarithm, eight bits, scan conversion."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.ultrasound.beam import Complex
from lodestone_bench.ultrasound.fan import Fan

_MOST_DB = 200.0
"""Lost on the way, beyond which nothing of an echo shows: smaller numbers would be denormal, and many times as slow to reckon with."""


class Display:
    """The receiving side of one machine at one depth; electronic noise is drawn once and taken from another place for each frame."""

    def __init__(self, fan: Fan, seed: int) -> None:
        config = fan.config
        self.fan = fan
        depth_cm = ((fan.radii_mm - fan.radius_min_mm) / 10.0).astype(np.float32)
        self._tgc_db = (config.tgc_db_cm * depth_cm)[:, None]
        self._scale = np.float32(255.0 / config.dynamic_range_db)
        self._black_db = np.float32(config.white_db - config.dynamic_range_db)
        shape = (config.samples * 2, config.beams * 2)
        rng = np.random.default_rng((seed, 81))
        drawn = rng.normal(scale=np.sqrt(0.5), size=(*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
        self._noise = drawn * np.float32(10.0 ** (config.noise_db / 20.0))
        self._seed = seed

    def levels_db(self, received: Complex, loss_db: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
        """Level (samples, beams) after the gain against depth; `loss_db` is what the way there and back took."""
        samples, beams = received.shape
        row, column = np.random.default_rng((self._seed, 82, number)).integers(0, (samples, beams))
        arrived = received * cv2.exp(np.minimum(loss_db, np.float32(_MOST_DB)) * np.float32(-0.05 * np.log(10.0)))
        arrived += self._noise[row : row + samples, column : column + beams]
        power = arrived.real**2 + arrived.imag**2 + np.float32(1e-12)
        return np.asarray(cv2.log(power) * np.float32(10.0 / np.log(10.0)) + self._tgc_db, dtype=np.float32)

    def pixels(self, levels_db: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Image (rows, columns), mono8."""
        grey = cv2.convertScaleAbs(np.maximum(levels_db - self._black_db, 0.0), alpha=float(self._scale))
        return self.fan.image(np.asarray(grey, dtype=np.uint8))
