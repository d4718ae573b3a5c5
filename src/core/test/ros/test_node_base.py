"""The base of every node, over real DDS: lifecycle, refusals, programming errors, diagnostics, configuration, signals."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Int64

from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.ros import qos
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_msgs.msg import Config

pytestmark = pytest.mark.ros


@dataclass(frozen=True, slots=True)
class PivotConfig:
    max_residual_mm: float = option(1.0, unit="mm", doc="further off is an outlier", minimum=0.0, maximum=10.0)


@dataclass(frozen=True, slots=True)
class DemoConfig:
    port: str = option("/dev/ttyUSB0", doc="serial port")
    tools: tuple[str, ...] = option((), doc="tools to expect")
    offsets_mm: tuple[float, ...] = option((), unit="mm", doc="one offset a tool")
    model: Path | None = option(None, doc="registration to load")
    fault: str = option("none", doc="where to fail", choices=("none", "refuse", "configure", "timer", "deactivate"))
    pivot: PivotConfig = section(PivotConfig)


class DemoNode(LodestoneNode[DemoConfig]):
    """Counts on ~/count while active; fails where its parameter says."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("demo", DemoConfig, **ros)
        self.calls: list[str] = []

    def on_configure_node(self, config: DemoConfig) -> None:
        self.calls.append("configure")
        if config.model is not None:
            self.read_file(config.model)
        self._counts = self.create_publisher(Int64, "~/count", qos.DEVICE)
        if config.fault == "refuse":
            raise InputError("fault", expected="none", got="refuse", remedy="set it to none")
        if config.fault == "configure":
            raise ZeroDivisionError("a bug in configure")

    def on_activate_node(self) -> None:
        self.calls.append("activate")
        self._count = 0
        self.create_steady_timer(0.05, self._on_timer)

    def on_deactivate_node(self) -> None:
        self.calls.append("deactivate")
        if self.config.fault == "deactivate":
            raise ZeroDivisionError("a bug in deactivate")

    def on_cleanup_node(self) -> None:
        self.calls.append("cleanup")

    def _on_timer(self) -> None:
        if self.config.fault == "timer":
            raise ZeroDivisionError("a bug in a timer")
        self._count += 1
        self._counts.publish(Int64(data=self._count))


class Bench:
    """The node under test and an observer in one executor."""

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.observer = Node("observer")
        self.executor.add_node(self.observer)
        self.nodes: list[DemoNode] = []

    def node(self, **parameters: Any) -> DemoNode:
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        node = DemoNode(parameter_overrides=overrides)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "timed out"
            self.executor.spin_once(timeout_sec=0.1)

    def call(self, service: type, name: str, request: Any) -> Any:
        client = self.observer.create_client(service, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def transition(self, number: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=number))
        return bool(self.call(ChangeState, "/demo/change_state", request).success)

    def listen(self, message: type, topic: str, profile: Any) -> list[Any]:
        received: list[Any] = []
        self.observer.create_subscription(message, topic, received.append, profile)
        return received

    def close(self) -> None:
        for node in [*self.nodes, self.observer]:
            node.destroy_node()
        self.executor.shutdown()


@pytest.fixture
def bench() -> Iterator[Bench]:
    rclpy.init()
    made = Bench()
    yield made
    made.close()
    rclpy.shutdown()


def test_it_configures_and_activates_itself_once_it_spins_and_not_before(bench: Bench) -> None:
    node = bench.node()
    assert (node.state, node.calls) == ("unconfigured", [])
    bench.until(lambda: node.state == "active")
    assert node.calls == ["configure", "activate"]


def test_without_autostart_it_waits_for_its_manager(bench: Bench) -> None:
    node = bench.node(autostart=False)
    assert bench.transition(Transition.TRANSITION_CONFIGURE)
    assert (node.state, node.calls) == ("inactive", ["configure"])


def test_an_invalid_request_is_answered_with_false_and_the_node_lives_on(bench: Bench) -> None:
    node = bench.node(autostart=False)
    assert not bench.transition(Transition.TRANSITION_ACTIVATE)
    assert not bench.transition(99)
    assert bench.transition(Transition.TRANSITION_CONFIGURE)
    assert node.state == "inactive"


def test_what_a_hook_creates_ends_with_its_state(bench: Bench) -> None:
    node = bench.node(autostart=False)
    counts = bench.listen(Int64, "/demo/count", qos.DEVICE)
    before = set(node.publishers), set(node.timers)
    for _ in range(2):
        assert bench.transition(Transition.TRANSITION_CONFIGURE)
        assert bench.transition(Transition.TRANSITION_ACTIVATE)
        counts.clear()
        bench.until(lambda: len(counts) > 3)
        assert bench.transition(Transition.TRANSITION_DEACTIVATE)
        assert set(node.timers) == before[1]
        assert bench.transition(Transition.TRANSITION_CLEANUP)
        assert set(node.publishers) == before[0]
    assert node.calls == ["configure", "activate", "deactivate", "cleanup"] * 2


def test_shutdown_passes_through_deactivation_and_cleanup(bench: Bench) -> None:
    node = bench.node()
    bench.until(lambda: node.state == "active")
    assert bench.transition(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert node.calls == ["configure", "activate", "deactivate", "cleanup"]
    assert node.state == "finalized"


def test_a_refusal_fails_the_transition_and_can_be_put_right(bench: Bench) -> None:
    node = bench.node(autostart=False, fault="refuse")
    publishers = set(node.publishers)
    assert not bench.transition(Transition.TRANSITION_CONFIGURE)
    assert node.state == "unconfigured"
    assert set(node.publishers) == publishers
    node.set_parameters([Parameter("fault", value="none")])
    assert bench.transition(Transition.TRANSITION_CONFIGURE)


def test_a_bug_in_a_hook_answers_the_request_and_then_ends_the_executor(bench: Bench) -> None:
    node = bench.node(autostart=False, fault="configure")
    client = bench.observer.create_client(ChangeState, "/demo/change_state")
    bench.until(client.service_is_ready)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    future = client.call_async(request)
    with pytest.raises(ZeroDivisionError, match="a bug in configure"):
        bench.until(lambda: False)
    bench.until(future.done)
    assert future.result().success is False
    assert node.state == "finalized"


def test_the_configuration_goes_out_when_configured_also_to_late_joiners(bench: Bench, tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text("a: 1\n")
    node = bench.node(model=str(model), pivot__max_residual_mm=2)
    bench.until(lambda: node.state == "active")
    received = bench.listen(Config, "/demo/config", qos.CONFIG)
    bench.until(lambda: bool(received))
    assert received[0].node == "/demo"
    assert yaml.safe_load(received[0].parameters)["pivot"] == {"max_residual_mm": 2.0}
    assert list(received[0].files) == ["model.yaml"]
    assert list(received[0].sha256) == [hashlib.sha256(b"a: 1\n").hexdigest()]
    assert received[0].header.stamp.sec > 0


def test_a_missing_calibration_file_is_a_refusal_that_names_it(bench: Bench) -> None:
    node = bench.node(autostart=False, model="nowhere.yaml")
    assert not bench.transition(Transition.TRANSITION_CONFIGURE)
    reports = bench.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
    bench.until(lambda: any("nowhere.yaml" in status.message for array in reports for status in array.status))
    assert node.state == "unconfigured"


def test_diagnostics_say_level_reason_and_remedy_once_a_second(bench: Bench) -> None:
    node = bench.node()
    reports = bench.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
    bench.until(lambda: len(reports) > 0 and node.state == "active")
    node.diagnostics.report(Level.ERROR, "no reply", "switch it on", values={"stage": "probe"}, component="link")
    node.diagnostics.report(Level.OK, "tracking", component="link")
    reports.clear()
    bench.until(lambda: len(reports) >= 2, timeout_s=4.0)
    first, second = (next(s for s in array.status if s.name == "/demo: link") for array in reports[:2])
    assert (first.level, first.message) == (b"\x02", "no reply; switch it on")
    assert {value.key: value.value for value in first.values} == {"remedy": "switch it on", "stage": "probe"}
    assert (second.level, second.message) == (b"\x00", "tracking")
    stamps = [array.header.stamp.sec + 1e-9 * array.header.stamp.nanosec for array in reports[:2]]
    assert stamps[1] - stamps[0] == pytest.approx(1.0, abs=0.3)


def test_parameters_carry_unit_description_and_range(bench: Bench) -> None:
    bench.node()
    request = DescribeParameters.Request(names=["pivot.max_residual_mm", "autostart", "fault"])
    residual, autostart, fault = bench.call(DescribeParameters, "/demo/describe_parameters", request).descriptors
    assert residual.description == "further off is an outlier [mm]"
    assert (residual.floating_point_range[0].from_value, residual.floating_point_range[0].to_value) == (0.0, 10.0)
    assert autostart.read_only
    assert "one of none, refuse" in fault.additional_constraints


def test_parameters_are_fixed_while_configured_and_checked_before(bench: Bench) -> None:
    node = bench.node(autostart=False)

    def set_residual(value: float) -> Any:
        parameter = Parameter("pivot.max_residual_mm", value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return bench.call(SetParameters, "/demo/set_parameters", request).results[0]

    assert not set_residual(11.0).successful
    assert set_residual(3.0).successful
    assert bench.transition(Transition.TRANSITION_CONFIGURE)
    assert node.config.pivot.max_residual_mm == 3.0
    refused = set_residual(4.0)
    assert not refused.successful
    assert "clean up" in refused.reason


def test_lists_may_be_empty_and_be_filled_later(bench: Bench) -> None:
    node = bench.node(autostart=False, tools=["tip"])
    assert (node.config.tools, node.config.offsets_mm, node.config.model) == (("tip",), (), None)
    results = node.set_parameters([Parameter("offsets_mm", value=[1.5]), Parameter("model", value="x.yaml")])
    assert [result.successful for result in results] == [True, True]
    assert not node.set_parameters([Parameter("tools", type_=Parameter.Type.NOT_SET)])[0].successful
    node.set_parameters([Parameter("model", value="")])
    assert not bench.transition(Transition.TRANSITION_CONFIGURE)
    assert (node.config.offsets_mm, node.config.model) == ((1.5,), Path())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("prot", "/dev/x", "did you mean port?"),
        ("pivot.max_residual_mm", 11.0, "between 0 and 10"),
        ("pivot.max_residual_mm", "one", "a number in mm"),
        ("fault", "nome", "did you mean none?"),
    ],
)
def test_a_bad_override_is_refused_in_one_sentence(bench: Bench, name: str, value: object, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("?", r"\?")) as caught:
        bench.node(**{name.replace(".", "__"): value})
    assert "parameters of /demo" in str(caught.value)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--ros-args", *arguments]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_exit_code_0(number: signal.Signals) -> None:
    process = start("-r", "__node:=signalled")
    assert process.stdout is not None
    assert "configure" in process.stdout.readline()
    assert "activate" in process.stdout.readline()
    asked = time.monotonic()
    process.send_signal(number)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=10)[0]
    assert process.returncode == 0, rest
    assert rest.split() == ["deactivate", "cleanup"]
    assert time.monotonic() - asked < 3.0


@pytest.mark.parametrize("fault", ["configure", "timer", "deactivate"])
def test_a_programming_error_ends_it_with_a_traceback_and_exit_code_1(fault: str) -> None:
    process = start("-p", f"fault:={fault}")
    if fault == "deactivate":
        assert process.stdout is not None
        assert "configure" in process.stdout.readline()
        assert "activate" in process.stdout.readline()
        process.terminate()
    output = process.communicate(timeout=10)[0]
    assert process.returncode == 1, output
    assert "Traceback" in output
    assert f"ZeroDivisionError: a bug in {'a ' * (fault == 'timer')}{fault}" in output


@pytest.mark.parametrize("argument", ["fault:=refuse", "prot:=x", "pivot.max_residual_mm:=11", "model:=nowhere.yaml", "autostart:=1"])
def test_bad_input_ends_it_with_one_sentence_and_exit_code_2(argument: str) -> None:
    process = start("-p", argument)
    output = process.communicate(timeout=10)[0]
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert "expected" in output


def test_a_malformed_parameter_file_ends_it_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("/**:\n  ros__parameters:\n    tools: [1,\n  x")
    process = start("--params-file", str(tmp_path / "bad.yaml"))
    output = process.communicate(timeout=10)[0]
    assert process.returncode == 2, output
    assert "Traceback" not in output


def test_a_parameter_file_is_read(tmp_path: Path) -> None:
    # A whole number for a float and an empty list are what people write.
    text = "/**:\n  ros__parameters:\n    tools: []\n    pivot:\n      max_residual_mm: 2\n    fault: timer\n"
    (tmp_path / "good.yaml").write_text(text)
    process = start("--params-file", str(tmp_path / "good.yaml"))
    assert "a bug in a timer" in process.communicate(timeout=10)[0]


class PrintingNode(DemoNode):
    """DemoNode that writes each hook to its standard output as it is called."""

    def _attempt(self, what: str, hook: Any) -> Any:
        sys.stdout.write(what.replace("clean up", "cleanup") + "\n")
        sys.stdout.flush()
        return super()._attempt(what, hook)


if __name__ == "__main__":
    sys.exit(run(PrintingNode))
