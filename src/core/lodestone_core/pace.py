"""The pace at which a recording is played: its own time against the steady clock."""

from __future__ import annotations

import time

from lodestone_core.time import NS_PER_S


class Pace:
    """Bag time against the steady clock."""

    def __init__(self, start_ns: int, rate: float) -> None:
        self.start_ns, self._rate = start_ns, rate
        self._began_ns = time.monotonic_ns()
        self._held_ns = 0

    def bag_ns(self) -> int:
        """Where the bag should be now."""
        return self.start_ns + round((time.monotonic_ns() - self._began_ns) * self._rate)

    def wall_s(self, bag_ns: int) -> float:
        """Seconds until then; 0 when it is over."""
        return max(0.0, (bag_ns - self.bag_ns()) / self._rate / NS_PER_S)

    def late_s(self, bag_ns: int) -> float:
        """Seconds since then."""
        return max(0.0, (self.bag_ns() - bag_ns) / self._rate / NS_PER_S)

    def hold(self) -> None:
        """Stop until go_on."""
        self._held_ns = time.monotonic_ns()

    def go_on(self) -> None:
        """The time since hold has not been."""
        self._began_ns += time.monotonic_ns() - self._held_ns
