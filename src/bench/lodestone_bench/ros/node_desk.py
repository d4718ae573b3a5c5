"""A desk for tests of a driver's node over real DDS: the node, the emulated device that it runs on, and everything that the node says."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from lodestone_bench.emulators.control import send_request
from lodestone_core.ros import qos

KNOWN_S: Final = 20.0
SOCKET_S: Final = 60.0
"""An emulator may draw a patient before it opens its control socket."""


class NodeDesk:
    """One executor for the node under test and for a listener; `wait` turns it. `reports` holds the newest diagnostics by component.

    For a node of one's own: derive, call `emulate`, `hear` and `serve` in this order, and give the desk to `desks`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "control"
        self.reports: dict[str, Any] = {}
        self.executor = SingleThreadedExecutor()
        self.test = rclpy.create_node("desk")
        self.test.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        self.executor.add_node(self.test)
        self.node: Any = None
        self.process: subprocess.Popen[bytes] | None = None

    def emulate(self, module: str, *options: object) -> None:
        """Start the emulator of that name in `lodestone_bench.emulators` with a control socket, and wait until it is there."""
        command = [sys.executable, "-m", f"lodestone_bench.emulators.{module}", *options, "--control", self.socket]
        self.process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + SOCKET_S
        while not self.socket.exists():
            assert time.monotonic() < end_s and self.process.poll() is None, f"no control socket of {module}"
            time.sleep(0.02)

    def hear(self, kind: type, topic: str, profile: QoSProfile) -> list[Any]:
        """All messages of a topic from now on, in a list that grows."""
        heard: list[Any] = []
        self.test.create_subscription(kind, topic, heard.append, profile)
        return heard

    def serve(self, make: Callable[..., Node], parameters: Mapping[str, Any]) -> None:
        """Start the node under test with these parameters; the emulator ends when the node refuses them."""
        try:
            self.node = make(parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()])
        except Exception:
            self.close()
            raise
        self.executor.add_node(self.node)

    def wait(self, condition: Callable[[], bool], limit_s: float = 15.0) -> float:
        """Take in what comes until the condition holds; the seconds that it took."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() - began_s < limit_s, {name: status.message for name, status in self.reports.items()}
            self.executor.spin_once(timeout_sec=0.05)
        return time.monotonic() - began_s

    def wait_until_known(self, node: str) -> None:
        """Until a node of another process knows this desk: it learns of all endpoints in their order, of the one for its answer last."""
        client, answer = self.test.create_client(GetParameters, f"{node}/get_parameters"), None
        end_s = time.monotonic() + KNOWN_S
        while answer is None or not answer.done():
            assert time.monotonic() < end_s, f"{node} does not answer"
            if client.wait_for_service(0.1):
                answer = client.call_async(GetParameters.Request(names=["use_sim_time"]))
                self.executor.spin_until_future_complete(answer, 0.5)

    def pause(self, seconds: float) -> None:
        """Take in what comes for a while."""
        end_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end_s, seconds + 5.0)

    def do(self, name: str, **fields: Any) -> None:
        """Ask the emulator for something; it must take it."""
        answer = send_request(self.socket, do=name, **fields)
        assert answer["ok"], answer

    def says(self, component: str, *texts: str) -> bool:
        """Whether the component's last diagnostics hold one of the texts."""
        return any(text in str(getattr(self.reports.get(component), "message", "")) for text in texts)

    def close(self) -> None:
        """End the node and the emulator, which has to end in order."""
        if self.node is not None:
            self.node.close()
        self.test.destroy_node()
        self.executor.shutdown()
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30.0) == 0

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.reports.update({status.name.partition(": ")[2]: status for status in msg.status})


Desk = TypeVar("Desk", bound=NodeDesk)


@contextmanager
def desks(make: Callable[..., Desk]) -> Iterator[Callable[..., Desk]]:
    """Makes desks while rclpy is up; all of them are closed at the end."""
    rclpy.init()
    made: list[Desk] = []

    def one(*arguments: Any, **keywords: Any) -> Desk:
        made.append(make(*arguments, **keywords))
        return made[-1]

    try:
        yield one
    finally:
        for each in made:
            each.close()
        rclpy.shutdown()
