"""Protocol `bench_devices`: the whole bench live, with a subscriber that takes in everything: what is lost, and what each process costs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_cli.benchmarks.bag_counts import Counted, images_in, numbers_in
from lodestone_cli.benchmarks.bench_pictures import bench_at_a_glance, memory_over_time
from lodestone_cli.benchmarks.machine_watch import Stall, machine_watch
from lodestone_cli.benchmarks.process_memory import idle_load_percent
from lodestone_cli.benchmarks.process_watch import Load, ProcessWatch
from lodestone_cli.benchmarks.whole_bench import RATE_HZ, WholeBench, whole_bench
from lodestone_cli.ros.bench_listener import BenchListener, bench_listener
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

SERIAL = {"aurora/tools": "frame_number", "magnetometers/array_raw": "sequence", "us_arm/encoders": "sequence"}
"""Topic of each serial device, and the field that its hardware counts in."""
CAMERAS = ("stereo/left/image_raw", "stereo/right/image_raw")
IMAGE_HZ = {"stereo": 10.0, "ultrasound": 30.0, "xray": 8.0}
START_S = 90.0
WITNESS = (
    "machine_stalled: time in which this machine ran not even a process that goes before all others, n times. What the Aurora had in "
    "that time is lost to any driver here, since it is polled; it counts as lost all the same. The other devices' lines keep it."
)
NO_WITNESS = "No process may go before others here (real-time priority): whether the machine stood still cannot be told."


@dataclass(frozen=True, slots=True)
class DevicesConfig:
    """Load and length."""

    tools: int = option(4, doc="tools of the emulated Aurora", minimum=1, maximum=12)
    duration_s: float = option(600.0, unit="s", doc="length of the measurement", minimum=2.0)
    flat_after_s: float = option(60.0, unit="s", doc="memory may grow for so long", minimum=0.0)
    settle_s: float = option(5.0, unit="s", doc="time from when all is heard to the measurement", minimum=0.0)
    record_images: bool = option(False, doc="record images too, and count them in the bag")
    off: tuple[str, ...] = option(("xray",), doc="devices of the bench that are left out")


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the bench does not come up."""
    config, load = settings_of(protocol, DevicesConfig), idle_load_percent()
    bag = out / "bag"
    shutil.rmtree(bag, ignore_errors=True)
    images = [*CAMERAS, "ultrasound/image_raw", *(() if "xray" in config.off else ("xray/image_raw",))]
    with machine_watch() as machine, whole_bench(out, config.off, config.tools) as bench:
        clock = bench.clock()
        with bench_listener(bag, images, clock, record_images=config.record_images) as listener:
            wait_for_all(bench, listener, [*SERIAL, *images])
            listener.spin(config.settle_s)
            before = not_taken(bench, config)
            began_ns, watch = time.time_ns(), measured(bench, listener, config, progress)
            missed = {name: count - before[name] for name, count in not_taken(bench, config).items()}
            counts: dict[str, Any] = {} if listener.probe is None else dict(listener.probe.counts)
            stalls = machine.stalls(began_ns)
    found = {topic: numbers_in(bag, topic, field, began_ns) for topic, field in SERIAL.items()}
    if config.record_images:
        counts = dict(images_in(bag, images, began_ns, clock))
        shutil.rmtree(bag)
    case = f"{config.duration_s:g} s, images {'recorded' if config.record_images else 'counted'}"
    rows = [
        *serial_rows(found, case, config.duration_s),
        *image_rows(counts, case, config.duration_s),
        *load_rows(watch.loads(), case),
        *(Row("live", f"{case}: {name}", "images_not_taken", float(count), "", 1) for name, count in missed.items()),
        *stall_rows(stalls, case),
        Row("live", case, "idle_load", load, "%", 1),
    ]
    pictures = [memory_over_time(out / "memory.png", watch), bench_at_a_glance(out / "bench.png", {})]
    tables = [process_table(watch.loads()), gap_table(found, stalls, began_ns)]
    return conclude(protocol, inputs, rows, tables, pictures, notes=[NO_WITNESS if stalls is None else WITNESS])


def wait_for_all(bench: WholeBench, listener: BenchListener, topics: list[str]) -> None:
    """Until something has come on every topic; from then on the emulated devices wait behind nothing."""
    listener.wait(lambda: listener.heard(topics) or bench.launcher.poll() is not None, START_S)
    if not listener.heard(topics):
        silent = [topic for topic in topics if not listener.heard([topic])]
        raise InputError("bench", expected=f"data within {START_S:g} s", got=f"none on {', '.join(silent)}", remedy=f"see {bench.log}")
    bench.devices_first()


def not_taken(bench: WholeBench, config: DevicesConfig) -> dict[str, int]:
    """Images that the emulated cameras have not taken so far: numbers that are missing, and lost by nobody."""
    devices = [device for device in ("stereo", "ultrasound", "xray") if device not in config.off]
    return {f"{device}/{name}": count for device in devices for name, count in bench.images_not_taken(device).items()}


def measured(bench: WholeBench, listener: BenchListener, config: DevicesConfig, progress: Progress | None) -> ProcessWatch:
    """Listen for as long as asked, looking at every process now and then."""
    if listener.probe is not None:
        listener.probe.restart()
    watch = ProcessWatch(bench.launcher.pid, config.flat_after_s)
    watch.look()
    started_s, step_s = time.monotonic(), max(1.0, config.duration_s / 100)
    while (elapsed_s := time.monotonic() - started_s) < config.duration_s:
        listener.spin(min(step_s, config.duration_s - elapsed_s))
        watch.look()
        if progress:
            progress(min(1.0, elapsed_s / config.duration_s), "listening")
    return watch


def serial_rows(found: Mapping[str, Counted], case: str, duration_s: float) -> list[Row]:
    """What the hardware's own numbers say of each serial stream; `received`: of what comes at its rate in that time."""
    rows = []
    for topic, counted in found.items():
        name = topic.split("/")[0]
        rows.append(Row("live", f"{case}: {name}", "records_lost", float(counted.lost), "", counted.count))
        rows.append(Row("live", f"{case}: {name}", "received", 100.0 * counted.count / (RATE_HZ[name] * duration_s), "%", counted.count))
    return rows


def image_rows(counts: Mapping[str, Any], case: str, duration_s: float) -> list[Row]:
    """Images lost by the numbers in their pixels; latency of the pairs of both cameras."""
    rows = []
    for topic, each in counts.items():
        name = topic.removesuffix("/image_raw")
        share = 100.0 * each.lost / max(1, each.images + each.lost)
        rows.append(Row("live", f"{case}: {name}", "images_lost", share, "%", each.images))
        expected = IMAGE_HZ[name.split("/")[0]] * duration_s
        rows.append(Row("live", f"{case}: {name}", "received", 100.0 * each.images / expected, "%", each.images))
    left, right = (counts[topic].latency_ms for topic in CAMERAS)
    pairs = np.array([max(left[number], right[number]) for number in left.keys() & right.keys()])
    shares = {share: float(np.percentile(pairs, share)) if len(pairs) else float("inf") for share in (50, 99)}
    return rows + [Row("live", case, f"pair_latency_p{share}", value, "ms", len(pairs)) for share, value in shares.items()]


def load_rows(loads: list[Load], case: str) -> list[Row]:
    """Processor time of all together, and the largest growth of memory."""
    return [
        Row("live", case, "cpu_sum", sum(load.cpu_percent for load in loads), "%", len(loads)),
        Row("live", case, "memory_growth", max(load.growth_mb for load in loads), "MB", len(loads)),
    ]


def stall_rows(stalls: Sequence[Stall] | None, case: str) -> list[Row]:
    """How long, and how often, the machine stood still; nothing where nobody can tell."""
    lengths_s = [stall.length_s for stall in stalls or ()]
    if stalls is None:
        return []
    return [
        Row("live", case, "machine_stalled", sum(lengths_s), "s", len(lengths_s)),
        Row("live", case, "machine_stalled_longest", 1e3 * max(lengths_s, default=0.0), "ms", len(lengths_s)),
    ]


def gap_table(found: Mapping[str, Counted], stalls: Sequence[Stall] | None, began_ns: int) -> Table:
    """Where records are missing, and how long the machine stood still meanwhile."""
    header = ("topic", "at (s)", "gap (ms)", "records lost", "machine stood still meanwhile (ms)")
    lines = []
    for topic, each in found.items():
        for begin_ns, end_ns, lost in each.gaps:
            still_s = sum(stall.length_s for stall in stalls or () if stall.touches(begin_ns, end_ns))
            still = "not known" if stalls is None else round(1e3 * still_s, 1)
            lines.append((topic, round((begin_ns - began_ns) * 1e-9, 2), round((end_ns - begin_ns) * 1e-6, 1), lost, still))
    return Table("gaps", "Records lost", header, tuple(lines))


def process_table(loads: list[Load]) -> Table:
    """Every process."""
    header = ("process", "cpu (% of one core)", "memory once settled (MB)", "growth from then on (MB)")
    lines = tuple((load.name, round(load.cpu_percent, 1), round(load.settled_mb, 1), round(load.growth_mb, 2)) for load in loads)
    return Table("processes", "Processor time and memory of each process", header, lines)
