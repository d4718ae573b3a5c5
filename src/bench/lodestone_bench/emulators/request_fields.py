"""Fields of requests that several emulators understand alike."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option


@dataclass(frozen=True, slots=True)
class Nothing:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class For:
    """Something that lasts."""

    for_s: float = option(1.0, unit="s", doc="for how long", minimum=0.0)


@dataclass(frozen=True, slots=True)
class SlowLine:
    """What the device sends comes at a lower pace than the baud rate allows."""

    bits_per_s: float | None = option(None, unit="bit/s", doc="pace; null for that of the baud rate", minimum=100.0)


@dataclass(frozen=True, slots=True)
class Junk:
    """Random bytes come that nobody asked for."""

    bytes: int = option(16, doc="how many", minimum=1, maximum=4096)
