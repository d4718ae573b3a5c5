"""Stamps of a simulated device that streams: its true acquisition times against what arrivals and its own clock give."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_core.clock import ClockConfig
from lodestone_core.device.stream import Arrival
from lodestone_core.device.stream_clock import StreamClock

MS = 1_000_000
EPOCH_NS = 1_763_640_000_000_000_000
CONFIG = ClockConfig(window=500, counter_bits=64, ticks_per_frame=0)


def arrivals(count: int, held: dict[int, float], openings: tuple[int, ...] = ()) -> tuple[np.ndarray, list[Arrival]]:
    """Acquisition times (steady, ns) at 100 Hz; up to 1 ms on the way, some held up (s) with those behind them; a look every 5 ms."""
    rng = np.random.default_rng(4)
    acquired = np.arange(count, dtype=np.int64) * 10 * MS + 50 * MS
    delays = rng.uniform(0, MS, count) + [held.get(k, 0.0) * 1e9 for k in range(count)]
    latest = np.maximum.accumulate(acquired + delays.astype(np.int64)) + np.arange(count) % 7
    earliest = np.maximum(latest - 5 * MS, np.concatenate([[0], latest[:-1]]))
    opening = [1 + sum(k >= at for at in openings) for k in range(count)]
    return acquired, [Arrival(b"", int(e), int(n), o) for e, n, o in zip(earliest, latest, opening, strict=True)]


def run_settled(acquired: np.ndarray, stream: list[Arrival], drift: float = 20e-6) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the stamps, ms, on a host whose two clocks are read to 50 ns; and which of them are settled."""
    rng = np.random.default_rng(1)
    clock = StreamClock(CONFIG, lambda steady_ns: EPOCH_NS + steady_ns + int(rng.integers(-50, 50)))
    device_us = np.round((acquired - acquired[0]) * (1 + drift) / 1000).astype(int)
    made = [clock.stamp(int(us), arrival) for us, arrival in zip(device_us, stream, strict=True)]
    stamps = np.array([each.stamp_ns for each in made])
    assert (np.diff(stamps) > 0).all()
    return (stamps - EPOCH_NS - acquired) / MS, np.array([each.settled for each in made])


def run(acquired: np.ndarray, stream: list[Arrival], drift: float = 20e-6) -> np.ndarray:
    """The errors alone."""
    return run_settled(acquired, stream, drift)[0]


@pytest.mark.parametrize("held_s", [0.05, 0.2, 1.0, 1.9])
@pytest.mark.parametrize("at", [590, 750, 990, 1010])
def test_records_that_are_held_up_are_stamped_when_they_were_acquired(held_s: float, at: int) -> None:
    errors = run(*arrivals(1600, {at: held_s}))
    assert np.abs(errors[100:]).max() < 1.5


def test_a_host_that_is_late_for_two_records_of_three_does_no_harm() -> None:
    errors = run(*arrivals(800, dict.fromkeys(range(50, 800, 3), 0.018)))
    assert np.abs(errors[100:]).max() < 1.5


def test_a_clock_that_has_stood_still_is_learnt_anew_when_the_window_has_passed() -> None:
    acquired, stream = arrivals(2000, {})
    counted = acquired.copy()
    counted[500:] -= 500 * MS  # the device stood for half a second and went on counting where it was
    errors = run(counted, stream) * MS + (counted - acquired)
    assert np.abs(errors[1550:] / MS).max() < 1.5


def test_a_clock_that_jumps_ahead_is_learnt_anew() -> None:
    acquired, stream = arrivals(600, {})
    jumped = acquired.copy()
    jumped[300:] += 500 * MS
    errors = run(jumped, stream) * MS + (jumped - acquired)
    assert np.abs(errors[320:] / MS).max() < 6.0, "within the bracket at once, on the line soon"
    assert np.abs(errors[400:] / MS).max() < 1.5


def test_a_new_opening_is_learnt_anew_within_its_brackets() -> None:
    errors = run(*arrivals(600, {}, openings=(300,)))
    assert np.abs(errors[290:320]).max() < 6.0 and np.abs(errors[400:]).max() < 1.5


@pytest.mark.parametrize("held_s", [0.0, 0.03, 0.08, 0.2, 0.54, 1.5])
@pytest.mark.parametrize("at", [0, 300])
def test_what_was_held_up_at_an_opening_is_told_apart_and_all_else_is_right_from_the_first(held_s: float, at: int) -> None:
    errors, settled = run_settled(*arrivals(at + 700, {at: held_s}, openings=(at,)))
    first = at + int(np.argmax(settled[at:]))
    assert settled[first:].all() and first <= at + round(100 * held_s) + 8, "some 50 ms after the first that was not held up"
    assert np.abs(errors[first:]).max() < 1.5


@pytest.mark.parametrize("after_s", [0.2, 0.6, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("held_s", [0.5, 1.0, 1.9])
def test_a_line_that_stalls_soon_after_an_opening_bends_no_clock(after_s: float, held_s: float) -> None:
    at = round(100 * after_s)
    errors, settled = run_settled(*arrivals(at + 700, {at: held_s}))
    assert settled[8:].all() and np.abs(errors[8:]).max() < 1.5


def test_a_host_that_reads_five_records_at_a_time_settles_on_the_last_of_each() -> None:
    held = dict.fromkeys(range(0, 700, 5), 0.041)
    errors, settled = run_settled(*arrivals(700, held))
    assert settled[15:].all() and np.abs(errors[settled]).max() < 1.5


def test_a_clock_a_hundredth_fast_or_slow_is_settled_all_the_same() -> None:
    for drift in (-0.01, 0.01):
        errors, settled = run_settled(*arrivals(700, {}), drift=drift)
        assert settled[8:].all() and np.abs(errors[8:]).max() < 6.0 and np.abs(errors[100:]).max() < 1.5


def test_old_records_of_a_fast_device_are_told_though_each_is_hardly_older_than_the_next() -> None:
    acquired = np.arange(900, dtype=np.int64) * MS + 50 * MS
    latest = np.maximum(acquired + MS // 2, acquired[199] + MS // 2) + np.arange(900)
    errors, settled = run_settled(acquired, [Arrival(b"", int(n) - MS, int(n), 1) for n in latest])
    assert not settled[:199].any() and settled[260:].all() and np.abs(errors[settled]).max() < 3.0


def test_a_record_that_is_later_than_any_may_be_makes_the_clock_unsettled() -> None:
    errors, settled = run_settled(*arrivals(1500, {700: 3.0}))
    assert settled[8:700].all() and not settled[700:995].any() and settled[1010:].all()
    assert np.abs(errors[settled]).max() < 1.5


def test_a_clock_that_jumps_ahead_is_unsettled_until_it_is_learnt_anew() -> None:
    acquired, stream = arrivals(600, {})
    jumped = acquired.copy()
    jumped[300:] += 500 * MS
    errors, settled = run_settled(jumped, stream)
    assert not settled[300:305].any() and settled[308:].all()
    assert np.abs(errors * MS + (jumped - acquired))[settled].max() / MS < 1.5


def test_a_host_clock_that_is_set_back_takes_the_stamps_with_it() -> None:
    step = [0]
    clock = StreamClock(CONFIG, lambda steady_ns: EPOCH_NS + steady_ns + step[0])
    acquired, stream = arrivals(100, {})
    before = [clock.stamp(int(a // 1000), arrival) for a, arrival in zip(acquired[:50], stream[:50], strict=True)]
    step[0] = -3600 * 10**9
    after = clock.stamp(int(acquired[50] // 1000), stream[50])
    assert after.stamp_ns == pytest.approx(before[-1].stamp_ns - 3600 * 10**9 + 10 * MS, abs=2 * MS)
