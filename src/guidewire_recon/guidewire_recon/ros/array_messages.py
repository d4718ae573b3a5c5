"""Samples of the array as messages. They are made once and filled again and again: 16 nested ones cost more to make than to send."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import MagneticField

from guidewire_recon.drivers.ak09940a import T_PER_COUNT
from guidewire_recon.drivers.calibrated import ArrayCalibration
from guidewire_recon.types import ArraySample, CalibratedSample, Flags, Words
from lodestone_core.ros.conversions import header_to_msg, stamp_to_msg
from lodestone_core.types import Array
from lodestone_msgs.msg import MagnetometerArray, MagnetometerSample


class ArrayWriter:
    """Fills one message; what it returns is overwritten by the next call."""

    def __init__(self, frame_id: str, calibration_sha256: str = "") -> None:
        self._frame_id = frame_id
        self._message = MagnetometerArray(calibrated=bool(calibration_sha256), calibration_sha256=calibration_sha256)

    def raw(self, sample: ArraySample) -> MagnetometerArray:
        """What the sensors show, along their own axes."""
        return self._fill(sample, np.where(sample.valid[:, None], sample.raw * T_PER_COUNT, np.nan), sample.status, sample.valid)

    def calibrated(self, calibrated: CalibratedSample) -> MagnetometerArray:
        """The field in the array's frame."""
        return self._fill(calibrated.sample, calibrated.field_T, calibrated.status, calibrated.valid)

    def _fill(self, sample: ArraySample, field_T: Array, status: Words, valid: Flags) -> MagnetometerArray:
        message = self._message
        message.header = header_to_msg(sample.stamp_ns, self._frame_id)
        message.received = stamp_to_msg(sample.received_ns)
        message.array_id, message.sequence = int(sample.array_id), int(sample.sequence)
        # A gap that does not fit its field is told as the largest that does.
        message.skipped, message.device_time_us = min(int(sample.skipped), 0xFFFFFFFF), int(sample.device_us)
        if len(message.sensors) != len(field_T):
            message.sensors = [MagnetometerSample(index=index) for index in range(len(field_T))]
        words, flags, warmth = status.tolist(), valid.tolist(), sample.temperature_degc.tolist()
        for index, sensor in enumerate(message.sensors):
            sensor.status, sensor.valid, sensor.temperature = words[index], flags[index], warmth[index]
            sensor.raw, sensor.field = sample.raw[index], field_T[index]
        return message


class SensorWriter:
    """sensor_msgs/MagneticField of each sensor, along the axes of its own frame."""

    def __init__(self, calibration: ArrayCalibration, noise_T: Array) -> None:
        self._to_sensor = np.swapaxes(calibration.rotation, 1, 2)
        self._variances = (noise_T**2).tolist()

    def write(self, calibrated: CalibratedSample, index: int) -> MagneticField:
        """The message of one sensor that may be used."""
        message = MagneticField()
        message.header = header_to_msg(calibrated.sample.stamp_ns, sensor_frame(index))
        x, y, z = (self._to_sensor[index] @ calibrated.field_T[index]).tolist()
        message.magnetic_field.x, message.magnetic_field.y, message.magnetic_field.z = x, y, z
        variance = self._variances[index]
        message.magnetic_field_covariance = np.diag([variance] * 3).ravel()
        return message


def sensor_frame(index: int) -> str:
    """Name of a sensor's frame."""
    return f"mag_s{index:02d}"
