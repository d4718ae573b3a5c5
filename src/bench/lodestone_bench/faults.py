"""Faults of a device's replies on command, and a schedule of requests. Nothing here knows which device it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from lodestone_core.config import load_config, option
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class ReplyFault:
    """Falls on replies to `command` until `count` of them were hit or `for_s` is over, whichever comes first."""

    command: str = option("", doc="name of the command whose replies it falls on; empty for all")
    count: int = option(1, doc="how many replies; 0 for no limit", minimum=0)
    for_s: float = option(0.0, unit="s", doc="for how long; 0 for no limit", minimum=0.0)
    probability: float = option(1.0, doc="chance for each of these replies", minimum=0.0, maximum=1.0)

    def payloads(self, payload: bytes, random: Random) -> list[bytes]:
        """What goes out in place of the reply."""
        return [payload]

    def extra_delay_s(self) -> float:
        """How much later it goes out."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Corrupt(ReplyFault):
    """Some bits of the reply are flipped."""

    bits: int = option(1, doc="how many different bits", minimum=1)

    def payloads(self, payload: bytes, random: Random) -> list[bytes]:
        """The reply with the bits flipped."""
        damaged = bytearray(payload)
        for bit in random.sample(range(8 * len(payload)), min(self.bits, 8 * len(payload))):
            damaged[bit // 8] ^= 1 << bit % 8
        return [bytes(damaged)]


@dataclass(frozen=True, slots=True)
class Truncate(ReplyFault):
    """The reply breaks off."""

    keep: int | None = option(None, doc="how many bytes remain; null for any number", minimum=0)

    def payloads(self, payload: bytes, random: Random) -> list[bytes]:
        """The first bytes, at least one fewer than there were."""
        keep = random.randrange(len(payload)) if self.keep is None else min(self.keep, len(payload) - 1)
        return [payload[:keep]]


@dataclass(frozen=True, slots=True)
class Drop(ReplyFault):
    """The reply does not come."""

    def payloads(self, payload: bytes, random: Random) -> list[bytes]:
        """Nothing."""
        return []


@dataclass(frozen=True, slots=True)
class Duplicate(ReplyFault):
    """The reply comes twice."""

    def payloads(self, payload: bytes, random: Random) -> list[bytes]:
        """The reply and the reply."""
        return [payload, payload]


@dataclass(frozen=True, slots=True)
class Delay(ReplyFault):
    """The reply comes late."""

    s: float = option(0.2, unit="s", doc="how late", minimum=0.0)

    def extra_delay_s(self) -> float:
        """The delay."""
        return self.s


REPLY_FAULTS: dict[str, type[ReplyFault]] = {
    "corrupt": Corrupt,
    "truncate": Truncate,
    "drop": Drop,
    "duplicate": Duplicate,
    "delay": Delay,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to go out for one reply, how much later, and whether at least one whole reply is in it."""

    payloads: tuple[bytes, ...]
    delay_s: float
    intact: bool


@dataclass(slots=True)
class _Active:
    name: str
    fault: ReplyFault
    left: int
    until_s: float


class ReplyFaults:
    """The faults in force. Their random choices depend on the seed and the order of the replies only."""

    def __init__(self, seed: int = 0) -> None:
        self.hits: Counter[str] = Counter()
        self._random = Random(seed)
        self._active: list[_Active] = []

    def add(self, name: str, fault: ReplyFault, now_s: float) -> None:
        """Put a fault in force from now on."""
        left = fault.count or -1
        self._active.append(_Active(name, fault, left, now_s + fault.for_s if fault.for_s else float("inf")))

    def clear(self) -> None:
        """Take all faults back."""
        self._active.clear()

    def hit(self, name: str, command: str, now_s: float) -> ReplyFault | None:
        """The fault of that name that falls on this command now, used up by one."""
        for active in self._active:
            if active.name == name and self._falls(active, command, now_s):
                return active.fault
        return None

    def deliver(self, command: str, payload: bytes, now_s: float) -> Delivery:
        """What becomes of a reply."""
        payloads, delay_s = [payload], 0.0
        for active in list(self._active):
            if active.name in REPLY_FAULTS and self._falls(active, command, now_s):
                payloads = [out for one in payloads for out in active.fault.payloads(one, self._random)]
                delay_s += active.fault.extra_delay_s()
        return Delivery(tuple(p for p in payloads if p), delay_s, payload in payloads)

    def _falls(self, active: _Active, command: str, now_s: float) -> bool:
        if now_s > active.until_s:
            self._active.remove(active)
            return False
        if active.fault.command not in ("", command) or self._random.random() >= active.fault.probability:
            return False
        active.left -= 1
        if active.left == 0:
            self._active.remove(active)
        self.hits[active.name] += 1
        return True


@dataclass(frozen=True, slots=True)
class _Timing:
    at_s: float | None = option(None, unit="s", doc="when, since the start", minimum=0.0)
    tracking_s: float | None = option(None, unit="s", doc="when, since the first TSTART", minimum=0.0)
    every_s: float | None = option(None, unit="s", doc="again and again", minimum=0.01)
    until_s: float | None = option(None, unit="s", doc="not after this time", minimum=0.0)


@dataclass(slots=True)
class _Entry:
    request: Mapping[str, Any]
    timing: _Timing
    due_s: float | None


class Schedule:
    """Requests at given times: each a mapping as on the control socket plus `at_s` or `tracking_s`, `every_s`, `until_s`."""

    def __init__(self, entries: tuple[Mapping[str, Any], ...] = ()) -> None:
        self._entries = [_entry(number, entry) for number, entry in enumerate(entries, start=1)]

    def requests(self) -> list[Mapping[str, Any]]:
        """All requests, to look them over before they are due."""
        return [entry.request for entry in self._entries]

    def next_s(self, elapsed_s: float, tracking_s: float | None) -> float | None:
        """Seconds until the next request; None when none is left or its clock does not run yet."""
        waits = [wait for entry in self._entries if (wait := _wait_s(entry, elapsed_s, tracking_s)) is not None]
        return min(waits, default=None)

    def due(self, elapsed_s: float, tracking_s: float | None) -> list[Mapping[str, Any]]:
        """The requests whose time has come, each once per turn. Times since the start and since the first TSTART (None before)."""
        due: list[Mapping[str, Any]] = []
        for entry in self._entries:
            wait = _wait_s(entry, elapsed_s, tracking_s)
            if wait is not None and wait <= 0.0:
                due.append(entry.request)
                _move_on(entry)
        return due


def _entry(number: int, entry: Mapping[str, Any]) -> _Entry:
    where = f"fault {number} of the schedule"
    names = ("at_s", "tracking_s", "every_s", "until_s")
    timing = load_config(_Timing, {name: entry[name] for name in names if name in entry}, where)
    if (timing.at_s is None) == (timing.tracking_s is None):
        raise InputError(where, expected="either at_s or tracking_s", got=dict(entry), remedy="say when it is to come")
    request = {name: value for name, value in entry.items() if name not in names}
    return _Entry(request, timing, timing.at_s if timing.at_s is not None else timing.tracking_s)


def _wait_s(entry: _Entry, elapsed_s: float, tracking_s: float | None) -> float | None:
    clock_s = elapsed_s if entry.timing.at_s is not None else tracking_s
    return None if entry.due_s is None or clock_s is None else entry.due_s - clock_s


def _move_on(entry: _Entry) -> None:
    timing = entry.timing
    following = None if timing.every_s is None or entry.due_s is None else entry.due_s + timing.every_s
    late = following is not None and timing.until_s is not None and following > timing.until_s
    entry.due_s = None if late else following
