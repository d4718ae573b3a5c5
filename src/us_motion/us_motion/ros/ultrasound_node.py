"""Ultrasound video: image and geometry of every frame, mask of the fan, diagnostics.

The video is read on a thread of its own and each image is published from there; a guard condition wakes the executor for everything else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_status import VideoFrame, VideoStatus
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import header_to_msg
from lodestone_core.ros.diagnostics import Report
from lodestone_core.ros.image_message import image_to_msg
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.time_calibration import calibrated_clock
from lodestone_msgs.msg import UltrasoundGeometry
from us_motion.drivers.grabber import Grabber, UltrasoundFrame
from us_motion.drivers.ultrasound_config import UltrasoundDriverConfig
from us_motion.ros.ultrasound_messages import geometry_report, geometry_to_msg, video_report
from us_motion.ultrasound_calibration import UltrasoundCalibration, parse_ultrasound_calibration

_REPORT_PERIOD_S = 1.0


class UltrasoundNode(LodestoneNode[UltrasoundDriverConfig]):
    """Publishes `ultrasound/image_raw` and `ultrasound/geometry` with one stamp, and `ultrasound/mask` for each new geometry."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("ultrasound", UltrasoundDriverConfig, **ros)

    def on_configure_node(self, config: UltrasoundDriverConfig) -> None:
        self._calibration = self._read_calibration(config)
        Grabber(self._calibration, config)  # refuses a preset that is none before anything runs
        clock = calibrated_clock(config.video.clock, config.time_calibration, "ultrasound/image_raw", self.read_file)
        self._video = replace(config.video, clock=clock)
        self._images = self.create_publisher(Image, "ultrasound/image_raw", qos.DEVICE)
        self._geometry = self.create_publisher(UltrasoundGeometry, "ultrasound/geometry", qos.DEVICE)
        self._masks = self.create_publisher(Image, "ultrasound/mask", qos.latched())

    def on_activate_node(self) -> None:
        self._grabber = Grabber(self._calibration, self.config)
        self._said, self._detail, self._masked = VideoStatus(), "", 0
        self._news = self.create_guard_condition(self._on_news)
        self._reader = VideoReader(self._video, self._send, self._news.trigger, "ultrasound")
        self._reader.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._on_news)

    def on_deactivate_node(self) -> None:
        self._reader.stop()
        self.destroy_guard_condition(self._news)
        for component in ("video", "geometry"):
            self.diagnostics.retract(component)

    def _read_calibration(self, config: UltrasoundDriverConfig) -> UltrasoundCalibration | None:
        if not config.calibration_file:
            return None
        text = self.read_file(Path(config.calibration_file).expanduser()).decode(errors="replace")
        return parse_ultrasound_calibration(text, config.calibration_file, config.rig)[0]

    def _send(self, frame: VideoFrame) -> None:
        """On the reader's thread: a publisher may be used from any."""
        found = self._grabber.take(frame)
        header = header_to_msg(found.stamp_ns, self.config.frame_id)
        self._geometry.publish(geometry_to_msg(found, self.config.frame_id))
        publish_if_heard(self._images, lambda: image_to_msg(found.image, header))
        if found.fan is not None and found.epoch != self._masked:
            self._masked = found.epoch
            self._masks.publish(image_to_msg(found.fan.mask.astype(np.uint8) * np.uint8(255), header))
        if found.detail != self._detail:
            self._tell(found)

    def _tell(self, found: UltrasoundFrame) -> None:
        self._detail = found.detail
        if found.detail:
            self.get_logger().warning(f"the geometry of the image is not valid: {found.detail}")
        else:
            self.get_logger().info(f"preset {found.preset} holds, epoch {found.epoch}")
        self._news.trigger()

    def _on_news(self) -> None:
        self._reader.check()
        status = self._reader.status
        if status.problem and status.cause is not self._said.cause:
            self.get_logger().warning(f"{status.problem}; {status.remedy}")
        elif self._said.problem and status.streaming:
            self.get_logger().info("streaming again")
        self._said = status
        self._put("video", video_report(self._reader))
        self._put("geometry", geometry_report(self._grabber))

    def _put(self, component: str, report: Report) -> None:
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=component)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(UltrasoundNode)


if __name__ == "__main__":
    sys.exit(main())
