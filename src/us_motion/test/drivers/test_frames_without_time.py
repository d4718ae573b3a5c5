"""Frames whose time is not known yet: followed, and not published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MakeRig = Callable[..., Any]


@pytest.mark.parametrize("held_s", [0.05, 0.12, 0.5])
def test_frames_that_were_held_up_at_an_opening_are_not_published_with_the_time_of_their_arrival(rig: MakeRig, held_s: float) -> None:
    r = rig()
    r.run(6.0)
    r.run(0.5, heard=False)
    r.opening, known = r.opening + 1, len(r.samples)
    bodies = []
    for _ in range(round(100 * held_s)):
        r.world_s = round(r.world_s + 0.01, 6)
        bodies.append(r.records.record(r.sequence, r.device_us(), r.world_s))
        r.sequence += 1
    for body in bodies:
        r.give(body)
    r.run(2.0)
    samples = r.samples[known:]
    triggers_ns = np.array([sample.device_time_us * 1000 for sample in samples])
    assert np.abs(np.array([sample.stamp_ns - 10**18 for sample in samples]) - triggers_ns - 2_000_000).max() < 50_000
    assert len(samples) == 196 and samples[0].skipped == 50 and r.tracker.counters.withheld == 5 + len(bodies) + 4
    assert all(sample.valid for sample in samples), "the joints have been followed meanwhile"


def test_a_device_whose_clock_runs_at_another_pace_gives_nothing_and_is_told(rig: MakeRig) -> None:
    r = rig()
    r.tracker = r.make()
    r.hello()
    for k in range(300):
        r.world_s += 0.01
        r.give(r.records.record(k, 10 * k, r.world_s))  # milliseconds
    assert not r.samples and "do not keep pace" in r.reason
