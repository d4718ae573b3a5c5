"""The cheapest thing for a camera to see: a fixed texture with a bright square that runs over it. For tests of what carries the images."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_SQUARE: Final = 64
_SPEED_PX_S: Final = 200.0


class MovingPattern:
    """A FrameSource that copies one square a frame."""

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.width, self.height = width, height
        self._background = np.random.default_rng(seed).integers(20, 60, (height, width), np.uint8)
        self._image = self._background.copy()
        self._last = (slice(0), slice(0))

    def frame(self, number: int, world_s: float) -> Image:
        """The texture with the square where it is at that time."""
        self._image[self._last] = self._background[self._last]
        left = int(world_s * _SPEED_PX_S) % max(1, self.width - _SQUARE)
        top = self.height // 2
        self._last = (slice(top, top + _SQUARE), slice(left, left + _SQUARE))
        self._image[self._last] = 230
        return self._image
