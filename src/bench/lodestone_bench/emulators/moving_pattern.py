"""The cheapest thing for a camera to see: a fixed texture with a bright square that runs over it. For tests of what carries the images."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_SQUARE: Final = 64  # at most
_SPEED_PX_S: Final = 200.0


class MovingPattern:
    """A FrameSource that copies one square a frame. Seed 0 is brighter to the right, others downward and at other angles."""

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.width, self.height = width, height
        self._square = min(_SQUARE, max(1, height // 20))
        row, column = np.mgrid[0:height, 0:width].astype(np.float32) / max(width, height)
        slope = 60.0 * (column * np.cos(1.5 * seed) + row * np.sin(1.5 * seed))
        noise = np.random.default_rng(seed).normal(0.0, 6.0, (height, width)).astype(np.float32)
        self._background = np.clip(60.0 + slope + noise, 10.0, 160.0).astype(np.uint8)
        self._image = self._background.copy()
        self._last = (slice(0), slice(0))

    def frame(self, number: int, world_s: float) -> Image:
        """The texture with the square where it is at that time."""
        self._image[self._last] = self._background[self._last]
        left = int(world_s * _SPEED_PX_S) % max(1, self.width - self._square)
        top = self.height // 2
        self._last = (slice(top, top + self._square), slice(left, left + self._square))
        self._image[self._last] = 230
        image: Image = self._image
        return image
