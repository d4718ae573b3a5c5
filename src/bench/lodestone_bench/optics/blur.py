"""What a lens makes of a sharp picture: the disc of defocus, which may change over the picture, and the lens's own Gaussian blur."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Light = npt.NDArray[np.float32]
_SAMPLES = 8
# A smaller disc cannot be told from a Gaussian of its second moment.
_SMALL_DISC_PX = 3.0


def disc(diameter_px: float) -> Light:
    """Kernel of a uniform disc, its share of each pixel, of sum 1; odd size."""
    half = int(np.ceil(diameter_px / 2.0 + 0.5))
    fine = (np.arange((2 * half + 1) * _SAMPLES) + 0.5) / _SAMPLES - half - 0.5
    inside = (fine[:, None] ** 2 + fine**2 <= (diameter_px / 2.0) ** 2).astype(np.float64)
    kernel = inside.reshape(2 * half + 1, _SAMPLES, 2 * half + 1, _SAMPLES).sum(axis=(1, 3))
    total = float(kernel.sum())
    if total == 0.0:
        kernel[half, half] = total = 1.0
    return np.asarray(kernel / total, dtype=np.float32)


def blurred(picture: Light, disc_px: float, gauss_px: float) -> Light:
    """The picture (height, width or height, width, channels) after a disc of that diameter and a Gaussian of that standard deviation."""
    if disc_px < _SMALL_DISC_PX:
        gauss_px = float(np.hypot(gauss_px, disc_px / 4.0))
    else:
        # Cut into pixels a disc is wider by a pixel's own second moment, 1/12; a disc's is its squared diameter over 16.
        kernel = disc(float(np.sqrt(disc_px**2 - 16.0 / 12.0)))
        picture = np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), gauss_px, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


def blurred_by(picture: Light, disc_px: Light, gauss_px: float, step_px: float = 0.5) -> Light:
    """As `blurred`, with a diameter (height, width) that changes slowly over the picture.

    Pictures at a few diameters are mixed so that the second moment of the disc is right at each pixel.
    """
    low, high = float(disc_px.min()), float(disc_px.max())
    levels = np.linspace(low, high, int(np.ceil((high - low) / step_px)) + 1)
    if len(levels) == 1:
        return blurred(picture, low, gauss_px)
    result = np.zeros_like(picture)
    square = disc_px**2
    for i, level in enumerate(levels):
        share = np.ones_like(picture)
        if i > 0:
            share = np.minimum(share, (square - levels[i - 1] ** 2) / (level**2 - levels[i - 1] ** 2))
        if i < len(levels) - 1:
            share = np.minimum(share, (levels[i + 1] ** 2 - square) / (levels[i + 1] ** 2 - level**2))
        result += np.maximum(share, 0.0).astype(np.float32) * blurred(picture, float(level), gauss_px)
    return result
