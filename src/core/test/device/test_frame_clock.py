"""Images without times: lost ones, late ones and bunches are told apart, and stamps lie where the camera took them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.clock import ClockConfig
from lodestone_core.device.frame_clock import FrameClock, FrameTime

MS = 1_000_000
PERIOD = 100 * MS
FRAMES = 60


def play(arrivals: list[int], config: ClockConfig | None = None, rate_hz: float = 10.0) -> list[FrameTime | None]:
    """What a reader that asks again at once makes of these arrivals (ns)."""
    clock, asked, found = FrameClock(config or ClockConfig(), rate_hz), 0, []
    for arrived in arrivals:
        arrived = max(arrived, asked)
        found.append(clock.update(asked, arrived))
        asked = arrived
    return found


def jittered(numbers: list[int], spread_ms: float = 4.0, seed: int = 1) -> list[int]:
    """Arrivals of images that were taken at number * 100 ms and came 2 ms to 2 ms + spread later."""
    random_ = random.Random(seed)
    return [n * PERIOD + 2 * MS + int(random_.random() * spread_ms * MS) for n in numbers]


def errors_ms(found: list[FrameTime | None], numbers: list[int]) -> list[float]:
    return [(time.stamp_ns - n * PERIOD) / MS for time, n in zip(found, numbers, strict=True) if time is not None]


def test_jitter_of_the_arrivals_does_not_reach_the_stamps() -> None:
    numbers = list(range(FRAMES))
    after = errors_ms(play(jittered(numbers)), numbers)[20:]
    assert max(after) - min(after) < 0.5  # the arrivals scatter by 4 ms
    assert min(after) > 1.5 and max(after) < 3.0  # the fastest transport takes 2 ms, which only a calibration knows


def test_the_calibrated_latency_is_taken_off() -> None:
    numbers = list(range(FRAMES))
    plain = play(jittered(numbers))
    earlier = play(jittered(numbers), ClockConfig(latency_s=0.030))
    assert [a.stamp_ns - b.stamp_ns for a, b in zip(plain, earlier, strict=True) if a and b] == [30 * MS] * FRAMES


@pytest.mark.parametrize("lost", [1, 2, 7, 40])
def test_lost_images_leave_a_gap_in_number_and_no_error_in_the_stamps(lost: int) -> None:
    numbers = [*range(30), *range(30 + lost, 60 + lost)]
    found = play(jittered(numbers))
    assert [time.skipped for time in found if time][30] == lost
    assert sum(time.skipped for time in found if time) == lost
    assert max(map(abs, errors_ms(found, numbers)[20:])) < 3.5


def test_an_image_that_is_late_by_less_than_a_period_keeps_its_stamp() -> None:
    numbers = list(range(FRAMES))
    arrivals = jittered(numbers)
    arrivals[40] += 70 * MS
    found = play(arrivals)
    assert sum(time.skipped for time in found if time) == 0
    assert max(map(abs, errors_ms(found, numbers)[20:])) < 3.5


def test_images_that_waited_in_a_buffer_keep_their_stamps_however_late_they_are_fetched() -> None:
    # The reader was not run for 350 ms: each image is there at once when it is asked for.
    numbers = list(range(FRAMES))
    clock, asked, found = FrameClock(ClockConfig(), 10.0), 0, []
    for n, arrival in zip(numbers, jittered(numbers), strict=True):
        if n == 40:
            asked += 350 * MS
        arrived = max(arrival, asked + MS)
        found.append(clock.update(asked, arrived))
        asked = arrived
    assert all(found) and sum(time.skipped for time in found if time) == 0
    assert max(map(abs, errors_ms(found, numbers)[20:])) < 3.5


def test_a_bunch_after_a_stall_of_the_link_is_not_stamped_wrongly() -> None:
    # Images 40 to 43 are held up and come together with 44: the first of them looks like one after a loss.
    numbers = list(range(FRAMES))
    arrivals = jittered(numbers)
    for n in range(40, 44):
        arrivals[n] = arrivals[44] - (44 - n) * MS
    found = play(arrivals)
    assert [n for n, time in zip(numbers, found, strict=True) if time is None] == [41, 42, 43, 44]
    # The first of the bunch is taken for the newest; the ones after the bunch are right again at once.
    assert max(map(abs, errors_ms(found[45:], numbers[45:]))) < 3.5


def test_half_the_rate_is_measured_and_its_stamps_hold() -> None:
    numbers = [*range(0, 120, 2)]
    clock, asked, found = FrameClock(ClockConfig(), 10.0), 0, []
    for arrived in jittered(numbers):
        found.append(clock.update(asked, arrived))
        asked = arrived
    assert clock.rate_hz == pytest.approx(5.0, rel=0.02)
    assert max(map(abs, errors_ms(found, numbers)[20:])) < 3.5


def test_a_camera_that_is_faster_than_it_says_loses_nothing() -> None:
    arrivals = [n * PERIOD // 3 + 2 * MS for n in range(90)]
    found = play(arrivals)
    assert all(time is not None and time.skipped == 0 for time in found)


def test_without_a_promised_rate_the_measured_one_serves() -> None:
    numbers = [*range(30), *range(33, 60)]
    found = play(jittered(numbers), rate_hz=0.0)
    assert sum(time.skipped for time in found if time) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400 * MS), min_size=2, max_size=80), st.sampled_from([0.0, 5.0, 10.0, 30.0]))
def test_whatever_comes_no_stamp_is_later_than_its_arrival_and_none_goes_back(gaps: list[int], rate_hz: float) -> None:
    at, arrivals = 10**12, []
    for gap in gaps:
        at += gap
        arrivals.append(at)
    last = 0
    for arrived, time in zip(arrivals, play(arrivals, rate_hz=rate_hz), strict=True):
        if time is not None:
            assert last < time.stamp_ns and time.sigma_ns > 0 and time.skipped >= 0
            assert time.stamp_ns <= max(arrived, last + 1)
            last = time.stamp_ns
