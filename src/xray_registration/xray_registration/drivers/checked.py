"""From pictures to what is published: turned round where the device mirrors, with the geometry that holds and the poses that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from lodestone_core.types import Array
from xray_registration.calibration import XrayCalibration
from xray_registration.drivers.config import XrayDriverConfig
from xray_registration.drivers.header import FrameGeometry, frame_geometry
from xray_registration.drivers.pictures import XrayFrame
from xray_registration.projection import T_isocentre_source, T_source_detector


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFrame:
    """One picture (rows, columns) uint8 or uint16. `T_bench_source` and `T_source_detector` (4, 4; mm) are None without a place."""

    stamp_ns: int
    image: npt.NDArray[Any]
    geometry: FrameGeometry
    T_bench_source: Array | None = None
    T_source_detector: Array | None = None


@dataclass(slots=True)
class CheckCounters:
    """Since the driver was started."""

    images: int = 0
    not_valid: int = 0
    without_place: int = 0


class FrameChecker:
    """Takes each picture once."""

    def __init__(self, calibration: XrayCalibration | None, config: XrayDriverConfig) -> None:
        self.counters = CheckCounters()
        self.last: FrameGeometry | None = None
        self._calibration, self._config = calibration, config

    def take(self, frame: XrayFrame) -> CheckedFrame:
        """Check a picture against the geometry in use."""
        calibration = self._calibration
        geometry = frame_geometry(frame.header, calibration, self._config.tolerance, frame.is_dicom)
        if calibration is not None and calibration.mirrored:
            frame = frame.turned_round()
        self.last = geometry
        self.counters.images += 1
        self.counters.not_valid += not geometry.valid
        self.counters.without_place += not geometry.placed
        projection = None if calibration is None else calibration.projection()
        if calibration is None or projection is None or not geometry.placed:
            return CheckedFrame(frame.stamp_ns, frame.image, geometry)
        turn = math.radians(calibration.image_rotation_deg)
        T_isocentre = T_isocentre_source(projection, geometry.primary_rad, geometry.secondary_rad, turn)
        T: Array = calibration.isocentre.T_bench_isocentre() @ T_isocentre
        return CheckedFrame(frame.stamp_ns, frame.image, geometry, T, T_source_detector(projection))
