"""Calibration of an ultrasound video (kind `ultrasound`): size of the video, part that is the image, and one fan for each depth preset.

values:
  frame_px: [400, 320]          # columns and rows of the video
  crop_px: [0, 0, 400, 320]     # left, top, width, height of the part that is published
  presets:
    d150: {depth_mm: 150.0, spacing_mm: [0.5, 0.5], apex_px: [199.5, -73.9], radius_min_mm: 45.0, angle_min_rad: -0.52, ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_core.calibration_file import CalibrationFile, parse_calibration
from lodestone_core.config import load_config, to_mapping
from lodestone_core.errors import InputError
from us_motion.frame_geometry import Fan, FanConfig

KIND = "ultrasound"
_MOST_PX = 8192
_REMEDY = "make it again with `lodestone calibrate ultrasound`"


@dataclass(frozen=True, slots=True)
class UltrasoundCalibration:
    """`crop_px` is left, top, width and height; presets by name."""

    frame_px: tuple[int, int]
    crop_px: tuple[int, int, int, int]
    presets: Mapping[str, FanConfig]

    @property
    def image_px(self) -> tuple[int, int]:
        """Columns and rows of the image that is published."""
        return self.crop_px[2], self.crop_px[3]

    def fans(self) -> dict[str, Fan]:
        """The fan of each preset."""
        return {name: Fan(config, self.image_px) for name, config in self.presets.items()}

    def cropped(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The image in a frame of video; a view."""
        left, top, width, height = self.crop_px
        return frame[top : top + height, left : left + width]

    def values(self) -> dict[str, Any]:
        """As they stand in the file."""
        presets = {name: to_mapping(config) for name, config in self.presets.items()}
        return {"frame_px": list(self.frame_px), "crop_px": list(self.crop_px), "presets": presets}


def parse_ultrasound_calibration(text: str, where: str, rig: str = "") -> tuple[UltrasoundCalibration, CalibrationFile]:
    """From the text of a file. Raises InputError for another kind or rig, or values that make no sense."""
    file = parse_calibration(text, where, KIND, rig)
    return calibration_from(file.values, where), file


def calibration_from(values: Mapping[str, Any], where: str) -> UltrasoundCalibration:
    """From the values of a file. Raises InputError that names what is wrong."""
    if set(values) != {"frame_px", "crop_px", "presets"}:
        raise InputError(f"{where}, values", expected="frame_px, crop_px, presets", got=", ".join(map(str, values)), remedy=_REMEDY)
    width, height = _whole(values["frame_px"], 2, f"{where}, frame_px")
    if not (1 <= width <= _MOST_PX and 1 <= height <= _MOST_PX):
        raise InputError(f"{where}, frame_px", expected=f"1 to {_MOST_PX} each", got=[width, height], remedy=_REMEDY)
    crop = _whole(values["crop_px"], 4, f"{where}, crop_px")
    if min(crop[:2]) < 0 or min(crop[2:]) < 1 or crop[0] + crop[2] > width or crop[1] + crop[3] > height:
        raise InputError(f"{where}, crop_px", expected=f"a part of {width} x {height}", got=list(crop), remedy=_REMEDY)
    presets = values["presets"]
    if not isinstance(presets, Mapping) or not presets:
        raise InputError(f"{where}, presets", expected="at least one", got=presets, remedy=_REMEDY)
    for name, fan in presets.items():
        if not isinstance(fan, Mapping):  # a text would be taken for the path of another file
            raise InputError(f"{where}, presets.{name}", expected="a fan", got=type(fan).__name__, remedy=_REMEDY)
    fans = {str(name): load_config(FanConfig, fan, f"{where}, presets.{name}") for name, fan in presets.items()}
    found = UltrasoundCalibration((width, height), (crop[0], crop[1], crop[2], crop[3]), fans)
    for name, drawn in found.fans().items():
        if not drawn.mask.any():
            remedy = "apex and spacing do not fit this image; " + _REMEDY
            raise InputError(f"{where}, presets.{name}", expected="a fan inside the image", got="none", remedy=remedy)
    return found


def _whole(value: Any, count: int, where: str) -> tuple[int, ...]:
    fits = isinstance(value, (list, tuple)) and len(value) == count
    if not fits or not all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value):
        raise InputError(where, expected=f"{count} whole numbers", got=value, remedy=_REMEDY)
    return tuple(value)
