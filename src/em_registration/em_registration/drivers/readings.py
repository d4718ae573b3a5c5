"""From one tool's reading to a sample: which status it has, and whether it makes a pose."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from em_registration.drivers.ndi_codes import HandleStatus, PortStatus
from em_registration.drivers.ndi_measurements import ToolReading
from em_registration.drivers.tools import Tool
from lodestone_core import se3
from lodestone_core.types import ToolSample, ToolStatus

# TX carries four decimals; a quaternion further from unit length than rounding explains is no rotation.
_UNIT_TOLERANCE: Final = 5e-3
# Far outside any field generator's volume: a tracker's invalid marks are about 1e28.
_FURTHEST_MM: Final = 10_000.0


def sample_of(reading: ToolReading, tool: Tool) -> ToolSample:
    """The sample of one tool; it has a pose only when the status is VALID."""
    status, detail = _status(reading)
    T = None
    if status is ToolStatus.VALID and reading.q_wxyz is not None and reading.t_mm is not None:
        w, x, y, z = reading.q_wxyz
        T = se3.from_quaternion(np.array([x, y, z, w]), np.array(reading.t_mm))
    return ToolSample(
        name=tool.name,
        status=status,
        T_tracker_tool=T,
        rms_error_mm=reading.error_mm if math.isfinite(reading.error_mm) else math.nan,
        degrees_of_freedom=tool.degrees_of_freedom,
        frame_number=reading.frame or 0,
        port_handle=tool.handle,
        port_status=reading.port_status or 0,
        serial_number=tool.serial,
        channel=tool.channel,
        detail=detail,
    )


def unplugged(tool: Tool) -> ToolSample:
    """The sample of a tool that was there and is no longer."""
    return ToolSample(
        name=tool.name,
        status=ToolStatus.UNPLUGGED,
        T_tracker_tool=None,
        degrees_of_freedom=tool.degrees_of_freedom,
        port_handle=tool.handle,
        serial_number=tool.serial,
        channel=tool.channel,
        detail="the tool is no longer plugged in",
    )


def _status(reading: ToolReading) -> tuple[ToolStatus, str]:
    """The worst of what handle status, port status and the numbers themselves say."""
    bits = PortStatus(reading.port_status) if reading.port_status is not None else None
    if reading.status is HandleStatus.UNOCCUPIED or (bits is not None and PortStatus.OCCUPIED not in bits):
        return ToolStatus.UNPLUGGED, "the tool is no longer plugged in"
    if reading.status is HandleStatus.DISABLED or bits is None:
        return ToolStatus.DISABLED, "the port handle is not enabled"
    if PortStatus.SENSOR_COIL_BROKEN in bits:
        return ToolStatus.FAULT, "the device reports a broken sensor coil: replace the tool"
    if PortStatus.PROCESSING_EXCEPTION in bits:
        return ToolStatus.FAULT, "the device reports a processing exception: look for metal or a field generator nearby"
    if reading.status is HandleStatus.MISSING:
        return ToolStatus.MISSING, "the device cannot solve a pose: too far away, disturbed, or out of the volume"
    malformed = _not_a_pose(reading)
    if malformed:
        return ToolStatus.FAULT, malformed
    if PortStatus.OUT_OF_VOLUME in bits:
        return ToolStatus.OUT_OF_VOLUME, "outside the characterised volume"
    if PortStatus.PARTIALLY_OUT_OF_VOLUME in bits:
        return ToolStatus.PARTIALLY_OUT_OF_VOLUME, "partly outside the characterised volume"
    return ToolStatus.VALID, ""


def _not_a_pose(reading: ToolReading) -> str:
    """Why numbers that came under a good CRC are no pose; empty when they are one."""
    if reading.q_wxyz is None or reading.t_mm is None:
        return "the reply holds no pose"
    if not all(map(math.isfinite, (*reading.q_wxyz, *reading.t_mm, reading.error_mm))):
        return "the pose is not finite"
    length = math.hypot(*reading.q_wxyz)
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        return f"the quaternion has the length {length:.3g} instead of 1"
    distance = math.hypot(*reading.t_mm)
    return f"the tool is {distance:.3g} mm away, beyond any volume" if distance > _FURTHEST_MM else ""
