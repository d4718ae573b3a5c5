"""What a node says about itself on /diagnostics: level, reason, remedy and values, once a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lodestone_core.ros.qos import DIAGNOSTICS

PERIOD_S = 1.0
_NO_VALUES: Mapping[str, object] = MappingProxyType({})


class Level(IntEnum):
    """Values as in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What holds for one component: how bad, why, what to do about it, and figures that help."""

    level: Level
    reason: str
    remedy: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Keeps the latest report of each component and publishes all of them at 1 Hz of steady time.

    A worse report that was overtaken within the second is published once before the newer one: no fault goes unseen.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._latest: dict[str, Report] = {}
        self._worst: dict[str, Report] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        node.create_timer(PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def report(
        self,
        level: Level,
        reason: str,
        remedy: str = "",
        *,
        values: Mapping[str, object] = _NO_VALUES,
        component: str = "",
    ) -> None:
        """Say what holds from now on; `component` names a part of the node (a tool, a link) that fails on its own."""
        report = Report(level, reason, remedy, dict(values))
        self._latest[component] = report
        if component not in self._worst or level >= self._worst[component].level:
            self._worst[component] = report

    def retract(self, component: str) -> None:
        """Say nothing more about a component that is gone."""
        self._latest.pop(component, None)
        self._worst.pop(component, None)

    def publish(self) -> None:
        """Publish now; called by the timer."""
        message = DiagnosticArray(status=[self._status(name, report) for name, report in self._worst.items()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
        self._worst = dict(self._latest)

    def _status(self, component: str, report: Report) -> DiagnosticStatus:
        name = self._node.get_fully_qualified_name()
        values = {"remedy": report.remedy, **report.values} if report.remedy else report.values
        return DiagnosticStatus(
            level=bytes([report.level]),
            name=f"{name}: {component}" if component else name,
            message=f"{report.reason}; {report.remedy}" if report.remedy else report.reason,
            values=[KeyValue(key=str(key), value=str(value)) for key, value in values.items()],
        )
