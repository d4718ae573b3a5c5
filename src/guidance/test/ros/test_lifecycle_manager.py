"""The lifecycle manager: nodes come up in order, a later one waits, a node that started anew is brought back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.ros.node import LodestoneNode
from lodestone_guidance.ros.manager_node import ManagerNode

pytestmark = pytest.mark.ros


@dataclass(frozen=True, slots=True)
class NothingConfig:
    """A node that does nothing."""

    unused: int = option(0, doc="nothing")


class Managed(LodestoneNode[NothingConfig]):
    """Notes when it becomes active; refuses to be configured while told to."""

    def __init__(self, name: str, log: list[str], refuses: bool = False) -> None:
        super().__init__(name, NothingConfig, parameter_overrides=[Parameter("autostart", value=False)])
        self.log, self.refuses = log, refuses

    def on_configure_node(self, config: NothingConfig) -> None:
        if self.refuses:
            raise InputError("cable", expected="a device", got="none", remedy="plug it in")

    def on_activate_node(self) -> None:
        self.log.append(self.get_name())


class Bench:
    """A manager, two nodes and one executor."""

    def __init__(self, refuses: bool = False) -> None:
        self.executor = SingleThreadedExecutor()
        self.log: list[str] = []
        self.first, self.second = Managed("first", self.log, refuses), Managed("second", self.log)
        parameters = [Parameter("nodes", value=["first", "second"]), Parameter("period_s", value=0.1)]
        self.manager = ManagerNode(parameter_overrides=parameters)
        for node in (self.second, self.first, self.manager):
            self.executor.add_node(node)

    def spin(self, until: Callable[[], bool], limit_s: float = 15.0) -> bool:
        end = time.monotonic() + limit_s
        while not until() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return until()


@pytest.fixture(autouse=True)
def context() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


def test_nodes_are_activated_in_order() -> None:
    bench = Bench()
    assert bench.spin(lambda: bench.second.state == "active")
    assert bench.log == ["first", "second"]


def test_a_node_waits_for_the_one_before_it_until_that_can_be_configured() -> None:
    bench = Bench(refuses=True)
    bench.spin(lambda: False, 1.5)
    assert (bench.first.state, bench.second.state) == ("unconfigured", "unconfigured")
    bench.first.refuses = False
    assert bench.spin(lambda: bench.second.state == "active")
    assert bench.log == ["first", "second"]


def test_a_node_that_starts_anew_is_brought_back() -> None:
    bench = Bench()
    assert bench.spin(lambda: bench.second.state == "active")
    bench.executor.remove_node(bench.first)
    bench.first.destroy_node()
    bench.first = Managed("first", bench.log)
    bench.executor.add_node(bench.first)
    assert bench.spin(lambda: bench.first.state == "active")


def test_closing_the_manager_takes_the_nodes_down() -> None:
    bench = Bench()
    assert bench.spin(lambda: bench.second.state == "active" and bench.manager.state == "active")
    bench.spin(lambda: False, 0.5)
    bench.manager.trigger_deactivate()
    assert bench.spin(lambda: bench.first.state == bench.second.state == "finalized")


def test_a_manager_without_nodes_says_so() -> None:
    manager = ManagerNode(parameter_overrides=[Parameter("autostart", value=False)])
    with pytest.raises(InputError, match="at least one lifecycle node"):
        manager.on_configure_node(manager.config)
