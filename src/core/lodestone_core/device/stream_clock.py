"""When a record of a device that streams was acquired, on the host's clock: the device's microseconds and the arrivals give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from lodestone_core.clock import ClockConfig, ClockEstimator
from lodestone_core.device.stream import Arrival
from lodestone_core.time import NS_PER_S

HELD_UP_S: Final = 2.0
"""A record may be held up so long on its way (a stalled line, a host that swaps) and still be stamped by the device's clock.

Give a window of twice as many records at least. A device whose clock stood still looks the same, and is learnt anew as the window passes.
"""

_WIDEST_BRACKET_NS: Final = NS_PER_S
_CLOCK_STEP_NS: Final = NS_PER_S // 10


class Stamps(NamedTuple):
    """Acquisition and arrival since the Unix epoch, ns, and the standard deviation of the first."""

    stamp_ns: int
    received_ns: int
    sigma_ns: int


class StreamClock:
    """`stamp` each record in order. Stamps rise until the host's clock is set back; a new opening of the port is learnt anew."""

    def __init__(self, config: ClockConfig, wall_ns: Callable[[int], int]) -> None:
        """`config` for microseconds: 64 counter bits, no fixed ticks per frame. `wall_ns` gives the wall time at a steady time."""
        self._config, self._wall_ns = config, wall_ns
        self._opening = -1
        self._stamp_ns = self._received_ns = 0
        self.restart()

    def restart(self) -> None:
        """The device has started anew: what was learnt of its clock does not hold."""
        self._estimator = ClockEstimator(self._config, HELD_UP_S)

    def stamp(self, device_us: int, arrival: Arrival) -> Stamps:
        """When the record with that device time was acquired."""
        if arrival.opening != self._opening:
            self._opening = arrival.opening
            self.restart()
        earliest_ns = max(arrival.earliest_ns, arrival.latest_ns - _WIDEST_BRACKET_NS)
        estimate = self._estimator.update(device_us, earliest_ns, arrival.latest_ns)
        received_ns = self._wall_ns(arrival.latest_ns)
        stamp_ns = received_ns - (arrival.latest_ns - estimate.stamp_ns)
        if received_ns > self._received_ns - _CLOCK_STEP_NS:
            # The two clocks are read to some 50 ns: a stamp that has hardly risen would fall.
            stamp_ns = max(stamp_ns, self._stamp_ns + 1)
        self._stamp_ns, self._received_ns = stamp_ns, received_ns
        return Stamps(stamp_ns, received_ns, estimate.sigma_ns)
