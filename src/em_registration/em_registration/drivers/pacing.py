"""When to ask next: not while a device that ticks evenly cannot have anything new.

Right after a frame has come the host is busy passing it on; a poll in that time can only bring the same frame again. Times are those at
which polls were sent, since a device answers with what it has then: counted like that, no frame falls between two polls.
"""

from __future__ import annotations

import itertools
from collections import deque

from lodestone_core.time import ns_from_s

WINDOW = 8
"""Frames that must have come evenly before polls are held back."""
EVEN = 0.25
"""Share of the usual interval by which an interval may differ and still count as even."""
HOLD = 0.6
"""Share of the interval after which polling begins again."""


class Pacing:
    """Time of the next poll, from when new frames were delivered."""

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = ns_from_s(interval_s)
        self._sent_ns: deque[int] = deque(maxlen=WINDOW + 1)
        self._numbers: tuple[int | None, ...] = ()

    def next_ns(self, sent_ns: int, numbers: tuple[int | None, ...]) -> int:
        """When to ask again after a poll sent at `sent_ns` was answered with these frame numbers, one a handle."""
        soon_ns = sent_ns + self._interval_ns
        if numbers == self._numbers:
            return soon_ns
        self._numbers = numbers
        self._sent_ns.append(sent_ns)
        period_ns = self._period_ns()
        return soon_ns if period_ns is None else max(soon_ns, sent_ns + round(HOLD * period_ns))

    def _period_ns(self) -> float | None:
        """Mean interval between deliveries; None until they have come evenly."""
        if len(self._sent_ns) <= WINDOW:
            return None
        times = list(self._sent_ns)
        intervals = [after - before for before, after in itertools.pairwise(times)]
        period_ns = sum(intervals) / len(intervals)
        # A poll delivers up to one poll late, so single intervals scatter by that much around the device's own.
        slack_ns = EVEN * period_ns + 2 * self._interval_ns
        return period_ns if all(abs(interval - period_ns) <= slack_ns for interval in intervals) else None
