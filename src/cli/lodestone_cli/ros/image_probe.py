"""Counts emulated images as a subscriber gets them, by the number and time in their first pixels: what is lost, repeated and how late."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from lodestone_bench.emulators.pixel_code import PixelCode, read_code
from lodestone_bench.world.epoch import WorldClock
from lodestone_core.ros import qos
from lodestone_core.ros.realtime import use_realtime_priority


@dataclass(slots=True)
class ImageCounts:
    """Images of one topic since the last restart. `lost` are numbers that never came between the first and the last one."""

    images: int = 0
    lost: int = 0
    repeats: int = 0
    without_code: int = 0
    last_number: int | None = None
    latency_ms: dict[int, float] = field(default_factory=dict)
    """By number: from the acquisition to the callback."""

    def add(self, code: PixelCode | None, latency_ms: float) -> None:
        """Take one image."""
        self.images += 1
        if code is None:
            self.without_code += 1
            return
        if self.last_number is not None:
            self.lost += max(0, code.number - self.last_number - 1)
            self.repeats += code.number <= self.last_number
        self.last_number = code.number
        self.latency_ms[code.number] = latency_ms


class ImageProbe:
    """Listens to image topics; latency is from the acquisition in world time to the callback. `clock` is that of the emulators."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, topics: Sequence[str], clock: WorldClock) -> None:
        self.node = node
        self.counts = {topic: ImageCounts() for topic in topics}
        self._executor = executor
        self._clock = clock
        self._subscriptions = [node.create_subscription(Image, topic, partial(self._on_image, topic), qos.IMAGE) for topic in topics]

    def restart(self) -> None:
        """Forget what was counted; discovery and start-up are over."""
        for topic in self.counts:
            self.counts[topic] = ImageCounts()

    def spin(self, duration_s: float) -> None:
        """Take in images for a while."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Take in images until the condition holds; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def _on_image(self, topic: str, message: Image) -> None:
        now_s = self._clock.elapsed_s()
        pixels = np.frombuffer(message.data, np.uint8, count=message.width).reshape(1, -1)  # the first row holds the code
        code = read_code(pixels)
        self.counts[topic].add(code, float("nan") if code is None else 1e3 * (now_s - code.world_ns * 1e-9))


@contextmanager
def image_probe(topics: Sequence[str], clock: WorldClock) -> Iterator[ImageProbe]:
    """A probe on the DDS domain of the environment, as urgent as the nodes it listens to: waiting behind them is no latency of theirs."""
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    use_realtime_priority()
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("image_probe", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield ImageProbe(node, executor, topics, clock)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
        os.sched_setscheduler(0, *usual)
