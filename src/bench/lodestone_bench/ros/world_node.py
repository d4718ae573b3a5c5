"""The ground truth of the simulated bench on `ground_truth/*`, on the one time that its emulators share.

Nothing but tests and people read it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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
from lodestone_core.types import Array, PoseSample

_BATCH_S = 0.1
"""Truth is computed for so long at once: nobody waits for it, and its stamps are exact."""
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
        self.create_steady_timer(_BATCH_S, self._on_timer)
        self.diagnostics.report(Level.OK, f"{len(self._quantities)} quantities of the world")

    def _publisher(self, quantity: Quantity) -> Publisher:
        kind = PoseStamped if isinstance(quantity, Frame) else PathMessage
        return self.create_publisher(kind, f"ground_truth/{quantity.name}", qos.DEVICE)

    def _on_timer(self) -> None:
        now_s = self._world_clock.elapsed_s()
        for quantity in self._quantities:
            self._publish_until(quantity, now_s)

    def _publish_until(self, quantity: Quantity, now_s: float) -> None:
        """Every sample up to now, at whole periods of the world's time, whoever started this node when."""
        last = math.floor(now_s * quantity.rate_hz)
        first = max(self._next[quantity.name], last - math.floor(_LATE_S * quantity.rate_hz))
        self._next[quantity.name] = max(last + 1, first)
        if first > last or self._offered[quantity.name].get_subscription_count() == 0:
            return
        for message in self._messages(quantity, np.arange(first, last + 1) / quantity.rate_hz):
            self._offered[quantity.name].publish(message)

    def _messages(self, quantity: Quantity, times_s: Array) -> Iterator[PoseStamped | PathMessage]:
        stamps_ns = [self._world_clock.wall_ns(float(world_s)) for world_s in times_s]
        if isinstance(quantity, Frame):
            for stamp_ns, T in zip(stamps_ns, quantity.poses(times_s), strict=True):
                yield pose_sample_to_msg(PoseSample(stamp_ns, quantity.parent, quantity.name, np.asarray(T)))
            return
        for stamp_ns, world_s in zip(stamps_ns, times_s, strict=True):
            header = header_to_msg(stamp_ns, quantity.parent)
            poses = poses_to_msg(list(se3.make(np.eye(3), quantity.points(float(world_s)))))
            yield PathMessage(header=header, poses=[PoseStamped(header=header, pose=pose) for pose in poses])


def main() -> int:
    """Run the node until it is told to stop."""
    return run(WorldNode)


if __name__ == "__main__":
    sys.exit(main())
