"""Messages of the ultrasound driver, and what it says in diagnostics."""

from __future__ import annotations

import math

from lodestone_core.device.video import VideoReader
from lodestone_core.ros.conversions import header_to_msg
from lodestone_core.ros.diagnostics import Level, Report
from lodestone_core.units import m_from_mm
from lodestone_msgs.msg import UltrasoundGeometry
from us_motion.drivers.grabber import Grabber, UltrasoundFrame


def geometry_to_msg(frame: UltrasoundFrame, frame_id: str) -> UltrasoundGeometry:
    """The geometry of a frame in SI units; NaN in every number while it is not valid."""
    message = UltrasoundGeometry()
    message.header = header_to_msg(frame.stamp_ns, frame_id)
    message.epoch = int(frame.epoch)
    message.valid = frame.fan is not None
    message.detail = frame.detail
    if frame.fan is None:
        for name in ("depth", "radius_min", "radius_max", "angle_min", "angle_max"):
            setattr(message, name, math.nan)
        message.pixel_spacing = message.apex = [math.nan, math.nan]
        return message
    c = frame.fan.config
    message.depth = float(m_from_mm(c.depth_mm))
    message.pixel_spacing = [float(m_from_mm(spacing)) for spacing in c.spacing_mm]
    message.apex = [float(value) for value in c.apex_px]
    message.radius_min, message.radius_max = float(m_from_mm(c.radius_min_mm)), float(m_from_mm(c.radius_max_mm))
    message.angle_min, message.angle_max = float(c.angle_min_rad), float(c.angle_max_rad)
    return message


def video_report(reader: VideoReader) -> Report:
    """How the images come."""
    status, counters = reader.status, reader.counters
    values = {
        "stage": status.stage.name,
        "size": f"{status.width}x{status.height}",
        "rate_hz": round(reader.rate_hz, 2),
        "images": counters.frames,
        "skipped": counters.skipped,
        "repeats": counters.repeats,
        "black": counters.black,
        "openings": counters.openings,
    }
    if status.problem:
        return Report(Level.ERROR, f"{status.problem} (now: {status.stage.value})", status.remedy, values)
    if not status.streaming:
        return Report(Level.WARN, f"under way: {status.stage.value}", "", values)
    if status.notes:
        return Report(Level.WARN, "streaming; " + "; ".join(status.notes), "see the notes", values)
    return Report(Level.OK, "streaming", "", values)


def geometry_report(grabber: Grabber) -> Report:
    """What holds of the geometry."""
    state, counters = grabber.state, grabber.counters
    values = {
        "epoch": state.epoch,
        "preset": state.preset or "",
        "images": counters.images,
        "images_without_geometry": counters.not_valid,
        "images_of_other_size": counters.other_size,
        "images_black": counters.black,
    }
    if state.preset is None:
        return Report(Level.ERROR, f"the geometry of the image is not valid: {state.detail}", "", values)
    return Report(Level.OK, f"preset {state.preset} holds", "", values)
