"""The driver on the emulated array through a real pseudo-terminal: nothing lost, every fault named, recovery within two seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from guidewire_recon.drivers.array_driver import StreamArrayDriver
from guidewire_recon.drivers.array_frames import Measurement, parse
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.types import ArraySample
from lodestone_core.config import load_config
from lodestone_core.device.faults import Cause
from lodestone_core.device.stream import replay

array_records = pytest.importorskip("lodestone_bench.emulators.array_records")
from lodestone_bench.emulators import control  # noqa: E402
from lodestone_bench.emulators.array_config import ArrayConfig  # noqa: E402
from lodestone_bench.emulators.array_truth import ArrayTruth  # noqa: E402
from lodestone_bench.emulators.stream_device import StreamDevice  # noqa: E402


class Earth:
    """A uniform field."""

    def field_T(self, points_mm: Any, world_s: float) -> Any:
        return np.tile([20e-6, 5e-6, -40e-6], (len(points_mm), 1))


class Desk:
    """Emulated array and driver on one line."""

    def __init__(self, folder: Path, array: dict[str, Any], driver: dict[str, Any]) -> None:
        config = load_config(ArrayConfig, array)
        records = array_records.ArrayRecords(ArrayTruth(config, 0), Earth(), time.monotonic)
        self.control = folder / "control"
        self.device = StreamDevice(records, config.device, time.monotonic, folder / "line", self.control)
        self.device.open()
        self.thread = Thread(target=self.device.run)
        self.thread.start()
        self.samples: list[ArraySample] = []
        self.causes: set[Cause | None] = set()
        stream = {"port": str(folder / "line"), "silence_s": 0.3, **driver.pop("stream", {})}
        config_of_driver = load_config(MagnetometersConfig, {"stream": stream, **driver})
        self.driver = StreamArrayDriver(config_of_driver, self.samples.append, self._on_news)
        self.driver.start()

    def _on_news(self) -> None:
        self.causes.add(self.driver.status.cause)

    def wait(self, condition: Callable[[], bool], limit_s: float = 8.0) -> float:
        began = time.monotonic()
        while not condition():
            self.driver.check()
            assert time.monotonic() - began < limit_s, (self.driver.status, self.device.counts)
            time.sleep(0.01)
        return time.monotonic() - began

    def more(self, count: int) -> float:
        wanted = len(self.samples) + count
        return self.wait(lambda: len(self.samples) >= wanted)

    def do(self, name: str, **fields: Any) -> None:
        answer = control.send_request(self.control, do=name, **fields)
        assert answer["ok"], answer

    def close(self) -> None:
        self.driver.stop()
        self.device.stop()
        self.thread.join(5.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(array: dict[str, Any] | None = None, **driver: Any) -> Desk:
        desks.append(Desk(tmp_path, array or {}, driver))
        return desks[-1]

    yield make
    for each in desks:
        each.close()


def test_every_trigger_is_a_sample_and_the_stream_says_what_it_is(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.more(150)
    numbers = [sample.sequence for sample in d.samples]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and all(sample.valid.all() for sample in d.samples)
    assert d.driver.hello is not None and d.driver.hello.firmware == "array emulated 1.0" and d.driver.hello.count == 16
    d.wait(lambda: d.driver.rate_hz > 80.0)
    assert d.driver.status.streaming and d.driver.status.notes == ()
    # The jitter of the machine, which may be tens of milliseconds, does not reach the stamps: they keep the device's steps.
    steps_ms = np.diff([sample.stamp_ns for sample in d.samples[60:]]) * 1e-6
    assert np.percentile(np.abs(steps_ms - 10.0), 90) < 0.5


def test_noise_duplicates_and_lost_frames_are_counted_and_cost_no_other(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.more(20)
    d.do("duplicate", command="record", count=5)
    d.more(20)
    d.do("drop", command="record", count=4)
    d.more(20)
    d.do("corrupt", command="record", count=3, bits=5)
    d.more(30)
    assert d.driver.tracker.counters.repeats == 5
    assert sum(sample.skipped for sample in d.samples) == d.driver.tracker.counters.skipped
    numbers = [sample.sequence for sample in d.samples]
    assert len(numbers) == len(set(numbers)) and numbers == sorted(numbers)
    assert numbers[-1] - numbers[0] + 1 - len(numbers) == d.driver.tracker.counters.skipped in range(7, 11)


@pytest.mark.parametrize(
    ("fault", "fields", "cause"),
    [
        ("unplug", {"replug_after_s": 0.6}, (Cause.LOST, Cause.PORT_MISSING)),
        ("stall", {"for_s": 0.8}, (Cause.SILENT, Cause.NOISE)),  # the latter where it begins in the middle of a record
        ("hang", {"for_s": 0.8}, (Cause.SILENT,)),
    ],
)
def test_an_outage_is_named_and_ends_within_two_seconds(
    desk: Callable[..., Desk], fault: str, fields: dict[str, Any], cause: tuple[Cause, ...]
) -> None:
    d = desk()
    d.more(20)
    d.do(fault, **fields)
    d.wait(lambda: bool(d.causes & set(cause)))
    assert d.wait(lambda: d.driver.status.streaming) < 2.6
    d.more(20)
    stamps = [sample.stamp_ns for sample in d.samples]
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_a_restart_of_the_board_costs_no_sample_after_its_hello(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.more(60)
    d.do("restart")
    d.wait(lambda: d.driver.tracker.counters.restarts == 1)
    d.more(10)
    numbers = [sample.sequence for sample in d.samples]
    begun = max(at for at in range(len(numbers)) if numbers[at] == 0)
    assert begun > 50 and numbers[begun : begun + 8] == list(range(8))


def test_a_board_that_measures_half_as_often_as_it_says_is_named(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.more(20)
    d.do("rate", factor=0.5)
    d.wait(lambda: any("device announces 100 Hz" in note for note in d.driver.status.notes))
    (note,) = [note for note in d.driver.status.notes if "device announces 100 Hz" in note]
    assert 45.0 < float(re.findall(r"([\d.]+) Hz come", note)[0]) < 90.0, "the rate of the last records, falling to half"


@pytest.mark.parametrize(
    ("array", "driver", "words"),
    [
        ({"columns": 2}, {}, "the array has 8 sensors, the parameter `sensors` says 16"),
        ({"array_id": 5}, {"array_id": 2}, "it is array 5, the parameter `array_id` says 2"),
        ({}, {"stream": {"baud": 115200}}, "no whole record"),
    ],
)
def test_another_array_or_another_rate_is_named_and_gives_nothing(
    desk: Callable[..., Desk], array: dict[str, Any], driver: dict[str, Any], words: str
) -> None:
    d = desk(array, **driver)
    d.wait(lambda: words in d.driver.status.problem)
    assert d.samples == []


def test_a_board_without_a_hello_streams_all_the_same_and_is_told_of(desk: Callable[..., Desk]) -> None:
    d = desk({"hello": False})
    d.more(10)
    assert d.driver.hello is None
    d.wait(lambda: any("sends no hello" in note for note in d.driver.status.notes))


def test_a_trace_holds_every_frame_that_came(desk: Callable[..., Desk], tmp_path: Path) -> None:
    d = desk(stream={"trace_file": str(tmp_path / "trace")})
    d.more(40)
    d.driver.stop()
    records = [parse(arrival.body) for arrival in replay(tmp_path / "trace")]
    numbers = [record.sequence for record in records if isinstance(record, Measurement)]
    assert numbers == [sample.sequence for sample in d.samples]
