"""Protocol `bench_optics`: how long the bench's cameras take for a live frame."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_bench.optics.scene import SIDES, live_camera
from lodestone_cli.benchmarks.process_memory import idle_load_percent
from lodestone_core.config import option
from lodestone_core.results import Result, Row, conclude, settings_of, tell
from lodestone_core.results.protocol import Progress


@dataclass(frozen=True, slots=True)
class BenchOpticsConfig:
    """How many frames, and how far apart in the world's time."""

    frames: int = option(600, doc="frames of each camera", minimum=10)
    rate_hz: float = option(10.0, unit="Hz", doc="frames per second of the world", minimum=0.1)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Render; the time of the clock is judged, that of the processor stands beside it."""
    config = settings_of(protocol, BenchOpticsConfig)
    rows = [Row("live", "this machine", "idle_load", idle_load_percent(), "%", 1)]
    for index, side in enumerate(SIDES):
        camera = live_camera({}, side, protocol["seed"])
        wall, processor = [], []
        for number in range(config.frames):
            began = time.perf_counter(), time.process_time()
            camera.frame(number, number / config.rate_hz)
            wall.append(1e3 * (time.perf_counter() - began[0]))
            processor.append(1e3 * (time.process_time() - began[1]))
            if number % 50 == 0:
                tell(progress, (index + number / config.frames) / len(SIDES), f"{side}: {number} frames")
        case = f"{side} camera"
        rows += [Row("live", case, f"frame_p{p}", float(np.percentile(wall, p)), "ms", config.frames) for p in (50, 99)]
        rows.append(Row("live", case, "frame_processor_p99", float(np.percentile(processor, 99)), "ms", config.frames))
    return conclude(protocol, inputs, rows)
