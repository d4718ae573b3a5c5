"""`lodestone record`: topics into a crash-safe bag, as any other node on the bus."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress, SpinnerColumn, TextColumn

from lodestone_cli.console import console
from lodestone_cli.launch_file.environment import with_middleware
from lodestone_cli.ros_presence import has_ros
from lodestone_core.errors import InputError

if TYPE_CHECKING:
    from lodestone_core.ros.recorder import RecorderNode


def run(topics: Sequence[str], out: Path | None, duration_s: float | None, exclude: Sequence[str] = ()) -> int:
    """Record until SIGINT, SIGTERM or the end of `duration_s`; 1 when nothing came, 2 when the bag could not be written."""
    _require_ros()
    # The same middleware as the nodes that `lodestone up` starts; read by DDS when rclpy starts.
    os.environ.update(with_middleware(os.environ))
    from lodestone_cli.ros.recording import record

    path = out or Path("out", "bags", time.strftime("%Y-%m-%d-%H-%M-%S"))
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console(), transient=True) as progress:
        task, started = progress.add_task("recording", total=None), time.monotonic()

        def show(node: RecorderNode) -> None:
            text = (
                f"{time.monotonic() - started:.0f} s, {sum(node.counts.values())} messages of {len(node.counts)} topics, {node.lost} lost"
            )
            progress.update(task, description=text)

        code, node = record(path, topics, exclude, duration_s, show)
    return code if code or node is None else _report(node, path)


def _report(node: RecorderNode, path: Path) -> int:
    for topic, count in sorted(node.counts.items()):
        console().print(f"{count:8d}  {topic}")
    if node.missing:
        console().print(f"never published: {', '.join(node.missing)}")
    if node.lost:
        console().print(f"{node.lost} messages were dropped by the middleware before they could be recorded")
    total = sum(node.counts.values())
    console().print(f"{total} messages in {path}")
    return int(total == 0)


def _require_ros() -> None:
    if not has_ros():
        remedy = "run 'make setup', or source a ROS 2 Jazzy first"
        raise InputError("recording", expected="rclpy", got="none that this Python can import", remedy=remedy)
