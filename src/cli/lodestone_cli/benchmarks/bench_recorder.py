"""Protocol `bench_recorder`: the recorder is killed outright; how much of what was published can still be read."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.bench_stream import wait_for_poses
from lodestone_cli.benchmarks.em_rig import em_rig
from lodestone_cli.demo.processes import running
from lodestone_cli.ros.stream_probe import stream_probe
from lodestone_core.bags import open_bag
from lodestone_core.config import option
from lodestone_core.results import Result, Row, conclude, settings_of
from lodestone_core.results.protocol import Progress

TOPIC = "/aurora/tools"


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """When the recorder is killed."""

    kill_after_s: float = option(10.0, unit="s", doc="recording time before SIGKILL", minimum=2.0)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up or the bag cannot be read at all."""
    config = settings_of(protocol, RecorderConfig)
    bag = out / f"bag_{time.time_ns()}"
    with em_rig(out, 4, 40.0) as rig, stream_probe() as probe:
        wait_for_poses(rig, probe)
        with running("recorder", ["record", "--out", str(bag)], dict(os.environ), out / "recorder.log") as recorder:
            probe.wait(lambda: bag.is_dir(), 20.0)
            probe.spin(config.kill_after_s)
            killed_ns = time.time_ns()
            recorder.kill()
            recorder.wait()
    with open_bag(bag) as opened:
        frames = [(m.log_ns, m.message.frame_number, m.message.frames_skipped) for m in opened.messages([TOPIC])]
    # What the driver itself reports as skipped never was a message.
    gaps = sum(after[1] - before[1] - 1 - after[2] for before, after in pairwise(frames))
    case = f"killed after {config.kill_after_s:g} s"
    rows = [
        Row("live", case, "unread_tail", (killed_ns - frames[-1][0]) / 1e9, "s", len(frames)),
        Row("live", case, "frames_missing_before", float(gaps), "", len(frames)),
    ]
    return conclude(protocol, inputs, rows)
