"""The scripted world as a tracker measures it: all tools in every frame, at a fixed rate."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from lodestone_bench.sources.source import Pose, Sample, Volume
from lodestone_bench.world.config import ToolConfig
from lodestone_bench.world.scripted import ScriptedWorld, hidden, seen
from lodestone_core import se3

Array = npt.NDArray[np.float64]
_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Frames first + 1 .. first + _BLOCK of all tools, computed in one go."""

    first: int
    quaternions_xyzw: dict[str, Array]
    translations_mm: dict[str, Array]


class ScriptedSource:
    """Frame n is measured n periods after the first TSTART and can be read `latency_ms` later."""

    def __init__(self, world: ScriptedWorld) -> None:
        self._world = world
        self._config = world.script.world
        self._block: _Block | None = None

    @property
    def end_s(self) -> float | None:
        """When the last frame can be read."""
        duration_s = self._config.duration_s
        return None if duration_s is None else duration_s + self._config.latency_ms * 1e-3

    def time_of(self, number: int) -> float:
        """When a frame is measured."""
        return number / self._config.rate_hz

    def number_at(self, elapsed_s: float) -> int:
        """Number of the newest frame that can be read."""
        measured_s = elapsed_s - self._config.latency_ms * 1e-3
        if self._config.duration_s is not None:
            measured_s = min(measured_s, self._config.duration_s)
        # The product of a frame's own time and the rate may fall short of its number by one rounding.
        return max(0, floor(measured_s * self._config.rate_hz + 1e-9))

    def newest(self, tool: str, number: int) -> Sample | None:
        """The tool in that frame."""
        if number <= 0 or tool not in self._world.script.tools:
            return None
        config, t = self._world.script.tools[tool], self.time_of(number)
        pose = self._pose(tool, number) if seen(config, t) else None
        return Sample(number, pose, config.error_mm, _volume(config, t))

    def count(self, tool: str, after: int, until: int) -> int:
        """Every frame holds every tool."""
        return until - after

    def _pose(self, tool: str, number: int) -> Pose:
        first = (number - 1) // _BLOCK * _BLOCK
        if self._block is None or self._block.first != first:
            self._block = self._compute(first)
        x, y, z, w = self._block.quaternions_xyzw[tool][number - 1 - first].tolist()
        a, b, c = self._block.translations_mm[tool][number - 1 - first].tolist()
        return Pose((w, x, y, z), (a, b, c))

    def _compute(self, first: int) -> _Block:
        numbers = np.arange(first + 1, first + 1 + _BLOCK, dtype=np.int64)
        times_s = numbers / self._config.rate_hz
        poses = {name: se3.to_quaternion(self._world.measured_tool(name, times_s, numbers)) for name in self._world.script.tools}
        return _Block(first, {n: q for n, (q, _) in poses.items()}, {n: t for n, (_, t) in poses.items()})


def _volume(tool: ToolConfig, t: float) -> Volume:
    if hidden(tool.out_of_volume_s, t):
        return Volume.OUTSIDE
    return Volume.PARTIAL if hidden(tool.partial_s, t) else Volume.INSIDE
