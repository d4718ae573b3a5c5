"""The ground truth over DDS: each quantity at its rate, with the stamp at which it was true, as the emulators' shared time has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path as PathMessage
from rclpy.executors import SingleThreadedExecutor

from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.epoch import join_world
from lodestone_bench.world.sections import read_world
from lodestone_bench.world.truth import Curve, truth_of
from lodestone_core.messages import pose_from_msg, stamp_from_msg
from lodestone_core.ros import qos

pytestmark = pytest.mark.ros


def test_the_truth_is_published_at_its_rate_and_stamped_with_the_worlds_time(tmp_path: Path) -> None:
    clock = join_world(tmp_path / "clock")  # as an emulator that came first
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("reader", context=context)
    heard: dict[str, list[Any]] = {"us_probe": [], "liver": [], "wire": []}
    for name, kind in (("us_probe", PoseStamped), ("liver", PoseStamped), ("wire", PathMessage)):
        node.create_subscription(kind, f"ground_truth/{name}", heard[name].append, qos.DEVICE)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    command = [sys.executable, "-m", "lodestone_bench.ros.world_node", "--ros-args", "-p", f"clock:={tmp_path / 'clock'}"]
    world = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 30.0
        while len(heard["us_probe"]) < 250 or len(heard["wire"]) < 20:
            assert time.monotonic() < deadline and world.poll() is None
            executor.spin_once(timeout_sec=0.1)
        world.send_signal(signal.SIGINT)
        said, _ = world.communicate(timeout=20)
    finally:
        world.kill()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert world.returncode == 0, said
    stamps = np.array([stamp_from_msg(message.header.stamp) for message in heard["us_probe"]])
    assert np.median(np.diff(stamps)) == pytest.approx(5e7, rel=0.01), "20 Hz"
    world_s = np.round(1e-9 * (stamps - clock.wall_ns(0.0)) * 20.0) / 20.0
    assert 1e-9 * (stamps - clock.wall_ns(0.0)) == pytest.approx(world_s, abs=2e-3), "whole periods of the world's time"
    found = np.stack([pose_from_msg(message.pose) for message in heard["us_probe"]])
    assert found == pytest.approx(ArmWorld().T_bench_probe(world_s), abs=1e-6)
    wire = next(each for each in truth_of(read_world(None)) if isinstance(each, Curve))
    message = heard["wire"][-1]
    at_s = round((stamp_from_msg(message.header.stamp) - clock.wall_ns(0.0)) * 1e-9 * 10.0) / 10.0
    points = 1e3 * np.array([[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in message.poses])
    assert points == pytest.approx(wire.points(at_s), abs=1e-6)
    assert message.header.frame_id == "bench"
