"""One question, one answer: sends a command over a transport and waits for its reply within the command's time limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from em_registration.drivers.config import LimitsConfig
from em_registration.drivers.ndi_codes import GARBLED, ErrorCode
from em_registration.drivers.ndi_commands import Command, Patience, ReplyKind, api_revision, encode
from em_registration.drivers.ndi_measurements import Measurement
from em_registration.drivers.ndi_replies import Caution, Failure, Okay, Reply, Text
from em_registration.drivers.ndi_stream import ReplyStream
from lodestone_core.device.faults import Cause, DriverFault, Stopped
from lodestone_core.device.serial_port import Clock, Transport
from lodestone_core.time import NS_PER_S, ns_from_s, s_from_ns

_BITS_PER_BYTE: Final = 10
_FIRST_BAUD: Final = 9600
# No wait is longer, so that a request to stop is heard.
_SLICE_S: Final = 0.1
# What a reply of each kind takes at most, per handle; for the time that a slow line needs.
_REPLY_BYTES: Final = {ReplyKind.TEXT: (160, 0), ReplyKind.TX: (11, 70), ReplyKind.BX: (11, 42)}
_ATTEMPTS: Final = 2
# A device that never stops talking does not hold the driver.
_DROPS_AT_MOST: Final = 64
# What this device has carried out before takes twice as long at most, and a little more on a busy host; longer by half with every doubt.
_AS_BEFORE, _AS_BEFORE_S, _DOUBT = 2.0, 0.3, 0.5
# Bytes that still flow at the time limit come over a line that is slower than its baud rate says: they are waited for.
_FLOWING_NS: Final = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in steady time; `reply` is None for silence and, with `noise`, for bytes that were no good reply."""

    reply: Reply | None
    sent_ns: int
    first_byte_ns: int = 0
    last_byte_ns: int = 0
    noise: bool = False


@dataclass(slots=True)
class Pace:
    """How long a device takes for its commands, as far as is known: a lost reply is not waited for as long as the slowest device may take.

    `took_s`: longest time by name of the command; `doubt`: commands of the set-up in a row without a good reply, which may take longer now.
    """

    took_s: dict[str, float] = field(default_factory=dict)
    doubt: int = 0

    def limit_s(self, name: str, at_most_s: float) -> float:
        """How long to wait for a command's reply."""
        took_s = self.took_s.get(name)
        return at_most_s if took_s is None else min(at_most_s, (1.0 + _DOUBT * self.doubt) * (_AS_BEFORE * took_s + _AS_BEFORE_S))

    def note(self, name: str, took_s: float) -> None:
        """It was carried out."""
        self.took_s[name] = max(took_s, self.took_s.get(name, 0.0))


class Link:
    """The line with a device at its other end. `handles` sizes the time limits of TX and BX, and so does `pace` those of all commands."""

    def __init__(self, transport: Transport, clock: Clock, limits: LimitsConfig, stopping: Callable[[], bool]) -> None:
        self.stream = ReplyStream()
        self.baud = _FIRST_BAUD
        self.handles = 1
        self.pace = Pace()
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._stopping = stopping
        self._kind = ReplyKind.TEXT

    def ask(self, command: Command) -> Answer:
        """Send the command and wait. Bytes that came unasked are dropped first, so that they do not answer it."""
        self.drop_input()
        self._kind = command.reply
        sent_ns = self.send(command)
        answer = self._wait(sent_ns, self.limit_s(command), gap=command.patience is Patience.MEASURE)
        if answer.reply is not None and not isinstance(answer.reply, Failure):
            self.pace.note(command.name, s_from_ns(answer.last_byte_ns - sent_ns))
        return answer

    def send(self, command: Command) -> int:
        """Send the command and wait for nothing; returns when (steady time)."""
        sent_ns = self._clock.now_ns()
        self._transport.write(encode(command))
        return sent_ns

    def require(self, command: Command) -> Reply:
        """The reply to a command of the set-up, asked twice if need be. Raises DriverFault when none comes."""
        noise = False
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self.ask(command)
            garbled = isinstance(answer.reply, Failure) and answer.reply.code in GARBLED
            if answer.reply is not None and not (garbled and attempt < _ATTEMPTS):
                self.pace.doubt = 0
                return answer.reply
            noise = noise or answer.noise
        limit_s = self.limit_s(command)
        self.pace.doubt += 1
        raise DriverFault(Cause.NOISE if noise else Cause.SILENT, f"no reply to {command.text} within {limit_s:.2g} s")

    def okay(self, command: Command) -> str:
        """Carry the command out; returns the text of a WARNING, else "". Raises DriverFault for an error or another reply."""
        reply = self.require(command)
        if isinstance(reply, Caution):
            return f"{command.text}: {reply.text}"
        if not isinstance(reply, Okay):
            raise refusal(command, reply)
        return ""

    def text(self, command: Command) -> str:
        """The text that the command asks for. Raises DriverFault for an error or another reply."""
        reply = self.require(command)
        if not isinstance(reply, Text):
            raise refusal(command, reply)
        return reply.text

    def listens(self) -> bool:
        """Whether anything good comes back; an error reply shows a listening device too."""
        return any(self.ask(api_revision()).reply is not None for _ in range(_ATTEMPTS))

    def set_baud(self, baud: int, handshake: bool = False) -> None:
        """Change the host's side of the line."""
        self._transport.set_baud(baud, handshake)
        self.baud = baud
        self.drop_input()

    def send_break(self) -> None:
        """Reset the device by a break."""
        self._transport.send_break()

    def pause(self, seconds: float) -> None:
        """Wait while nothing is asked. Raises Stopped."""
        self._check_stop()
        self._clock.sleep(seconds)
        self._check_stop()

    def drop_input(self) -> None:
        """Forget everything that has come and was not asked for."""
        for _ in range(_DROPS_AT_MOST):
            data = self._transport.read(0.0)
            if not data:
                break
            self.stream.feed(data)
        self.stream.clear()

    def limit_s(self, command: Command) -> float:
        """Time limit of the command's class, or by what it took before, and the time that the bytes need on the line."""
        limit_s = self.pace.limit_s(command.name, getattr(self._limits, f"{command.patience.value}_s"))
        fixed, per_handle = _REPLY_BYTES[command.reply]
        bytes_at_most = len(encode(command)) + fixed + per_handle * max(1, self.handles)
        return limit_s + bytes_at_most * _BITS_PER_BYTE / self.baud

    def _wait(self, sent_ns: int, limit_s: float, gap: bool) -> Answer:
        """The reply; with `gap`, or after a bad reply, a silence ends the wait early: what was begun is truncated."""
        failures, first_ns, last_ns = self.stream.counters.failures, 0, 0
        limit_ns, gap_ns = sent_ns + ns_from_s(limit_s), ns_from_s(self._limits.byte_gap_s)
        while True:
            self._check_stop()
            deadline_ns = limit_ns
            if last_ns:
                flowing_ns = min(last_ns + gap_ns, limit_ns + _FLOWING_NS)
                ends_early = gap or self.stream.counters.failures > failures
                deadline_ns = flowing_ns if ends_early else max(limit_ns, flowing_ns)
            now_ns = self._clock.now_ns()
            if now_ns >= deadline_ns:
                self.stream.clear()
                return Answer(None, sent_ns, first_ns, last_ns, noise=bool(first_ns))
            data = self._transport.read(min(s_from_ns(deadline_ns - now_ns), _SLICE_S))
            if data:
                last_ns = self._clock.now_ns()
                first_ns = first_ns or last_ns
                self.stream.feed(data)
                reply = self.stream.take(self._kind)
                if reply is not None:
                    return Answer(reply, sent_ns, first_ns, last_ns)

    def _check_stop(self) -> None:
        if self._stopping():
            raise Stopped


def refusal(command: Command, reply: Reply) -> DriverFault:
    """What an answer means that is not the one wanted: REFUSED for an error of the device, NOISE where one of both was not understood."""
    refused = isinstance(reply, Failure) and not arrived_damaged(reply)
    return DriverFault(Cause.REFUSED if refused else Cause.NOISE, f"{command.text} was answered by {_shown(reply)}")


def arrived_damaged(reply: Reply | None) -> bool:
    """Whether the device says that the command's CRC did not hold."""
    return isinstance(reply, Failure) and reply.code == ErrorCode.BAD_CRC


def _shown(reply: Reply) -> str:
    """A reply for people."""
    if isinstance(reply, Failure):
        return str(reply)
    if isinstance(reply, Measurement):
        return f"a {reply.kind.name} reply"
    return repr(getattr(reply, "text", type(reply).__name__.upper()))[:80]
