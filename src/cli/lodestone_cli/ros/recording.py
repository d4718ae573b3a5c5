"""The recorder as a process: spins until it is told to stop or its time is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException

from lodestone_core.ros.recorder import RecorderNode
from lodestone_core.ros.run import run

_STATUS_PERIOD_S = 0.5


def record(
    path: Path, topics: Sequence[str], exclude: Sequence[str], duration_s: float | None, on_status: Callable[[RecorderNode], None]
) -> tuple[int, RecorderNode | None]:
    """Record into the new bag `path`; the exit code, and the recorder with its counts when there was one."""
    nodes: list[RecorderNode] = []

    def make() -> RecorderNode:
        node = RecorderNode(path, topics, exclude=exclude)
        nodes.append(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_STATUS_PERIOD_S, lambda: on_status(node), clock=steady)
        if duration_s is not None:
            node.create_timer(duration_s, _leave, clock=steady)
        return node

    code = run(make, [])
    return code, nodes[0] if nodes else None


def _leave() -> None:
    raise ExternalShutdownException
