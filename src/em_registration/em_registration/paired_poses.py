"""Registration from a recording in which an optical tracker saw a marker on the same rigid tool as the EM sensors.

The optical tracker's frame stands for the image. T_image_marker(t + dt) = T_image_tracker T_tracker_sensor(t) T_sensor_marker is solved
by lodestone_core.hand_eye for all sensors together; what is left over, pose by pose, is the noise that this tracker has on this bench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from em_registration.registration import Registration, ToolCalibration
from lodestone_core import covariance, se3
from lodestone_core.hand_eye import StreamCalibration, StreamConfig, calibrate_streams
from lodestone_core.pose_stream import PoseStream

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a registration comes from: date, version, SHA-256 of every file by name."""

    created: str
    version: str
    inputs: Mapping[str, str] = field(default_factory=dict)


def register_streams(
    em: Mapping[str, PoseStream], reference: PoseStream, provenance: Provenance, config: StreamConfig | None = None
) -> Registration:
    """T_tracker_image, the reference on every tool, its noise and time offset, from streams T_tracker_sensor and T_image_marker (mm).

    Raises InputError as lodestone_core.hand_eye.calibrate_streams does.
    """
    settings = config or StreamConfig()
    found = calibrate_streams(em, reference, settings)
    T_image_tracker = found.joint.T_ref_em
    tools = {name: _tool(name, em[name], reference, found, settings) for name in em}
    count = sum(tool.n for tool in tools.values())
    return Registration(
        method="paired poses",
        T_tracker_image=se3.inverse(T_image_tracker),
        covariance=covariance.invert(T_image_tracker, found.joint.covariance),
        fre_mm=float(np.sqrt(sum(tool.n * tool.rms_mm**2 for tool in tools.values()) / count)),
        n=count,
        created=provenance.created,
        version=provenance.version,
        tools=tools,
        inputs=provenance.inputs,
    )


def _tool(name: str, stream: PoseStream, reference: PoseStream, found: StreamCalibration, config: StreamConfig) -> ToolCalibration:
    offset_s = found.offsets[name].seconds
    sensor = found.joint.sensors[name]
    used = reference.covers(stream.stamps_ns, offset_s, config.pairing)
    T_image_marker = reference.at(stream.stamps_ns[used], offset_s)
    T_expected = se3.inverse(found.joint.T_ref_em) @ T_image_marker @ se3.inverse(sensor.T_sensor_marker)
    errors = pose_errors(stream.T[used], T_expected)
    return ToolCalibration(
        T_tool_reference=sensor.T_sensor_marker,
        # The second moment, outliers included: a controller meets them too.
        noise=errors.T @ errors / len(errors),
        rms_mm=sensor.rms_mm,
        n=len(errors),
        time_offset_s=offset_s,
    )


def pose_errors(T_measured: Array, T_expected: Array) -> Array:
    """(N, 6) differences of poses (N, 4, 4): translation and rotation about the parent's axes at the child's origin, mm and rad."""
    R = T_measured[:, :3, :3] @ np.swapaxes(T_expected[:, :3, :3], 1, 2)
    rotations = se3.log(se3.make(R, np.zeros((len(R), 3))))[:, 3:]
    return np.concatenate([T_measured[:, :3, 3] - T_expected[:, :3, 3], rotations], axis=1)
