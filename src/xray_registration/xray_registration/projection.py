"""How a C-arm projects: where source and detector stand for the angles of DICOM, and the camera matrix.

Axes of the patient, who lies on the back, head first: x to the patient's left, y to the back, z to the head (LPS). Their origin is the
C-arm's isocentre. The positioner primary angle (0018,1510) grows from RAO to LAO: +90 degrees has the detector on the patient's left. The
positioner secondary angle (0018,1511) grows from caudal to cranial: +90 degrees has the detector at the head. At zero the detector is above
the patient (DICOM PS3.3, C.8.7.5).

Frame `xray_source`: origin in the focal spot, z along the beam's axis to the detector, x along the columns of a row, y along the rows: the
image is seen from the source, head up. A picture as radiologists look at it (patient's left on the right) is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class Projection:
    """Source, detector and pixels. `size_px` columns and rows; `principal_px` where the axis of the beam meets the detector."""

    size_px: tuple[int, int]
    spacing_mm: tuple[float, float]
    source_to_detector_mm: float
    source_to_isocentre_mm: float
    principal_px: tuple[float, float]

    def matrix(self) -> Array:
        """K (3, 3) in pixels: source_to_detector over spacing, and the principal point; pixel centres at whole numbers."""
        fx, fy = (self.source_to_detector_mm / spacing for spacing in self.spacing_mm)
        return np.array([[fx, 0.0, self.principal_px[0]], [0.0, fy, self.principal_px[1]], [0.0, 0.0, 1.0]])

    def project(self, points_source: npt.ArrayLike) -> Array:
        """Pixels (N, 2) of points (N, 3) in xray_source, mm. NaN behind the source."""
        points = np.atleast_2d(np.asarray(points_source, dtype=float))
        depth = np.where(points[:, 2] > 0.0, points[:, 2], np.nan)
        scale = self.source_to_detector_mm / depth[:, None]
        pixels: Array = np.asarray(self.principal_px) + points[:, :2] * scale / np.asarray(self.spacing_mm)
        return pixels


def beam_direction(primary_rad: float, secondary_rad: float) -> Array:
    """Unit vector from the isocentre to the detector in the patient's axes."""
    across = np.cos(secondary_rad)
    return np.array([np.sin(primary_rad) * across, -np.cos(primary_rad) * across, np.sin(secondary_rad)])


def T_isocentre_source(projection: Projection, primary_rad: float, secondary_rad: float, image_rotation_rad: float = 0.0) -> Array:
    """Pose (4, 4) of xray_source at the isocentre, mm. `image_rotation_rad` turns the detector about the beam, from columns to rows."""
    forward = beam_direction(primary_rad, secondary_rad)
    tilt = np.sin(secondary_rad)
    up = np.array([-np.sin(primary_rad) * tilt, np.cos(primary_rad) * tilt, np.cos(secondary_rad)])
    down = -up
    right = np.cross(down, forward)
    cosine, sine = np.cos(image_rotation_rad), np.sin(image_rotation_rad)
    columns = np.stack([cosine * right + sine * down, cosine * down - sine * right, forward], axis=1)
    return se3.make(columns, -projection.source_to_isocentre_mm * forward)


def T_source_detector(projection: Projection) -> Array:
    """Pose (4, 4) of xray_detector at the source, mm: same axes, origin where the beam's axis meets the detector."""
    return se3.make(np.eye(3), np.array([0.0, 0.0, projection.source_to_detector_mm]))
