"""Bright spots of an image: cross-sections of wires, point targets. Positions to a fraction of a pixel.

Spots stand out against the local median, so that neither the gain against depth nor haze from the face matters; each is cut off at a share
of its own peak, which also parts two that touch, and its place is the centre of what is above the cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.calibration.config import DetectionConfig

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
_DEFAULTS = DetectionConfig()
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Spots of one image: `px` (n, 2; column, row; pixel centres at whole numbers), `contrast` (n,) in grey levels, `length_mm` (n,)."""

    px: Array
    contrast: Array
    length_mm: Array


def find_spots(image: Image, spacing_mm: Array, mask: Mask | None = None, config: DetectionConfig = _DEFAULTS) -> Spots:
    """Spots, the brightest first. `spacing_mm` (2,): pixel along x and y; `mask`: where the image is (all of it without one).

    Raises InputError for what is no grey image or does not fit its mask.
    """
    _check(image, mask)
    pixel = float(np.mean(spacing_mm))
    relief = _relief(image, pixel, config)
    inside = np.ones(image.shape, dtype=np.bool_) if mask is None else mask
    threshold = max(config.least_contrast, config.noise_sigmas * _noise(relief, inside))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(((relief > threshold) & inside).astype(np.uint8), connectivity=8)
    numbers, edges = np.asarray(labels, dtype=np.int32), np.asarray(boxes, dtype=np.int32)
    found = [spot for index in range(1, count) for spot in _spots_of(relief, numbers, index, edges[index], spacing_mm, config)]
    found.sort(key=lambda spot: -spot[2])
    kept = np.array(found[: config.most]).reshape(-1, 4)
    return Spots(kept[:, :2], kept[:, 2], kept[:, 3])


def _check(image: Image, mask: Mask | None) -> None:
    if not isinstance(image, np.ndarray) or image.ndim != 2 or image.dtype != np.uint8 or min(image.shape) < 16:
        got = f"{getattr(image, 'dtype', type(image).__name__)} of shape {getattr(image, 'shape', None)}"
        raise InputError("ultrasound image", expected="grey levels (rows, columns) in uint8", got=got, remedy="convert it to mono8")
    if mask is not None and mask.shape != image.shape:
        raise InputError("fan mask", expected=f"shape {image.shape}", got=mask.shape, remedy="use the mask of this image's size")


def _relief(image: Image, pixel_mm: float, config: DetectionConfig) -> npt.NDArray[np.float32]:
    """Height of the smoothed image above its local median."""
    # The background is smooth: a quarter of the resolution is enough for it, and sixteen times as fast.
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    window = max(3, 2 * round(config.background_mm / pixel_mm / 8.0) + 1)
    background = cv2.resize(cv2.medianBlur(small, window), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), max(config.smooth_mm / pixel_mm, 1e-3))
    return np.asarray(smooth - background, dtype=np.float32)


def _noise(relief: npt.NDArray[np.float32], inside: Mask) -> float:
    values = relief[inside]
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def _spots_of(
    relief: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    index: int,
    box: npt.NDArray[np.int32],
    spacing_mm: Array,
    config: DetectionConfig,
) -> list[tuple[float, float, float, float]]:
    """Column, row, contrast and length of what one bright region holds."""
    left, top, width, height = (int(value) for value in box[:4])
    part = np.where(labels[top : top + height, left : left + width] == index, relief[top : top + height, left : left + width], 0.0)
    core = (part > config.core * part.max()).astype(np.uint8)
    count, cores = cv2.connectedComponents(core, connectivity=8)
    spots = []
    for k in range(1, count):
        rows, columns = np.nonzero(cores == k)
        weights = part[rows, columns] - config.core * part.max()
        length = float(np.hypot(np.ptp(columns) * spacing_mm[0], np.ptp(rows) * spacing_mm[1]))
        if len(rows) * float(np.prod(spacing_mm)) >= config.least_area_mm2 and length <= config.longest_mm:
            x, y = np.average(columns, weights=weights), np.average(rows, weights=weights)
            spots.append((left + float(x), top + float(y), float(part[rows, columns].max()), length))
    return spots
