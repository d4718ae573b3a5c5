"""Protocol `bench_faults`: every device x every fault on the whole simulated bench; what was published, and how soon it was well again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.device_faults import DEVICES, Fault
from lodestone_cli.benchmarks.whole_bench import WholeBench, whole_bench
from lodestone_cli.ros.device_probe import DeviceProbe, device_probe
from lodestone_cli.ros.device_truth import judges
from lodestone_core.config import option
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

START_S, END_S, HOMING_S = 90.0, 20.0, 90.0
WELL = 5
"""So many good messages in a row, none later than four periods after the one before: it is well again."""
COLUMNS = ("device", "fault", "messages", "of them valid", "wrong", "recovery (s)", "what the driver said")


@dataclass(frozen=True, slots=True)
class FaultsConfig:
    """Which devices, how long."""

    devices: tuple[str, ...] = option((), doc="names of devices; none: all of them")
    fault_s: float = option(2.0, unit="s", doc="length of a fault that lasts", minimum=0.5)


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault of one device. `recovery_s`: from its end to the first message of those that show that it is well again."""

    device: str
    fault: str
    messages: int
    valid: int
    wrong: tuple[str, ...]
    recovery_s: float
    said: str


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the bench does not come up or a fault does not end."""
    config = settings_of(protocol, FaultsConfig)
    for name in config.devices:
        if name not in DEVICES:
            raise unknown_key(name, list(DEVICES), "", "settings.devices")
    cases = [(device, name, fault) for device, name, fault in all_cases() if not config.devices or device in config.devices]
    trials: list[Trial] = []
    with whole_bench(out) as bench, device_probe(judges(bench.clock(), bench.image_size)) as probe:
        wait_for_all(bench, probe, {device for device, _, _ in cases})
        for device, name, fault in cases:
            trials.append(trial(bench, probe, device, name, fault, config.fault_s))
            if progress:
                progress(len(trials) / len(cases), f"{device}: {name}")
    rows = [row for each in trials for row in rows_of(each)]
    table = Table("faults", "What was published during each fault", COLUMNS, tuple(cells(each) for each in trials))
    return conclude(protocol, inputs, rows, [table])


def all_cases() -> Iterator[tuple[str, str, Fault]]:
    """Device, name of the fault, fault."""
    for device, faults in DEVICES.items():
        for name, fault in faults.items():
            yield device, name, fault


def wait_for_all(bench: WholeBench, probe: DeviceProbe, devices: set[str]) -> None:
    """Until every device says something valid."""
    probe.wait(lambda: all(probe.seen[device].posed_s for device in devices) or bench.launcher.poll() is not None, START_S)
    if not all(probe.seen[device].posed_s for device in devices):
        silent = ", ".join(sorted(device for device in devices if not probe.seen[device].posed_s))
        raise InputError("bench", expected=f"valid data within {START_S:g} s", got=f"none of {silent}", remedy=f"see {bench.log}")
    bench.devices_first()
    probe.spin(2.0)


def trial(bench: WholeBench, probe: DeviceProbe, device: str, name: str, fault: Fault, fault_s: float) -> Trial:
    """Begin the fault, watch, end it, wait until all is well."""
    probe.reset()
    begin = dict(fault.begin) if fault.end or not fault.lasting else {**fault.begin, "for_s": fault_s}
    bench.ask(device, **begin)
    pulses = bench.index_pulses() if fault.until_homed else []
    probe.spin(fault_s if fault.lasting else 0.0)
    if fault.end:
        bench.ask(device, **fault.end)
    if fault.until_homed:
        wait_for_index(bench, probe, bench.index_pulses() if fault.lasting else pulses, fault.until_homed)
    ended_s = time.monotonic()
    seen, period_s = probe.seen[device], bench.period_s(device)
    probe.wait(lambda: well_since(seen.posed_s, ended_s, period_s) is not None, END_S)
    recovered_s = well_since(seen.posed_s, ended_s, period_s)
    recovery_s = float("inf") if recovered_s is None else recovered_s - ended_s
    during = sum(at <= ended_s for at in seen.posed_s)
    said = "; ".join(probe.reasons.get(device, ()))
    # What still comes late of one fault is not to be taken for the next one's.
    probe.spin(1.0)
    return Trial(device, name, seen.messages, during, tuple(seen.wrong), recovery_s, said)


def wait_for_index(bench: WholeBench, probe: DeviceProbe, before: list[int], count: int) -> None:
    """Until every joint has passed its index so often since `before`."""

    def passed() -> bool:
        return all(after - start >= count for after, start in zip(bench.index_pulses(), before, strict=True))

    if not probe.wait(passed, HOMING_S):
        got = f"{bench.index_pulses()} pulses, {before} before"
        raise InputError("us_arm", expected=f"every index passed within {HOMING_S:g} s", got=got, remedy=f"see {bench.log}")


def well_since(posed_s: list[float], ended_s: float, period_s: float) -> float | None:
    """Arrival of the first of enough good messages in a row after the end; None when there were none yet."""
    after = [at for at in posed_s if at > ended_s]
    for first in range(len(after) - WELL + 1):
        row = after[first : first + WELL]
        if all(b - a <= 4.0 * period_s for a, b in pairwise(row)):
            return row[0]
    return None


def rows_of(each: Trial) -> list[Row]:
    """The figures of one trial."""
    case = f"{each.device}: {each.fault}"
    return [
        Row("live", case, "recovery", each.recovery_s, "s", 1),
        Row("live", case, "invalid_posed", float(len(each.wrong)), "", each.messages),
    ]


def cells(each: Trial) -> tuple[Any, ...]:
    """One line of the table."""
    wrong = f"{len(each.wrong)} ({each.wrong[0]})" if each.wrong else "0"
    return (
        each.device,
        each.fault,
        each.messages,
        each.valid,
        wrong,
        round(each.recovery_s, 3),
        each.said or "nothing: no message was bad",
    )
