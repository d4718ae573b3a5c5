"""Pacing of polls against a simulated device that answers with what it has when the poll comes in."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from em_registration.drivers.pacing import Pacing

MS = 1_000_000


def run(frame_at: Callable[[int], int], reply_ns: int, duration_ns: int) -> tuple[list[int], list[int]]:
    """Send times of the polls, and the distinct frame numbers that they delivered, in order."""
    pacing, now_ns, sent, seen = Pacing(0.005), 0, [], [0]
    while now_ns < duration_ns:
        sent.append(now_ns)
        number = frame_at(now_ns)
        if number != seen[-1]:
            seen.append(number)
        now_ns = max(now_ns + reply_ns, pacing.next_ns(now_ns, (number,)))
    return sent, seen[1:]


@pytest.mark.parametrize("reply_ms", [1.0, 8.3, 15.0, 20.0])
@pytest.mark.parametrize("phase_ms", [0.0, 7.0, 13.0])
def test_an_even_device_loses_no_frame(reply_ms: float, phase_ms: float) -> None:
    _, seen = run(lambda t: int((t + phase_ms * MS) // (25 * MS)), int(reply_ms * MS), 20_000 * MS)
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert len(seen) > 790


def test_an_even_device_is_left_alone_after_each_frame() -> None:
    sent, seen = run(lambda t: t // (25 * MS), 8 * MS, 10_000 * MS)
    assert len(sent) < 2.4 * len(seen)  # without pacing 3.1 polls a frame


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
        pacing.next_ns(number * 25 * MS, (number,))
    late_ns = 20 * 25 * MS + 400 * MS
    assert pacing.next_ns(late_ns, (20,)) == late_ns + 5 * MS
