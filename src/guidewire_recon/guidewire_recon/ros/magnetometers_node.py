"""AK09940A array: every trigger raw, and calibrated once a calibration is loaded; frames of the sensors; diagnostics with reasons.

The driver publishes on its own thread, since somebody waits; a guard condition wakes the executor for everything else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import MagneticField

from guidewire_recon.drivers.array_health import HealthMeter
from guidewire_recon.drivers.array_source import array_driver
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.drivers.loaded_calibration import LoadedCalibration
from guidewire_recon.ros.array_messages import ArrayWriter, SensorWriter, sensor_frame
from guidewire_recon.ros.magnetometers_report import calibration_report, device_report, sensor_report
from guidewire_recon.types import ArraySample
from lodestone_core.device.stream import StreamStatus
from lodestone_core.ros import qos
from lodestone_core.ros.diagnostics import Report
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.ros.tf import StaticTfBroadcaster
from lodestone_core.time_calibration import calibrated_clock
from lodestone_msgs.msg import MagnetometerArray

_REPORT_PERIOD_S = 1.0


class MagnetometersNode(LodestoneNode[MagnetometersConfig]):
    """Publishes `magnetometers/array_raw` always, `magnetometers/array` and a topic for each sensor with a calibration that fits."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("magnetometers", MagnetometersConfig, **ros)

    def on_configure_node(self, config: MagnetometersConfig) -> None:
        self._calibration: LoadedCalibration | None = None
        path = Path(config.calibration_file).expanduser()
        if config.calibration_file and path.exists():  # a rig that has none yet runs with raw data; its diagnostics say so
            self._calibration = LoadedCalibration(config, path, self.read_file(path))
            self._writer = ArrayWriter(config.frame_id, self._calibration.sha256)
        clock = calibrated_clock(config.clock, config.time_calibration, "magnetometers/array", self.read_file, config.rig)
        self._driver_config = replace(config, clock=clock)
        self._raw_writer = ArrayWriter(config.frame_id)
        self._raw = self.create_publisher(MagnetometerArray, "magnetometers/array_raw", qos.DEVICE)
        self._array = self.create_publisher(MagnetometerArray, "magnetometers/array", qos.DEVICE)
        names = [f"magnetometers/s{index:02d}/magnetic_field" for index in range(config.sensors)]
        self._fields = [self.create_publisher(MagneticField, name, qos.DEVICE) for name in names]

    def on_activate_node(self) -> None:
        self._health = HealthMeter()
        self._sensor_writer: SensorWriter | None = None
        self._frames: StaticTfBroadcaster | None = None
        self._said = StreamStatus()
        self._news = self.create_guard_condition(self._on_news)
        self._driver = array_driver(self._driver_config, self._on_sample, self._news.trigger)
        self._driver.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._report)

    def on_deactivate_node(self) -> None:
        self._driver.stop()
        self.destroy_guard_condition(self._news)
        for name in ("device", "calibration", *(f"s{index:02d}" for index in range(self.config.sensors))):
            self.diagnostics.retract(name)

    def _on_sample(self, sample: ArraySample) -> None:
        """On the driver's thread: a publisher may be used from any."""
        self._raw.publish(self._raw_writer.raw(sample))
        self._health.add(sample)
        calibrated = None if self._calibration is None else self._calibration.apply(sample)
        if self._calibration is None or calibrated is None:
            return
        self._array.publish(self._writer.calibrated(calibrated))
        if self._sensor_writer is None:
            self._sensor_writer = SensorWriter(self._calibration.calibration, self._calibration.noise_T(self._driver.hello))
        for index in np.flatnonzero(calibrated.valid).tolist():
            publish_if_heard(self._fields[index], partial(self._sensor_writer.write, calibrated, index))

    def _on_news(self) -> None:
        """Into the log when a fault comes or goes, and into the diagnostics at once."""
        self._driver.check()
        status = self._driver.status
        if status.problem != self._said.problem:
            if status.problem:
                self.get_logger().warning(f"{status.problem}; {status.remedy}")
            else:
                self.get_logger().info("streaming again")
        self._said = status
        self._put("device", device_report(self._driver))

    def _report(self) -> None:
        self._put("device", device_report(self._driver))
        self._put("calibration", calibration_report(self._calibration, self.config.calibration_file))
        self._broadcast_frames()
        health = self._health.take()
        if health is None:
            return
        axes = {} if self._calibration is None else self._calibration.check_axes(health)
        for index in range(len(health.latest)):
            self._put(f"s{index:02d}", sensor_report(health, index, axes.get(index, "")))

    def _broadcast_frames(self) -> None:
        """Once, when the calibration has turned out to be that of the array."""
        loaded = self._calibration
        if self._frames is None and loaded is not None and loaded.applied:
            known = np.flatnonzero(loaded.calibration.known).tolist()
            edges = [(self.config.frame_id, sensor_frame(index), loaded.calibration.T_array_sensor(index)) for index in known]
            self._frames = StaticTfBroadcaster(self, edges)

    def _put(self, component: str, report: Report) -> None:
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=component)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(MagnetometersNode)


if __name__ == "__main__":
    sys.exit(main())
