"""Corners of a chessboard pattern to a few hundredths of a pixel, each with its covariance.

A corner is where the smoothed image has its saddle: the gradient of (Gaussian * image) is zero there (after L. Lucchese and S. K. Mitra,
"Using saddle points for subpixel feature detection in camera calibration targets", APCCAS 2002). The pattern is the same after half a turn
about a corner, and so is every blur of a lens: neither moves the saddle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

Image = npt.NDArray[np.uint8]
_STEPS = 12
_STILL_PX = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """`pixels` (N, 2), NaN where there is no saddle near the start; `covariance` (N, 2, 2) in px^2 by the noise of the image.

    `contrast` (N,): grey by which black and white differ about the corner, `noise` the image's own (grey, standard deviation).
    """

    pixels: Array
    covariance: Array
    contrast: Array
    noise: float


def refine(image: Image, start: Array, smooth_px: float = 1.8, reach_px: float = 4.0) -> Corners:
    """The saddles nearest to `start` (N, 2). One that moves further than `reach_px` or leaves the image is NaN."""
    half = int(np.ceil(3.5 * smooth_px + reach_px))
    grey = np.pad(image.astype(np.float64), half, mode="edge")
    base = np.rint(np.nan_to_num(start, nan=-1e6)).astype(int)
    height, width = image.shape
    usable = np.asarray(((base >= 0) & (base < (width, height))).all(axis=1))
    patches, origin = _patches(grey, np.where(usable[:, None], base, 0), half)
    pixels = start.astype(np.float64).copy()
    H = np.zeros((len(start), 2, 2))
    moving = usable.copy()
    for _ in range(_STEPS):
        gradient, H[moving] = _derivatives(patches[moving], pixels[moving] - origin[moving], smooth_px)
        step = np.zeros_like(pixels)
        step[moving] = _newton(gradient, H[moving])
        pixels += np.clip(step, -1.0, 1.0)
        moving &= (np.abs(pixels - start) < reach_px).all(axis=1)
        if not moving.any() or np.abs(step[moving]).max() < _STILL_PX:
            break
    good = moving & (np.linalg.det(H) < 0.0) & (np.abs(pixels - start) < reach_px).all(axis=1)
    noise = noise_of(image)
    covariance = np.full((len(start), 2, 2), np.nan)
    inverse = np.linalg.inv(H[good])
    # The filter's own noise: the integral of a squared derivative of a Gaussian is 1 / (8 pi s^4).
    covariance[good] = noise**2 / (8.0 * np.pi * smooth_px**4) * inverse @ inverse
    pixels[~good] = np.nan
    contrast = np.array([np.subtract(*np.percentile(patch, [90, 10])) for patch in patches]) if len(start) else np.zeros(0)
    return Corners(pixels, covariance, np.where(good, contrast, np.nan), noise)


def noise_of(image: Image) -> float:
    """Standard deviation of the noise of neighbouring pixels (grey), from where the image is plain (J. Immerkaer, CVIU 64, 1996)."""
    grey = image[::2].astype(np.float64) if image.shape[0] > 600 else image.astype(np.float64)
    line = grey[:, :-3:4] - 2.0 * grey[:, 1:-2:4] + grey[:, 2:-1:4]
    # Edges are few: the median takes no notice of them; rounding alone leaves 1 / sqrt 12.
    return float(max(np.median(np.abs(line)) / 0.6745 / np.sqrt(6.0), 12.0**-0.5))


def _patches(grey: Array, base: npt.NDArray[np.int_], half: int) -> tuple[Array, Array]:
    """Windows (N, 2 half + 1, same) of a padded image about whole pixels, and their middles."""
    around = np.arange(2 * half + 1)
    windows = grey[base[:, 1, None, None] + around[:, None], base[:, 0, None, None] + around]
    return windows, base.astype(np.float64)


def _derivatives(patches: Array, offset: Array, s: float) -> tuple[Array, Array]:
    """Gradient (N, 2) and Hessian (N, 2, 2) of the smoothed windows at an offset from their middles."""
    half = patches.shape[-1] // 2
    at = np.arange(-half, half + 1)
    x, y = at - offset[:, :1], at - offset[:, 1:]
    gx, gy = (np.exp(-0.5 * (d / s) ** 2) / (s * np.sqrt(2.0 * np.pi)) for d in (x, y))
    dx, dy = gx * x / s**2, gy * y / s**2
    ddx, ddy = gx * ((x / s) ** 2 - 1.0) / s**2, gy * ((y / s) ** 2 - 1.0) / s**2

    def weighed(across: Array, down: Array) -> Array:
        return np.asarray(np.einsum("nij,ni,nj->n", patches, down, across, optimize=True))

    gradient = np.column_stack([weighed(dx, gy), weighed(gx, dy)])
    mixed = weighed(dx, dy)
    H = np.stack([np.stack([weighed(ddx, gy), mixed], axis=-1), np.stack([mixed, weighed(gx, ddy)], axis=-1)], axis=-2)
    return gradient, H


def _newton(gradient: Array, H: Array) -> Array:
    """-H^-1 g; no step where there is no slope at all."""
    flat = np.abs(np.linalg.det(H)) < 1e-12
    safe = np.where(flat[:, None, None], np.eye(2), H)
    return np.asarray(np.where(flat[:, None], 0.0, -np.linalg.solve(safe, gradient[..., None])[..., 0]))
