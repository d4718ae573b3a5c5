"""Where the points are in the image: the thin-plate spline through the landmarks (section 4.1 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator

from lodestone_core.paired_points_checks import rigid_fit
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class SplineLabels:
    """The map from the tracker to the image that is the truth of the paper's experiment, and nothing a tracker does."""

    spline: RBFInterpolator

    def __call__(self, tracker_mm: Array) -> Array:
        """Points (N, 3) of the tracker's frame in the image."""
        return np.asarray(self.spline(tracker_mm), dtype=np.float64)


def spline_labels(tracker_mm: Array, image_mm: Array) -> SplineLabels:
    """Exact spline through landmarks (L, 3), kernel r^2 log r with an affine part."""
    return SplineLabels(RBFInterpolator(tracker_mm, image_mm, kernel="thin_plate_spline", degree=1))


def nonrigid_rms(tracker_mm: Array, image_mm: Array) -> float:
    """RMS in mm of what the best rigid map leaves between points (N, 3) and their partners (N, 3)."""
    R, _ = rigid_fit(tracker_mm, image_mm, np.ones(len(tracker_mm)))
    apart = (tracker_mm - tracker_mm.mean(axis=0)) @ R.T - (image_mm - image_mm.mean(axis=0))
    return float(np.sqrt(np.mean(np.sum(apart**2, axis=1))))
