"""The demo's processes: the launch file and the recorder, started, watched and stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lodestone_core.errors import InputError

STOP_PATIENCE_S = 15.0


@contextmanager
def running(name: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `lodestone` process in its own group with its output in a log; interrupted, and ended if need be, on leaving."""
    with log.open("wb") as output:
        command = [sys.executable, "-m", "lodestone_cli", *arguments]
        process = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            _stop(name, process, log)


def _stop(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise InputError(name, expected=f"an end within {STOP_PATIENCE_S:g} s of the interrupt", got="none", remedy=f"see {log}") from None


def watch(
    processes: Mapping[str, tuple[subprocess.Popen[bytes], Path]],
    finished: Callable[[], bool],
    limit_s: float,
    tick: Callable[[float], None],
) -> None:
    """Wait until `finished`; raise InputError when a process ends early or the limit passes. `tick` is told the seconds so far."""
    started = time.monotonic()
    while not finished():
        elapsed_s = time.monotonic() - started
        for name, (process, log) in processes.items():
            if process.poll() is not None:
                tail = " / ".join(log.read_text(errors="replace").splitlines()[-3:])
                raise InputError(name, expected="to run to the end", got=f"exit code {process.returncode}: {tail}", remedy=f"see {log}")
        if elapsed_s > limit_s:
            raise InputError(
                "demo", expected=f"the end of the recording within {limit_s:.0f} s", got="none", remedy="see the logs in out/demo"
            )
        tick(elapsed_s)
        time.sleep(0.2)
