"""Counts emulated images as a subscriber gets them, by the number and time in their first pixels: what is lost, repeated and how late."""

from __future__ import annotations

import os
import struct
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from lodestone_bench.emulators.pixel_code import PixelCode, read_code
from lodestone_bench.world.epoch import WorldClock
from lodestone_core.kept_memory import reserve_memory
from lodestone_core.ros import qos
from lodestone_core.ros.realtime import use_realtime_priority

_U32 = struct.Struct("<I")
_FRAME_ID = 12
_HEADER = struct.Struct("<4xiII")
"""Encapsulation, stamp, length of frame_id, whose text follows."""


@dataclass(slots=True)
class ImageCounts:
    """Images of one topic since the last restart. `lost` are numbers that never came between the first and the last one."""

    images: int = 0
    lost: int = 0
    repeats: int = 0
    without_code: int = 0
    last_number: int | None = None
    _numbers: array[int] = field(default_factory=lambda: array("Q"))
    _latencies_ms: array[float] = field(default_factory=lambda: array("f"))

    @property
    def latency_ms(self) -> dict[int, float]:
        """By number: from the acquisition to the callback."""
        return dict(zip(self._numbers, self._latencies_ms, strict=True))

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
        self._numbers.append(code.number)  # twelve bytes an image: memory is watched
        self._latencies_ms.append(latency_ms)


def first_row(data: bytes) -> NDArray[np.uint8]:
    """The first row (1, width) of a serialised sensor_msgs/Image (CDR, little endian): three megabytes need not be copied for it."""
    at = _HEADER.size
    at = _after_text(at + _U32.unpack_from(data, _FRAME_ID)[0])
    _, width = struct.unpack_from("<II", data, at)
    at += 8 + _U32.size
    at = _after_text(at + _U32.unpack_from(data, at - _U32.size)[0] + 1)  # encoding, is_bigendian
    return np.frombuffer(data, np.uint8, width, at + 2 * _U32.size).reshape(1, -1)  # behind step and the length of the data


def _after_text(at: int) -> int:
    """The next place for a number of four bytes; alignment counts from behind the four bytes of the encapsulation."""
    return at + -(at - 4) % 4


class ImageProbe:
    """Listens to image topics; latency is from the acquisition in world time to the callback. `clock` is that of the emulators."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, topics: Sequence[str], clock: WorldClock) -> None:
        self.node = node
        self.counts = {topic: ImageCounts() for topic in topics}
        self._executor = executor
        self._clock = clock
        self._subscriptions = [
            node.create_subscription(Image, topic, partial(self._on_image, topic), qos.IMAGE, raw=True) for topic in topics
        ]

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

    def _on_image(self, topic: str, data: bytes) -> None:
        now_s = self._clock.elapsed_s()
        code = read_code(first_row(data))
        self.counts[topic].add(code, float("nan") if code is None else 1e3 * (now_s - code.world_ns * 1e-9))


@contextmanager
def image_probe(topics: Sequence[str], clock: WorldClock) -> Iterator[ImageProbe]:
    """A probe on the DDS domain of the environment, as urgent as the nodes it listens to: waiting behind them is no latency of theirs."""
    reserve_memory()
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
