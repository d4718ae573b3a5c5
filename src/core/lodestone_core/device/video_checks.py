"""What is wrong with images that do come: another size, the same one again, black, too few. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoCause

Image = NDArray[np.uint8]
# A few rows tell whether it is worth while to look at all: noise makes any two images of a sensor different everywhere.
_EVERY_ROW: Final = 61
_SLOW_SHARE: Final = 0.7
"""Below this share of the promised rate a source is called slow."""


class Look(NamedTuple):
    """What was seen of one image."""

    repeated: bool
    black: bool
    as_expected: bool


class ImageChecks:
    """Looks at each image of one stream; the image before must still be unchanged in memory."""

    def __init__(self, config: VideoConfig) -> None:
        self._config = config
        self._before: Image | None = None
        self._repeats = self._blacks = 0
        self._shape = (0, 0)

    def look(self, image: Image) -> Look:
        """Take one image."""
        config = self._config
        repeated = bool(config.frozen_images) and self._before is not None and same(image, self._before)
        self._repeats = self._repeats + 1 if repeated else 0
        dark = bool(config.black_images) and int(image[_EVERY_ROW // 2 :: _EVERY_ROW].max(initial=0)) <= config.black_level
        black = dark and image.shape[0] > _EVERY_ROW and int(image[1:].max()) <= config.black_level
        self._blacks = self._blacks + 1 if black else 0
        self._before, self._shape = image, (image.shape[0], image.shape[1])
        height, width = self._shape
        return Look(repeated, black, config.width in (0, width) and config.height in (0, height))

    def trouble(self, rate_hz: float, promised_hz: float) -> tuple[VideoCause, str] | None:
        """The worst of what holds now, with its detail; `rate_hz` is 0 while it is not known."""
        config, (height, width) = self._config, self._shape
        if config.width not in (0, width) or config.height not in (0, height):
            return VideoCause.SIZE, f"{width}x{height} in place of {config.width or 'any'}x{config.height or 'any'}"
        if config.frozen_images and self._repeats + 1 >= config.frozen_images:
            return VideoCause.FROZEN, f"{self._repeats + 1} times"
        if config.black_images and self._blacks >= config.black_images:
            return VideoCause.BLACK, f"no grey value above {config.black_level}"
        if 0.0 < rate_hz < _SLOW_SHARE * promised_hz:
            return VideoCause.SLOW, f"{rate_hz:.3g} Hz in place of {promised_hz:.3g} Hz"
        return None


def same(one: Image, other: Image) -> bool:
    """Whether two images are the same to the last bit."""
    if one.shape != other.shape or not np.array_equal(one[::_EVERY_ROW], other[::_EVERY_ROW]):
        return False
    return np.array_equal(one, other)
