"""The ground truth of the simulated bench on `ground_truth/*`, on the one time that its emulators share.

Nothing but tests and people read it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path as PathMessage
from rclpy.publisher import Publisher

from lodestone_bench.world.epoch import join_world
from lodestone_bench.world.sections import read_world
from lodestone_bench.world.truth import Frame, Quantity, truth_of
from lodestone_core import se3
from lodestone_core.config import REQUIRED, option
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import header_to_msg, pose_sample_to_msg, poses_to_msg
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.types import PoseSample

_LATE_S = 1.0
"""A node that was held up for longer does not make up for it."""


@dataclass(frozen=True, slots=True)
class WorldNodeConfig:
    """Which world, and on which time."""

    clock: str = option(REQUIRED, doc="file by which all emulators of the bench share one time")
    world: str = option("", doc="the bench's world (YAML); empty: the simulated rig's")


class WorldNode(LodestoneNode[WorldNodeConfig]):
    """Publishes each quantity of the world at its own rate, with the time of the truth as its stamp."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("world", WorldNodeConfig, **ros)

    def on_configure_node(self, config: WorldNodeConfig) -> None:
        """Build the world's parts."""
        if config.world:
            self.read_file(config.world)
        self._quantities = truth_of(read_world(Path(config.world) if config.world else None))
        self._offered = {each.name: self._publisher(each) for each in self._quantities}

    def on_activate_node(self) -> None:
        """Join the world's time, which begins now when nobody has begun it."""
        self._world_clock = join_world(Path(self.config.clock))
        self._next = {each.name: math.ceil(self._world_clock.elapsed_s() * each.rate_hz) for each in self._quantities}
        for rate_hz in sorted({each.rate_hz for each in self._quantities}):
            self.create_steady_timer(0.5 / rate_hz, partial(self._on_timer, rate_hz))
        self.diagnostics.report(Level.OK, f"{len(self._quantities)} quantities of the world")

    def _publisher(self, quantity: Quantity) -> Publisher:
        kind = PoseStamped if isinstance(quantity, Frame) else PathMessage
        return self.create_publisher(kind, f"ground_truth/{quantity.name}", qos.DEVICE)

    def _on_timer(self, rate_hz: float) -> None:
        now_s = self._world_clock.elapsed_s()
        for quantity in self._quantities:
            if quantity.rate_hz == rate_hz:
                self._publish_until(quantity, now_s)

    def _publish_until(self, quantity: Quantity, now_s: float) -> None:
        """Every sample up to now, at whole periods of the world's time, whoever started this node when."""
        last = math.floor(now_s * quantity.rate_hz)
        first = max(self._next[quantity.name], last - math.floor(_LATE_S * quantity.rate_hz))
        self._next[quantity.name] = max(last + 1, first)
        if self._offered[quantity.name].get_subscription_count() == 0:
            return
        for number in range(first, last + 1):
            self._offered[quantity.name].publish(self._message(quantity, number / quantity.rate_hz))

    def _message(self, quantity: Quantity, world_s: float) -> PoseStamped | PathMessage:
        stamp_ns = self._world_clock.wall_ns(world_s)
        if isinstance(quantity, Frame):
            T = np.asarray(quantity.poses(np.array([world_s])))[0]
            return pose_sample_to_msg(PoseSample(stamp_ns, quantity.parent, quantity.name, T))
        header = header_to_msg(stamp_ns, quantity.parent)
        poses = poses_to_msg(list(se3.make(np.eye(3), quantity.points(world_s))))
        return PathMessage(header=header, poses=[PoseStamped(header=header, pose=pose) for pose in poses])


def main() -> int:
    """Run the node until it is told to stop."""
    return run(WorldNode)


if __name__ == "__main__":
    sys.exit(main())
