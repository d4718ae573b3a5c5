"""A witness of the times in which this machine ran nothing of ours: a process before all others, which sleeps and looks at the clock.

A virtual machine may not be scheduled for tens of milliseconds. What a polled device had in that time is lost to any driver on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICK_S: Final = 0.004
LONGEST_S: Final = 0.012
"""A tick that is later than this."""
_PRIORITY: Final = 99
_NOT_ALLOWED: Final = 3


@dataclass(frozen=True, slots=True)
class Stall:
    """From the last tick to the late one, ns since the epoch."""

    begin_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Its length."""
        return (self.end_ns - self.begin_ns) * 1e-9

    def touches(self, begin_ns: int, end_ns: int) -> bool:
        """Whether any of that time lies in it."""
        return self.begin_ns < end_ns and begin_ns < self.end_ns


class MachineWatch:
    """The running witness."""

    def __init__(self, process: subprocess.Popen[bytes], found: Path) -> None:
        self.process = process
        self._found = found

    def stalls(self, since_ns: int = 0) -> tuple[Stall, ...] | None:
        """Stalls that ended after that time; None where no process may go before others, so that nobody can tell.

        Raises RuntimeError when the witness has ended otherwise: no stall that was seen is not the same as no stall.
        """
        code = self.process.poll()
        if code == _NOT_ALLOWED:
            return None
        if code is not None:
            raise RuntimeError(f"the witness of the machine ended with {code}")
        lines = self._found.read_text().split("\n")[:-1]
        stalls = (Stall(*map(int, line.split())) for line in lines)
        return tuple(stall for stall in stalls if stall.end_ns > since_ns)


@contextmanager
def machine_watch() -> Iterator[MachineWatch]:
    """Watch until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="lodestone_watch_") as folder:
        found = Path(folder, "stalls")
        with found.open("wb") as file:
            process = subprocess.Popen([sys.executable, "-m", __name__], stdout=file)
        try:
            yield MachineWatch(process, found)
        finally:
            process.kill()
            process.wait()


def main() -> int:
    """The process: a line for each stall."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except OSError:
        return _NOT_ALLOWED
    last_ns = time.time_ns()
    while True:
        time.sleep(TICK_S)
        now_ns = time.time_ns()
        if now_ns - last_ns > LONGEST_S * 1e9:
            print(last_ns, now_ns, flush=True)
        last_ns = now_ns


if __name__ == "__main__":
    sys.exit(main())
