"""Watches the example controller and the tool's TF edge: when each of them moved last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from tf2_msgs.msg import TFMessage

from lodestone_core.ros import qos

CHILD = "em_tool_0_corrected"


@dataclass
class ControllerProbe:
    """Arrival, on the steady clock, of the last broadcast of the edge and of the last command that was not zero."""

    executor: SingleThreadedExecutor
    last_edge_s: float = float("-inf")
    last_motion_s: float = float("-inf")

    def on_tf(self, msg: Any) -> None:
        """A broadcast."""
        if any(edge.child_frame_id == CHILD for edge in msg.transforms):
            self.last_edge_s = time.monotonic()

    def on_command(self, msg: Any) -> None:
        """A command."""
        v = msg.twist.linear
        if v.x or v.y or v.z:
            self.last_motion_s = time.monotonic()

    def spin(self, duration_s: float) -> None:
        """Take in messages for a while."""
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def wait_until_moving(self, since_s: float, limit_s: float) -> bool:
        """Until both have been seen after `since_s`; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while min(self.last_edge_s, self.last_motion_s) <= since_s:
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.01)
        return True


@contextmanager
def controller_probe() -> Iterator[ControllerProbe]:
    """A probe on the DDS domain of the environment."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("controller_probe", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    probe = ControllerProbe(executor)
    node.create_subscription(TFMessage, "/tf", probe.on_tf, qos.TF)
    node.create_subscription(TwistStamped, "example_controller/command", probe.on_command, qos.reliable(10))
    try:
        yield probe
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
