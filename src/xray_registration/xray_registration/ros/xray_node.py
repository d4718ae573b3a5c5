"""X-ray pictures from video or files: image, camera and geometry of every frame, the C-arm's place while it is known, diagnostics.

Pictures are read on a thread of their own and published from there; a guard condition wakes the executor for everything else. Nothing of a
file but its pixels and its geometry is published or logged.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CameraInfo, Image

from lodestone_core.ros import qos
from lodestone_core.ros.camera_info import camera_to_msg
from lodestone_core.ros.conversions import header_to_msg
from lodestone_core.ros.diagnostics import Report
from lodestone_core.ros.image_message import image_to_msg
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.ros.tf import TfBroadcaster
from lodestone_core.time_calibration import calibrated_clock
from lodestone_msgs.msg import XrayGeometry
from xray_registration.calibration import XrayCalibration, parse_xray_calibration
from xray_registration.drivers.checked import CheckedFrame, FrameChecker
from xray_registration.drivers.config import XrayDriverConfig
from xray_registration.drivers.picture_source import FolderPictures, PictureSource, SourceStatus, VideoPictures
from xray_registration.drivers.pictures import XrayFrame
from xray_registration.ros.xray_messages import geometry_report, geometry_to_msg, source_report

_REPORT_PERIOD_S = 1.0


class XrayNode(LodestoneNode[XrayDriverConfig]):
    """Publishes `xray/image_raw`, `xray/camera_info` and `xray/geometry` with one stamp, and /tf from bench to source to detector."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("xray", XrayDriverConfig, **ros)

    def on_configure_node(self, config: XrayDriverConfig) -> None:
        self._calibration = self._read_calibration(config)
        self._camera = None if self._calibration is None else self._calibration.camera()
        clock = calibrated_clock(config.video.clock, config.time_calibration, "xray/image_raw", self.read_file)
        self._video = replace(config.video, clock=clock)
        self._folder = replace(config.folder, latency_s=clock.latency_s) if config.time_calibration else config.folder
        self._make_source(config)  # refuses what makes no sense before anything runs
        self._images = self.create_publisher(Image, "xray/image_raw", qos.IMAGE)
        self._infos = self.create_publisher(CameraInfo, "xray/camera_info", qos.IMAGE)
        self._geometry = self.create_publisher(XrayGeometry, "xray/geometry", qos.DEVICE)
        self._tf = TfBroadcaster(self)

    def on_activate_node(self) -> None:
        self._checker = FrameChecker(self._calibration, self.config)
        self._said, self._detail, self._stamp_ns = SourceStatus(""), "", 0
        self._news = self.create_guard_condition(self._on_news)
        self._source = self._make_source(self.config)
        self._source.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._on_news)

    def on_deactivate_node(self) -> None:
        self._source.stop()
        self.destroy_guard_condition(self._news)
        for component in ("source", "geometry"):
            self.diagnostics.retract(component)

    def _read_calibration(self, config: XrayDriverConfig) -> XrayCalibration | None:
        if not config.calibration_file:
            return None
        text = self.read_file(Path(config.calibration_file).expanduser()).decode(errors="replace")
        return parse_xray_calibration(text, config.calibration_file, config.rig)

    def _make_source(self, config: XrayDriverConfig) -> PictureSource:
        if config.kind == "folder":
            return FolderPictures(self._folder, self._send, self._wake)
        return VideoPictures(self._video, self._send, self._wake)

    def _wake(self) -> None:
        self._news.trigger()

    def _send(self, picture: XrayFrame) -> None:
        """On the source's thread: a publisher may be used from any."""
        frame = self._checker.take(picture)
        header = header_to_msg(frame.stamp_ns, self.config.frame_id)
        self._send_place(frame)
        self._geometry.publish(geometry_to_msg(frame, self.config.frame_id))
        # Whoever waits for both starts with the camera: a frame without a valid geometry has none (K zero, which is how ROS says so).
        publish_if_heard(self._infos, lambda: self._info(frame, header))
        publish_if_heard(self._images, lambda: image_to_msg(frame.image, header))
        if frame.geometry.detail != self._detail:
            self._detail = frame.geometry.detail
            self._news.trigger()

    def _info(self, frame: CheckedFrame, header: Any) -> CameraInfo:
        if self._camera is not None and frame.geometry.valid:
            return camera_to_msg(self._camera, header)
        height, width = frame.image.shape
        return CameraInfo(header=header, height=height, width=width)

    def _send_place(self, frame: CheckedFrame) -> None:
        if frame.stamp_ns < self._stamp_ns and self.config.kind == "video":
            self._tf.forget()
        self._stamp_ns = frame.stamp_ns
        if frame.T_bench_source is None or frame.T_source_detector is None:
            return
        names = self.config.parent_frame_id, self.config.frame_id, self.config.detector_frame_id
        self._tf.send(frame.stamp_ns, [(*names[:2], frame.T_bench_source), (*names[1:], frame.T_source_detector)])

    def _on_news(self) -> None:
        self._source.check()
        status = self._source.status
        if status.problem and status.problem != self._said.problem:
            self.get_logger().warning(f"{status.problem}; {status.remedy}")
        elif self._said.problem and not status.problem:
            self.get_logger().info(f"well again: {status.stage}")
        self._said = status
        self._put("source", source_report(self._source))
        self._put("geometry", geometry_report(self._checker))

    def _put(self, component: str, report: Report) -> None:
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=component)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(XrayNode)


if __name__ == "__main__":
    sys.exit(main())
