"""Left and right by their stamps: known answers, a brute-force oracle, cameras that drift, stall and are set back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidewire_recon.drivers.pairing import Pair, Pairing, Side

MS = 1_000_000


def play(pairing: Pairing, events: list[tuple[int, Side, int]]) -> list[Pair]:
    """Images (arrival, side, stamp) in the order of their arrivals."""
    found = [pairing.add(side, stamp) for _, side, stamp in sorted(events)]
    return [pair for pair in found if pair is not None]


def test_a_pair_says_when_and_how_far_apart() -> None:
    pairing = Pairing(0.02, 10.0)
    assert pairing.add("left", 100 * MS) is None
    assert pairing.add("right", 104 * MS) == Pair(0, 100 * MS, 104 * MS, 0, 0)
    assert pairing.add("right", 203 * MS) is None
    pair = pairing.add("left", 207 * MS)
    assert pair == Pair(1, 207 * MS, 203 * MS, 0, 0)
    assert (pair.stamp_ns, pair.skew_ns) == (205 * MS, -4 * MS)


def test_an_image_that_was_lost_leaves_its_partner_alone_and_is_counted() -> None:
    pairing = Pairing(0.02, 10.0)
    events: list[tuple[int, Side, int]] = [(n, "left", n * 100 * MS) for n in range(10)]
    events += [(n, "right", n * 100 * MS + MS) for n in range(10) if n not in (3, 4, 7)]
    pairs = play(pairing, events)
    assert [pair.left_ns // (100 * MS) for pair in pairs] == [0, 1, 2, 5, 6, 8, 9]
    assert [pair.left_skipped for pair in pairs] == [0, 0, 0, 2, 0, 1, 0]
    assert pairing.unpaired == {"left": 3, "right": 0}


@pytest.mark.parametrize("skew_ms", [-20.0, -19.9, 0.0, 19.9, 20.0])
def test_a_pair_lies_within_the_tolerance(skew_ms: float) -> None:
    pairing = Pairing(0.02, 10.0)
    pairing.add("left", 1000 * MS)
    assert pairing.add("right", 1000 * MS + round(skew_ms * MS)) is not None


@pytest.mark.parametrize("skew_ms", [-20.1, 20.1, 50.0])
def test_what_lies_further_apart_is_no_pair(skew_ms: float) -> None:
    pairing = Pairing(0.02, 10.0)
    pairing.add("left", 1000 * MS)
    assert pairing.add("right", 1000 * MS + round(skew_ms * MS)) is None


def test_a_tolerance_of_more_than_half_a_period_is_cut_so_that_no_image_has_two_partners() -> None:
    pairing = Pairing(0.5, 10.0)
    assert pairing.tolerance_ns == 45 * MS
    assert Pairing(0.5).tolerance_ns == 500 * MS


@pytest.mark.parametrize("drift_ppm", [-300.0, 300.0])
def test_cameras_that_drift_lose_pairs_but_never_mix_them(drift_ppm: float) -> None:
    # 300 ppm: the skew runs through a whole period in 333 s.
    pairing, numbers = Pairing(0.02, 10.0), range(10_000)
    left = {n * 100 * MS: n for n in numbers}
    right = {round(n * 100 * MS * (1.0 + drift_ppm * 1e-6)) + MS: n for n in numbers}
    events: list[tuple[int, Side, int]] = [(stamp, "left", stamp) for stamp in left]
    events += [(stamp, "right", stamp) for stamp in right]
    pairs = play(pairing, events)
    shifts = [right[pair.right_ns] - left[pair.left_ns] for pair in pairs]
    assert set(np.diff(shifts)) <= {0, int(-np.sign(drift_ppm))}  # by one image when the skew has gone through a period
    assert all(abs(pair.skew_ns) <= 20 * MS for pair in pairs)
    assert 0.38 < len(pairs) / len(left) < 0.45  # 2 * 20 ms of 100 ms


def test_images_of_one_side_alone_are_given_up_without_end_of_memory() -> None:
    pairing = Pairing(0.02, 10.0)
    for n in range(1000):
        assert pairing.add("left", n * 100 * MS) is None
    assert pairing.waiting("left") <= 16 and pairing.unpaired["left"] >= 984


def test_a_late_side_finds_its_partners_that_wait() -> None:
    pairing = Pairing(0.02, 10.0)
    for n in range(5):
        pairing.add("left", n * 100 * MS)
    assert [pairing.add("right", n * 100 * MS) is not None for n in range(5)] == [True] * 5
    assert pairing.unpaired == {"left": 0, "right": 0}


def test_a_clock_that_is_set_back_begins_anew() -> None:
    pairing = Pairing(0.02, 10.0)
    pairing.add("left", 5000 * MS)
    pairing.add("right", 5000 * MS)
    pairing.add("left", 5100 * MS)
    assert pairing.add("left", 100 * MS) is None
    assert pairing.add("right", 101 * MS) == Pair(1, 100 * MS, 101 * MS, 1, 0)


PERIODS = st.lists(st.integers(60, 160), min_size=1, max_size=40)


@given(PERIODS, PERIODS, st.integers(-200, 200), st.integers(1, 29))
def test_pairs_are_those_of_a_search_over_all_combinations(lefts: list[int], rights: list[int], shift: int, tolerance: int) -> None:
    # Images of a side lie 60 ms apart at least: with 29 ms at most each has one partner at most, and the search has one answer.
    left, right = (1000 + np.cumsum(lefts)).tolist(), (1000 + shift + np.cumsum(rights)).tolist()
    expected = {(a, b) for a in left for b in right if abs(a - b) <= tolerance}
    events: list[tuple[int, Side, int]] = [(stamp, "left", stamp * MS) for stamp in left]
    events += [(stamp, "right", stamp * MS) for stamp in right]
    pairing = Pairing(tolerance * 1e-3, 15.0)  # 0.45 of its periods are 30 ms
    pairs = play(pairing, events)
    assert {(pair.left_ns // MS, pair.right_ns // MS) for pair in pairs} == expected
    for side, stamps in (("left", left), ("right", right)):
        assert len(pairs) + pairing.unpaired[side] + pairing.waiting(side) == len(stamps)  # type: ignore[index, arg-type]
    assert sum(pair.left_skipped for pair in pairs) <= pairing.unpaired["left"]
    assert [pair.sequence for pair in pairs] == list(range(len(pairs)))
