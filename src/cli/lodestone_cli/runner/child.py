"""One running process with its two pipes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

from lodestone_cli.launch_file.processes import ProcessSpec

from .isolation import signal_group
from .printer import LineSplitter, Printer


class Child:
    """A started process: leader of a process group of its own, so that signals reach its children too."""

    def __init__(self, spec: ProcessSpec, index: int, printer: Printer, before_exec: Callable[[], None]) -> None:
        """Start it. Raises OSError or subprocess.SubprocessError when that fails."""
        self._name, self._index, self._printer = spec.name, index, printer
        self._process = subprocess.Popen(
            spec.command,
            env=dict(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            preexec_fn=before_exec,
        )
        self._splitters = (LineSplitter(), LineSplitter())
        # Jazzy's 'log' shows standard error only.
        self._shown = (spec.output in ("screen", "both"), True)
        for pipe in self.pipes:
            os.set_blocking(pipe, False)

    @property
    def pid(self) -> int:
        """Process id, and id of its process group."""
        return self._process.pid

    @property
    def pipes(self) -> tuple[int, int]:
        """File descriptors of standard output and standard error."""
        assert self._process.stdout is not None and self._process.stderr is not None
        return self._process.stdout.fileno(), self._process.stderr.fileno()

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        signal_group(self.pid, number)

    def read(self, pipe: int) -> bool:
        """Print what one pipe holds; False when it is closed."""
        error = pipe == self.pipes[1]
        try:
            data = os.read(pipe, 65536)
        except BlockingIOError:
            return True
        lines = self._splitters[error].feed(data) if data else self._splitters[error].end()
        self._print(lines, error)
        return bool(data)

    def reap(self) -> int:
        """After the process has ended: kill what is left of its group, print the rest, return the exit code (negative: signal)."""
        # The ended process is not reaped yet, so its group id cannot have gone to anybody else.
        self.signal(signal.SIGKILL)
        for error, pipe in enumerate(self.pipes):
            self._drain(pipe)
            self._print(self._splitters[error].end(), bool(error))
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()
        return self._process.wait()

    def _drain(self, pipe: int) -> None:
        error = pipe == self.pipes[1]
        while True:
            try:
                data = os.read(pipe, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            self._print(self._splitters[error].feed(data), error)

    def _print(self, lines: list[str], error: bool) -> None:
        for line in lines:
            self._printer.line(self._name, self._index, line, error=error, screen=self._shown[error])
