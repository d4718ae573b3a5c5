"""Example controller: drives a tool's target point to a goal in the patient image, by the published contract alone.

Copy it. It trusts `registration/<child>` and `registration/status`, never a last value, and begins anew in every epoch.
"""

from __future__ import annotations

import sys
import time

from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lodestone_core.ros import qos
from lodestone_core.ros.run import run
from lodestone_msgs.msg import RegistrationEstimate, RegistrationStatus

USABLE = (RegistrationEstimate.STATE_OK, RegistrationEstimate.STATE_DEGRADED)


class ExampleController(Node):
    """Proportional velocity in the image frame; zero, with the reason logged, whenever the frame cannot be trusted."""

    def __init__(self) -> None:
        super().__init__("example_controller")
        self._child = self.declare_parameter("child", "em_tool_0_corrected").value
        self._goal = self.declare_parameter("goal", [0.0, 0.0, 0.0]).value
        self._gain = self.declare_parameter("gain", 0.5).value
        self._period_s = self.declare_parameter("period_s", 0.02).value
        self._max_age_s = self.declare_parameter("max_age_s", 0.5).value
        self._estimate: RegistrationEstimate | None = None
        self._estimate_at = self._status_at = float("-inf")
        self._broadcast_epoch: int | None = None
        self._reason = ""
        self.create_subscription(RegistrationEstimate, f"registration/{self._child}", self._on_estimate, qos.reliable(1))
        self.create_subscription(RegistrationStatus, "registration/status", self._on_status, qos.reliable(1))
        self._command = self.create_publisher(TwistStamped, "~/command", qos.reliable(1))
        self.create_timer(self._period_s, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_estimate(self, msg: RegistrationEstimate) -> None:
        self._estimate, self._estimate_at = msg, time.monotonic()

    def _on_status(self, msg: RegistrationStatus) -> None:
        edge = next((edge for edge in msg.edges if edge.child_frame_id == self._child), None)
        self._broadcast_epoch = edge.epoch if edge and edge.broadcast else None
        self._status_at = time.monotonic()

    def _step(self) -> None:
        reason = self._why_stop()
        if reason != self._reason:
            self.get_logger().warning(f"stopped: {reason}") if reason else self.get_logger().info("moving")
            self._reason = reason
        command = TwistStamped()
        if self._estimate is not None:
            command.header = self._estimate.header
            if not reason:
                at = self._estimate.pose.pose.position
                for axis, goal in zip("xyz", self._goal, strict=True):
                    setattr(command.twist.linear, axis, self._gain * (goal - getattr(at, axis)))
        self._command.publish(command)

    def _why_stop(self) -> str:
        now = time.monotonic()
        if self._estimate is None or now - self._estimate_at > self._max_age_s:
            return "no fresh estimate"
        if now - self._status_at > self._max_age_s or self._broadcast_epoch is None:
            return "the frame authority does not vouch for the frame"
        if self._estimate.epoch != self._broadcast_epoch:
            return "the registration changed: waiting for both to say the same"
        return "" if self._estimate.state in USABLE else self._estimate.detail


def main() -> int:
    """Entry point of example_controller."""
    return run(ExampleController)


if __name__ == "__main__":
    sys.exit(main())
