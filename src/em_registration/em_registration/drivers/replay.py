"""A trace played back through the driver itself: the same session, the same frames, no device and no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.session import Session
from lodestone_core.device.faults import Cause, DriverFault, Stopped
from lodestone_core.device.serial_port import Transport
from lodestone_core.device.trace import STOPPED, Record, read_trace
from lodestone_core.errors import InputError
from lodestone_core.time import ns_from_s
from lodestone_core.types import TrackedFrame

# Time stands still between records; on the real host it went on by less than this.
_SLACK_NS: Final = 2_000_000


class TraceReplay:
    """Clock and transport in one: time is that of the records. Raises Stopped at the end of the trace."""

    def __init__(self, path: str | Path) -> None:
        """Read the trace. Raises InputError for a file that is none."""
        trace = read_trace(path)
        self._path = path
        self._records = trace.records
        self._offset_ns = trace.wall_minus_steady_ns
        self._next = 0
        self._now_ns = trace.records[0].time_ns if trace.records else 0

    def connect(self, port: str, baud: int) -> Transport:
        """As the port was opened, or as it failed to open."""
        del port, baud
        self._mark("!")
        return self

    def write(self, data: bytes) -> None:
        """Raises InputError when the driver sends something else than it did when the trace was written."""
        # What arrived just before a command was dropped then, and is dropped now.
        while self._peek().mark == "<":
            self._advance()
        record = self._mark(">")
        if record.data != data:
            remedy = "use the parameters, and the version, that the trace was written with"
            raise InputError(f"{self._path}, record {self._next}", expected=repr(record.data), got=repr(data), remedy=remedy)

    def read(self, timeout_s: float) -> bytes:
        limit_ns = self._now_ns + ns_from_s(timeout_s)
        record = self._peek()
        if record.time_ns > limit_ns + _SLACK_NS or not (record.mark == "<" or _cause(record)):
            self._now_ns = limit_ns
            return b""
        return self._advance().data

    def set_baud(self, baud: int, handshake: bool) -> None:
        del baud, handshake
        self._mark("!")

    def send_break(self) -> None:
        self._mark("!")

    def close(self) -> None:
        if self._next < len(self._records) and self._records[self._next].mark == "!":
            self._next += 1

    def now_ns(self) -> int:
        return self._now_ns

    def wall_ns(self, now_ns: int) -> int:
        return now_ns + self._offset_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += max(0, ns_from_s(seconds))

    def _peek(self) -> Record:
        if self._next >= len(self._records):
            raise Stopped
        record = self._records[self._next]
        if record.mark == "!" and record.data == STOPPED.encode():
            raise Stopped
        return record

    def _advance(self) -> Record:
        record = self._peek()
        self._next += 1
        self._now_ns = max(self._now_ns, record.time_ns)
        cause = _cause(record)
        if cause is not None:
            raise DriverFault(cause, "as in the trace")
        return record

    def _mark(self, mark: str) -> Record:
        record = self._peek()
        if record.mark != mark and _cause(record) is None:
            remedy = "use the parameters, and the version, that the trace was written with"
            expected = f"{record.mark} {record.data!r}"
            raise InputError(f"{self._path}, record {self._next + 1}", expected=expected, got=f"a record {mark}", remedy=remedy)
        return self._advance()


def replay(path: str | Path, config: AuroraConfig) -> Iterator[TrackedFrame]:
    """The frames of a trace. Raises InputError when `config` makes the driver send something else than the trace holds."""
    trace = TraceReplay(path)
    session = Session(config, trace.connect, trace, lambda: False)
    while True:
        try:
            yield from session.step()
        except Stopped:
            return


def _cause(record: Record) -> Cause | None:
    """The fault that a `!` record tells of."""
    words = record.data.split() if record.mark == "!" else []
    return Cause[words[1].decode()] if words[:1] == [b"fault"] else None
