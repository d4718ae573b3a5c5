"""Protocol `bench_array`: what a frame of 16 magnetometers costs from line to calibrated field, and whether a damaged one is used."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from guidewire_recon.drivers.array_driver import StreamIntake
from guidewire_recon.drivers.axes_watch import AxesWatch
from guidewire_recon.drivers.calibrated import Calibrator, calibration_of
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.types import ArraySample, CalibratedSample
from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_records import ArrayRecords
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.emulators.stuffing import framed
from lodestone_bench.magnetics.field import world_field
from lodestone_cli.benchmarks.frame_fuzz import fuzz_frames
from lodestone_cli.benchmarks.plain_array import PlainDecoder
from lodestone_core.config import option
from lodestone_core.device.framing import FrameDecoder
from lodestone_core.device.serial_port import SystemClock
from lodestone_core.device.stream import Arrival
from lodestone_core.results import Result, Row, conclude, settings_of, tell
from lodestone_core.results.protocol import Progress
from lodestone_core.types import Array

_PERIOD_US = 10_000
_WARM_UP = 200


@dataclass(frozen=True, slots=True)
class BenchArrayConfig:
    """How much."""

    frames: int = option(20_000, doc="frames that are timed", minimum=1000)
    damaged: int = option(200_000, doc="damaged frames, each followed by two good ones", minimum=1)


class Chain:
    """The driver's own way from the line to the field, without its thread."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._decoder = FrameDecoder()
        calibration = calibration_of(values, "truth")
        self._calibrator = Calibrator(calibration)
        self._axes = AxesWatch(calibration)
        self._intake = StreamIntake(MagnetometersConfig(), SystemClock(), self._on_sample)
        self.latest: CalibratedSample | None = None

    def _on_sample(self, sample: ArraySample) -> None:
        if self._axes.update(sample):
            self._calibrator.withhold(self._axes.exchanged)
        self.latest = self._calibrator.apply(sample)

    def take(self, line: bytes, arrival_ns: int) -> None:
        """One frame: decoded, checked, stamped, watched, calibrated."""
        for body in self._decoder.feed(line):
            reason = self._intake.take(Arrival(body, arrival_ns - 1_000_000, arrival_ns, 1))
            if reason:
                raise AssertionError(reason)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Time, then damage."""
    config = settings_of(protocol, BenchArrayConfig)
    gc.collect()
    gc.freeze()  # as every node does before it spins (lodestone_core/ros/run.py)
    rows = times(config.frames, protocol["seed"])
    gc.unfreeze()
    tell(progress, 0.3, f"{config.frames} frames timed")
    report = fuzz_frames(
        config.damaged, protocol["seed"], lambda done: tell(progress, 0.3 + 0.7 * done / config.damaged, f"{done} damaged")
    )
    names = ("accepted_with_bad_crc", "exceptions", "not_resynchronised", "crc_collisions", "wrong_measurements", "refused")
    rows += [Row("decoder", "damaged frames", name, float(getattr(report, name)), "", config.damaged) for name in names]
    return conclude(protocol, inputs, rows, notes=report.failures)


def times(count: int, seed: int) -> list[Row]:
    """Driver and peer on the same frames, one after the other in the same loop; their fields must agree."""
    truth = ArrayTruth(ArrayConfig(), seed)
    records = ArrayRecords(truth, world_field({"wire": {"present": False}}, seed), lambda: 0.0, seed)
    values = truth.calibration_values()
    chain, peer, random = Chain(values), PlainDecoder(values), Random(seed)
    now_ns, worst_T = SystemClock().now_ns(), 0.0
    driver_us: list[float] = []
    processor_us: list[float] = []
    peer_us: list[float] = []
    for sequence in range(_WARM_UP + count):
        frame = framed(records.record(sequence, _PERIOD_US * sequence, 0.01 * sequence))
        now_ns += 1000 * _PERIOD_US + random.randrange(300_000)
        processor, began = time.thread_time_ns(), time.perf_counter_ns()
        chain.take(frame, now_ns)
        between = time.perf_counter_ns()
        processor_us.append((time.thread_time_ns() - processor) * 1e-3)
        driver_us.append((between - began) * 1e-3)
        between = time.perf_counter_ns()
        fields = peer.field_T(frame)
        peer_us.append((time.perf_counter_ns() - between) * 1e-3)
        worst_T = max(worst_T, _difference_T(chain.latest, fields))
    return rows_of(np.array(driver_us[_WARM_UP:]), np.array(processor_us[_WARM_UP:]), np.array(peer_us[_WARM_UP:]), worst_T)


def _difference_T(calibrated: CalibratedSample | None, fields: list[list[float] | None]) -> float:
    if calibrated is None:
        return float("inf")
    plain = np.array([[np.nan] * 3 if field is None else field for field in fields])
    return float(np.abs(np.nan_to_num(plain, nan=1.0) - np.nan_to_num(calibrated.field_T, nan=1.0)).max())


def rows_of(driver_us: Array, processor_us: Array, peer_us: Array, worst_T: float) -> list[Row]:
    """What is reported of the times; on a machine that does other things as well, the processor's own time tells how much it was."""
    case, n = "a frame of 16 sensors", len(driver_us)
    rows = []
    for method, values_us in (("driver", driver_us), ("driver, processor time", processor_us), ("plain Python", peer_us)):
        for name, value in (("median", np.median(values_us)), ("p99", np.percentile(values_us, 99)), ("slowest", values_us.max())):
            rows.append(Row(method, case, f"decode_calibrate_{name}", float(value) * 1e-3, "ms", n))
    ratios = peer_us / driver_us
    for name, value in (("median", np.median(ratios)), ("p5", np.percentile(ratios, 5)), ("p95", np.percentile(ratios, 95))):
        rows.append(Row("plain Python / driver", case, f"time_ratio_{name}", float(value), "", n))
    rows.append(Row("driver - plain Python", case, "field_difference_max", worst_T, "T", n))
    return rows
