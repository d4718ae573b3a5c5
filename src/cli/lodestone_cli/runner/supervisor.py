"""Runs the processes of a plan until they have ended or somebody wants them to end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lodestone_cli.launch_file.processes import ProcessSpec

from .child import Child
from .guard import Guard
from .isolation import adopt_orphans, before_exec, end_descendants
from .printer import Printer
from .signals import SignalPipe

# As ros2 launch: SIGINT, then SIGTERM, then SIGKILL; the seconds are the patience after each.
ESCALATION = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, float("inf")))
CANNOT_START = 127


@dataclass(slots=True)
class _Managed:
    spec: ProcessSpec
    index: int
    child: Child | None = None
    respawns: int = 0
    restart_at: float | None = None


def supervise(specs: Sequence[ProcessSpec], printer: Printer) -> int:
    """Run all processes and return the exit code of the whole.

    0: all ended well, or ended on request. A required process (`on_exit: shutdown`) that ends takes all others with it and gives
    its own code (128 + number for a signal). 1: another process failed and was not to be restarted, or one had to be killed.
    When this returns, by whatever way, no process of the plan is alive.
    """
    adopt_orphans()
    with SignalPipe() as signals, Guard() as guard:
        supervisor = _Supervisor(specs, printer, guard, signals)
        try:
            return supervisor.run()
        finally:
            supervisor.end_everything()


class _Supervisor:
    def __init__(self, specs: Sequence[ProcessSpec], printer: Printer, guard: Guard, signals: SignalPipe) -> None:
        self._managed = [_Managed(spec, index) for index, spec in enumerate(specs, 1)]
        self._printer, self._guard, self._signals = printer, guard, signals
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.fileno(), selectors.EVENT_READ, None)
        self._before_exec = before_exec()
        self._stage = -1
        self._deadline = float("inf")
        self._code = 0

    def run(self) -> int:
        for managed in self._managed:
            if self._stage < 0:
                self._start(managed)
        while any(managed.child or managed.restart_at is not None for managed in self._managed):
            for key, _ in self._selector.select(self._patience()):
                if key.data is not None and not key.data.read(key.fd):
                    self._selector.unregister(key.fd)
            for number in self._signals.received():
                self._on_signal(number)
            self._reap()
            self._restart()
            if time.monotonic() >= self._deadline:
                self._escalate()
        return self._code

    def end_everything(self) -> None:
        """Whatever is still there, gone: also after an error in here, also what a child started and abandoned."""
        for managed in self._managed:
            if managed.child:
                managed.child.signal(signal.SIGKILL)
        left = end_descendants(spare=(self._guard.pid,))
        if left:
            self._printer.notice(f"killed {left} process{'es' * (left > 1)} that had been left behind")
        self._selector.close()

    def _patience(self) -> float | None:
        moments = [managed.restart_at for managed in self._managed if managed.restart_at is not None]
        moment = min([*moments, self._deadline])
        return None if moment == float("inf") else max(0.0, moment - time.monotonic())

    def _start(self, managed: _Managed) -> None:
        managed.restart_at = None
        try:
            managed.child = Child(managed.spec, managed.index, self._printer, self._before_exec)
        except (OSError, subprocess.SubprocessError) as error:
            self._printer.notice(f"{managed.spec.name} does not start: {error} ({managed.spec.place})")
            self._on_end(managed, CANNOT_START)
            return
        self._guard.began(managed.child.pid)
        for pipe in managed.child.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, managed.child)
        self._printer.notice(f"started {managed.spec.name}, process {managed.child.pid}")

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        name = signal.Signals(number).name
        if self._stage < 0:
            self._shut_down(f"{name} received")
        elif number == signal.SIGINT:
            # Ctrl-C again: somebody does not want to wait.
            self._escalate()

    def _shut_down(self, reason: str) -> None:
        if self._stage < 0:
            self._printer.notice(f"{reason}: ending all processes")
            for managed in self._managed:
                managed.restart_at = None
            self._escalate()

    def _escalate(self) -> None:
        self._stage = min(self._stage + 1, len(ESCALATION) - 1)
        number, patience_s = ESCALATION[self._stage]
        self._deadline = time.monotonic() + patience_s
        for managed in self._managed:
            if managed.child:
                if self._stage > 0:
                    self._printer.notice(f"{managed.spec.name} has not ended: sending {number.name}")
                self._code = self._code or int(number == signal.SIGKILL)
                managed.child.signal(number)

    def _reap(self) -> None:
        owners = {managed.child.pid: managed for managed in self._managed if managed.child}
        while True:
            try:
                # Looked at, not reaped: Child.reap needs the process id to be still ours.
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            if info.si_pid in owners:
                self._on_child_end(owners.pop(info.si_pid))
            else:
                os.waitpid(info.si_pid, 0)

    def _on_child_end(self, managed: _Managed) -> None:
        child = managed.child
        assert child is not None
        for pipe in child.pipes:
            if pipe in self._selector.get_map():
                self._selector.unregister(pipe)
        pid, managed.child = child.pid, None
        code = child.reap()
        self._guard.ended(pid)
        self._on_end(managed, code)

    def _on_end(self, managed: _Managed, code: int) -> None:
        spec = managed.spec
        if self._stage >= 0:
            self._printer.notice(f"{spec.name} ended{_how(code)}")
        elif spec.required:
            self._code = code if code >= 0 else 128 - code
            self._shut_down(f"{spec.name}, which is required, ended{_how(code)}")
        elif spec.respawn and (spec.max_respawns is None or managed.respawns < spec.max_respawns):
            managed.respawns += 1
            managed.restart_at = time.monotonic() + spec.respawn_delay_s
            self._printer.notice(f"{spec.name} ended{_how(code)}: starting it again in {spec.respawn_delay_s:g} s")
        else:
            self._code = self._code or int(code != 0)
            self._printer.notice(f"{spec.name} ended{_how(code)}")

    def _restart(self) -> None:
        for managed in self._managed:
            if managed.restart_at is not None and time.monotonic() >= managed.restart_at:
                self._start(managed)


def _how(code: int) -> str:
    if code == 0:
        return ""
    return f" by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"
