"""One time for all emulators of a bench: whoever comes first says when the world began, the others read it.

The file holds the beginning on the host's steady clock and the process that wrote it. A file of a process that is gone is of an older
bench and is replaced, so that a bench that starts again begins at time zero again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from lodestone_core.errors import InputError
from lodestone_core.time import s_from_ns


class WorldClock:
    """Seconds of the world: since its epoch, on the host's steady clock."""

    def __init__(self, epoch_ns: int) -> None:
        self.epoch_ns = epoch_ns
        """The beginning on the steady clock (CLOCK_MONOTONIC)."""

    def elapsed_s(self) -> float:
        """World time now."""
        return s_from_ns(time.monotonic_ns() - self.epoch_ns)

    def wall_ns(self, world_s: float) -> int:
        """Time since the Unix epoch, on the host's clock, at that world time."""
        return time.time_ns() - time.monotonic_ns() + self.epoch_ns + round(world_s * 1e9)


def join_world(path: Path) -> WorldClock:
    """The clock of the world at `path` (in /dev/shm), which begins now when there is none yet.

    The process that begins it takes part for as long as it runs. Raises InputError when the path cannot be written.
    """
    for _ in range(1000):
        found = _read(path)
        if found is not None:
            return WorldClock(found)
        if _begin(path):
            continue
        time.sleep(0.002)
    raise InputError(str(path), expected="a file with the beginning of the world", got="a damaged one", remedy="remove it and start again")


def _read(path: Path) -> int | None:
    try:
        entry = json.loads(path.read_text())
        os.kill(int(entry["pid"]), 0)
        return int(entry["epoch_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _begin(path: Path) -> bool:
    """Whether this process put its own file there; a stale one is taken away first, by one process alone."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps({"epoch_ns": time.monotonic_ns(), "pid": os.getpid()}))
    except OSError as error:
        raise InputError(str(path), expected="a path that can be written", got=error.strerror, remedy="choose another `world`") from error
    try:
        os.link(fresh, path)  # fails when there is one: the first one wins
        return True
    except FileExistsError:
        if _read(path) is None:
            with contextlib.suppress(OSError):
                # Renaming our own file over the stale one is atomic; a second process that does the same reads it back.
                fresh.replace(path)
        return False
    finally:
        fresh.unlink(missing_ok=True)
