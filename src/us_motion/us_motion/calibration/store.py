"""A probe calibration as a file of the rig (kind `us_probe`): what drivers read, and what a person asks of it later.

values:
  T_probe_image: [[...], ...]        # us_image in us_probe, 4x4, mm
  covariance: [[...], ...]           # 6x6, message convention, mm and rad
  spacing_mm: [x, y]                 # size of a pixel that it holds for: another depth has another pose
  spacing_factor, spacing_sigma      # measured on the phantom, over the machine's
  corners_mm, radius_95_mm           # predicted error (95 %) at the middle and the corners of what was seen
  intervals                          # 95 %, of place (mm) and turn (deg), bootstrap over blocks of images
  swing_deg                          # how far the probe was turned about its axes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lodestone_core.calibration_file import CalibrationFile, now_text
from lodestone_core.types import Array
from lodestone_core.version import package_version
from us_motion.calibration.probe import ProbeCalibration
from us_motion.probe_calibration import KIND


def as_file(found: ProbeCalibration, method: str, rig: str, devices: tuple[str, ...], inputs: Mapping[str, str]) -> CalibrationFile:
    """The file of a calibration; `inputs` are hashes by name."""
    return CalibrationFile(
        kind=KIND,
        rig=rig,
        devices=devices,
        created=now_text(),
        method=method,
        version=package_version("us_motion"),
        values=_values(found),
        inputs=inputs,
        figures=_figures(found),
    )


def _values(found: ProbeCalibration) -> dict[str, Any]:
    arrays = {
        "T_probe_image": found.T_probe_image,
        "covariance": found.covariance,
        "spacing_mm": found.data.spacing_mm,
        "spacing_factor": found.spacing_factor,
        "spacing_sigma": found.spacing_sigma,
        "corners_mm": found.corners_mm,
        "radius_95_mm": found.radius_95_mm,
        "intervals": found.intervals,
        "swing_deg": found.swing_deg,
    }
    return {name: _plain(values) for name, values in arrays.items()}


def _figures(found: ProbeCalibration) -> dict[str, dict[str, Any]]:
    return {
        "held_out_rms": {"value": round(found.held_out_rms_mm, 4), "unit": "mm"},
        "rms": {"value": round(found.rms_mm, 4), "unit": "mm"},
        "error_95": {"value": round(float(np.max(found.radius_95_mm)), 4), "unit": "mm"},
        "spots": {"value": int(np.count_nonzero(found.inliers)), "unit": "1"},
        "outliers": {"value": int(np.count_nonzero(~found.inliers)), "unit": "1"},
        "images": {"value": found.data.images, "unit": "1"},
    }


def _plain(values: Array) -> Any:
    # Twelve digits bring a rotation back to far below what anything here can tell.
    return [float(f"{value:.12g}") if np.ndim(value) == 0 else _plain(value) for value in values]
