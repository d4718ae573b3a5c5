"""Images with times of the device's clock: late ones are not new, lost ones are counted, and what cannot be is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.clock import ClockConfig
from lodestone_core.device.frame_clock import FrameTime
from lodestone_core.device.source_clock import SourceClock, SourceTime
from lodestone_core.device.video_status import VideoCause, VideoFault

MS = 1_000_000
S = 1000 * MS
PERIOD = 100 * MS
EPOCH = 7_777 * S


def play(
    numbers: list[int], late: dict[int, int] | None = None, drift: float = 0.0, jitter_ms: float = 4.0, **config: float
) -> list[tuple[FrameTime | None, float]]:
    """Stamps and their errors (ms) of images taken at number * 100 ms that come 2 ms and a jitter later, or as `late` (ns) says."""
    clock, before, found, random_ = SourceClock(ClockConfig(**config), 10.0), 0, [], random.Random(1)
    for n in numbers:
        arrived = n * PERIOD + 2 * MS + int(random_.random() * jitter_ms * MS) + (late or {}).get(n, 0)
        arrived = before = max(arrived, before)
        time = clock.update(arrived, EPOCH + round(n * PERIOD * (1.0 + drift)))
        found.append((time, float("nan") if time is None else (time.stamp_ns - n * PERIOD) / MS))
    return found


def test_jitter_of_the_arrivals_does_not_reach_the_stamps() -> None:
    errors = [error for _, error in play(list(range(100)))][10:]
    assert max(errors) - min(errors) < 1.0 and min(errors) > 1.9


def test_images_that_become_late_for_good_keep_their_times() -> None:
    late = dict.fromkeys(range(40, 100), 200 * MS)
    found = play(list(range(100)), late)
    # The least may rise by 200 ppm: 1.2 ms in these 6 s.
    assert max(error for _, error in found[1:]) < 2.0 + 4.0 + 1.3
    assert all(time is not None and time.skipped == 0 for time, _ in found[1:])


def test_a_stall_and_the_bunch_behind_it_keep_their_times() -> None:
    late = {n: (44 - n) * PERIOD for n in range(40, 44)}
    found = play(list(range(60)), late)
    assert all(time is not None for time, _ in found[1:]) and max(error for _, error in found[1:]) < 6.5


@pytest.mark.parametrize("lost", [1, 2, 7, 40])
def test_lost_images_are_counted(lost: int) -> None:
    found = play([*range(30), *range(30 + lost, 60 + lost)])
    assert [time.skipped for time, _ in found if time][29] == lost
    assert sum(time.skipped for time, _ in found if time) == lost


@pytest.mark.parametrize("drift", [-100e-6, 100e-6])
def test_the_clock_of_the_device_may_run_fast_or_slow(drift: float) -> None:
    errors = [error for _, error in play(list(range(3000)), drift=drift)][10:]
    assert min(errors) > -0.1 and max(errors) < 6.5


def test_the_uncertainty_covers_the_error_beyond_the_fastest_transport() -> None:
    late = {n: 30 * MS for n in range(200) if n % 7}
    found = play(list(range(200)), late)
    assert all(abs(error - 2.0) * MS < 4.0 * time.sigma_ns + 4.0 * MS for time, error in found[8:] if time)


def test_images_that_waited_while_the_source_was_opened_are_not_stamped_by_their_late_arrival() -> None:
    # Three images were in the buffer before anybody asked, 350 ms after the first was taken.
    clock, found = SourceClock(ClockConfig(), 10.0), []
    for n in range(12):
        found.append(clock.update(max(n * PERIOD + 2 * MS, 350 * MS + (n + 1) * MS), EPOCH + n * PERIOD))
    assert [time is None for time in found] == [True] * 5 + [False] * 7
    assert all(time is not None and time.stamp_ns == n * PERIOD + 2 * MS for n, time in enumerate(found) if n >= 5)


def test_a_first_image_that_was_held_up_does_not_take_the_next_ones_with_it() -> None:
    found = play(list(range(30)), {0: 40 * MS, 1: 28 * MS, 2: 17 * MS}, jitter_ms=1.0)
    assert [time is None for time, _ in found[:6]] == [True, True, True, True, False, False]
    assert max(error for _, error in found[4:]) < 3.1


def test_where_no_two_images_are_alike_the_eighth_is_believed() -> None:
    found = play(list(range(30)), {n: (30 - n) * 10 * MS for n in range(30)}, jitter_ms=1.0)
    assert [time is None for time, _ in found] == [True] * 8 + [False] * 22


def test_the_calibrated_latency_is_taken_off() -> None:
    plain, earlier = play(list(range(20))), play(list(range(20)), latency_s=0.030)
    assert [a.stamp_ns - b.stamp_ns for (a, _), (b, _) in zip(plain, earlier, strict=True) if a and b] == [30 * MS] * 19


@pytest.mark.parametrize("step", [-1, -60 * S, 60 * S, 2**62])
def test_times_that_cannot_be_are_refused(step: int) -> None:
    clock = SourceClock(ClockConfig(), 10.0)
    for n in range(5):
        clock.update(n * PERIOD, n * PERIOD)
    with pytest.raises(VideoFault) as caught:
        clock.update(5 * PERIOD, 4 * PERIOD + step)
    assert caught.value.cause is VideoCause.TIMES


def test_an_image_with_the_time_of_the_one_before_is_not_stamped() -> None:
    clock = SourceClock(ClockConfig(), 10.0)
    assert clock.update(0, 0) is None and clock.update(PERIOD, PERIOD) is not None
    assert clock.update(2 * PERIOD, PERIOD) is None and clock.update(3 * PERIOD, 3 * PERIOD) is not None


def test_half_the_rate_is_measured() -> None:
    clock = SourceClock(ClockConfig(), 10.0)
    for n in range(0, 40, 2):
        clock.update(n * PERIOD, n * PERIOD)
    assert clock.rate_hz == pytest.approx(5.0)


def opened(at_ns: int, images: int, late_ns: int, epoch_ns: int, before: SourceTime | None = None) -> tuple[SourceClock, list[float]]:
    """A source that is opened at that time: its clock, and the errors (ms) of its images; NaN for one without a stamp."""
    clock, errors, first = SourceClock(ClockConfig(), 10.0, before), [], -(-at_ns // PERIOD)
    for n in range(first, first + images):
        time = clock.update(n * PERIOD + late_ns, epoch_ns + n * PERIOD)
        errors.append(float("nan") if time is None else (time.stamp_ns - n * PERIOD) / MS)
    return clock, errors


def test_a_clock_that_goes_on_holds_from_the_first_image_on_however_late_all_are() -> None:
    before, _ = opened(0, 20, 2 * MS, EPOCH)
    clock, errors = opened(30 * S, 10, 60 * MS, EPOCH, before.known)
    # The least may have risen by 200 ppm in these 29 s.
    assert max(errors) < 2.0 + 6.0
    again, errors = opened(60 * S, 10, 60 * MS, EPOCH, clock.known)
    assert max(errors) < 2.0 + 12.0 and again.known is not None


@pytest.mark.parametrize("open_s", [0.5, 2.0, 60.0])
def test_a_clock_that_begins_anew_with_each_opening_is_learnt_anew(open_s: float) -> None:
    images = int(open_s * 10) + 1
    before, _ = opened(0, images, 2 * MS, 0)
    began = images * PERIOD + PERIOD // 2
    _, errors = opened(began, 10, 2 * MS, -began, before.known)
    assert errors[0] != errors[0] and errors[1:] == pytest.approx([2.0] * 9)


def test_a_short_or_wrong_opening_does_not_take_what_was_known() -> None:
    before, _ = opened(0, 20, 2 * MS, EPOCH)
    short, errors = opened(3 * S, 1, 2 * MS, EPOCH - 10**6 * S, before.known)
    assert errors[0] != errors[0] and short.known == before.known
    _, errors = opened(4 * S, 5, 40 * MS, EPOCH, short.known)
    assert max(errors) < 2.0 + 0.6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, S), st.integers(-S, 2 * S)), max_size=60), st.sampled_from([0.0, 0.1, 30.0]))
def test_whatever_comes_no_stamp_is_newer_than_its_arrival_and_each_is_sure_of_something(steps: list[tuple[int, int]], rate: float) -> None:
    clock, arrived, device = SourceClock(ClockConfig(), rate, SourceTime(-S, 0, 0, 0)), 0, 0
    for later, step in steps:
        arrived, device = arrived + later, device + step
        try:
            time = clock.update(arrived, device)
        except VideoFault:
            break
        assert time is None or (time.stamp_ns <= arrived and time.sigma_ns > 0 and time.skipped >= 0)
