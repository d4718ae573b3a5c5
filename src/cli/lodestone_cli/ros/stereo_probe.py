"""Listens to a pair of cameras for a calibration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image


@contextmanager
def stereo_probe(topics: tuple[str, str], on_image: Callable[[str, Any], None]) -> Iterator[Callable[[float], None]]:
    """Gives a function that takes in images (left or right, and the message) for so many seconds."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)  # the command's own words are not for ROS
    node = rclpy.create_node("stereo_calibration", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    for side, topic in zip(("left", "right"), topics, strict=True):
        node.create_subscription(Image, topic, partial(on_image, side), qos_profile_sensor_data)

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
