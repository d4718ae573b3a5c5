"""Listens to the EM chain from outside, as a controller would, and counts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from tf2_msgs.msg import TFMessage

from lodestone_core.messages import frame_from_msg, stamp_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.realtime import use_realtime_priority
from lodestone_core.types import TrackedFrame
from lodestone_msgs.msg import TrackedTools

Arrival = tuple[int, float, bytes]
"""Host clock in ns, steady clock in s, message."""


@dataclass
class StreamProbe:
    """What has arrived: frame numbers, and for every broadcast of corrected tools the time since the reply's last byte.

    Messages are taken as bytes and decoded by `digest`, so that listening takes next to nothing from what is measured.
    """

    node: Node
    executor: SingleThreadedExecutor
    frames: int = 0
    repeats: int = 0
    skipped: int = 0
    last_number: int | None = None
    last_pose_s: float = float("-inf")
    latencies_ms: list[float] = field(default_factory=list)
    _tools: list[Arrival] = field(default_factory=list)
    _tf: list[Arrival] = field(default_factory=list)
    _received_ns: dict[int, int] = field(default_factory=dict)

    def on_tools(self, data: bytes) -> None:
        """A frame of the driver."""
        self._tools.append((time.time_ns(), time.monotonic(), data))

    def on_tf(self, data: bytes) -> None:
        """A broadcast."""
        self._tf.append((time.time_ns(), time.monotonic(), data))

    def spin(self, duration_s: float) -> None:
        """Take in messages for a while."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Take in and digest messages until the condition holds; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.02)
            self.digest()
        return True

    def digest(self) -> None:
        """Decode and count what has arrived."""
        arrived, self._tools = self._tools, []
        for _, at_s, data in arrived:
            self._count(frame_from_msg(deserialize_message(data, TrackedTools)), at_s)
        waiting = []
        for arrival in self._tf:
            stamp_ns = corrected_stamp_ns(deserialize_message(arrival[2], TFMessage))
            if stamp_ns is None:
                continue
            received_ns = self._received_ns.pop(stamp_ns, None)
            if received_ns is None:
                waiting.append(arrival)  # the frame itself comes later, or has been counted away
            else:
                self.latencies_ms.append((arrival[0] - received_ns) / 1e6)
        self._tf = waiting

    def restart_counts(self) -> None:
        """Forget what was counted; discovery and start-up are over."""
        self.digest()
        self.frames = self.repeats = self.skipped = 0
        for counted in (self.latencies_ms, self._received_ns, self._tf):
            counted.clear()

    def _count(self, frame: TrackedFrame, at_s: float) -> None:
        self.frames += 1
        if self.last_number is not None:
            # From the device's own numbers, not from what the driver says that it skipped.
            self.skipped += max(0, frame.frame_number - self.last_number - 1)
            self.repeats += self.last_number == frame.frame_number
        self.last_number = frame.frame_number
        if any(tool.T_tracker_tool is not None for tool in frame.tools):
            self.last_pose_s = at_s
        self._received_ns[frame.stamp_ns] = frame.received_ns


def corrected_stamp_ns(msg: Any) -> int | None:
    """Stamp of the corrected tools in a broadcast; None when it holds none."""
    for edge in msg.transforms:
        if edge.child_frame_id.endswith("_corrected"):
            return stamp_from_msg(edge.header.stamp)
    return None


@contextmanager
def stream_probe() -> Iterator[StreamProbe]:
    """A probe on the DDS domain of the environment, as urgent as the nodes it listens to: waiting behind them is no latency of theirs."""
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    use_realtime_priority()
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("stream_probe", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    probe = StreamProbe(node, executor)
    node.create_subscription(TrackedTools, "aurora/tools", probe.on_tools, qos.reliable(1000), raw=True)
    node.create_subscription(TFMessage, "/tf", probe.on_tf, qos.reliable(1000), raw=True)
    try:
        yield probe
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
        os.sched_setscheduler(0, *usual)
