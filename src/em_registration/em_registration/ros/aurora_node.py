"""NDI Aurora on a serial port: tracked tools, one pose topic a tool, raw TF edges while they hold, diagnostics.

The driver reads the port on its own thread and publishes each frame from there, since somebody waits for it; a guard condition wakes the
executor for everything else.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.publisher import Publisher

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.faults import DriverStatus
from em_registration.drivers.worker import FRAMES_KEPT, AuroraDriver
from em_registration.ros.aurora_report import device_report, tool_report
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import frame_to_msg
from lodestone_core.ros.diagnostics import Report
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.ros.tf import TfBroadcaster
from lodestone_core.time_calibration import calibrated_clock
from lodestone_core.types import ToolSample, TrackedFrame
from lodestone_msgs.msg import TrackedTool, TrackedTools

_REPORT_PERIOD_S = 1.0


class AuroraNode(LodestoneNode[AuroraConfig]):
    """Publishes `aurora/tools` first, then `aurora/<tool>/measured_cp` and /tf for the tools whose pose holds."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("aurora", AuroraConfig, **ros)

    def on_configure_node(self, config: AuroraConfig) -> None:
        for path in config.roms().values():
            self.read_file(Path(path).expanduser())
        self._frame_clock = calibrated_clock(config.clock, config.time_calibration, "aurora/tools", self.read_file)
        self._tools = self.create_publisher(TrackedTools, "aurora/tools", qos.DEVICE)
        self._tf = TfBroadcaster(self)

    def on_activate_node(self) -> None:
        self._poses: dict[str, Publisher] = {}
        self._latest: dict[str, ToolSample] = {}
        self._received_ns = 0
        self._said = DriverStatus()
        self._rate_hz, self._frames_at = 0.0, (0, time.monotonic())
        self._news = self.create_guard_condition(self._on_news)
        self._sent: deque[TrackedTools] = deque(maxlen=FRAMES_KEPT)
        self._driver = AuroraDriver(replace(self.config, clock=self._frame_clock), self._news.trigger, on_frame=self._send)
        self._driver.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._report)

    def on_deactivate_node(self) -> None:
        self._driver.stop()
        self.destroy_guard_condition(self._news)
        for name in ("device", *map(_component, self._latest)):
            self.diagnostics.retract(name)

    def _send(self, frame: TrackedFrame) -> None:
        """On the driver's thread: a publisher may be used from any."""
        message = frame_to_msg(frame, self.config.frame_id)
        self._tools.publish(message)
        self._sent.append(message)

    def _on_news(self) -> None:
        for frame in self._driver.take_frames():
            self._publish_parts(frame, self._sent.popleft())
        self._tell(self._driver.status)

    def _publish_parts(self, frame: TrackedFrame, message: TrackedTools) -> None:
        for tool in message.tools:
            if tool.status == TrackedTool.STATUS_VALID:
                publish_if_heard(self._pose_publisher(tool.name), partial(PoseStamped, header=message.header, pose=tool.pose))
        if frame.received_ns < self._received_ns:
            self._tf.forget()
        self._received_ns = frame.received_ns
        posed = [(tool.name, tool.T_tracker_tool) for tool in frame.tools if tool.T_tracker_tool is not None]
        self._tf.send(frame.stamp_ns, [(self.config.frame_id, f"em_tool_{name}", T) for name, T in posed])
        self._latest.update({tool.name: tool for tool in frame.tools})

    def _pose_publisher(self, name: str) -> Publisher:
        if name not in self._poses:
            # A name in a ROS topic cannot begin with a digit.
            token = f"tool_{name}" if name[0].isdigit() else name
            self._poses[name] = self.create_publisher(PoseStamped, f"aurora/{token}/measured_cp", qos.DEVICE)
        return self._poses[name]

    def _tell(self, status: DriverStatus) -> None:
        """Into the log when a fault comes or goes, and into the diagnostics at once."""
        if status is self._said:
            return
        if status.problem != self._said.problem:
            if status.problem:
                self.get_logger().warning(f"{status.problem}; {status.remedy}")
            elif self._said.problem:
                self.get_logger().info("tracking again")
        for note in set(status.notes) - set(self._said.notes):
            self.get_logger().warning(note)
        self._said = status
        self._put("device", device_report(self._driver, self._frame_rate_hz()))

    def _report(self) -> None:
        self._put("device", device_report(self._driver, self._frame_rate_hz()))
        for name, tool in self._latest.items():
            self._put(_component(name), tool_report(tool))

    def _frame_rate_hz(self) -> float:
        """Frames a second over the last report period or longer."""
        frames, now_s = self._driver.session.frames.counters.frames, time.monotonic()
        since, then_s = self._frames_at
        if now_s - then_s >= _REPORT_PERIOD_S:
            self._frames_at = (frames, now_s)
            self._rate_hz = (frames - since) / (now_s - then_s)
        return self._rate_hz

    def _put(self, component: str, report: Report) -> None:
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=component)


def _component(tool_name: str) -> str:
    return f"tool {tool_name}"


def main() -> int:
    """Run the node until it is told to stop."""
    return run(AuroraNode)


if __name__ == "__main__":
    sys.exit(main())
