"""Faults of replies and the schedule they come by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lodestone_bench.emulators.aurora_requests import parse_request
from lodestone_bench.faults import Corrupt, Delay, Drop, Duplicate, ReplyFaults, Schedule, Truncate
from lodestone_core.errors import InputError

REPLY = bytes(range(100))


def flipped(a: bytes, b: bytes) -> int:
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("bits", [1, 3, 17])
def test_corrupting_flips_exactly_so_many_bits(bits: int) -> None:
    faults = ReplyFaults()
    faults.add("corrupt", Corrupt(bits=bits), 0.0)
    delivery = faults.deliver("BX", REPLY, 0.0)
    assert flipped(delivery.payloads[0], REPLY) == bits and not delivery.intact


def test_truncating_keeps_the_beginning_and_never_all_of_it() -> None:
    faults = ReplyFaults(seed=3)
    faults.add("truncate", Truncate(count=200), 0.0)
    lengths = set()
    for _ in range(200):
        delivery = faults.deliver("BX", REPLY, 0.0)
        payload = b"".join(delivery.payloads)
        assert REPLY.startswith(payload) and not delivery.intact
        lengths.add(len(payload))
    assert max(lengths) < 100 and len(lengths) > 50


def test_dropping_duplicating_and_delaying_leave_the_bytes_alone() -> None:
    faults = ReplyFaults()
    faults.add("duplicate", Duplicate(), 0.0)
    faults.add("delay", Delay(s=0.3), 0.0)
    delivery = faults.deliver("BX", REPLY, 0.0)
    assert (delivery.payloads, delivery.delay_s, delivery.intact) == ((REPLY, REPLY), 0.3, True)
    faults.add("drop", Drop(), 0.0)
    assert (faults.deliver("BX", REPLY, 0.0).payloads, faults.deliver("BX", REPLY, 0.0).payloads) == ((), (REPLY,))


def test_a_fault_ends_by_count_by_time_or_when_cleared_and_only_falls_on_its_command() -> None:
    faults = ReplyFaults()
    faults.add("drop", Drop(command="BX", count=2), 0.0)
    commands = ["TX", "BX", "BX", "BX"]
    assert [faults.deliver(command, REPLY, 0.0).intact for command in commands] == [True, False, False, True]
    faults.add("drop", Drop(count=0, for_s=1.0), 10.0)
    assert [faults.deliver("BX", REPLY, t).intact for t in (10.0, 11.0, 11.1)] == [False, False, True]
    faults.add("drop", Drop(count=0), 20.0)
    faults.clear()
    assert faults.deliver("BX", REPLY, 20.0).intact
    assert faults.hits == {"drop": 4}


def test_chance_follows_the_probability_and_the_seed() -> None:
    def lost(seed: int) -> list[bool]:
        faults = ReplyFaults(seed)
        faults.add("drop", Drop(count=0, probability=0.1), 0.0)
        return [not faults.deliver("BX", REPLY, 0.0).intact for _ in range(2000)]

    assert lost(1) == lost(1) != lost(2)
    assert 140 < sum(lost(1)) < 260, "four standard deviations about 200"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"do": "corupt"}, "one of corrupt"), ({}, "one of corrupt"), ({"do": "corrupt", "bit": 3}, "did you mean bits?"),
        ({"do": "delay", "s": "long"}, "a number in s"), ({"do": "tool_out"}, "name of the tool"),
        ({"do": "unplug", "replug_after_s": -1}, "of at least 0"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_with_what_was_expected(request_: Mapping[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text.replace("?", r"\?")):
        parse_request(request_)


def test_a_schedule_gives_each_request_once_and_repeats_those_that_say_so() -> None:
    schedule = Schedule(
        (
            {"at_s": 1.0, "do": "unplug"},
            {"tracking_s": 0.5, "do": "stall", "every_s": 2.0, "until_s": 5.0},
        )
    )
    names = [[request["do"] for request in schedule.due(t, t - 2.0 if t > 2.0 else None)] for t in (0.5, 1.0, 1.1, 2.5, 4.4, 4.5, 6.5, 8.5)]
    assert names == [[], ["unplug"], [], ["stall"], [], ["stall"], ["stall"], []]
    assert schedule.next_s(9.0, 7.0) is None


def test_a_schedule_tells_how_long_until_the_next_request() -> None:
    schedule = Schedule(({"at_s": 3.0, "do": "stall"}, {"tracking_s": 1.0, "do": "stall"}))
    assert schedule.next_s(1.0, None) == pytest.approx(2.0)
    assert schedule.next_s(1.0, 0.75) == pytest.approx(0.25)


def test_a_schedule_wants_to_know_when() -> None:
    with pytest.raises(InputError, match="either at_s or tracking_s"):
        Schedule(({"do": "stall"},))
