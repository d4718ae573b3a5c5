"""How long the pipeline takes for a pose, over the last minute: what a bench has to spare."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

FRAMES_KEPT = 2400
"""A minute at 40 Hz."""


class PipelineTimes:
    """Times of the last frames with at least one tool."""

    def __init__(self, frames: int = FRAMES_KEPT) -> None:
        self._ms_per_pose: deque[float] = deque(maxlen=frames)

    def add(self, seconds: float, tools: int) -> None:
        """One frame: the time of its update, shared by its tools."""
        if tools:
            self._ms_per_pose.append(1e3 * seconds / tools)

    def values(self) -> Mapping[str, object]:
        """Figures for the diagnostics: mean, 99th percentile and maximum in ms for a pose, and of how many frames."""
        if not self._ms_per_pose:
            return {}
        times = np.array(self._ms_per_pose)
        figures = {"mean": times.mean(), "p99": np.percentile(times, 99), "max": times.max()}
        return {**{f"ms_per_pose_{name}": f"{value:.4f}" for name, value in figures.items()}, "frames": len(times)}
