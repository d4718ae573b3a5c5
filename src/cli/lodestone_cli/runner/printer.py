"""Output of the processes: whole lines, each with the name of its process, on the terminal and in a log file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_LONGEST_LINE = 65536


def log_folder(environment: Mapping[str, str]) -> Path | None:
    """Where ROS keeps logs: ROS_LOG_DIR, else `log` below ROS_HOME, else ~/.ros/log; None without a home."""
    if environment.get("ROS_LOG_DIR"):
        return Path(environment["ROS_LOG_DIR"])
    home = environment.get("ROS_HOME") or (environment.get("HOME") and str(Path(environment["HOME"], ".ros")))
    return Path(home, "log") if home else None


class Printer:
    """Writes lines. `log` takes every line with its time; the screen what each process's `output` lets through."""

    def __init__(self, log: Path | None = None, out: BinaryIO | None = None, err: BinaryIO | None = None) -> None:
        self._streams: list[BinaryIO | None] = [out or sys.stdout.buffer, err or sys.stderr.buffer]
        self._coloured = [_wants_colour(stream) for stream in self._streams]
        self._log = _open(log) if log else None

    def close(self) -> None:
        """Close the log file."""
        if self._log:
            self._log.close()

    def notice(self, text: str) -> None:
        """A line of the runner itself."""
        self.line("lodestone", 0, text, error=False, screen=True)

    def line(self, name: str, index: int, text: str, *, error: bool, screen: bool) -> None:
        """One line of process `index` with the label `name`, from its standard error or output."""
        plain = f"[{name}] {text}\n"
        if self._log:
            self._log.write(f"{time.time():.3f} {plain}".encode())
            self._log.flush()
        stream = self._streams[error]
        if not screen or stream is None:
            return
        colour = f"\x1b[{_COLOURS[index % len(_COLOURS)]}m[{name}]\x1b[0m {text}\n"
        try:
            stream.write((colour if self._coloured[error] else plain).encode())
            stream.flush()
        except (BrokenPipeError, OSError):
            # A terminal that closed must not end a bench; SIGHUP does, where it is wanted.
            self._streams[error] = None


class LineSplitter:
    """Bytes in, whole lines out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Lines completed by `data`, without their ends; a line that never ends is cut."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line.rstrip(b"\r").decode(errors="replace") for line in lines]

    def end(self) -> list[str]:
        """What came after the last line end."""
        return self.feed(b"\n") if self._rest else []


def _open(path: Path) -> BinaryIO | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
    except OSError:
        # The processes matter more than their log: a full or read-only home does not stop a bench.
        return None


def _wants_colour(stream: BinaryIO | None) -> bool:
    return bool(stream and stream.isatty() and "NO_COLOR" not in os.environ)
