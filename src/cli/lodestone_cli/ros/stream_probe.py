"""Listens to the EM chain from outside, as a controller would, and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from lodestone_core.messages import frame_from_msg, stamp_from_msg
from lodestone_core.ros import qos
from lodestone_core.types import TrackedFrame
from lodestone_msgs.msg import TrackedTools


@dataclass
class StreamProbe:
    """What has arrived: frame numbers, and for every broadcast of corrected tools the time since the reply's last byte."""

    node: Node
    executor: SingleThreadedExecutor
    frames: int = 0
    repeats: int = 0
    skipped: int = 0
    poses: int = 0
    last_number: int | None = None
    last_pose_s: float = float("-inf")
    latencies_ms: list[float] = field(default_factory=list)
    received_ns: dict[int, int] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)

    def on_tools(self, msg: Any) -> None:
        """A frame of the driver."""
        frame: TrackedFrame = frame_from_msg(msg)
        self.frames += 1
        self.skipped += frame.frames_skipped
        self.repeats += self.last_number == frame.frame_number
        self.last_number = frame.frame_number
        if any(tool.T_tracker_tool is not None for tool in frame.tools):
            self.poses += 1
            self.last_pose_s = time.monotonic()
        arrived_ns = self.waiting.pop(frame.stamp_ns, None)
        if arrived_ns is not None:
            self.latencies_ms.append((arrived_ns - frame.received_ns) / 1e6)
        else:
            self.received_ns[frame.stamp_ns] = frame.received_ns

    def on_tf(self, msg: Any) -> None:
        """A broadcast; either message of a sample may arrive first."""
        arrived_ns = time.time_ns()
        corrected = [edge for edge in msg.transforms if edge.child_frame_id.endswith("_corrected")]
        if not corrected:
            return
        stamp_ns = stamp_from_msg(corrected[0].header.stamp)
        received_ns = self.received_ns.pop(stamp_ns, None)
        if received_ns is None:
            self.waiting[stamp_ns] = arrived_ns
        else:
            self.latencies_ms.append((arrived_ns - received_ns) / 1e6)

    def spin_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Take in messages until the condition holds; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.02)
        return True

    def restart_counts(self) -> None:
        """Forget what was counted; discovery and start-up are over."""
        self.frames = self.repeats = self.skipped = self.poses = 0
        self.latencies_ms.clear()
        self.received_ns.clear()
        self.waiting.clear()


@contextmanager
def stream_probe() -> Iterator[StreamProbe]:
    """A probe on the DDS domain of the environment."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("stream_probe", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    probe = StreamProbe(node, executor)
    node.create_subscription(TrackedTools, "aurora/tools", probe.on_tools, qos.reliable(100))
    node.create_subscription(TFMessage, "/tf", probe.on_tf, qos.TF)
    try:
        yield probe
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
