"""Processor time and memory of every process of a bench, by name, over a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lodestone_cli.benchmarks.process_memory import Usage, descendants, usage

LISTENER = "listener"
"""Name of the process that measures: it is part of what a bench with a recorder costs."""


@dataclass(frozen=True, slots=True)
class Load:
    """One process over a measurement. `growth_mb`: largest resident memory after the settling time above that at its end."""

    name: str
    cpu_percent: float
    settled_mb: float
    growth_mb: float


@dataclass
class ProcessWatch:
    """Looks at the processes below `launcher` and at this one. `settle_s`: memory may still grow for so long."""

    launcher: int
    settle_s: float = 60.0
    _began_s: float = field(default_factory=time.monotonic)
    _first: dict[int, Usage] = field(default_factory=dict)
    _last: dict[int, Usage] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _settled: dict[int, float] = field(default_factory=dict)
    _highest: dict[int, float] = field(default_factory=dict)
    _ended_s: float = 0.0

    def look(self) -> None:
        """Take one reading of every process."""
        now_s = time.monotonic()
        for pid in (os.getpid(), *descendants(self.launcher)):
            found = usage(pid)
            if found is None:
                continue
            self._names.setdefault(pid, LISTENER if pid == os.getpid() else name_of(pid))
            self._first.setdefault(pid, found)
            self._last[pid] = found
            if now_s - self._began_s <= self.settle_s or pid not in self._settled:
                self._settled[pid] = found.resident_mb
            self._highest[pid] = max(found.resident_mb, self._highest.get(pid, 0.0) if now_s - self._began_s > self.settle_s else 0.0)
        self._ended_s = now_s

    def loads(self) -> list[Load]:
        """Every process, the busiest first; those of one name are told apart by number."""
        elapsed_s = max(1e-9, self._ended_s - self._began_s)
        names = numbered(self._names)
        found = [
            Load(
                names[pid],
                100.0 * (self._last[pid].cpu_s - self._first[pid].cpu_s) / elapsed_s,
                self._settled[pid],
                max(0.0, self._highest[pid] - self._settled[pid]),
            )
            for pid in self._first
        ]
        return sorted(found, key=lambda load: -load.cpu_percent)


def numbered(names: Mapping[int, str]) -> dict[int, str]:
    """Names by process, made different where two are alike."""
    seen: dict[str, int] = {}
    found = {}
    for pid, name in names.items():
        seen[name] = seen.get(name, 0) + 1
        found[pid] = name if seen[name] == 1 else f"{name} {seen[name]}"
    return found


def name_of(pid: int) -> str:
    """Executable of a process: the script or module that Python runs, else the program."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return str(pid)
    words = [word for word in words if word]
    if not words:
        return str(pid)
    program = Path(words[0]).name
    if not program.startswith("python"):
        return program
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    scripts = [word for word in words[1:] if not word.startswith("-")]
    return Path(scripts[0]).name if scripts else program
