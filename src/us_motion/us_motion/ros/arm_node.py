"""Ultrasound arm on a serial stream of encoders: counts, joint angles and the probe's pose while all joints hold, TF, diagnostics.

The driver reads the port on its own thread and publishes each sample from there, since somebody waits for it; a guard condition wakes the
executor when there is something to say: waking it for each sample would cost more than the sample.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from lodestone_core.device.stream import StreamStatus
from lodestone_core.ros import qos
from lodestone_core.ros.diagnostics import Report
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.time_calibration import calibrated_clock
from lodestone_msgs.msg import ArmEncoders
from us_motion.drivers.arm_driver import ArmDriver
from us_motion.drivers.arm_files import load_arm, without_missing
from us_motion.drivers.config import ArmConfig
from us_motion.ros.arm_poses import ArmPoses
from us_motion.ros.arm_report import calibration_report, device_report, joint_report
from us_motion.ros.conversions import encoders_to_msg
from us_motion.types import ArmSample

_REPORT_PERIOD_S = 1.0


class ArmNode(LodestoneNode[ArmConfig]):
    """Publishes `us_arm/encoders` always; `us_arm/measured_js`, `us_arm/measured_cp` and /tf while all joints hold."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("us_arm", ArmConfig, **ros)

    def on_configure_node(self, config: ArmConfig) -> None:
        config, self._missing = without_missing(config)
        self._arm = load_arm(config)
        for path in (config.urdf, config.calibration_file, config.probe_calibration_file):
            if path:
                self.read_file(Path(path).expanduser())
        self._frame_clock = calibrated_clock(config.clock, config.time_calibration, "us_arm/encoders", self.read_file, config.rig)
        self._encoders = self.create_publisher(ArmEncoders, "us_arm/encoders", qos.DEVICE)
        self._poses = ArmPoses(self, config, self._arm.chain)
        for missing in self._missing:
            self.get_logger().warning(f"no {missing}")

    def on_activate_node(self) -> None:
        self._newest: ArmSample | None = None
        self._said = StreamStatus()
        self._rate_hz, self._frames_at = 0.0, (0, time.monotonic())
        self._detail = ""
        self._news = self.create_guard_condition(self._on_news)
        self._driver = ArmDriver(replace(self.config, clock=self._frame_clock), self._arm, self._send, self._news.trigger)
        self._driver.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._report)
        self.create_service(Trigger, "~/home", partial(self._serve, self._driver.home))
        self.create_service(Trigger, "~/accept_counts", partial(self._serve, self._driver.accept))

    def on_deactivate_node(self) -> None:
        self._driver.stop()
        self.destroy_guard_condition(self._news)
        self._keep_home()
        for name in ("calibration", "device", *self._driver.tracker.joints):
            self.diagnostics.retract(name)

    def _send(self, sample: ArmSample) -> None:
        """On the driver's thread: a publisher may be used from any."""
        self._encoders.publish(encoders_to_msg(sample, self.config.base_frame))
        self._poses.publish(sample)
        before, self._newest = self._newest, sample
        if before is None or before.detail != sample.detail or before.epoch != sample.epoch:
            self._news.trigger()

    def _on_news(self) -> None:
        self._driver.check()
        self._keep_home()
        self._tell()

    def _serve(self, action: Any, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = action()
        response.success = self._newest is not None
        self.get_logger().info(response.message)
        return response

    def _keep_home(self) -> None:
        if self._arm.home is not None:
            self._arm.home.flush()

    def _tell(self) -> None:
        """Into the log when a fault comes or goes, and into the diagnostics at once."""
        status, newest = self._driver.status, self._newest
        detail = newest.detail if newest else ""
        if status is self._said and detail == self._detail:
            return
        for text, said, remedy in ((status.problem, self._said.problem, status.remedy), (detail, self._detail, "")):
            if text and text != said:
                self.get_logger().warning(f"{text}; {remedy}" if remedy else text)
            elif said and not text:
                self.get_logger().info("all joints hold" if not detail else "the device streams again")
        self._said, self._detail = status, detail
        self._report()

    def _report(self) -> None:
        kept = self._arm.home.said if self._arm.home else ""
        self._put("calibration", calibration_report(self._missing))
        self._put("device", device_report(self._driver, self._newest, self._frame_rate_hz(), kept))
        with self._driver.lock:
            reports = {name: joint_report(counter) for name, counter in self._driver.tracker.joints.items()}
        for name, report in reports.items():
            self._put(name, report)

    def _frame_rate_hz(self) -> float:
        """Frames a second over the last report period or longer."""
        frames, now_s = self._driver.tracker.counters.frames, time.monotonic()
        since, then_s = self._frames_at
        if now_s - then_s >= _REPORT_PERIOD_S:
            self._frames_at, self._rate_hz = (frames, now_s), (frames - since) / (now_s - then_s)
        return self._rate_hz

    def _put(self, component: str, report: Report) -> None:
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=component)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(ArmNode)


if __name__ == "__main__":
    sys.exit(main())
