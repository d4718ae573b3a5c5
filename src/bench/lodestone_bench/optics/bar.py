"""A bar that hides part of the scene, as each camera sees it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.config import BarConfig
from lodestone_bench.optics.pinhole import Pinhole

Light = npt.NDArray[np.float32]
_FINE = 16.0
_SHIFT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Share (height, width) of each pixel that the bar hides, and the bar's depth (mm)."""

    share: Light
    depth_mm: float


def hidden_by(camera: Pinhole, bar: BarConfig) -> Hidden | None:
    """What the bar hides; None when it is not there or not in front of the camera."""
    if not bar.present:
        return None
    line = np.linspace(bar.from_mm, bar.to_mm, 40)
    pixels, depth = camera.see(line)
    if not np.isfinite(pixels).all():
        return None
    share = np.zeros((camera.config.height, camera.config.width), dtype=np.float32)
    mean_depth = float(depth.mean())
    radius = bar.radius_mm * float(camera.px_per_mm(np.array(mean_depth)))
    outline = np.rint(_capsule(pixels, radius) * _FINE).astype(np.int32)
    cv2.fillPoly(share, [outline], 1.0, lineType=cv2.LINE_AA, shift=_SHIFT)
    blur = float(np.hypot(camera.config.lens_blur_px, float(camera.defocus_px(np.array(mean_depth))) / 4.0))
    return Hidden(np.asarray(cv2.GaussianBlur(share, (0, 0), blur), dtype=np.float32), mean_depth)


def _capsule(pixels: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """Outline (M, 2) of everything within `radius` of a nearly straight line of pixels."""
    along = pixels[-1] - pixels[0]
    start = np.arctan2(along[1], along[0])
    if float(np.hypot(*along)) < 1e-6:
        angles = np.linspace(0.0, 2.0 * np.pi, 64)
        return np.asarray(pixels[0] + radius * np.column_stack([np.cos(angles), np.sin(angles)]))
    round_end = start + np.linspace(-np.pi / 2.0, np.pi / 2.0, 32)
    there = pixels[-1] + radius * np.column_stack([np.cos(round_end), np.sin(round_end)])
    back = pixels[0] - radius * np.column_stack([np.cos(round_end), np.sin(round_end)])
    across = radius * np.array([-np.sin(start), np.cos(start)])
    return np.concatenate([there, pixels[::-1] + across, back, pixels - across])
