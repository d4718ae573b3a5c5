"""Frame authority node: the one owner of every registration edge."""

from __future__ import annotations

import sys
import time
from typing import Any

from tf2_msgs.msg import TFMessage

from lodestone_core.messages import EstimateSet, estimates_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import estimates_to_msg, transforms_to_msg
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.types import PoseSample
from lodestone_guidance.authority import Authority
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.rig import parse_frames, poses_from_root
from lodestone_guidance.ros.conversions import status_to_msg
from lodestone_msgs.msg import RegistrationEstimate, RegistrationEstimates, RegistrationStatus

WATCH_S = 0.02
"""Period of the watchdog: an edge stops at most this long after max_age of silence."""


class AuthorityNode(LodestoneNode[AuthorityConfig]):
    """Gates estimates, broadcasts the edges that hold, and says why or why not."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("frame_authority", AuthorityConfig, **ros)

    def on_configure_node(self, config: AuthorityConfig) -> None:
        """Read the rig and build the authority."""
        self._frames = parse_frames(self.read_file(config.rig_frames).decode(), config.rig_frames)
        self._authority = Authority(config, poses_from_root(self._frames, config.root, config.rig_frames))
        self._tf = self.create_publisher(TFMessage, "/tf", qos.TF)
        self._tf_static = self.create_publisher(TFMessage, "/tf_static", qos.TF_STATIC)
        self._status = self.create_publisher(RegistrationStatus, "registration/status", qos.STATUS)

    def on_activate_node(self) -> None:
        """Broadcast the rig's static frames once, listen to every registration, start the watchdog on steady time."""
        # Publishers that estimates bring with them go when the node is deactivated.
        self._outputs: dict[str, Any] = {}
        now_ns = self._now_ns()
        static = [PoseSample(now_ns, frame.parent, frame.child, frame.T_parent_child) for frame in self._frames]
        self._tf_static.publish(transforms_to_msg(static))
        for topic in self.config.inputs:
            self.create_subscription(RegistrationEstimates, topic, self._on_estimates, qos.reliable(100))
        self.create_steady_timer(WATCH_S, self._on_watch)
        self.create_steady_timer(1.0 / self.config.status_rate_hz, self._publish_status)

    def _on_estimates(self, msg: RegistrationEstimates) -> None:
        sample = estimates_from_msg(msg)
        decision = self._authority.decide(sample.stamp_ns, sample.estimates, self._now_ns(), time.monotonic_ns())
        if decision.transforms:
            self._tf.publish(transforms_to_msg(decision.transforms))
        # TF is out; everything else may come after it, and only what somebody reads.
        heard = tuple(each for each in decision.accepted if self._output(each.child).get_subscription_count())
        for estimate in estimates_to_msg(EstimateSet(sample.stamp_ns, sample.received_ns, heard)).estimates:
            self._output(estimate.child_frame_id).publish(estimate)
        if decision.changed:
            self._publish_status()

    def _on_watch(self) -> None:
        if self._authority.expire(self._now_ns(), time.monotonic_ns()):
            self._publish_status()

    def _publish_status(self) -> None:
        now_ns = self._now_ns()
        reports = self._authority.report(now_ns)
        self._status.publish(status_to_msg(now_ns, self.config, reports))
        for report in reports:
            level = Level.OK if report.broadcast else Level.WARN
            self.diagnostics.report(level, report.detail or report.state.name, component=f"{report.parent} -> {report.child}")

    def _output(self, child: str) -> Any:
        if child not in self._outputs:
            self._outputs[child] = self.create_publisher(RegistrationEstimate, f"registration/{child}", qos.ESTIMATE)
        return self._outputs[child]

    def _now_ns(self) -> int:
        # Not a stamp: the age of a sample is the node's clock minus its acquisition.
        return int(self.get_clock().now().nanoseconds)


def main() -> int:
    """Entry point of authority_node."""
    return run(AuthorityNode)


if __name__ == "__main__":
    sys.exit(main())
