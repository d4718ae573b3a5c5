"""Resident memory and processor time of processes, from /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident memory now, and processor time since the start of the process."""

    resident_mb: float
    cpu_s: float


def find_process(group_of: int, word: str) -> int | None:
    """The process below `group_of` (a process id, its children and theirs) whose command line holds `word`."""
    for pid in [group_of, *descendants(group_of)]:
        try:
            command = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        # The launcher's own command line names files, not executables.
        if word in command and "lodestone_cli" not in command:
            return pid
    return None


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The second field is the name in brackets and may hold anything; the parent stands two fields after it.
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [pid]
    for above in found:  # grows as it is walked
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def usage(pid: int) -> Usage | None:
    """Memory and processor time of a process; None when it has gone."""
    try:
        pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Usage(pages * _PAGE_BYTES / 1e6, (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)


def idle_load_percent(interval_s: float = 1.0) -> float:
    """How busy all processors together are without us, in percent."""

    def busy_and_all() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields)

    before = busy_and_all()
    time.sleep(interval_s)
    after = busy_and_all()
    return 100.0 * (after[0] - before[0]) / max(1, after[1] - before[1])
