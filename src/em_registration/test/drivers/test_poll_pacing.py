"""Pacing of polls against a simulated device that answers with what it has when the poll comes in."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from em_registration.drivers.pacing import Pacing
from lodestone_core.types import Array

MS = 1_000_000


def run(frame_at: Callable[[int], int], reply_ns: int, duration_ns: int) -> tuple[list[int], list[int]]:
    """Send times of the polls, and the distinct frame numbers that they delivered, in order."""
    pacing, now_ns, sent, seen = Pacing(0.005), 0, [], [0]
    while now_ns < duration_ns:
        sent.append(now_ns)
        number = frame_at(now_ns)
        if number != seen[-1]:
            seen.append(number)
        now_ns = max(now_ns + reply_ns, pacing.next_ns(now_ns, now_ns + reply_ns, (number,)))
    return sent, seen[1:]


@pytest.mark.parametrize("reply_ms", [1.0, 8.3, 15.0, 20.0])
@pytest.mark.parametrize("phase_ms", [0.0, 7.0, 13.0])
def test_an_even_device_loses_no_frame(reply_ms: float, phase_ms: float) -> None:
    _, seen = run(lambda t: int((t + phase_ms * MS) // (25 * MS)), int(reply_ms * MS), 20_000 * MS)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert len(seen) > 790


class Device:
    """Frames at given times; polls are sent a little late, as by a busy host, and answered after `LINE_NS`."""

    LINE_NS = 8.3 * MS

    def __init__(self, frames_ns: Array, seed: int = 0) -> None:
        self._frames_ns = frames_ns
        self._random = np.random.default_rng(seed)

    def run(self, stall_ns: float = 0.0, chaos: int = 0) -> tuple[list[int], Array, list[int]]:
        """Numbers that were delivered, how old each was when it was asked for, ns, and how many polls that took.

        Before one poll in fifty the host stands still for `stall_ns`. For the first frames, `chaos` of them, it does so for up to 30 ms
        between having looked at its clock and sending, and before it reads the reply.
        """
        pacing, now_ns, polls = Pacing(0.005), 0.0, 0
        seen, age_ns, polls_of = [], [], []
        while now_ns < self._frames_ns[-1]:
            sent_ns, busy = now_ns, len(seen) < chaos
            now_ns += self._random.uniform(0.0, 30.0 * MS) * (busy and self._random.random() < 0.4)
            number = int(np.searchsorted(self._frames_ns, now_ns, side="right"))
            came_ns = now_ns + self.LINE_NS + self._random.uniform(0.0, 20.0 * MS) * (busy and self._random.random() < 0.3)
            polls += 1
            if number and (not seen or number != seen[-1]):
                seen.append(number)
                age_ns.append(now_ns - self._frames_ns[number - 1])
                polls_of.append(polls)
                polls = 0
            next_ns = pacing.next_ns(int(sent_ns), int(came_ns), (number, number))
            now_ns = max(came_ns, next_ns) + abs(self._random.normal(0.0, 0.3 * MS))
            now_ns += stall_ns * (self._random.random() < 0.02)
        return seen, np.array(age_ns), polls_of


def frames(count: int = 4000, ppm: float = 0.0, jitter_ms: float = 0.0) -> Array:
    """Times at 40 Hz, ns."""
    noise_ns = np.random.default_rng(count).normal(0.0, jitter_ms * MS, count)
    return np.asarray(13.7 * MS + 25.0 * MS * (1.0 + 1e-6 * ppm) * np.arange(count) + noise_ns)


@pytest.mark.parametrize("ppm", [0.0, 100.0, -100.0])
def test_an_even_device_is_asked_once_a_frame_as_soon_as_it_is_there(ppm: float) -> None:
    seen, age_ns, polls = Device(frames(ppm=ppm)).run()
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert np.mean(polls[200:]) < 1.02  # asked all the time it is 3.1
    assert np.median(age_ns[200:]) < 1.0 * MS and np.percentile(age_ns[200:], 99) < 2.5 * MS


@pytest.mark.parametrize("jitter_ms", [0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_device_that_is_a_little_uneven_is_asked_behind_most_of_its_frames(jitter_ms: float, seed: int) -> None:
    seen, age_ns, polls = Device(frames(2000 + seed, jitter_ms=jitter_ms), seed).run()
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert np.mean(polls[500:]) < 1.05
    assert np.median(age_ns[500:]) < 5.0 * jitter_ms * MS


def test_a_host_that_stands_still_for_most_of_a_period_loses_hardly_a_frame() -> None:
    """Asked all the time, a device has its frame fetched up to a poll late, and some 40 of 4000 are overwritten in such stalls."""
    seen, _, _ = Device(frames()).run(stall_ns=20.0 * MS)
    known = seen[100:]
    assert known[-1] - known[0] + 1 - len(known) <= 5


@pytest.mark.parametrize("seed", range(8))
def test_a_host_that_was_busy_at_first_asks_in_time_afterwards(seed: int) -> None:
    """Bounds that are wrong by as long as the host stood still would let the polls run away from the frames, one period in 900 frames."""
    seen, age_ns, polls = Device(frames(2500), seed).run(chaos=100)
    assert seen[120:] == list(range(seen[120], seen[120] + len(seen) - 120))
    assert np.percentile(age_ns[300:], 95) < 2.0 * MS and age_ns[300:].max() < 11.0 * MS
    assert np.mean(polls[300:]) < 1.05


def test_a_host_clock_that_is_put_right_loses_no_frame() -> None:
    """By 500 ppm for a minute, which moves it by more than a period."""
    period_ns = np.full(9000, 25.0 * MS)
    period_ns[2000:4500] *= 1.0 + 5e-4
    period_ns[5500:8000] *= 1.0 - 5e-4
    seen, age_ns, _ = Device(13.7 * MS + np.cumsum(period_ns)).run()
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert np.percentile(age_ns[8500:], 95) < 3.0 * MS


@pytest.mark.parametrize("apart_ms", [2.0, 12.5, 20.0])
@pytest.mark.parametrize("counts_apart", [0, 7])
def test_handles_that_are_not_measured_at_once_are_both_fetched_soon_after_their_frames(apart_ms: float, counts_apart: int) -> None:
    """The line of stamps runs under the fastest: each handle has to be fetched at once now and then."""
    pacing, now_ns, random = Pacing(0.005), 0.0, np.random.default_rng(1)
    seen: list[int] = []
    ages_ns: list[float] = []
    while now_ns < 60_000 * MS:
        since_ns = now_ns - apart_ms * MS
        first, second = int(now_ns // (25 * MS)), int(since_ns // (25 * MS))
        if second >= 0 and (not seen or second != seen[-1]):
            seen.append(second)
            ages_ns.append(since_ns - second * 25 * MS)
        came_ns = now_ns + 8.3 * MS
        next_ns = pacing.next_ns(int(now_ns), int(came_ns), (first, max(second, 0) + counts_apart))
        now_ns = max(came_ns, next_ns) + abs(random.normal(0.0, 0.3 * MS))
    assert seen == list(range(len(seen)))
    assert all(min(ages_ns[at : at + 200]) < 0.5 * MS for at in range(100, len(ages_ns) - 200, 50))


def test_frames_that_come_at_random_are_asked_for_all_the_time() -> None:
    apart_ns = np.random.default_rng(1).uniform(10.0 * MS, 45.0 * MS, 3000)
    seen, _, polls = Device(np.cumsum(apart_ns)).run()
    assert seen[-1] - seen[0] + 1 - len(seen) <= 3
    assert np.mean(polls) > 2.5


def test_an_uneven_device_is_asked_all_the_time() -> None:
    """A recording whose frames come 7 and 138 ms apart, in turn."""

    def frame_at(t: int) -> int:
        return 2 * (t // (145 * MS)) + (t % (145 * MS) >= 7 * MS)

    sent, seen = run(frame_at, 4 * MS, 10_000 * MS)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    gaps = [after - before for before, after in itertools.pairwise(sent)]
    assert max(gaps) == 5 * MS


def test_a_device_that_pauses_is_asked_all_the_time_again() -> None:
    pacing = Pacing(0.005)
    for number in range(20):
        pacing.next_ns(number * 25 * MS, number * 25 * MS + 8 * MS, (number,))
    late_ns = 20 * 25 * MS + 400 * MS
    assert pacing.next_ns(late_ns, late_ns + 8 * MS, (20,)) == late_ns + 5 * MS
