"""Protocol `bench_stream`: frames lost and latency from the last byte of a reply to the TF message, for as long as asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_cli.benchmarks.em_rig import EmRig, em_rig
from lodestone_cli.benchmarks.process_memory import idle_load_percent, usage
from lodestone_cli.ros.stream_probe import StreamProbe, stream_probe
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

NODES = ("aurora_emulator", "aurora_node", "registration_node", "authority_node")


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Load and length."""

    tools: int = option(4, doc="tools of the emulated Aurora", minimum=1, maximum=12)
    rate_hz: float = option(40.0, unit="Hz", doc="its frame rate", minimum=1.0)
    duration_s: float = option(600.0, unit="s", doc="length of the measurement", minimum=1.0)
    settle_s: float = option(3.0, unit="s", doc="time before it: discovery and start-up", minimum=0.0)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up."""
    config = settings_of(protocol, StreamConfig)
    load = idle_load_percent()
    with em_rig(out, config.tools, config.rate_hz) as rig, stream_probe() as probe:
        wait_for_poses(rig, probe)
        probe.spin(config.settle_s)
        cpu_before, before = cpu(rig), rig.ask(do="statistics")
        # What came while those questions were asked was taken late, which is no latency of the chain.
        probe.spin(0.2)
        probe.restart_counts()
        started = time.monotonic()
        step_s = max(1.0, config.duration_s / 100)
        while (elapsed_s := time.monotonic() - started) < config.duration_s:
            probe.spin(min(step_s, config.duration_s - elapsed_s))
            if progress:
                progress(min(1.0, elapsed_s / config.duration_s), "listening")
        # The last frame of the emulator is still on its way when it is asked: it counts for neither side.
        after = rig.ask(do="statistics")
        elapsed_s = time.monotonic() - started
        probe.digest()
        busy = {name: 100.0 * (seconds - cpu_before.get(name, 0.0)) / elapsed_s for name, seconds in cpu(rig).items()}
    produced, stalled_s = (after[key] - before[key] for key in ("frames_produced", "host_stalled_s"))
    case = case_of(config)
    rows = rows_of(probe, produced, load, case)
    rows.append(Row("live", case, "machine_stalled", float(stalled_s), "s", int(after["host_stalls"] - before["host_stalls"])))
    table = Table("processes", "Processor time of each process", ("process", "cpu (% of one core)"), tuple(busy.items()))
    note = (
        "machine_stalled: time in which the machine ran no process of ours (n times). The emulated device paused with it; a real one would "
        "have gone on, and its frames would have been lost to any driver on this machine."
    )
    return conclude(protocol, inputs, rows, [table], notes=[note])


def wait_for_poses(rig: EmRig, probe: StreamProbe, limit_s: float = 40.0) -> None:
    """Until corrected frames are broadcast; from then on the emulated device waits behind nothing."""
    if probe.wait(lambda: bool(probe.latencies_ms), limit_s):
        rig.device_first()
        return
    tail = " / ".join(rig.log.read_text(errors="replace").splitlines()[-5:])
    raise InputError("EM chain", expected=f"corrected frames within {limit_s:g} s", got=tail, remedy=f"see {rig.log}")


def rows_of(probe: StreamProbe, produced: int, load: float, case: str) -> list[Row]:
    """The figures. A frame is lost when the driver says so, or when a frame's broadcast never came."""
    latencies = np.array(probe.latencies_ms)
    never_broadcast = max(0, probe.frames - len(latencies) - 1)
    rows = [
        Row("live", case, "frames", float(probe.frames), "", produced),
        Row("live", case, "frames_lost", float(probe.skipped + never_broadcast), "", probe.frames),
        Row("live", case, "repeats", float(probe.repeats), "", probe.frames),
        Row("live", case, "idle_load", load, "%", 1),
    ]
    for share in (50, 90, 99, 100):
        rows.append(Row("live", case, f"latency_p{share}", float(np.percentile(latencies, share)), "ms", len(latencies)))
    return rows


def case_of(config: StreamConfig) -> str:
    """What was measured, in words."""
    return f"{config.tools} tools at {config.rate_hz:g} Hz, {config.duration_s:g} s"


def cpu(rig: EmRig) -> dict[str, float]:
    """Processor seconds of each process of the chain so far."""
    pids = {name: rig.pid(name) for name in NODES}
    found = {name: usage(pid) for name, pid in pids.items() if pid is not None}
    return {name: each.cpu_s for name, each in found.items() if each is not None}
