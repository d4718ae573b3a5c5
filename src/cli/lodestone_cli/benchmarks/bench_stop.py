"""Protocol `bench_stop`: how long after each kind of fault the TF edge and the example controller stop."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.bench_stream import wait_for_poses
from lodestone_cli.benchmarks.em_rig import em_rig
from lodestone_cli.benchmarks.stop_faults import IN_THE_CHAIN, TOLD_TO_THE_AUTHORITY, Bench, Fault
from lodestone_cli.demo.processes import running
from lodestone_cli.ros.controller_probe import ControllerProbe, controller_probe
from lodestone_cli.ros.registration_stand_in import StandIn, registration_stand_in
from lodestone_cli.ros.stream_probe import stream_probe
from lodestone_core.config import option
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

MAX_AGE_S, PERIOD_S = 0.5, 0.02
"""As the authority and the example controller are configured by default."""
END_S = 20.0


@dataclass(frozen=True, slots=True)
class StopConfig:
    """Which faults, how often."""

    repetitions: int = option(5, doc="trials of each fault", minimum=1)
    watch_s: float = option(3.0, unit="s", doc="length of a fault; one that stops nothing is found to last so long", minimum=1.0)
    faults: tuple[str, ...] = option((), doc="names of faults; none: all of them")
    rate_hz: float = option(40.0, unit="Hz", doc="frame rate of the emulated Aurora", minimum=1.0)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up or a fault does not end."""
    config = settings_of(protocol, StopConfig)
    trials: list[tuple[str, float, float]] = []
    with em_rig(out, 1, config.rate_hz) as rig, stream_probe() as stream:
        wait_for_poses(rig, stream)
        with (
            running("example controller", ["up", "controller.launch.yaml"], dict(os.environ), out / "controller.log"),
            controller_probe() as probe,
            registration_stand_in(config.rate_hz) as stand_in,
        ):
            bench = Bench.of(rig, stand_in, out, config.watch_s)
            for name, fault in trials_of(config, stand_in):
                trials.append((name, *trial(bench, probe, fault)))
                if progress:
                    progress(len(trials) / (config.repetitions * len(chosen(config, {**IN_THE_CHAIN, **TOLD_TO_THE_AUTHORITY}))), name)
    limit_s = MAX_AGE_S + PERIOD_S
    rows = [
        Row("live", name, f"{what}_stops_after", slowest(trials, name, column), "s", config.repetitions)
        for name in dict.fromkeys(trial[0] for trial in trials)
        for column, what in enumerate(("edge", "controller"), 1)
    ]
    table = Table("trials", f"Every trial; the limit is {limit_s:g} s", ("fault", "edge (s)", "controller (s)"), tuple(trials))
    return conclude(protocol, inputs, rows, [table])


def chosen(config: StopConfig, faults: Mapping[str, Fault]) -> Mapping[str, Fault]:
    """Those that are asked for."""
    return {name: fault for name, fault in faults.items() if not config.faults or name in config.faults}


def trials_of(config: StopConfig, stand_in: StandIn) -> Iterator[tuple[str, Fault]]:
    """Every fault, so often; those that are told to the authority while the stand-in speaks for the registration."""
    known = (*IN_THE_CHAIN, *TOLD_TO_THE_AUTHORITY)
    for name in config.faults:
        if name not in known:
            raise unknown_key(name, known, "", "settings.faults")
    yield from list(chosen(config, IN_THE_CHAIN).items()) * config.repetitions
    with stand_in.in_its_place():
        yield from list(chosen(config, TOLD_TO_THE_AUTHORITY).items()) * config.repetitions


def slowest(trials: list[tuple[str, float, float]], name: str, column: int) -> float:
    """The largest time of one column over the trials of one fault."""
    return max(float(trial[column]) for trial in trials if trial[0] == name)


def trial(bench: Bench, probe: ControllerProbe, fault: Fault) -> tuple[float, float]:
    """Seconds from the fault to the last broadcast and to the last moving command; both have come back before this returns."""
    begin, end = fault
    probe.wait_until_moving(time.monotonic(), END_S)
    at = time.monotonic()
    begin(bench)
    probe.spin(bench.watch_s)
    edge_s, command_s = probe.last_edge_s - at, probe.last_motion_s - at
    end(bench)
    if not probe.wait_until_moving(time.monotonic(), END_S):
        raise InputError("recovery", expected=f"motion within {END_S:g} s of the fault's end", got="none", remedy=f"see {bench.rig.log}")
    return max(0.0, edge_s), max(0.0, command_s)
