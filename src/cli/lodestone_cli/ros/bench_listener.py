"""The subscriber of a whole bench: counts images by what stands in their pixels and records the rest, or records all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor

from lodestone_bench.world.epoch import WorldClock
from lodestone_cli.ros.image_probe import ImageProbe
from lodestone_core.ros.realtime import use_realtime_priority
from lodestone_core.ros.record_node import RecordConfig
from lodestone_core.ros.recorder import Recorder

IMAGE = "sensor_msgs/msg/Image"


@dataclass
class BenchListener:
    """One process that takes in everything. `probe` is None while images are recorded: then the bag is counted."""

    executor: SingleThreadedExecutor
    recorder: Recorder
    probe: ImageProbe | None

    def spin(self, duration_s: float) -> None:
        """Take in messages for a while."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Take in messages until the condition holds; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.05)
        return True

    def heard(self, topics: Sequence[str]) -> bool:
        """Whether something has come on each of the topics."""
        images = {} if self.probe is None else self.probe.counts
        return all(images[topic].images > 0 if topic in images else self.recorder.counts.get(f"/{topic}", 0) > 0 for topic in topics)


@contextmanager
def bench_listener(bag: Path, images: Sequence[str], clock: WorldClock, *, record_images: bool) -> Iterator[BenchListener]:
    """A listener on the DDS domain of the environment that records into the new `bag`, whole when this ends."""
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    if not record_images:  # a recorder runs as usual; who only counts is as urgent as the nodes, lest what it misses is called their loss
        use_realtime_priority()
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("bench_listener", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    recorder = Recorder(node, bag, without=() if record_images else (IMAGE,), exclude=RecordConfig().exclude)
    probe = None if record_images else ImageProbe(node, executor, images, clock)
    try:
        yield BenchListener(executor, recorder, probe)
    finally:
        executor.shutdown()
        recorder.finish()
        node.destroy_node()
        rclpy.shutdown(context=context)
        os.sched_setscheduler(0, *usual)
