"""Listens to the drivers of a bench and judges each message against the truth of the simulated world."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor

from lodestone_core.ros import qos


class Verdict(NamedTuple):
    """What one message says. `posed`: it asserts something that may be used; `wrong`: what of it is not true, else ""."""

    posed: bool
    wrong: str = ""


Judge = Callable[[Any], Verdict]


class Watched(NamedTuple):
    """A topic and who judges its messages."""

    topic: str
    kind: type
    judge: Judge


@dataclass
class Seen:
    """What came of one device since the last reset: arrival of each posed message (steady clock), and what was wrong."""

    messages: int = 0
    posed_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class DeviceProbe:
    """One listener for all devices."""

    executor: SingleThreadedExecutor
    seen: dict[str, Seen] = field(default_factory=dict)
    reasons: dict[str, dict[str, None]] = field(default_factory=dict)
    """What diagnostics said of each node beyond OK, in order."""

    def spin(self, duration_s: float) -> None:
        """Take in messages for a while."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=min(left_s, 0.05))

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Take in messages until the condition holds; False when the limit passes first."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.02)
        return True

    def reset(self) -> None:
        """Forget what came."""
        self.seen = {device: Seen() for device in self.seen}
        self.reasons.clear()

    def on_diagnostics(self, msg: Any) -> None:
        """Whatever is not OK, by node."""
        for status in msg.status:
            if status.level not in (b"\0", 0):
                node = status.name.split(":")[0].strip().lstrip("/")
                self.reasons.setdefault(node, {})[status.message] = None


@contextmanager
def device_probe(devices: Mapping[str, list[Watched]]) -> Iterator[DeviceProbe]:
    """A probe of these devices on the DDS domain of the environment."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("device_probe", context=context, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    probe = DeviceProbe(executor, {device: Seen() for device in devices})

    def taker(device: str, judge: Judge) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            verdict, seen = judge(msg), probe.seen[device]
            seen.messages += 1
            if verdict.posed:
                seen.posed_s.append(time.monotonic())
            if verdict.wrong:
                seen.wrong.append(verdict.wrong)

        return take

    for device, watched in devices.items():
        for each in watched:
            node.create_subscription(each.kind, each.topic, taker(device, each.judge), qos.reliable(200))
    node.create_subscription(DiagnosticArray, "/diagnostics", probe.on_diagnostics, qos.DIAGNOSTICS)
    try:
        yield probe
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
