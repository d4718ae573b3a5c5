"""What is missing in a bag, by the numbers that the hardware counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lodestone_bench.emulators.pixel_code import read_code
from lodestone_bench.world.epoch import WorldClock
from lodestone_core.bags import open_bag

WRAP = 1 << 32


@dataclass(slots=True)
class Counted:
    """Messages of one topic; `lost` numbers between the first and the last one never came, `gaps` of them: from when to when, how many."""

    count: int = 0
    lost: int = 0
    gaps: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class ImagesCounted:
    """As `Counted`, with the time from acquisition to the recorder by number."""

    images: int
    lost: int
    latency_ms: dict[int, float]


def counted(numbers: Iterable[tuple[int, int]]) -> Counted:
    """Count numbers that follow one another, modulo 2^32, each with the time (ns) that it came at.

    One that comes again or goes back counts as lost too: it was stamped anew.
    """
    found, last, last_ns = Counted(), None, 0
    for number, at_ns in numbers:
        found.count += 1
        if last is not None and (step := (number - last) % WRAP) != 1:
            lost = step - 1 if 0 < step < WRAP // 2 else 1
            found.lost += lost
            found.gaps.append((last_ns, at_ns, lost))
        last, last_ns = number, at_ns
    return found


def numbers_in(bag: Path, topic: str, field: str, since_ns: int) -> Counted:
    """The numbers in `field` of a recorded topic, of messages that were recorded at or after that time."""
    with open_bag(bag) as reader:
        return counted((int(getattr(item.message, field)), item.log_ns) for item in reader.messages([f"/{topic}"], start_ns=since_ns))


def images_in(bag: Path, topics: Sequence[str], since_ns: int, clock: WorldClock) -> dict[str, ImagesCounted]:
    """The images of each recorded topic, by the code in their pixels."""
    found: dict[str, list[tuple[int, int, float]]] = {topic: [] for topic in topics}
    begun_ns = clock.wall_ns(0.0)
    with open_bag(bag) as reader:
        for item in reader.messages([f"/{topic}" for topic in topics], start_ns=since_ns):
            code = read_code(np.frombuffer(item.message.data, np.uint8, count=item.message.width).reshape(1, -1))
            if code is not None:
                found[item.topic.lstrip("/")].append((code.number, item.log_ns, (item.log_ns - begun_ns - code.world_ns) * 1e-6))
    return {
        topic: ImagesCounted(len(each), counted((number, at_ns) for number, at_ns, _ in each).lost, {number: ms for number, _, ms in each})
        for topic, each in found.items()
    }
