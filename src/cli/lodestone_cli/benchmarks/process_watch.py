"""Processor time and memory of every process of a bench, by name, over a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lodestone_cli.benchmarks.process_memory import Usage, descendants, usage
from lodestone_core.types import Array

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
    _names: dict[int, str] = field(default_factory=dict)
    _readings: dict[int, list[tuple[float, Usage]]] = field(default_factory=dict)
    _elapsed_s: float = 0.0

    def look(self) -> None:
        """Take one reading of every process."""
        self._elapsed_s = time.monotonic() - self._began_s
        for pid in (os.getpid(), *descendants(self.launcher)):
            found = usage(pid)
            if found is None:
                continue
            self._names.setdefault(pid, LISTENER if pid == os.getpid() else name_of(pid))
            self._readings.setdefault(pid, []).append((self._elapsed_s, found))

    def loads(self) -> list[Load]:
        """Every process, the busiest first; those of one name are told apart by number."""
        return sorted((self._load(name, readings) for name, readings in self._by_name()), key=lambda load: -load.cpu_percent)

    def growth_mb(self) -> dict[str, tuple[Array, Array]]:
        """By process: times (n,), s from the start, and resident memory (n,) above what it was once settled, MB."""
        return {name: (np.array([at_s for at_s, _ in readings]), self._above_settled_mb(readings)) for name, readings in self._by_name()}

    def _by_name(self) -> list[tuple[str, list[tuple[float, Usage]]]]:
        names = numbered(self._names)
        return [(names[pid], readings) for pid, readings in self._readings.items()]

    def _load(self, name: str, readings: list[tuple[float, Usage]]) -> Load:
        cpu_s = readings[-1][1].cpu_s - readings[0][1].cpu_s
        above_mb = self._above_settled_mb(readings)
        late = np.array([at_s > self.settle_s for at_s, _ in readings])
        settled_mb = readings[0][1].resident_mb - float(above_mb[0])
        return Load(name, 100.0 * cpu_s / max(1e-9, self._elapsed_s), settled_mb, float(above_mb[late].max(initial=0.0)))

    def _above_settled_mb(self, readings: list[tuple[float, Usage]]) -> Array:
        """Above the last reading of the settling time, or the first one of a process that came later."""
        settled = [found.resident_mb for at_s, found in readings if at_s <= self.settle_s] or [readings[0][1].resident_mb]
        return np.array([found.resident_mb - settled[-1] for _, found in readings])


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
