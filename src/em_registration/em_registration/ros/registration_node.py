"""EM registration node: tracked tools in, estimates and corrected poses out."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped

from em_registration.config import RegistrationConfig
from em_registration.pipeline import Pipeline, adoption
from em_registration.pipeline_times import PipelineTimes
from em_registration.registration import parse_registration
from em_registration.ros.conversions import event_to_msg
from em_registration.ros.session_services import SessionServices
from lodestone_core.error_radius import expected_radius_95
from lodestone_core.estimate import Estimate, State
from lodestone_core.messages import EstimateSet, frame_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import estimates_to_msg
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.time import s_from_ns
from lodestone_msgs.msg import Event as EventMsg
from lodestone_msgs.msg import RegistrationEstimate, RegistrationEstimates, TrackedTools


class RegistrationNode(LodestoneNode[RegistrationConfig]):
    """Feeds the pipeline with every frame of the tracker and publishes what it says."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("em_registration", RegistrationConfig, **ros)

    def on_configure_node(self, config: RegistrationConfig) -> None:
        """Build the pipeline, adopt the configured registration, offer the session's services."""
        expected_radius_95(np.eye(3))  # its table takes 30 ms, which are not the first frame's
        self._pipeline = Pipeline(config)
        if config.registration_file:
            path = Path(config.registration_file)
            text = self.read_file(path).decode()
            self._pipeline.request(adoption(parse_registration(text, str(path)), f"loaded from {path.name}", text))
        self._estimates = self.create_publisher(RegistrationEstimates, "~/estimates", qos.ESTIMATE)
        self._events = self.create_publisher(EventMsg, "~/events", qos.EVENT)
        self._session = SessionServices(self, self._pipeline, config)

    def on_activate_node(self) -> None:
        """Listen to the tracker."""
        # Publishers that frames bring with them go when the node is deactivated.
        self._corrected: dict[str, Any] = {}
        self._said: dict[str, tuple[Any, float]] = {}
        self._last_stamp_ns = 0
        self._times = PipelineTimes()
        self.create_steady_timer(REPORT_PERIOD_S, self._report_watch)
        self.create_subscription(TrackedTools, "tools", self._on_tools, qos.DEVICE)

    def on_cleanup_node(self) -> None:
        """Withdraw the session's action."""
        self._session.close()

    def _on_tools(self, msg: TrackedTools) -> None:
        frame = frame_from_msg(msg)
        if frame.stamp_ns < self._last_stamp_ns - CLOCK_STEP_NS:
            self.get_logger().warning("the tracker's stamps went backward; going on in a new epoch")
            self._pipeline.clock_stepped_back()
        self._last_stamp_ns = frame.stamp_ns
        started_s = time.perf_counter()
        update = self._pipeline.update(frame)
        if update is None:
            return
        self._times.add(time.perf_counter() - started_s, len(frame.tools))
        message = estimates_to_msg(EstimateSet(update.stamp_ns, update.received_ns, update.estimates))
        latency_s = s_from_ns(time.time_ns() - frame.received_ns)
        for estimate in message.estimates:
            estimate.processing_latency = latency_s
        self._estimates.publish(message)
        # TF waits for the estimates only; everything else comes after them.
        for event in update.events:
            self._events.publish(event_to_msg(event))
        for estimate in message.estimates:
            self._publish_corrected(estimate)
        self._session.on_frame(frame)
        self._report(update.estimates)

    def _report_watch(self) -> None:
        self.diagnostics.report(Level.OK, "time of the pipeline for a pose", values=self._times.values(), component="pipeline")
        for finding in self._pipeline.findings:
            values = {"statistic": round(finding.statistic, 2), "learnt": round(finding.learnt, 2), "causes": finding.causes.name}
            level = Level.OK if finding.state is State.OK else Level.WARN
            said = finding.detail or "no distortion is seen"
            self.diagnostics.report(level, said, values=values, component=f"distortion {' '.join(finding.tools)}")

    def _publish_corrected(self, estimate: RegistrationEstimate) -> None:
        if estimate.state not in USABLE or estimate.header.frame_id != self.config.image_frame:
            return
        name = estimate.child_frame_id
        if name not in self._corrected:
            self._corrected[name] = self.create_publisher(PoseStamped, f"~/{name}/measured_cp", qos.DEVICE)
        publish_if_heard(self._corrected[name], partial(PoseStamped, header=estimate.header, pose=estimate.pose.pose))

    def _report(self, estimates: tuple[Estimate, ...]) -> None:
        """Into the diagnostics what has changed, and once a second all of it."""
        now_s = time.monotonic()
        for estimate in estimates:
            said, at_s = self._said.get(estimate.child, (None, 0.0))
            saying = (estimate.state, estimate.detail)
            if saying == said and now_s - at_s < REPORT_PERIOD_S:
                continue
            self._said[estimate.child] = (saying, now_s)
            level = Level.OK if estimate.state.usable and not estimate.detail else Level.WARN
            values = {"state": estimate.state.name, "epoch": estimate.epoch, "expected_tre_mm": round(estimate.expected_tre_mm, 3)}
            self.diagnostics.report(level, estimate.detail or estimate.state.name, values=values, component=estimate.child)


USABLE = (RegistrationEstimate.STATE_OK, RegistrationEstimate.STATE_DEGRADED)
REPORT_PERIOD_S = 1.0
CLOCK_STEP_NS = 1_000_000_000
"""A stamp further back than this is a clock that was set or a bag that restarted, not a late message."""


def main() -> int:
    """Entry point of registration_node."""
    return run(RegistrationNode)


if __name__ == "__main__":
    sys.exit(main())
