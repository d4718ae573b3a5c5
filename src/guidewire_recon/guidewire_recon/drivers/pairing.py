"""Left and right images that belong together, by their stamps. Pure.

A pair may lie less than half a period apart, so that each image has one partner at most: cameras that drift against each other lose pairs
while they are too far apart, but never join an image with the wrong one. An image waits for its partner until a later pair is made.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from lodestone_core.time import NS_PER_S

Side = Literal["left", "right"]
_OTHER: Final[dict[Side, Side]] = {"left": "right", "right": "left"}
_MOST_PERIODS: Final = 0.45
_WAITING: Final = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two acquisitions (ns), and the images of each side without a partner since the pair before."""

    sequence: int
    left_ns: int
    right_ns: int
    left_skipped: int
    right_skipped: int

    @property
    def stamp_ns(self) -> int:
        """Mean of the two."""
        return (self.left_ns + self.right_ns) // 2

    @property
    def skew_ns(self) -> int:
        """Right after left."""
        return self.right_ns - self.left_ns


class Pairing:
    """Stamps of either side in their order of time, in any order between the sides; pairs out. `rate_hz` of 0: not known."""

    def __init__(self, tolerance_s: float, rate_hz: float = 0.0) -> None:
        limit_s = min(tolerance_s, _MOST_PERIODS / rate_hz) if rate_hz > 0.0 else tolerance_s
        self.tolerance_ns = round(limit_s * NS_PER_S)
        self.pairs = 0
        self.unpaired: dict[Side, int] = {"left": 0, "right": 0}
        self._waiting: dict[Side, deque[int]] = {"left": deque(), "right": deque()}
        self._skipped: dict[Side, int] = {"left": 0, "right": 0}
        self._last: dict[Side, int] = {}

    def add(self, side: Side, stamp_ns: int) -> Pair | None:
        """Take an image; the pair that it completes."""
        if stamp_ns <= self._last.get(side, stamp_ns - 1):
            self._clear()  # the clock was set back: nothing that waits can be compared any more
        self._last[side] = stamp_ns
        others = self._waiting[_OTHER[side]]
        partner = min(others, key=lambda other: abs(other - stamp_ns), default=None)
        if partner is None or abs(partner - stamp_ns) > self.tolerance_ns:
            self._wait(side, stamp_ns)
            return None
        while others[0] != partner:
            others.popleft()
            self._skip(_OTHER[side])
        others.popleft()
        while self._waiting[side]:  # older than this image, and their partners would be older than this one's
            self._waiting[side].popleft()
            self._skip(side)
        left_ns, right_ns = (stamp_ns, partner) if side == "left" else (partner, stamp_ns)
        pair = Pair(self.pairs, left_ns, right_ns, self._skipped["left"], self._skipped["right"])
        self.pairs += 1
        self._skipped = {"left": 0, "right": 0}
        return pair

    def waiting(self, side: Side) -> int:
        """Images that may still find a partner."""
        return len(self._waiting[side])

    def _wait(self, side: Side, stamp_ns: int) -> None:
        if len(self._waiting[side]) == _WAITING:
            self._waiting[side].popleft()
            self._skip(side)
        self._waiting[side].append(stamp_ns)

    def _skip(self, side: Side) -> None:
        self._skipped[side] += 1
        self.unpaired[side] += 1

    def _clear(self) -> None:
        for side, waiting in self._waiting.items():
            for _ in range(len(waiting)):
                self._skip(side)
            waiting.clear()
        self._last.clear()
