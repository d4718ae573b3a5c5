"""Protocol `bench_replug`: the tracker's cable is pulled and put back again and again; how fast poses return, and what leaks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.bench_stream import wait_for_poses
from lodestone_cli.benchmarks.em_rig import EmRig, em_rig
from lodestone_cli.benchmarks.process_memory import usage
from lodestone_cli.ros.stream_probe import StreamProbe, stream_probe
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ReplugConfig:
    """How often and for how long."""

    tools: int = option(4, doc="tools of the emulated Aurora", minimum=1, maximum=12)
    rate_hz: float = option(40.0, unit="Hz", doc="its frame rate", minimum=1.0)
    duration_s: float = option(600.0, unit="s", doc="length of the measurement", minimum=1.0)
    period_s: float = option(30.0, unit="s", doc="time from one pull to the next", minimum=2.0)
    unplugged_s: float = option(1.0, unit="s", doc="time without a cable", minimum=0.1)
    warm_up_s: float = option(60.0, unit="s", doc="memory is compared with what it was after this time", minimum=0.0)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up."""
    config = settings_of(protocol, ReplugConfig)
    recoveries: list[float] = []
    memory: list[tuple[float, float]] = []
    with em_rig(out, config.tools, config.rate_hz) as rig, stream_probe() as probe:
        wait_for_poses(rig, probe)
        started = time.monotonic()
        while (elapsed_s := time.monotonic() - started) < config.duration_s:
            recoveries.append(replug(rig, probe, config.unplugged_s))
            memory.append((time.monotonic() - started, resident_mb(rig)))
            if progress:
                progress(min(1.0, elapsed_s / config.duration_s), f"{len(recoveries)} times, slowest {max(recoveries):.2f} s")
            next_s = len(recoveries) * config.period_s - (time.monotonic() - started)
            probe.spin(max(0.0, next_s))
        memory.append((time.monotonic() - started, resident_mb(rig)))
    return conclude(protocol, inputs, rows_of(recoveries, memory, config), [table_of(recoveries, memory)])


def replug(rig: EmRig, probe: StreamProbe, unplugged_s: float) -> float:
    """Seconds from the cable being back to the first pose; LIMIT_S when none came."""
    rig.ask(do="unplug")
    probe.spin(unplugged_s)
    rig.ask(do="replug")
    back = time.monotonic()
    probe.wait(lambda: probe.last_pose_s > back, LIMIT_S)
    return min(LIMIT_S, time.monotonic() - back)


def resident_mb(rig: EmRig) -> float:
    """Memory of the driver now."""
    pid = rig.pid("aurora_node")
    now = usage(pid) if pid is not None else None
    if now is None:
        raise InputError("aurora_node", expected="a running driver", got="none", remedy=f"see {rig.log}")
    return now.resident_mb


def rows_of(recoveries: list[float], memory: list[tuple[float, float]], config: ReplugConfig) -> list[Row]:
    """The slowest recovery, and the driver's growth after the warm-up."""
    case = f"every {config.period_s:g} s for {config.duration_s:g} s"
    at_warm_up = next((mb for at_s, mb in memory if at_s >= config.warm_up_s), memory[0][1])
    return [
        Row("live", case, "recovery_max", max(recoveries), "s", len(recoveries)),
        Row("live", case, "recovery_median", sorted(recoveries)[len(recoveries) // 2], "s", len(recoveries)),
        Row("live", case, "memory_growth", memory[-1][1] - at_warm_up, "MB", len(memory)),
    ]


def table_of(recoveries: list[float], memory: list[tuple[float, float]]) -> Table:
    """One row a replug."""
    rows = tuple((at_s, recovery, mb) for recovery, (at_s, mb) in zip(recoveries, memory, strict=False))
    return Table("replugs", "Every replug", ("time (s)", "recovery (s)", "driver's memory (MB)"), rows)
