"""When images were acquired that carry neither time nor number: a count of them against their arrivals. Pure.

A camera runs at an even rate, so its images lie on a line of time over number (lodestone_core.clock). The number has to be kept by the
reader: an image that comes whole periods late either follows lost ones, and then its number rises by more than one, or was held up on
its way, and then the next ones come in a bunch. An image that waited in a buffer when it was asked for is the next one, however late.
Where numbers were skipped and a bunch follows all the same, times of the bunch cannot be told: it is not stamped.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

from lodestone_core.clock import ClockConfig, ClockEstimator
from lodestone_core.time import NS_PER_S

_INTERVALS: Final = 9
_DELAYS: Final = 8
# An image counts as waiting when it was there within this share of a period after it was asked for.
_WAITED_SHARE: Final = 0.25
# The part of a period that an image may lack to be whole periods after the one before: errors of the estimate.
_MARGIN: Final = 0.2
# Transport may take so much longer than the fastest; the bracket of one image. The first ones are stamped by it alone: narrow.
_SPREAD_NS: Final = NS_PER_S // 100
_FIRST_SPREAD_NS: Final = 3 * NS_PER_S // 1000
_FASTER: Final = 0.8


@dataclass(frozen=True, slots=True)
class FrameTime:
    """Acquisition on the clock of the arrivals, ns, its standard deviation, and images lost since the one before."""

    stamp_ns: int
    sigma_ns: int
    skipped: int


class FrameClock:
    """Arrivals of images in, acquisitions out. `rate_hz` is what the device promises; 0 where it is not known."""

    def __init__(self, config: ClockConfig, rate_hz: float) -> None:
        self._latency_ns = round(config.latency_s * NS_PER_S)
        self._estimator = ClockEstimator(config)
        self._nominal_ns = NS_PER_S / rate_hz if rate_hz > 0.0 else 0.0
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._delays: deque[int] = deque(maxlen=_DELAYS)
        self._arrived_ns: int | None = None
        self._warm_up = config.warm_up
        self._stamp_ns = self._tick = self._seen = 0
        self._after_gap = False

    @property
    def rate_hz(self) -> float:
        """Rate of the last arrivals (median); 0 before there are three."""
        return NS_PER_S / statistics.median(self._intervals) if len(self._intervals) > 1 else 0.0

    def update(self, asked_ns: int, arrived_ns: int) -> FrameTime | None:
        """Stamp an image that was asked for and came at these times (steady). None where its time cannot be told."""
        steps = self._steps(asked_ns, arrived_ns)
        if steps == 0:
            return None
        waited_ns, before_ns = arrived_ns - asked_ns, self._arrived_ns
        self._tick += steps
        spread_ns = _FIRST_SPREAD_NS if self._seen < self._warm_up else _SPREAD_NS
        earliest_ns = arrived_ns - round(min(spread_ns, self._period_ns() / 4 or math.inf))
        self._seen += 1
        if before_ns is not None and self._waited_in_buffer(waited_ns):
            earliest_ns = min(earliest_ns, before_ns)
        estimate = self._estimator.update(self._tick, earliest_ns, arrived_ns)
        if before_ns is not None:
            self._intervals.append(arrived_ns - before_ns)
        self._arrived_ns, self._stamp_ns = arrived_ns, estimate.stamp_ns + self._latency_ns
        self._delays.append(arrived_ns - self._stamp_ns)
        return FrameTime(estimate.stamp_ns, estimate.sigma_ns, steps - 1)

    def _steps(self, asked_ns: int, arrived_ns: int) -> int:
        """By how much the number rises; 0 for an image of a bunch whose times cannot be told."""
        period_ns = self._period_ns()
        if self._arrived_ns is None or not period_ns:
            return 1
        ahead = (arrived_ns - min(self._delays) - self._stamp_ns) / period_ns
        if self._after_gap and ahead < 0.5:
            return 0
        in_buffer = self._waited_in_buffer(arrived_ns - asked_ns)
        steps = 1 if in_buffer else max(1, math.floor(ahead + _MARGIN))
        self._after_gap = steps > 1
        return steps

    def _waited_in_buffer(self, waited_ns: int) -> bool:
        return waited_ns < _WAITED_SHARE * self._period_ns()

    def _period_ns(self) -> float:
        """The promised period; the measured one where none is promised, or where images come faster than that."""
        full = len(self._intervals) == _INTERVALS
        measured_ns = float(statistics.median(self._intervals)) if full else 0.0
        faster = full and measured_ns < _FASTER * self._nominal_ns
        return measured_ns if faster or not self._nominal_ns else self._nominal_ns
