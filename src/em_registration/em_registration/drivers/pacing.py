"""When to ask next: as soon as a device that ticks evenly has something new, and not before.

A poll that comes too early brings the same frame again and holds the line meanwhile; one that comes late leaves a busy host less time until
the frame is overwritten. Each poll tells something of when the next frame is there: not yet when an old frame was answered, and by then
when a new one was. Frames come one period apart, so that these bounds hold for all later ones, and tell the period as well. They are
narrowed by asking in their middle until they lie close together; from then on polls are sent at the later one, and the bounds widen slowly
since no period is for ever. A frame that comes beside its bounds moves them; one far from them is that of a device that does not tick
evenly, which is asked all the time, and for longer each time that it has seemed to. So is one whose handles are not of one frame: asked
once for both, the frames of all but one of them would come late by the same time each, and nothing could tell that from their stamps.

A device answers with what it has when a poll comes in: not before it was sent, and not after its reply came less what the fastest way there
and back took. So much is certain on a host that may stand still at any moment.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from lodestone_core.time import ns_from_s

EVEN: Final = 16
"""Frames that must have come evenly before polls are held back."""
CLOSE_NS: Final = 1_000_000
"""Bounds that lie so close together are not narrowed further."""
LEAST_JITTER_NS: Final = 500_000.0
"""Frames are never taken to be more even than that."""
WANDER_NS: Final = 2_000
"""By how much a period may differ from those before: 80 ppm at 40 Hz."""
UNEVEN: Final = 0.25
"""Share of the period by which a frame may come beside its bounds and still count as even."""
ANEW: Final = 1024
"""Frames from which the period is told; a host clock that is put right changes it."""
AGED: Final = 32
"""Frames after which a lower bound that no poll has confirmed gives way; later a quarter of what has come evenly, and `OLD` at most."""
OLD: Final = 256
_FASTEST_OF: Final = 256
_LONGEST: Final = 4096
_COUNTS, _LEAP = 1 << 32, 1000

Bounds = tuple[float, float]


class Pacing:
    """Time of the next poll. Frame numbers are the device's own, one a handle; None where a handle has none."""

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = ns_from_s(interval_s)
        self._numbers: tuple[int | None, ...] = ()
        self._before_ns = 0  # when it was asked before
        self._took_ns: deque[int] = deque(maxlen=_FASTEST_OF)
        self._needed = EVEN
        self._begin(None)

    def next_ns(self, sent_ns: int, came_ns: int, numbers: tuple[int | None, ...]) -> int:
        """When to ask again after a poll sent at `sent_ns` was answered, by a reply that was whole at `came_ns`, with these numbers."""
        self._took_ns.append(came_ns - sent_ns)
        soon_ns, between = sent_ns + self._interval_ns, (self._before_ns, came_ns - min(self._took_ns))
        step = _step(self._numbers, numbers) if self._numbers else _LEAP
        self._numbers, self._before_ns = numbers, sent_ns
        if len({number for number in numbers if number is not None}) > 1:
            self._needed = min(2 * self._needed, _LONGEST)
            self._begin(None)
        elif step >= _LEAP:
            self._begin(None)
        elif step:
            self._learn(step, between)
            if self._even >= self._needed:
                return max(soon_ns, self._target_ns())
        return soon_ns

    def _begin(self, between: Bounds | None) -> None:
        """The first frame of an even sequence came between these times; None when that is still to come."""
        self._first = self._bounds = between or (0, 0)
        self._even = self._since_first = self._unconfirmed = 0
        self._least_step, self._jitter_ns = _LEAP, LEAST_JITTER_NS
        self._period: Bounds | None = None

    def _learn(self, step: int, between: Bounds) -> None:
        """A frame so many steps after the newest came between these times."""
        if not any(self._first):
            self._begin(between)
            return
        early, late = bounds = between if self._period is None else self._after(step, self._period)
        beside_ns = max(between[0] - late, early - between[1], 0.0)
        if self._period is not None and beside_ns > UNEVEN * self._period[1]:
            self._needed = min(2 * self._needed, _LONGEST)
            self._begin(between)
            return
        if beside_ns > self._jitter_ns:
            self._jitter_ns, self._period = beside_ns, None  # it was told as if frames were more even than they are
        self._unconfirmed = 0 if between[0] >= early else self._unconfirmed + step
        self._bounds = _narrowed(bounds, between, max(CLOSE_NS, 2.0 * self._jitter_ns))
        narrowed_ns = late - self._bounds[1]
        if narrowed_ns > 0.0 and self._unconfirmed > min(max(AGED, self._even // 4), OLD):
            self._bounds = max(between[0], self._bounds[0] - 2.0 * narrowed_ns), self._bounds[1]
            self._period = None
        self._even, self._since_first, self._least_step = self._even + 1, self._since_first + step, min(step, self._least_step)
        self._period = self._told(self._period)
        if self._since_first >= ANEW:
            self._first, self._since_first, self._needed = self._bounds, 0, EVEN

    def _told(self, before: Bounds | None) -> Bounds:
        """Bounds of the period, by the newest frame and the first."""
        spread_ns = 2.0 * self._jitter_ns
        shortest = (self._bounds[0] - self._first[1] - spread_ns) / self._since_first
        longest = (self._bounds[1] - self._first[0] + spread_ns) / self._since_first
        if before is None or before[0] > longest or before[1] < shortest:
            return shortest, longest
        return max(shortest, before[0]), min(longest, before[1])

    def _after(self, step: int, period: Bounds) -> Bounds:
        """Bounds of a frame so many steps after the newest."""
        return self._bounds[0] + step * (period[0] - WANDER_NS), self._bounds[1] + step * (period[1] + WANDER_NS)

    def _target_ns(self) -> int:
        assert self._period is not None
        early, late = self._after(self._least_step, self._period)
        return round(late if late - early < CLOSE_NS else 0.5 * (early + late))


def _narrowed(bounds: Bounds, between: Bounds, apart_ns: float) -> Bounds:
    """What is left of some bounds for a frame that came between two times; at the nearer one, so far apart, where nothing is left."""
    early, late = max(bounds[0], between[0]), min(bounds[1], between[1])
    if early <= late:
        return early, late
    if between[0] > bounds[1]:
        return between[0], min(between[1], between[0] + apart_ns)
    return max(between[0], between[1] - apart_ns), between[1]


def _step(before: tuple[int | None, ...], now: tuple[int | None, ...]) -> int:
    """By how much the newest frame number has grown; a large number where the handles are others or it fell back."""
    if len(before) != len(now):
        return _LEAP
    pairs = zip(before, now, strict=True)
    return max(((new - old) % _COUNTS for old, new in pairs if old is not None and new is not None), default=0)
