"""Asks the registration node for sessions and fits, and reads its diagnostics, from outside, beside a StreamProbe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from lodestone_cli.ros.stream_probe import StreamProbe
from lodestone_core.errors import InputError
from lodestone_core.ros import qos
from lodestone_msgs.srv import ComputeRegistration, StartSession

NODE = "em_registration"


class RegistrationProbe:
    """Requests are answered while the probe goes on to listen to the stream."""

    def __init__(self, stream: StreamProbe) -> None:
        self._stream = stream
        self._said: dict[str, dict[str, str]] = {}
        stream.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        self._start = stream.node.create_client(StartSession, f"{NODE}/start_session")
        self._compute = stream.node.create_client(ComputeRegistration, f"{NODE}/compute")

    def pipeline(self) -> dict[str, float]:
        """Figures of the pipeline's time, as the node said last: ms_per_pose_mean, _p99, _max, frames."""
        return {name: float(value) for name, value in self._said.get(f"/{NODE}: pipeline", {}).items()}

    def go_on_from(self, file: Path) -> None:
        """Begin a session with the fiducials of a file."""
        self._ask(self._start, StartSession.Request(name="benchmark", go_on_from=str(file)))

    def compute(self) -> float:
        """Have it fitted; seconds from the request to the answer."""
        started = time.monotonic()
        self._ask(self._compute, ComputeRegistration.Request())
        return time.monotonic() - started

    def _ask(self, client: Any, request: Any, limit_s: float = 20.0) -> None:
        """Raises InputError when there is no answer, or a refusal."""
        answer = None
        if client.wait_for_service(limit_s):
            future = client.call_async(request)
            end = time.monotonic() + limit_s
            while not future.done() and time.monotonic() < end:
                # Messages are taken in as bytes: decoding them can wait until the answer is there.
                self._stream.executor.spin_once(timeout_sec=0.02)
            answer = future.result() if future.done() else None
        if answer is None or not answer.success:
            got = "none" if answer is None else answer.message
            raise InputError(f"{NODE}, {client.srv_name}", expected="success", got=got, remedy="see the log")

    def _on_diagnostics(self, msg: Any) -> None:
        self._said.update({status.name: {pair.key: pair.value for pair in status.values} for status in msg.status})
