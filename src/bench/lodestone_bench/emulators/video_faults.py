"""The faults of an emulated video device that are in force, and what they do to an image on its way."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodestone_bench.emulators.video_config import Corrupt, Drop, Rate, Truncate

Image = NDArray[np.uint8]


class VideoFaults:
    """Times are seconds of the world."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self.clear()

    def clear(self) -> None:
        """All faults end."""
        self._until_s: dict[str, float] = {}
        self._timed: dict[str, Any] = {}
        self._counted: dict[str, tuple[int, Any]] = {}
        self.extra_latency_s = 0.0

    def begin(self, name: str, fields: Any, now_s: float) -> None:
        """Put a fault in force: one that has `for_s` for so long, one that has `count` for so many images."""
        if hasattr(fields, "count"):
            self._counted[name] = (fields.count, fields)
        else:
            self._until_s[name], self._timed[name] = now_s + fields.for_s, fields

    def holds(self, name: str, at_s: float) -> bool:
        """Whether a timed fault is in force."""
        return at_s < self._until_s.get(name, float("-inf"))

    def end_s(self, name: str) -> float:
        """When a timed fault ends; in the past when it was never in force."""
        return self._until_s.get(name, float("-inf"))

    def names(self, now_s: float) -> list[str]:
        """What is in force."""
        return sorted([name for name in self._until_s if self.holds(name, now_s)] + list(self._counted))

    def takes(self, number: int, at_s: float) -> bool:
        """Whether the device takes image `number` at all."""
        rate = self._timed.get("rate")
        return not (isinstance(rate, Rate) and self.holds("rate", at_s) and number % rate.divisor)

    def loses(self, at_s: float) -> bool:
        """Whether an image gets lost on the way."""
        drop = self._timed.get("drop")
        return isinstance(drop, Drop) and self.holds("drop", at_s) and self._random.random() < drop.probability

    def damage(self, marker: bytes, image: Image) -> list[bytes | memoryview]:
        """The parts that are sent for an image; its grey values may be changed in place."""
        corrupt = self._next("corrupt")
        flat = image.reshape(-1)
        if isinstance(corrupt, Corrupt):
            places = self._random.sample(range(flat.size), min(corrupt.bytes, flat.size))
            flat[places] = np.frombuffer(self._random.randbytes(len(places)), np.uint8)
            marker = self._random.randbytes(len(marker)) if corrupt.marker else marker
        truncate = self._next("truncate")
        kept = int(flat.size * truncate.keep) if isinstance(truncate, Truncate) else flat.size
        return [marker, flat[:kept].data]

    def _next(self, name: str) -> Any:
        """The counted fault that falls on this image, used up by one."""
        left, fields = self._counted.pop(name, (0, None))
        if left > 1:
            self._counted[name] = (left - 1, fields)
        return fields
