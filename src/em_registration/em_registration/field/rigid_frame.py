"""The first rigid fit, about whose result everything else is a small correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core import se3
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Of B scenes: T_image_tracker (B, 4, 4) and the centroid (B, 3) of the mapped data."""

    T_image_tracker: Array
    centroid_mm: Array

    def mapped(self, points_tracker_mm: Array) -> Array:
        """Points (B, N, 3) of the tracker in the image by the rigid fit."""
        return np.asarray(se3.transform(self.T_image_tracker[:, None], points_tracker_mm))

    def about_centroid(self, mapped_mm: Array) -> Array:
        """Mapped points (B, N, 3) from the centroid of the data."""
        return np.asarray(mapped_mm - self.centroid_mm[:, None])

    def axes(self, axes_tracker: Array) -> Array:
        """Axes (B, N, 3, 3) of the tracker's frame in the image."""
        return np.asarray(self.T_image_tracker[:, None, :3, :3] @ axes_tracker)


def rigid_frames(tracker_mm: Array, image_mm: Array, weights: Array | None = None) -> Frame:
    """Least-squares rigid fits of B sets of points (B, n, 3), optionally weighted (B, n) (Arun's SVD, determinant set right)."""
    w = np.ones(tracker_mm.shape[:2]) if weights is None else weights
    w = (w / w.sum(axis=1, keepdims=True))[..., None]
    a0, b0 = (w * tracker_mm).sum(axis=1), (w * image_mm).sum(axis=1)
    H = np.swapaxes(w * (image_mm - b0[:, None]), 1, 2) @ (tracker_mm - a0[:, None])
    U, _, Vt = np.linalg.svd(H)
    U = U * np.stack([np.ones(len(U)), np.ones(len(U)), np.linalg.det(U @ Vt)], axis=1)[:, None, :]
    R = U @ Vt
    return Frame(se3.make(R, b0 - (R @ a0[..., None])[..., 0]), b0)
