"""Protocol `bench_images`: two cameras through their driver to a subscriber; images lost, latency of a pair, processor time, memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_bench.emulators.control import send_request
from lodestone_bench.world.epoch import join_world
from lodestone_cli.benchmarks.em_rig import device_first, own_domain
from lodestone_cli.benchmarks.process_memory import Usage, find_process, idle_load_percent, usage
from lodestone_cli.demo.processes import running
from lodestone_cli.ros.image_probe import ImageCounts, ImageProbe, image_probe
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

SIDES = ("left", "right")
TOPICS = tuple(f"stereo/{side}/image_raw" for side in SIDES)
_START_S = 40.0


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """Load and length."""

    rate_hz: float = option(10.0, unit="Hz", doc="images a second of each camera", minimum=1.0)
    settle_s: float = option(5.0, unit="s", doc="time before the measurement: discovery and start-up", minimum=0.0)
    warm_s: float = option(60.0, unit="s", doc="length of its first part, in which memory may still grow", minimum=1.0)
    duration_s: float = option(180.0, unit="s", doc="length of the whole measurement", minimum=2.0)


@dataclass(frozen=True, slots=True)
class StereoRig:
    """The running chain and the emulator's control socket."""

    launcher: subprocess.Popen[bytes]
    log: Path
    control: Path

    def usage(self) -> dict[str, Usage]:
        """Memory and processor time so far of each process, the subscriber (this process) among them."""
        pids = {name: find_process(self.launcher.pid, name) for name in ("stereo_emulator", "stereo_node")}
        found = {name: usage(pid) for name, pid in {**pids, "subscriber": os.getpid()}.items() if pid is not None}
        return {name: each for name, each in found.items() if each is not None}

    def statistics(self) -> dict[str, Any]:
        """What the emulator has counted."""
        return send_request(self.control, do="statistics")


@contextmanager
def stereo_rig(out: Path, rate_hz: float) -> Iterator[tuple[StereoRig, ImageProbe]]:
    """Both cameras, their driver and a probe; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lodestone_bench_") as folder:
        control, world = Path(folder, "control"), Path(folder, "world")
        clock = join_world(world)
        words = ["sim:=true", f"sim_stereo:={folder}/stereo", f"sim_stereo_rate:={rate_hz:g}", f"sim_clock:={world}"]
        words.append(f"sim_stereo_control:={control}")
        log = out / "launch.log"
        with running("bench", ["up", "stereo.launch.yaml", *words], own_domain(), log) as launcher, image_probe(TOPICS, clock) as probe:
            yield StereoRig(launcher, log, control), probe


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up."""
    config = settings_of(protocol, ImagesConfig)
    load = idle_load_percent()
    with stereo_rig(out, config.rate_hz) as (rig, probe):
        _wait_for_images(rig, probe)
        probe.spin(config.settle_s)
        begun, before, started = rig.usage(), rig.statistics(), time.monotonic()
        probe.restart()
        _spin(probe, config.warm_s, progress, 0.0, config.duration_s)
        warm = rig.usage()
        _spin(probe, config.duration_s - config.warm_s, progress, config.warm_s, config.duration_s)
        ended, after, elapsed_s = rig.usage(), rig.statistics(), time.monotonic() - started
        counts = dict(probe.counts)
    case = f"2 x 2048x1536 at {config.rate_hz:g} Hz, {config.duration_s:g} s"
    cpu = {name: 100.0 * (ended[name].cpu_s - begun[name].cpu_s) / elapsed_s for name in ended}
    growth = {name: ended[name].resident_mb - warm[name].resident_mb for name in ended}
    missed = sum(each["frames_missed"] - before["devices"][side]["frames_missed"] for side, each in after["devices"].items())
    rows = [*image_rows(counts, case, missed), Row("live", case, "idle_load", load, "%", 1)]
    rows.append(Row("live", case, "cpu_sum", sum(cpu.values()), "%", len(cpu)))
    rows.append(Row("live", case, "memory_growth", max(growth.values()), "MB", len(growth)))
    stalls = int(after["host_stalls"] - before["host_stalls"])
    rows.append(Row("live", case, "machine_stalled", float(after["host_stalled_s"] - before["host_stalled_s"]), "s", stalls))
    header = ("process", "cpu (% of one core)", "memory (MB)", "growth after the first part (MB)")
    lines = tuple((name, round(cpu[name], 1), round(ended[name].resident_mb, 1), round(growth[name], 2)) for name in ended)
    table = Table("processes", "Processor time and memory of each process", header, lines)
    note = (
        "Latency is from the acquisition in the emulated world to the subscriber's callback, of the later image of a pair. "
        "images_not_taken: the machine did not run the emulated cameras in time; no driver could have had these."
    )
    return conclude(protocol, inputs, rows, [table], notes=[note])


def image_rows(counts: Mapping[str, ImageCounts], case: str, missed: int = 0) -> list[Row]:
    """What was lost, and the latencies of pairs; `missed` images never were: the machine did not run the emulated cameras in time.

    Raises InputError when no image has come.
    """
    left, right = (counts[topic].latency_ms for topic in TOPICS)
    pairs = np.array([max(left[number], right[number]) for number in left.keys() & right.keys()])
    if not len(pairs):
        raise InputError("images", expected="pairs with a number in their pixels", got="none", remedy="see the log of the launch file")
    images, gaps = (sum(getattr(each, name) for each in counts.values()) for name in ("images", "lost"))
    lost = max(0, gaps - missed)
    rows = [
        Row("live", case, "images", float(images), "", images),
        Row("live", case, "images_lost", float(lost), "", images + lost),
        Row("live", case, "images_not_taken", float(missed), "", images + gaps),
        Row("live", case, "lost_share", 100.0 * lost / (images + lost), "%", images + lost),
        Row("live", case, "repeats", float(sum(each.repeats + each.without_code for each in counts.values())), "", images),
    ]
    shares = (50, 90, 99, 100)
    return rows + [Row("live", case, f"latency_p{share}", float(np.percentile(pairs, share)), "ms", len(pairs)) for share in shares]


def _spin(probe: ImageProbe, duration_s: float, progress: Progress | None, done_s: float, all_s: float) -> None:
    """Listen, and say how far it is."""
    begun = time.monotonic()
    while (elapsed_s := time.monotonic() - begun) < duration_s:
        probe.spin(min(1.0, duration_s - elapsed_s))
        if progress:
            progress(min(1.0, (done_s + elapsed_s) / all_s), "listening")


def _wait_for_images(rig: StereoRig, probe: ImageProbe) -> None:
    if probe.wait(lambda: all(each.images for each in probe.counts.values()), _START_S):
        device_first(find_process(rig.launcher.pid, "stereo_emulator"))
        return
    tail = " / ".join(rig.log.read_text(errors="replace").splitlines()[-5:])
    raise InputError("stereo chain", expected=f"images of both cameras within {_START_S:g} s", got=tail, remedy=f"see {rig.log}")
