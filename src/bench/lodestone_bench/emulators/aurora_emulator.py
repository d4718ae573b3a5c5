"""The emulated Aurora on its line: one loop that waits for bytes, for the pace of the line, for faults and for requests."""

from __future__ import annotations

import logging
import select
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from lodestone_bench.emulators.aurora_device import AuroraDevice, Reply
from lodestone_bench.emulators.aurora_measure import FramesSeen
from lodestone_bench.emulators.aurora_requests import ErrorReply, WarningReply, check_tool, parse_request, perform
from lodestone_bench.emulators.crc16 import with_crc
from lodestone_bench.emulators.emulator_loop import EmulatorLoop
from lodestone_bench.emulators.garble import BITS_PER_BYTE
from lodestone_bench.emulators.line import SerialLine, Transmission
from lodestone_bench.faults import ReplyFaults, Schedule

log = logging.getLogger(__name__)

_LONGEST_COMMAND = 512
_LONGEST_WAIT_S = 1.0
_CARRIAGE_RETURN = 0x0D


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The reply behind a transmission (None for junk), and whether the transmission is that reply unchanged."""

    reply: Reply | None
    unchanged: bool


class AuroraEmulator(EmulatorLoop):
    """An Aurora on its line; times are seconds of `clock`."""

    def __init__(
        self,
        device: AuroraDevice,
        link: Path,
        control: Path | None = None,
        schedule: Schedule | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(control)
        self.line: SerialLine[Outgoing] = SerialLine(link)
        self.device = device
        self.clock = clock
        self.faults = ReplyFaults(seed)
        self.seen = FramesSeen()
        self.commands: Counter[str] = Counter()
        self.replies: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.replug_at_s: float | None = None
        self._schedule = schedule or Schedule()
        for request in self._schedule.requests():
            check_tool(device, parse_request(request))  # told at the start, not when it is due
        self._partial = bytearray()
        self._busy_until_s = 0.0
        self._deaf_until_s = 0.0
        self._born_s = clock()
        self._random = Random(seed)

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request of the control protocol. Raises InputError for one that makes no sense."""
        return perform(self, parse_request(request))

    def reset_by_break(self) -> None:
        """What a break on a real line does."""
        self._send(self.device.reset(self.clock()), self.clock())

    def send_junk(self, count: int) -> None:
        """Random bytes that nobody asked for."""
        self.line.send(self._random.randbytes(count), self.clock(), self.device.baud, Outgoing(None, False))

    def unplug(self, replug_after_s: float | None) -> None:
        """The port vanishes, for good or for a while."""
        self.line.unplug()
        self._partial.clear()
        self._busy_until_s = 0.0
        self.events["unplug"] += 1
        self.replug_at_s = None if replug_after_s is None else self.clock() + replug_after_s

    def replug(self) -> None:
        """The port is there again, as another pseudo-terminal under the same link."""
        self.replug_at_s = None
        if not self.line.plugged_in:
            self.line.plug_in()
            self.events["replug"] += 1

    def elapsed_s(self) -> float:
        """Seconds since the emulator was made."""
        return self.clock() - self._born_s

    def _plug_in(self) -> None:
        self.line.plug_in()
        self.device.power_on(self.clock())
        log.info("Aurora emulator at %s", self.line.link)

    def _unplug(self) -> None:
        self.line.unplug()

    def _turn(self) -> None:
        now_s = self.clock()
        self._run_schedule(now_s)
        if self.replug_at_s is not None and now_s >= self.replug_at_s:
            self.replug()
        for transmission in self.line.service(now_s):
            self._through(transmission)
        readers = self._readers(now_s)
        ready, _, _ = select.select(readers, [], [], self._wait_s(self.clock()))
        now_s = self.clock()
        if self.line.readable_fd(now_s) in ready:
            self._take(self.line.read(self.device.baud), now_s)
        if self._control is not None:
            self._control.service(ready, self.request)

    def _readers(self, now_s: float) -> list[Any]:
        fd = self.line.readable_fd(now_s)
        port = [] if fd is None or now_s < self._busy_until_s else [fd]
        return [*port, *self._others()]

    def _wait_s(self, now_s: float) -> float:
        due = [time_s for time_s in (self.line.due_s(now_s), self.replug_at_s) if time_s is not None]
        if now_s < self._busy_until_s:
            due.append(self._busy_until_s)
        waits = [time_s - now_s for time_s in due]
        scheduled = self._schedule.next_s(self.elapsed_s(), self._tracking_s(now_s))
        return max(0.0, min([_LONGEST_WAIT_S, *waits, *([] if scheduled is None else [scheduled])]))

    def _run_schedule(self, now_s: float) -> None:
        for request in self._schedule.due(self.elapsed_s(), self._tracking_s(now_s)):
            log.info("fault: %s", dict(request))
            self.request(request)

    def _tracking_s(self, now_s: float) -> float | None:
        return self.device.measuring.tracking_s(now_s)

    def _take(self, heard: list[tuple[int, bool]], now_s: float) -> None:
        """Bytes of the host. A command is complete when the time that its bytes take on the wire is over."""
        if now_s < self._deaf_until_s:
            return
        wire_s = now_s
        for byte, framed in heard:
            wire_s += BITS_PER_BYTE / self.device.baud
            if not framed:  # noise, or a host at another rate: what was heard so far makes no sense
                self._partial.clear()
                self.events["framing error"] += 1
            elif byte == _CARRIAGE_RETURN:
                line = bytes(self._partial)
                self._partial.clear()
                self._execute(line, wire_s)
            else:
                self._partial.append(byte)
        if len(self._partial) > _LONGEST_COMMAND:
            self._partial.clear()
            self._send(Reply("?", with_crc(b"ERROR02"), self.device.baud), wire_s)

    def _execute(self, line: bytes, at_s: float) -> None:
        """Answer a line. The time may lie a little ahead: the device looks at its sensors when the command is complete."""
        name = self.device.name_of(line)
        self.commands[name] += 1
        if self.faults.hit("garble_command", name, at_s):
            line = line[:-1] + bytes([line[-1] ^ 1]) if line else line
        at_s += self.device.config.turnaround_ms * 1e-3
        error = self.faults.hit("error", name, at_s)
        reply = self.device.execute(line, at_s, error.code if isinstance(error, ErrorReply) else None)
        if reply.payload == with_crc(b"OKAY"):
            warning = self.faults.hit("warning", name, at_s)
            reply = replace(reply, payload=with_crc(warning.text.encode())) if isinstance(warning, WarningReply) else reply
        self._send(reply, at_s)

    def _send(self, reply: Reply, at_s: float) -> None:
        at_s += reply.wait_s
        if reply.command == "RESET":  # what was on its way is lost, and what comes before the device is up again
            self._partial.clear()
            self.line.discard_output()
            self._deaf_until_s = at_s
        elif reply.wait_s:
            self._busy_until_s = at_s
        self.replies[reply.command] += 1
        delivery = self.faults.deliver(reply.command, reply.payload, at_s)
        for payload in delivery.payloads:
            self.line.send(payload, at_s + delivery.delay_s, reply.baud, Outgoing(reply, payload == reply.payload))
        if not delivery.payloads:
            self.events["reply lost"] += 1
            self.device.sent(reply)

    def _through(self, transmission: Transmission[Outgoing]) -> None:
        reply = transmission.token.reply
        if reply is None:
            return
        self.device.sent(reply)
        if transmission.intact and transmission.token.unchanged:
            self.seen.add(reply.carried)
        else:
            self.events["reply damaged"] += 1
