"""Protocol `bench_stop`: how long after each kind of fault the TF edge and the example controller stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.bench_stream import wait_for_poses
from lodestone_cli.benchmarks.em_rig import EmRig, em_rig
from lodestone_cli.demo.processes import running
from lodestone_cli.ros.controller_probe import ControllerProbe, controller_probe
from lodestone_cli.ros.stream_probe import stream_probe
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

MAX_AGE_S, PERIOD_S = 0.5, 0.02
"""As the authority and the example controller are configured by default."""
WATCH_S = 3.0
END_S = 20.0


@dataclass(frozen=True, slots=True)
class StopConfig:
    """How often each fault is tried."""

    repetitions: int = option(5, doc="trials of each fault", minimum=1)
    rate_hz: float = option(40.0, unit="Hz", doc="frame rate of the emulated Aurora", minimum=1.0)


Fault = tuple[Callable[[EmRig], Any], Callable[[EmRig], Any]]
FAULTS: Mapping[str, Fault] = {
    "cable pulled": (lambda rig: rig.ask(do="unplug"), lambda rig: rig.ask(do="replug")),
    "device silent": (lambda rig: rig.ask(do="stall", for_s=WATCH_S), lambda rig: None),
    "tool unplugged": (lambda rig: rig.ask(do="tool_out", tool="sensor_0"), lambda rig: rig.ask(do="tool_in", tool="sensor_0")),
    "every reply corrupt": (lambda rig: rig.ask(do="corrupt", count=0, for_s=WATCH_S), lambda rig: None),
}


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up or a fault does not end."""
    config = settings_of(protocol, StopConfig)
    trials: list[tuple[str, float, float]] = []
    with em_rig(out, 1, config.rate_hz) as rig, stream_probe() as stream:
        wait_for_poses(rig, stream)
        with (
            running("example controller", ["up", "controller.launch.yaml"], dict(os.environ), out / "controller.log"),
            controller_probe() as probe,
        ):
            for number in range(config.repetitions):
                for name in FAULTS:
                    trials.append((name, *trial(rig, probe, FAULTS[name])))
                if progress:
                    progress((number + 1) / config.repetitions, f"{len(trials)} faults")
    limit_s = MAX_AGE_S + PERIOD_S
    rows = [
        Row("live", name, f"{what}_stops_after", slowest(trials, name, column), "s", config.repetitions)
        for name in FAULTS
        for column, what in enumerate(("edge", "controller"), 1)
    ]
    table = Table("trials", f"Every trial; the limit is {limit_s:g} s", ("fault", "edge (s)", "controller (s)"), tuple(trials))
    return conclude(protocol, inputs, rows, [table])


def slowest(trials: list[tuple[str, float, float]], name: str, column: int) -> float:
    """The largest time of one column over the trials of one fault."""
    return max(float(trial[column]) for trial in trials if trial[0] == name)


def trial(rig: EmRig, probe: ControllerProbe, fault: Fault) -> tuple[float, float]:
    """Seconds from the fault to the last broadcast and to the last moving command; both have come back before this returns."""
    begin, end = fault
    probe.wait_until_moving(time.monotonic(), END_S)
    at = time.monotonic()
    begin(rig)
    probe.spin(WATCH_S)
    edge_s, command_s = probe.last_edge_s - at, probe.last_motion_s - at
    end(rig)
    if not probe.wait_until_moving(time.monotonic(), END_S):
        raise InputError("recovery", expected=f"motion within {END_S:g} s of the fault's end", got="none", remedy=f"see {rig.log}")
    return max(0.0, edge_s), max(0.0, command_s)
