"""The player as a process: plays until the bag has ended or it is told to stop; space or a service holds it."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import SetBool

from lodestone_core.bags import Bag
from lodestone_core.ros.player import PlayerNode
from lodestone_core.ros.run import run

_STATUS_PERIOD_S = 0.2
_SPIN_S = 0.0005
_TAKEN_WITHIN_S = 8.0
"""Two heartbeats of the middleware, by which a reader asks for what it missed, and time to send it."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to play; see `lodestone replay --help`."""

    topics: Sequence[str]
    rate: float
    start_s: float
    loop: bool
    paused: bool
    wait_s: float


def replay(bag: Bag, options: ReplayOptions, on_status: Callable[[PlayerNode], None]) -> tuple[int, PlayerNode | None]:
    """Play the open bag; the exit code, and the player with its counts when there was one."""
    nodes: list[PlayerNode] = []

    def make() -> PlayerNode:
        node = PlayerNode(bag, options.topics, rate=options.rate, start_s=options.start_s, paused=options.paused)
        nodes.append(node)
        node.create_service(SetBool, "~/pause", lambda request, response: _pause(node, request, response))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_STATUS_PERIOD_S, lambda: on_status(node), clock=steady)
        _Turns(node, options)
        return node

    with _keys(lambda: _toggle(nodes)):
        code = run(make, [])
    return code, nodes[0] if nodes else None


class _Turns:
    """Lets the player go on whenever its executor has time: one timer whose period is what the player wants to wait."""

    def __init__(self, node: PlayerNode, options: ReplayOptions) -> None:
        self._steps = self._play(node, options)
        self._timer = node.create_timer(_SPIN_S, self._turn, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @staticmethod
    def _play(node: PlayerNode, options: ReplayOptions) -> Iterator[float]:
        yield from node.wait_for_readers(options.wait_s)
        yield from node.play(loop=options.loop)
        yield from node.wait_until_taken(_TAKEN_WITHIN_S)

    def _turn(self) -> None:
        wait_s = next(self._steps, None)
        if wait_s is None:
            raise ExternalShutdownException
        self._timer.timer_period_ns = max(round(wait_s * 1e9), round(_SPIN_S * 1e9))
        self._timer.reset()


def _pause(node: PlayerNode, request: Any, response: Any) -> Any:
    node.paused = bool(request.data)
    response.success, response.message = True, "paused" if node.paused else "plays"
    return response


def _toggle(nodes: Sequence[PlayerNode]) -> None:
    for node in nodes:
        node.paused = not node.paused


@contextmanager
def _keys(on_space: Callable[[], None]) -> Iterator[None]:
    """Calls back when space is pressed, where there is a keyboard. A thread waits for it, so that the player need not look."""
    if not sys.stdin.isatty():
        yield
        return
    import threading

    fd, reader, writer = sys.stdin.fileno(), *os.pipe()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)

    def watch() -> None:
        while reader not in select.select([fd, reader], [], [])[0]:
            if os.read(fd, 1) == b" ":
                on_space()

    thread = threading.Thread(target=watch, name="keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(writer, b"x")
        thread.join()
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        os.close(reader)
        os.close(writer)
