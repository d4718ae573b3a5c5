"""When a record of a device that streams was acquired, on the host's clock: the device's microseconds and the arrivals give it.

A record can be late but never early, so the one that was under way for the shortest time ties the two clocks together; which one that was
shows when others, some time later, were as fast. Until then every record so far may have been held up (what the port held before it was
opened, a host that was busy just then), and no stamp is to be believed. From then on the least delay is good for a while, and the line
under the arrivals (clock.py) for good, since it knows how fast the device's clock runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from lodestone_core.clock import ClockConfig, ClockEstimate, ClockEstimator
from lodestone_core.device.stream import Arrival
from lodestone_core.time import NS_PER_S

HELD_UP_S: Final = 2.0
"""A record may be held up so long on its way (a stalled line, a host that swaps) and still be stamped by the device's clock.

Give a window of twice as many records at least. A device whose clock stood still looks the same, and is learnt anew as the window passes.
"""
SETTLING_S: Final = 0.05
"""Two records so far apart on the device's clock that were equally fast: others were not faster."""

_NS_PER_US: Final = 1000
_WIDEST_BRACKET_NS: Final = NS_PER_S
_CLOCK_STEP_NS: Final = NS_PER_S // 10
_HELD_UP_NS: Final = round(HELD_UP_S * NS_PER_S)
_SETTLING_US: Final = round(SETTLING_S * 1e6)
# Equally fast, and faster than can be once that is known: beyond what a line that is still being learnt is off.
_ALIKE_NS: Final = 2_000_000
_TOO_FAST_NS: Final = 10_000_000
# A device's clock is not more than one in so many fast or slow.
_DRIFT: Final = 100
# Over so long the line under the arrivals is steeper or flatter than the clock by less than the least delay drifts.
_LINE_US: Final = 500_000
# A line over less than twice the longest that records are held up would be bent by those that are: by no more than this, since until then
# slower ones are left out of it. Not less, or a clock that is a hundredth slow would soon have none.
_YOUNG_US: Final = round(2e6 * HELD_UP_S)
_SLOW_NS: Final = 6_000_000


class Stamps(NamedTuple):
    """Acquisition and arrival since the Unix epoch, ns, and the standard deviation of the first.

    `settled`: it is known how the device's clock stands to the host's. Without that the stamp is not later than the arrival, and may be too
    late by as much as the record was held up: not to be published where a time must be right.
    """

    stamp_ns: int
    received_ns: int
    sigma_ns: int
    settled: bool


class StreamClock:
    """`stamp` each record in order. Stamps rise until the host's clock is set back; a new opening of the port is learnt anew."""

    def __init__(self, config: ClockConfig, wall_ns: Callable[[int], int]) -> None:
        """`config` for microseconds: 64 counter bits, no fixed ticks per frame. `wall_ns` gives the wall time at a steady time."""
        self._config, self._wall_ns = config, wall_ns
        self._latency_ns = round(config.latency_s * NS_PER_S)
        self._opening = -1
        self._stamp_ns = self._received_ns = 0
        self.restart()

    def restart(self) -> None:
        """The device has started anew: what was learnt of its clock does not hold."""
        self._fast: tuple[int, int] | None = None
        self._least_ns = 0
        self._settled_us: int | None = None
        self._estimator = ClockEstimator(self._config, HELD_UP_S)
        self._learnt = 0

    def stamp(self, device_us: int, arrival: Arrival) -> Stamps:
        """When the record with that device time was acquired."""
        if arrival.opening != self._opening:
            self._opening = arrival.opening
            self.restart()
        acquired_ns, sigma_ns = self._acquired(device_us, arrival)
        received_ns = self._wall_ns(arrival.latest_ns)
        stamp_ns = received_ns - (arrival.latest_ns - acquired_ns)
        if received_ns > self._received_ns - _CLOCK_STEP_NS:
            # The two clocks are read to some 50 ns: a stamp that has hardly risen would fall.
            stamp_ns = max(stamp_ns, self._stamp_ns + 1)
        self._stamp_ns, self._received_ns = stamp_ns, received_ns
        return Stamps(stamp_ns, received_ns, sigma_ns, self._settled_us is not None)

    def _acquired(self, device_us: int, arrival: Arrival) -> tuple[int, int]:
        """Acquisition on the steady clock and its standard deviation, ns."""
        delay_ns = arrival.latest_ns - device_us * _NS_PER_US
        self._compare(device_us, delay_ns)
        least_ns = device_us * _NS_PER_US + self._least_ns - self._latency_ns
        if self._settled_us is None:
            return least_ns, _HELD_UP_NS
        if delay_ns > self._least_ns + _SLOW_NS and device_us - self._settled_us < _YOUNG_US:
            return least_ns, _ALIKE_NS
        estimate = self._estimate(device_us, arrival)
        if estimate.event == "reset":
            self.restart()
            return self._acquired(device_us, arrival)
        self._learnt += 1
        if self._learnt <= self._config.warm_up or device_us - self._settled_us < _LINE_US:
            return least_ns, _ALIKE_NS
        self._least_ns = estimate.stamp_ns + self._latency_ns - device_us * _NS_PER_US
        self._fast = device_us, self._least_ns
        return estimate.stamp_ns, estimate.sigma_ns

    def _estimate(self, device_us: int, arrival: Arrival) -> ClockEstimate:
        earliest_ns = max(arrival.earliest_ns, arrival.latest_ns - _WIDEST_BRACKET_NS)
        return self._estimator.update(device_us, earliest_ns, arrival.latest_ns)

    def _compare(self, device_us: int, delay_ns: int) -> None:
        """Take in how long a record was under way, on a scale that begins anywhere; settles the clock, or unsettles it."""
        if self._fast is not None:
            since_us, fast_ns = self._fast
            drift_ns = abs(device_us - since_us) * _NS_PER_US // _DRIFT
            least_ns = fast_ns - drift_ns - (_ALIKE_NS if self._settled_us is None else _TOO_FAST_NS)
            if least_ns <= delay_ns <= fast_ns + drift_ns + _HELD_UP_NS:
                self._least_ns = min(self._least_ns, delay_ns)
                alike = delay_ns <= fast_ns + drift_ns + _ALIKE_NS
                if self._settled_us is None and alike and device_us - since_us >= _SETTLING_US:
                    self._settled_us = device_us
                return
        # The first, or faster than could be, or later: all before it were held up, or the device's clock was set.
        self.restart()
        self._fast, self._least_ns = (device_us, delay_ns), delay_ns
