"""Listens to tracker and reference for a calibration walk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor

from lodestone_core.messages import frame_from_msg, pose_from_msg, stamp_from_msg
from lodestone_core.ros import qos
from lodestone_core.types import Array, TrackedFrame
from lodestone_msgs.msg import TrackedTools

DEPTH = 1000
"""While a walk is assessed, messages wait."""


@contextmanager
def calibration_probe(
    on_frame: Callable[[TrackedFrame], object], on_reference: Callable[[int, Array], object]
) -> Iterator[Callable[[float], None]]:
    """Gives a function that takes in messages for so many seconds."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)  # the command's own words are not for ROS
    node = rclpy.create_node("calibration", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def frame(msg: Any) -> None:
        on_frame(frame_from_msg(msg))

    def reference(msg: Any) -> None:
        on_reference(stamp_from_msg(msg.header.stamp), pose_from_msg(msg.pose))

    node.create_subscription(TrackedTools, "aurora/tools", frame, qos.reliable(DEPTH))
    node.create_subscription(PoseStamped, "reference/measured_cp", reference, qos.reliable(DEPTH))

    def spin(duration_s: float) -> None:
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0.0:
            executor.spin_once(timeout_sec=left_s)

    try:
        yield spin
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
