"""Calibration of an X-ray source (kind `xray`): distances, pixels and the place of the isocentre on the bench.

The file's `values` are the fields of `XrayCalibration`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lodestone_core import se3
from lodestone_core.calibration_file import CalibrationFile, load_calibration, parse_calibration
from lodestone_core.camera import CameraModel
from lodestone_core.config import REQUIRED, load_config, option, section
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from xray_registration.projection import Projection

KIND = "xray"
_COEFFICIENTS = 5


@dataclass(frozen=True, slots=True)
class IsocentreConfig:
    """T_bench_isocentre: axes x to the patient's left, y to the back, z to the head, patient supine and head first."""

    translation_mm: tuple[float, float, float] = option((0.0, 0.0, 0.0), unit="mm", doc="place of the isocentre in bench")
    quaternion_xyzw: tuple[float, float, float, float] = option((0.0, 0.0, 0.0, 1.0), doc="orientation of the axes in bench, unit length")

    def __post_init__(self) -> None:
        length = math.hypot(*self.quaternion_xyzw)
        if abs(length - 1.0) > 1e-3:
            raise InputError("isocentre.quaternion_xyzw", expected="length 1", got=f"{length:.4f}", remedy="normalise it")

    def T_bench_isocentre(self) -> Array:
        """Pose (4, 4), mm."""
        return se3.from_quaternion(np.array(self.quaternion_xyzw), np.array(self.translation_mm))


@dataclass(frozen=True, slots=True)
class XrayCalibration:
    """One C-arm and its picture. Pixels are those that are published: of the picture as seen from the source."""

    size_px: tuple[int, int] = option(REQUIRED, unit="px", doc="columns and rows of a picture", minimum=16, maximum=8192)
    pixel_spacing_mm: tuple[float, float] = option(REQUIRED, unit="mm", doc="on the detector along columns (x) and rows (y)", minimum=0.001)
    source_to_detector_mm: float = option(REQUIRED, unit="mm", doc="focal spot to detector", minimum=10.0)
    principal_point_px: tuple[float, float] = option(REQUIRED, unit="px", doc="where the axis of the beam meets the detector")
    source_to_isocentre_mm: float | None = option(None, unit="mm", doc="focal spot to isocentre; null: the C-arm has no place", minimum=1.0)
    distortion: str = option(
        "unknown",
        doc="none for a flat detector, plumb_bob with coefficients, unknown for an image intensifier that nobody calibrated",
        choices=("none", "plumb_bob", "unknown"),
    )
    distortion_coefficients: tuple[float, ...] = option((), doc="k1 k2 p1 p2 k3 of plumb_bob")
    mirrored: bool = option(False, doc="the device shows the patient's left on the right: the driver turns its pictures round")
    image_rotation_deg: float = option(0.0, unit="deg", doc="turn of the detector about the beam, from columns to rows")
    primary_deg: float | None = option(None, unit="deg", doc="positioner primary angle where pictures do not say it (LAO positive)")
    secondary_deg: float | None = option(None, unit="deg", doc="positioner secondary angle where pictures do not say it (cranial positive)")
    isocentre: IsocentreConfig = section(IsocentreConfig, "place of the isocentre")

    def __post_init__(self) -> None:
        found = len(self.distortion_coefficients)
        wanted = _COEFFICIENTS if self.distortion == "plumb_bob" else 0
        if found != wanted:
            remedy = "give k1 k2 p1 p2 k3 with plumb_bob and none otherwise"
            raise InputError("distortion_coefficients", expected=f"{wanted} numbers", got=found, remedy=remedy)
        if self.source_to_isocentre_mm is not None and self.source_to_isocentre_mm >= self.source_to_detector_mm:
            remedy = "the isocentre lies between source and detector; the two may be exchanged"
            raise InputError("source_to_isocentre_mm", expected=f"less than {self.source_to_detector_mm}", got=self.source_to_isocentre_mm,
                             remedy=remedy)  # fmt: skip

    def projection(self) -> Projection | None:
        """The geometry with a place; None where the isocentre's distance is not known."""
        if self.source_to_isocentre_mm is None:
            return None
        return Projection(
            self.size_px, self.pixel_spacing_mm, self.source_to_detector_mm, self.source_to_isocentre_mm, self.principal_point_px
        )

    def camera(self) -> CameraModel:
        """The pinhole camera that this C-arm is: K from source to detector, spacing and principal point."""
        fx, fy = (self.source_to_detector_mm / spacing for spacing in self.pixel_spacing_mm)
        K = np.array([[fx, 0.0, self.principal_point_px[0]], [0.0, fy, self.principal_point_px[1]], [0.0, 0.0, 1.0]])
        return CameraModel("xray", *self.size_px, K, np.array(self.distortion_coefficients or (0.0,) * _COEFFICIENTS))

    def angles_rad(self) -> tuple[float, float] | None:
        """Primary and secondary angle of the calibration; None unless both are given."""
        if self.primary_deg is None or self.secondary_deg is None:
            return None
        return math.radians(self.primary_deg), math.radians(self.secondary_deg)


def read_xray_calibration(path: Path, rig: str = "") -> tuple[XrayCalibration, CalibrationFile]:
    """From a file. Raises InputError for one of another kind or rig, or with values that make no sense."""
    file = load_calibration(path, KIND, rig)
    return load_config(XrayCalibration, file.values, f"{path}, values"), file


def parse_xray_calibration(text: str, where: str, rig: str = "") -> XrayCalibration:
    """From the text of a file, as read_xray_calibration."""
    return load_config(XrayCalibration, parse_calibration(text, where, KIND, rig).values, f"{where}, values")
