"""A device that sends framed records of its own accord: from the name of a port to bodies with their times of arrival.

    open the port -> listen -> stream

A port that is gone is looked for again at a fixed interval; a port that cannot be had, with a wait that doubles. A device that falls
silent is told at once and waited for with its port open; only a long silence closes the port and opens it again. No thread and no
knowledge of what a body means: `StreamDriver` (stream_driver.py) brings the one, the device's own module the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from lodestone_core.config import option
from lodestone_core.device.faults import REMEDIES, Cause, DriverFault
from lodestone_core.device.framing import FrameCounters, FrameDecoder, encode_frame
from lodestone_core.device.serial_port import Clock, Connect, Transport
from lodestone_core.device.trace import read_trace
from lodestone_core.time import NS_PER_S, s_from_ns

_READ_S: Final = 0.05
_FULL_READ: Final = 4096
_REMEMBERED: Final = 16
_GATHER_SHARE: Final = 0.8
_LONGEST_GATHER_S: Final = 0.02
_REQUEST_NS: Final = NS_PER_S


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """One device on a serial port that sends framed records."""

    port: str = option("/dev/ttyACM0", doc="serial port; prefer the stable name in /dev/serial/by-id/")
    baud: int = option(460800, unit="baud", doc="rate of the line; without effect on USB CDC", minimum=1200, maximum=12_000_000)
    silence_s: float = option(0.5, unit="s", doc="nothing usable for so long is reported as a fault", minimum=0.05)
    reopen_silent_s: float = option(5.0, unit="s", doc="a silence so long closes the port and opens it again", minimum=0.1)
    reopen_s: float = option(0.1, unit="s", doc="interval at which a port that is gone is looked for", minimum=0.02)
    backoff_s: float = option(0.2, unit="s", doc="wait before a port that cannot be had is tried again; it doubles", minimum=0.02)
    backoff_max_s: float = option(1.0, unit="s", doc="longest such wait", minimum=0.02)
    trace_file: str = option("", doc="file for all bytes in both directions with their times; empty: none. For support, and replayable")
    trace_max_mb: float = option(100.0, unit="MB", doc="size at which the trace moves to <trace_file>.1 and begins anew", minimum=0.1)


class Stage(Enum):
    """Where the session stands."""

    OPEN = "open the port"
    LISTEN = "hear the device"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What the session says about itself; `problem` is empty while all is well. `cause` tells its kind."""

    stage: Stage = Stage.OPEN
    problem: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()
    cause: Cause | None = None

    @property
    def streaming(self) -> bool:
        """Whether records come."""
        return self.stage is Stage.STREAM and not self.problem


class Arrival(NamedTuple):
    """One body with its bracket on steady time: its last byte was not there at `earliest_ns`, and there at `latest_ns`.

    `opening` counts how often the port was opened: with a new one the device may be another, or have begun anew.
    """

    body: bytes
    earliest_ns: int
    latest_ns: int
    opening: int


@dataclass(slots=True)
class StreamCounters:
    """What has come since the start. `refused`: good frames that the device's own module could not use."""

    bytes: int = 0
    taken: int = 0
    refused: int = 0
    openings: int = 0
    silences: int = 0


Take = Callable[[Arrival], str]
"""Takes a body; "" when it was of use, else the reason why not. Runs on the session's thread and must return at once."""


def nothing_to_ask() -> bytes:
    """The request of a device that is asked for nothing."""
    return b""


@dataclass(slots=True)
class _Gather:
    """How long a frame takes from its first bytes to its last, so that a frame costs two or three readings and not one a slice."""

    begun_ns: int = 0
    spans_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def wait_s(self, now_ns: int) -> float:
        """What to wait before the rest of a frame can be there."""
        if not self.begun_ns or len(self.spans_ns) < _REMEMBERED:
            return 0.0
        usual_ns = sorted(self.spans_ns)[_REMEMBERED // 2] * _GATHER_SHARE
        return min(max(0.0, s_from_ns(round(self.begun_ns + usual_ns) - now_ns)), _LONGEST_GATHER_S)

    def note(self, whole: int, unfinished: bool, now_ns: int) -> None:
        """A reading brought so many whole frames, and the beginning of another or not."""
        if whole:
            self.spans_ns.append(now_ns - self.begun_ns if self.begun_ns else 0)
            self.begun_ns = now_ns if unfinished else 0
        elif unfinished and not self.begun_ns:
            self.begun_ns = now_ns


class StreamSession:
    """One device on one port. `step` opens the port or reads once; it never raises for what a device or a cable does.

    `request` is asked once a second, and after each opening, for a body to send (for instance until the device has said what it is).
    """

    def __init__(
        self, config: StreamConfig, take: Take, connect: Connect, clock: Clock, request: Callable[[], bytes] = nothing_to_ask
    ) -> None:
        self.status = StreamStatus()
        self.counters = StreamCounters()
        self._config = config
        self._take = take
        self._connect = connect
        self._clock = clock
        self._request = request
        self._transport: Transport | None = None
        self._decoder = FrameDecoder()
        self._gather = _Gather()
        self._refusals = 0
        self._begin(clock.now_ns())

    @property
    def frames(self) -> FrameCounters:
        """What the decoder has seen."""
        return self._decoder.counters

    def step(self) -> None:
        """Open the port, or read what has come and hand over its bodies."""
        try:
            if self._transport is None:
                self._open()
            else:
                self._ask()
                self._read(self._transport)
                self._watch()
        except DriverFault as fault:
            self._recover(fault)

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _open(self) -> None:
        self._transport = self._connect(self._config.port, self._config.baud)
        self.counters.openings += 1
        self._decoder.clear()
        self._gather = _Gather()
        self._refusals = 0
        self._begin(self._clock.now_ns())
        if self.status.stage is Stage.OPEN:
            self.status = replace(self.status, stage=Stage.LISTEN)

    def _begin(self, now_ns: int) -> None:
        """Nothing has been heard yet on this opening."""
        self._empty_ns = self._heard_ns = now_ns
        self._asked_ns = now_ns - _REQUEST_NS
        self._bytes_at = self.counters.bytes
        self._reason = ""

    def _ask(self) -> None:
        now_ns = self._clock.now_ns()
        if self._transport is None or now_ns - self._asked_ns < _REQUEST_NS:
            return
        self._asked_ns = now_ns
        body = self._request()
        if body:
            self._transport.write(b"\0" + encode_frame(body))

    def _read(self, transport: Transport) -> None:
        pause_s = self._gather.wait_s(self._clock.now_ns())
        if pause_s:
            self._clock.sleep(pause_s)
        before_ns = self._clock.now_ns()
        data = transport.read(_READ_S)
        now_ns = self._clock.now_ns()
        bodies = self._decoder.feed(data)
        self.counters.bytes += len(data)
        self._gather.note(len(bodies), bool(data) and data[-1] != 0, now_ns)
        for body in bodies:
            self._hand_over(Arrival(body, self._empty_ns, now_ns, self.counters.openings))
        if len(data) < _FULL_READ:  # else more may have been there already
            self._empty_ns = now_ns if data else before_ns

    def _hand_over(self, arrival: Arrival) -> None:
        reason = self._take(arrival)
        if reason:
            self.counters.refused += 1
            self._reason = reason
            return
        self.counters.taken += 1
        self._heard_ns, self._bytes_at, self._reason = arrival.latest_ns, self.counters.bytes, ""
        if not self.status.streaming:
            self.status = StreamStatus(Stage.STREAM)

    def _watch(self) -> None:
        """Tell a silence, and after a long one open the port again."""
        now_ns = self._clock.now_ns()
        silent_s = s_from_ns(now_ns - self._heard_ns)
        if silent_s < self._config.silence_s:
            return
        fault = self._silence()
        if fault.cause is not self.status.cause:
            self.counters.silences += 1
            self._tell(fault)
        if silent_s >= self._config.reopen_silent_s:
            self.close()

    def _silence(self) -> DriverFault:
        if self._reason:
            return DriverFault(Cause.FOREIGN, self._reason)
        silence_s = self._config.silence_s
        if self.counters.bytes > self._bytes_at:
            return DriverFault(Cause.NOISE, f"bytes at {self._config.baud} baud, but no whole record for {silence_s:g} s")
        return DriverFault(Cause.SILENT, f"nothing has come from {self._config.port} for {silence_s:g} s")

    def _tell(self, fault: DriverFault) -> None:
        problem = f"cannot {self.status.stage.value}: {fault}"
        if problem != self.status.problem:
            self.status = replace(self.status, problem=problem, remedy=fault.remedy or REMEDIES[fault.cause], cause=fault.cause)

    def _recover(self, fault: DriverFault) -> None:
        self.close()
        self.status = replace(self.status, stage=Stage.OPEN)
        self._tell(fault)
        if fault.cause in (Cause.LOST, Cause.PORT_MISSING):
            self._refusals = 0
            self._clock.sleep(self._config.reopen_s)
            return
        self._clock.sleep(min(self._config.backoff_s * 2.0 ** min(self._refusals, 16), self._config.backoff_max_s))
        self._refusals += 1


def replay(path: str | Path) -> Iterator[Arrival]:
    """The bodies of a recorded trace with the times at which they came. Raises InputError for a file that is none."""
    decoder, opening, empty_ns = FrameDecoder(), 0, 0
    for record in read_trace(path).records:
        if record.mark == "!" and record.data.startswith(b"open "):
            decoder.clear()
            opening += 1
            empty_ns = record.time_ns
        elif record.mark == "<":
            yield from (Arrival(body, empty_ns, record.time_ns, opening) for body in decoder.feed(record.data))
            empty_ns = record.time_ns
