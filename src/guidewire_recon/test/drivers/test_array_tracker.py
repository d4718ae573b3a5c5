"""From measurements to samples: stamps of a device whose clock drifts, sequence numbers of every kind, stuck and dead sensors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from guidewire_recon.drivers.array_frames import Measurement
from guidewire_recon.drivers.array_tracker import ArrayTracker
from guidewire_recon.drivers.sensor_watch import SensorWatch
from guidewire_recon.types import ArraySample, SensorStatus
from lodestone_core.clock import ClockConfig
from lodestone_core.device.serial_port import SystemClock
from lodestone_core.device.stream import Arrival
from lodestone_core.types import Array

CLOCK = ClockConfig(counter_bits=64, ticks_per_frame=0)
WALL_NS = 1_700_000_000_000_000_000
MS = 1_000_000
GOOD = 1


class SteadyClock(SystemClock):
    """Wall time is steady time plus a constant."""

    def wall_ns(self, now_ns: int) -> int:
        return now_ns + WALL_NS


class Board:
    """A board at 100 Hz whose frames arrive `delay_ns` after their trigger."""

    def __init__(self, latency_s: float = 0.0, stuck: int = 6, dead_s: float = 1.0) -> None:
        config = ClockConfig(counter_bits=64, ticks_per_frame=0, latency_s=latency_s)
        self.tracker = ArrayTracker(config, SteadyClock(), SensorWatch(stuck, 20, dead_s))
        self.random = np.random.default_rng(0)
        self.earliest_ns = 0
        self.opening = 1

    def measurement(self, sequence: int, device_us: int, raw: Array | None = None, st: tuple[int, ...] = (GOOD,) * 4) -> Measurement:
        values = self.random.normal(0.0, 12.0, (4, 3)).round() if raw is None else raw
        return Measurement(1, 1, sequence % 2**32, device_us, values.astype(np.int32), np.zeros(4, np.int8), np.array(st, np.uint8))

    def send(self, measurement: Measurement, at_ns: int) -> ArraySample | str | None:
        sample = self.tracker.update(measurement, Arrival(b"", self.earliest_ns, at_ns, self.opening))
        self.earliest_ns = at_ns
        return sample

    def run(self, count: int, first: int = 0, first_us: int = 5_000_000, first_ns: int = 0, **fields: object) -> list[ArraySample]:
        found = []
        for k in range(count):
            measurement = self.measurement(first + k, first_us + 10_000 * k, **fields)  # type: ignore[arg-type]
            sample = self.send(measurement, first_ns + 10 * MS * (k + 1) + int(self.random.exponential(0.3 * MS)))
            assert isinstance(sample, ArraySample), (k, sample)
            found.append(sample)
        return found


def test_stamps_are_the_trigger_of_a_clock_that_drifts_behind_late_arrivals() -> None:
    board, true_ns, samples = Board(latency_s=0.008), [], []
    for k in range(1500):
        trigger_ns = round((10 * MS * (k + 1)) * 1.0003)  # a board whose clock is 300 ppm slow
        late_ns = int(board.random.exponential(0.4 * MS)) + (150 * MS if k % 400 == 399 else 0)
        true_ns.append(trigger_ns)
        samples.append(board.send(board.measurement(k, 10_000 * (k + 1)), max(board.earliest_ns, trigger_ns + 8 * MS + late_ns)))
    error_ms = np.array([s.stamp_ns - WALL_NS - t for s, t in zip(samples, true_ns, strict=True) if isinstance(s, ArraySample)]) / MS
    assert len(error_ms) == 1500 and np.abs(error_ms[50:]).max() < 0.5
    stamps = [s.stamp_ns for s in samples if isinstance(s, ArraySample)]
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_a_gap_is_counted_through_the_wrap_and_a_repeat_is_dropped() -> None:
    board = Board()
    samples = board.run(6, first=2**32 - 3)
    assert [s.sequence for s in samples] == [2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1, 2] and sum(s.skipped for s in samples) == 0
    last = board.measurement(2, 5_050_000)
    assert board.send(last, 100 * MS) is None and board.tracker.counters.repeats == 1
    old = board.measurement(1, 5_040_000)
    assert board.send(old, 101 * MS) is None
    late = board.send(board.measurement(7, 5_100_000), 110 * MS)
    assert isinstance(late, ArraySample) and late.skipped == 4 == board.tracker.counters.skipped
    assert board.tracker.counters.restarts == 0


def test_a_board_that_begins_anew_is_believed_at_its_second_frame_or_at_its_hello() -> None:
    board = Board()
    board.run(50, first=1000)
    assert board.send(board.measurement(0, 10_000), 600 * MS) is None
    second = board.send(board.measurement(1, 20_000), 610 * MS)
    assert isinstance(second, ArraySample) and second.skipped == 0 and board.tracker.counters.restarts == 1
    board.run(50, first=2, first_us=30_000, first_ns=610 * MS)
    board.tracker.restarted(50)
    first = board.send(board.measurement(0, 10_000), 1200 * MS)
    assert isinstance(first, ArraySample) and first.skipped == 0 and board.tracker.counters.restarts == 2


def test_a_board_whose_sequence_was_above_half_its_range_begins_anew_without_a_gap_of_billions() -> None:
    board = Board()
    board.run(20, first=2**31 + 50)
    board.send(board.measurement(0, 10_000), 300 * MS)
    second = board.send(board.measurement(1, 20_000), 310 * MS)
    assert isinstance(second, ArraySample) and second.skipped == 0


def test_a_hello_with_a_later_clock_changes_nothing() -> None:
    board = Board()
    board.run(5)
    board.tracker.restarted(5_045_000)
    assert board.tracker.counters.restarts == 0


def test_a_clock_that_stands_still_is_named() -> None:
    board = Board()
    board.run(3)
    found = board.send(board.measurement(3, 5_020_000), 50 * MS)
    assert isinstance(found, str) and "stands still" in found


def test_an_opened_port_starts_the_stamps_anew_and_they_still_rise() -> None:
    board = Board()
    before = board.run(100)
    board.opening = 2
    after = board.run(100, first=500, first_us=9_000_000_000, first_ns=1500 * MS)
    assert after[0].skipped == 400 and after[0].stamp_ns > before[-1].stamp_ns
    errors_ms = [(s.stamp_ns - WALL_NS - 1500 * MS - 10 * MS * (k + 1)) / MS for k, s in enumerate(after)]
    assert max(map(abs, errors_ms[20:])) < 0.6


@pytest.mark.parametrize(
    ("st", "status", "usable"),
    [
        (1, SensorStatus(0), True),
        (0, SensorStatus.NOT_READY, False),
        (3, SensorStatus.SKIPPED, True),
        (5, SensorStatus.INVALID, False),
        (9, SensorStatus.OVERFLOW, False),
        (16, SensorStatus.BUS_ERROR, False),
        (31, SensorStatus.BUS_ERROR, False),
    ],
)
def test_each_bit_of_the_frame_is_one_of_the_sample(st: int, status: SensorStatus, usable: bool) -> None:
    sample = Board().run(1, st=(st, 1, 1, 1), raw=np.full((4, 3), 700))[0]
    assert sample.status.tolist() == [int(status), 0, 0, 0] and sample.valid.tolist() == [usable, True, True, True]
    assert sample.raw[0].tolist() == ([700] * 3 if usable else [0] * 3)
    assert np.isnan(sample.temperature_degc[0]) == (status == SensorStatus.BUS_ERROR)


@pytest.mark.parametrize("value", [131071, -131072])
def test_an_axis_at_either_end_is_an_overflow_whatever_the_firmware_says(value: int) -> None:
    raw = np.zeros((4, 3))
    raw[2, 1] = value
    assert Board().run(1, raw=raw)[0].status.tolist() == [0, 0, SensorStatus.OVERFLOW, 0]


def test_a_sensor_that_repeats_itself_is_stuck_and_is_good_again_with_the_next_other_value() -> None:
    board = Board()
    frozen = np.array([5.0, 6.0, 7.0])
    status = []
    for k in range(12):
        raw = board.random.normal(0.0, 12.0, (4, 3)).round()
        raw[1] = frozen if k < 10 else frozen + k
        sample = board.send(board.measurement(k, 10_000 * (k + 1), raw=raw), 10 * MS * (k + 1))
        assert isinstance(sample, ArraySample)
        status.append(int(sample.status[1]))
        assert sample.status[[0, 2, 3]].tolist() == [0, 0, 0]
    assert status == [0] * 5 + [SensorStatus.STUCK] * 5 + [0, 0]


def test_one_axis_that_repeats_itself_takes_longer_to_count_as_stuck() -> None:
    board = Board()
    status = []
    for k in range(25):
        raw = board.random.normal(0.0, 12.0, (4, 3)).round()
        raw[3, 2] = 44
        sample = board.send(board.measurement(k, 10_000 * (k + 1), raw=raw), 10 * MS * (k + 1))
        assert isinstance(sample, ArraySample)
        status.append(int(sample.status[3]))
    assert status == [0] * 19 + [SensorStatus.STUCK] * 6


def test_noise_of_a_quiet_sensor_is_hardly_ever_taken_for_stuck() -> None:
    """At 3 counts of noise, a quarter of what the chip is said to have, an hour at 100 Hz of 16 sensors brings none."""
    random = np.random.default_rng(2)
    watch = SensorWatch(6, 20, 1.0)
    clear = np.zeros(1600, np.uint16)
    raw = random.normal(0.0, 3.0, (600, 1600, 3)).round().astype(np.int32)
    assert not any((watch.update(raw[k], clear, k * 10 * MS) & SensorStatus.STUCK).any() for k in range(600))


def test_a_sensor_without_new_data_is_stale_and_not_stuck_and_dead_after_a_while() -> None:
    board = Board(dead_s=0.5)
    board.run(5)
    samples = board.run(80, first=5, first_us=5_050_000, first_ns=50 * MS, st=(0, 1, 1, 1))
    words = [int(s.status[0]) for s in samples]
    assert words[0] == SensorStatus.NOT_READY and words[-1] == SensorStatus.NOT_READY | SensorStatus.DEAD
    assert words.index(SensorStatus.NOT_READY | SensorStatus.DEAD) in range(49, 53)
    after = board.run(1, first=85, first_us=5_850_000, first_ns=850 * MS)
    assert after[0].status.tolist() == [0, 0, 0, 0]
