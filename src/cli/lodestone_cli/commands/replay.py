"""`lodestone replay`: a bag's messages onto the bus, with /clock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from lodestone_cli.console import console
from lodestone_cli.launch_file.environment import with_middleware
from lodestone_cli.ros_presence import has_ros
from lodestone_core.bags import open_bag
from lodestone_core.errors import InputError

if TYPE_CHECKING:
    from lodestone_core.ros.player import PlayerNode


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    bag: Path
    topics: Sequence[str]
    rate: float
    start_s: float
    loop: bool
    paused: bool
    wait_s: float


def run(options: Options) -> int:
    """Play until the end, SIGINT or SIGTERM; 1 when nothing was played."""
    if not has_ros():
        remedy = "run 'make setup', or source a ROS 2 Jazzy first"
        raise InputError("replay", expected="rclpy", got="none that this Python can import", remedy=remedy)
    os.environ.update(with_middleware(os.environ))
    from lodestone_cli.ros.replaying import ReplayOptions, replay

    with (
        open_bag(options.bag) as bag,
        Progress(TextColumn("{task.description}"), BarColumn(), console=console(), transient=True) as progress,
    ):
        for note in bag.notes:
            console().print(f"note: {note}")
        task = progress.add_task("waits for readers", total=None)

        def show(node: PlayerNode) -> None:
            progress.update(task, total=node.duration_s, completed=node.played.bag_s, description=_line(node))

        chosen = ReplayOptions(options.topics, options.rate, options.start_s, options.loop, options.paused, options.wait_s)
        code, node = replay(bag, chosen, show)
    if code or node is None:
        return code
    console().print(summary(node))
    return int(node.played.messages == 0)


def _line(node: PlayerNode) -> str:
    state = "paused" if node.paused else "plays"
    played = node.played
    return f"{state} {played.bag_s:.1f} of {node.duration_s:.1f} s, {played.messages} messages, {played.late} late"


def summary(node: PlayerNode) -> str:
    """What went out, and how punctual it was."""
    played = node.played
    text = f"{played.messages} messages of {len(node.topics)} topics"
    if played.not_taken:
        text += f"; a reader has not acknowledged all of {', '.join(played.not_taken)}"
    if played.late:
        return f"{text}; {played.late} went out late, at worst by {1e3 * played.latest_s:.0f} ms: this machine is too slow for that rate"
    return f"{text}, all on time (at worst {1e3 * played.latest_s:.1f} ms late)"
