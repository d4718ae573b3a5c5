"""The runner's end of the pipe to its guardian."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

_SCRIPT = Path(__file__).with_name("guardian.py")


class Guard:
    """Tells the guardian which process groups are alive."""

    def __enter__(self) -> Guard:
        # -S -E -I: no site packages, no environment: it starts in milliseconds and outlives a broken installation.
        command = [sys.executable, "-I", "-S", str(_SCRIPT)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True, bufsize=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Process id of the guardian."""
        return self._process.pid

    def began(self, group: int) -> None:
        """A process group was started."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """A process group is gone."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError:
            # Somebody killed the guardian: children still carry their parent-death signal.
            return
