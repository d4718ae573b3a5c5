"""Messages of the X-ray driver, and what it says in diagnostics."""

from __future__ import annotations

from lodestone_core.ros.conversions import header_to_msg
from lodestone_core.ros.diagnostics import Level, Report
from lodestone_core.units import m_from_mm
from lodestone_msgs.msg import XrayGeometry
from xray_registration.drivers.checked import CheckedFrame, FrameChecker
from xray_registration.drivers.picture_source import PictureSource

_SOURCES = {
    "dicom": XrayGeometry.SOURCE_DICOM,
    "calibration": XrayGeometry.SOURCE_CALIBRATION,
    "unknown": XrayGeometry.SOURCE_UNKNOWN,
}


def geometry_to_msg(frame: CheckedFrame, frame_id: str) -> XrayGeometry:
    """The geometry of a frame in SI units; NaN where nothing is known."""
    geometry = frame.geometry
    return XrayGeometry(
        header=header_to_msg(frame.stamp_ns, frame_id),
        geometry_source=_SOURCES[geometry.source],
        source_to_detector=float(m_from_mm(geometry.source_to_detector_mm)),
        source_to_isocentre=float(m_from_mm(geometry.source_to_isocentre_mm)),
        pixel_spacing=[float(m_from_mm(spacing)) for spacing in geometry.spacing_mm],
        primary_angle=float(geometry.primary_rad),
        secondary_angle=float(geometry.secondary_rad),
        valid=bool(geometry.valid),
        detail=geometry.detail,
    )


def source_report(source: PictureSource) -> Report:
    """How the pictures come."""
    status = source.status
    if status.problem:
        return Report(Level.ERROR, f"{status.problem} (now: {status.stage})", status.remedy, status.figures)
    if status.note:
        return Report(Level.WARN, status.note, "", status.figures)
    return Report(Level.OK, status.stage, "", status.figures)


def geometry_report(checker: FrameChecker) -> Report:
    """What holds of the geometry of the last picture."""
    counters, last = checker.counters, checker.last
    values = {
        "images": counters.images,
        "images_not_valid": counters.not_valid,
        "images_without_place": counters.without_place,
    }
    if last is None:
        return Report(Level.WARN, "no picture yet", "", values)
    if not last.valid:
        remedy = "correct the calibration or the settings of the C-arm; such pictures are published, but not to be registered"
        return Report(Level.ERROR, f"the geometry is not valid: {last.detail}", remedy, values)
    if not last.placed:
        remedy = "give primary_deg, secondary_deg and source_to_isocentre_mm in the calibration"
        return Report(Level.WARN, "the geometry holds, but the C-arm has no place: its angles are not known", remedy, values)
    return Report(Level.OK, f"the geometry holds, from {last.source}", "", values)
