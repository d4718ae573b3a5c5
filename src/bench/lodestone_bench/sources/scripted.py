"""The scripted world as a tracker measures it: all tools in every frame, at a fixed rate."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np

from lodestone_bench.sources.source import Pose, Sample, Volume
from lodestone_bench.world.config import ToolConfig
from lodestone_bench.world.scripted import MeasuredTool, ScriptedWorld, hidden, seen
from lodestone_core import se3

_BLOCK, _BLOCK_WITH_METAL = 64, 4
"""Frames computed in one go; beside metal a frame takes so much longer that few are computed at a time, lest a reply waits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Frames first + 1 .. first + size of all tools, computed in one go. A pose that was not found is None."""

    first: int
    poses: dict[str, list[Pose | None]]
    errors_mm: dict[str, list[float]]


class ScriptedSource:
    """Frame n is measured n periods after the first TSTART and can be read `latency_ms` later."""

    def __init__(self, world: ScriptedWorld) -> None:
        self._world = world
        self._config = world.script.world
        self._block: _Block | None = None
        self._size = _BLOCK_WITH_METAL if world.metal.names else _BLOCK

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
        volume = _volume(config, t)
        if not seen(config, t):
            return Sample(number, None, config.error_mm, volume)
        block, row = self._block_of(number), (number - 1) % self._size
        return Sample(number, block.poses[tool][row], block.errors_mm[tool][row], volume)

    def count(self, tool: str, after: int, until: int) -> int:
        """Every frame holds every tool."""
        return until - after

    def move_metal(self, name: str, into: bool, elapsed_s: float) -> None:
        """Let a piece of metal (all with an empty name) go in or out from now on; frames that could be read already stay as they were.

        Raises InputError for a piece that the world does not have.
        """
        # A frame that is measured but not yet there to be read is not taken back either.
        self._world.metal.move(name, into, max(elapsed_s, 0.0) + 1e-9)
        self._block = None

    def check_metal(self, name: str) -> None:
        """Raises InputError for a piece (any with an empty name) that the world does not have."""
        self._world.metal.check(name)

    def metal_out(self, elapsed_s: float) -> dict[str, float]:
        """How far out each piece of metal is now: 0 in, 1 out of the field."""
        shares = self._world.metal.out(np.array([max(elapsed_s, 0.0)]))[0].tolist()
        return dict(zip(self._world.metal.names, shares, strict=True))

    def _block_of(self, number: int) -> _Block:
        first = (number - 1) // self._size * self._size
        if self._block is None or self._block.first != first:
            self._block = self._compute(first)
        return self._block

    def _compute(self, first: int) -> _Block:
        numbers = np.arange(first + 1, first + 1 + self._size, dtype=np.int64)
        tools = self._world.measured_tools(numbers / self._config.rate_hz, numbers)
        poses = {name: _poses(tool) for name, tool in tools.items()}
        return _Block(first, poses, {name: tool.error_mm.tolist() for name, tool in tools.items()})


def _poses(tool: MeasuredTool) -> list[Pose | None]:
    quaternions, translations = (array.tolist() for array in se3.to_quaternion(tool.T))
    rows = zip(quaternions, translations, tool.solved, strict=True)
    return [Pose((w, x, y, z), (a, b, c)) if found else None for (x, y, z, w), (a, b, c), found in rows]


def _volume(tool: ToolConfig, t: float) -> Volume:
    if hidden(tool.out_of_volume_s, t):
        return Volume.OUTSIDE
    return Volume.PARTIAL if hidden(tool.partial_s, t) else Volume.INSIDE
