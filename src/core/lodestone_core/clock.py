"""Device counter to host time: when was a frame acquired, given only when its reply arrived.

What is known of each frame is a bracket: it was not there yet when the reply before came in (`earliest`), and it was
there when the last byte of its own reply came (`latest`). Replies can be late but never early, so a device that counts
at a steady rate runs along the line *under* the arrivals (lower_line.py): neither jitter nor a reply that hangs for
200 ms pulls it. Where that line misses the brackets the device does not count steadily (a played recording), and the
middle of the bracket, half a poll off at most, is the best there is.

A device that sends of its own accord bounds an acquisition from above only: an empty line does not say that nothing was acquired, the frame
may have been held up behind it. `held_up_s` says for how long; brackets then contradict the line only when they miss it by more.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from lodestone_core.config import option
from lodestone_core.lower_line import LowerLine
from lodestone_core.time import ns_from_s

Event = Literal["wrap", "reset", "outlier"]

# Frames whose hits and delays decide whether the device counts steadily and how late its replies usually are.
_MEMORY = 32
# A reply is an outlier when it is this many times later than the punctual quarter of those, and tolerances, ...
_LATE_FACTOR, _LATE_TOLERANCES = 12.0, 4.0
# ... and the counter has shifted against the host when this many frames in a row miss the line of a steady device.
_PATIENCE = 6
_LEAST_SIGMA_NS = 1000


@dataclass(frozen=True, slots=True)
class ClockConfig:
    """How a counter of a device is mapped to the host clock."""

    latency_s: float = option(0.0, unit="s", doc="acquisition to the arrival of the fastest reply", minimum=0.0)
    window: int = option(200, doc="frames the line is fitted to: this many at least, twice as many at most", minimum=8)
    warm_up: int = option(8, doc="frames before the line is used instead of the bracket", minimum=3)
    steady_share: float = option(0.8, doc="share of brackets the line must hit to be used", minimum=0.0, maximum=1.0)
    tolerance_s: float = option(0.002, unit="s", doc="how far the line may miss a bracket and still hit", minimum=0.0)
    counter_bits: int = option(32, doc="width after which the counter wraps", minimum=8, maximum=64)
    ticks_per_frame: int = option(1, doc="counts from frame to frame; 0: not fixed, none is skipped", minimum=0)


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Acquisition of one frame on the host clock, ns, with its standard deviation.

    `skipped` is the number of frames between this and the one before that never came. `event`: "wrap", the counter went
    through its width; "reset", counter or host clock jumped and all was learnt anew; "outlier", this reply came
    unusually late or its count does not fit.
    """

    stamp_ns: int
    sigma_ns: int
    skipped: int = 0
    event: Event | None = None


class ClockEstimator:
    """Maps frame counts to acquisition times; stamps rise strictly until the host clock itself steps back."""

    def __init__(self, config: ClockConfig | None = None, held_up_s: float = 0.0) -> None:
        self._config = config or ClockConfig()
        self._held_up_ns = ns_from_s(held_up_s)
        self._latency_ns = ns_from_s(self._config.latency_s)
        self._tolerance_ns = ns_from_s(self._config.tolerance_s)
        self._range = 1 << self._config.counter_bits
        self._last: ClockEstimate | None = None
        self._last_latest_ns, self._tick, self._count = 0, 0, 0
        self._line = LowerLine(self._config.window)
        self._restart(0)

    def update(self, tick: int, earliest_ns: int, latest_ns: int) -> ClockEstimate:
        """Stamp the frame with count `tick`: not there at `earliest_ns`, there at `latest_ns` (host clock).

        A count that comes again gets the same stamp again.
        """
        if self._last is not None and tick == self._tick:
            return self._last
        skipped, event = self._advance(tick, latest_ns)
        earliest_ns = min(earliest_ns, latest_ns)
        miss_ns = self._miss(earliest_ns, latest_ns)
        if self._has_shifted(miss_ns):
            self._restart(tick)
            event, miss_ns = "reset", 0
        steady = self._steady()
        if steady and self._contradicts(miss_ns):
            self._history.append((False, 0))
            return self._bracket(earliest_ns, latest_ns, skipped, event or "outlier")
        delay_ns = self._learn(miss_ns, latest_ns)
        if not steady:
            return self._bracket(earliest_ns, latest_ns, skipped, event)
        late = delay_ns > self._limit_ns()
        self._late_ns = delay_ns if late else 0
        sigma_ns = max(self._line_sigma_ns(), float(abs(miss_ns)))
        return self._finish(latest_ns, delay_ns, sigma_ns, skipped, event or ("outlier" if late else None))

    def _advance(self, tick: int, latest_ns: int) -> tuple[int, Event | None]:
        """Carry the count on; gives the frames skipped and what happened to the counter."""
        if self._last is None:
            self._restart(tick)
            return 0, None
        step = tick - self._tick
        wrapped = step % self._range
        clock_stepped = latest_ns < self._last_latest_ns - self._tolerance_ns
        # A small step over the width of the counter is a wrap, anything else backward a counter that began anew.
        if clock_stepped or (step < 0 and wrapped > self._range >> 8):
            self._last = None if clock_stepped else self._last
            self._restart(tick)
            return 0, "reset"
        # Time from the frame before to this one, as the line has it.
        before_ns, self._tick, self._count = self._line.at(self._count), tick, self._count + wrapped
        self._spacing_ns = (self._line.at(self._count) or 0) - (before_ns or 0)
        per_frame = self._config.ticks_per_frame
        return max(0, wrapped // per_frame - 1) if per_frame else 0, "wrap" if step < 0 else None

    def _restart(self, tick: int) -> None:
        """Forget what was learnt of the counter; the frame with this count is its first."""
        self._tick, self._count = tick, 0
        self._line = LowerLine(self._config.window)
        self._history: deque[tuple[bool, int]] = deque(maxlen=_MEMORY)
        self._spacing_ns, self._late_ns, self._misses, self._was_steady = 0, 0, 0, False

    def _miss(self, earliest_ns: int, latest_ns: int) -> int:
        """By how much the line, as learnt so far, is after (> 0) or before (< 0) the bracket of this frame."""
        line_ns = self._line.at(self._count)
        if line_ns is None:
            return 0
        # The frame before may have hung on its way as much as this one is older than its bracket says.
        return max(0, line_ns - latest_ns) + min(0, line_ns - earliest_ns + self._late_ns + self._held_up_ns)

    def _contradicts(self, miss_ns: int) -> bool:
        """Whether a frame that misses the line by this much is none of a steady device."""
        # A reply without a new frame may have hung as well, and up to one frame can have come up meanwhile.
        return miss_ns > self._limit_ns() or -miss_ns > max(self._limit_ns(), self._spacing_ns)

    def _has_shifted(self, miss_ns: int) -> bool:
        """Whether the counter has moved against the host clock, and not just one reply."""
        if abs(miss_ns) <= self._tolerance_ns:
            self._misses, self._was_steady = 0, self._steady()
            return False
        self._misses += 1
        return self._was_steady and self._misses >= _PATIENCE

    def _steady(self) -> bool:
        """Whether the device counts at a steady rate, so that the line tells more than the bracket."""
        hits = sum(hit for hit, _ in self._history)
        return self._line.count >= self._config.warm_up and hits >= self._config.steady_share * len(self._history)

    def _usual_delay_ns(self) -> int:
        """Lower quartile: it holds while three quarters of the replies are held up."""
        delays = sorted(delay for _, delay in self._history)
        return delays[len(delays) // 4] if delays else 0

    def _limit_ns(self) -> float:
        """A reply later than this after the line is an outlier."""
        return _LATE_FACTOR * self._usual_delay_ns() + _LATE_TOLERANCES * self._tolerance_ns

    def _line_sigma_ns(self) -> float:
        """Not derived: an estimate that covers the errors of simulated devices, and keeps some when all is punctual."""
        scatter_ns = 2.0 * self._usual_delay_ns() + self._tolerance_ns
        return scatter_ns / math.sqrt(min(self._line.count, self._config.window))

    def _learn(self, miss_ns: int, latest_ns: int) -> int:
        """Take the frame into the line; gives how long after the line it came, never negative."""
        self._line.add(self._count, latest_ns)
        line_ns = self._line.at(self._count)
        delay_ns = 0 if line_ns is None else latest_ns - line_ns
        if self._line.count > 2:
            self._history.append((abs(miss_ns) <= self._tolerance_ns, delay_ns))
        return delay_ns

    def _bracket(self, earliest_ns: int, latest_ns: int, skipped: int, event: Event | None) -> ClockEstimate:
        """The middle of the bracket: the frame is equally likely anywhere in it."""
        width_ns = latest_ns - earliest_ns
        return self._finish(latest_ns, width_ns // 2, width_ns / math.sqrt(12.0), skipped, event)

    def _finish(self, latest_ns: int, before_ns: int, sigma_ns: float, skipped: int, event: Event | None) -> ClockEstimate:
        """The estimate `before_ns` ahead of the arrival, less the latency, and after the one before."""
        stamp_ns = latest_ns - before_ns - self._latency_ns
        if self._last is not None:
            stamp_ns = max(stamp_ns, self._last.stamp_ns + 1)
        self._last = ClockEstimate(stamp_ns, max(_LEAST_SIGMA_NS, round(sigma_ns)), skipped, event)
        self._last_latest_ns = latest_ns
        return self._last
