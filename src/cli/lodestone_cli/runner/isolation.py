"""What ties a child to this process, and finds what it left behind (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STARTED_HERE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def before_exec() -> Callable[[], None]:
    """What a child does between fork and exec: it dies with this process, and its signals work as in a fresh shell."""
    parent = os.getpid()
    # Looked up before the fork: the child of a fork should not load libraries.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie_to_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        for number in _STARTED_HERE:
            # A shell starts background jobs with SIGINT ignored, and a child would inherit that.
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    return tie_to_parent


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that `end_descendants` finds it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; a group that is gone is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # PermissionError: only processes of another user are left in it, which we never started.
        return


def end_descendants(spare: Collection[int], limit_s: float = 2.0) -> int:
    """Kill and reap every child of this process except those in `spare`; returns how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = [pid for pid in _children(os.getpid()) if pid not in spare]
        if not found:
            break
        for pid in found:
            ended.add(pid)
            _kill_and_reap(pid)
    return len(ended)


def _kill_and_reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            # The name, in parentheses, may itself hold spaces and parentheses; state and parent follow it.
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(folder.name))
    return found
