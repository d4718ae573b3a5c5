"""Which hardware frame numbers are new: repeats, skips, the 32-bit wrap, and a counter that begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

COUNTER: Final = 1 << 32


class NewFrame(NamedTuple):
    """A frame number not seen before, and how many between it and the one before were never seen."""

    number: int
    skipped: int


@dataclass(slots=True)
class FrameNumbers:
    """Follows the frame number of each port handle; numbers of different handles need not be the same."""

    _last: int | None = None
    _by_handle: dict[int, int] = field(default_factory=dict)
    _suspect: dict[int, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether no frame has come yet."""
        return self._last is None

    def new(self, numbers: Mapping[int, int]) -> tuple[NewFrame, ...]:
        """The new frames, oldest first, given the number of each handle in one reply."""
        if self._restarted(numbers):
            self._last, self._by_handle, self._suspect = None, {}, {}
        elif self._suspect:
            return ()
        self._by_handle.update(numbers)
        if self._last is None:
            fresh = [NewFrame(number, 0) for number in sorted(set(numbers.values()))]
        else:
            steps = sorted({step for n in numbers.values() if 0 < (step := (n - self._last) % COUNTER) < COUNTER // 2})
            before = [0, *steps]
            fresh = [NewFrame((self._last + step) % COUNTER, step - before[i] - 1) for i, step in enumerate(steps)]
        if fresh:
            self._last = fresh[-1].number
        return tuple(fresh)

    def _restarted(self, numbers: Mapping[int, int]) -> bool:
        """Whether the counter began anew: a handle went back, and then on from there. Going back once may be an old reply."""
        back = {handle: n for handle, n in numbers.items() if _ahead(self._by_handle.get(handle, n), n)}
        goes_on = any(_ahead(n, self._suspect.get(handle, n)) for handle, n in back.items())
        self._suspect = back
        return goes_on


def _ahead(number: int, other: int) -> bool:
    """Whether `number` comes after `other`, half the counter's width at most."""
    return 0 < (number - other) % COUNTER < COUNTER // 2
