"""A microcontroller that sends framed records at a steady rate: its clock, its counters, its line and all its faults.

What it measures is the part of its `Records`: the body of a record at a world time. The device adds the sequence number and its own
clock, which runs from its start and may run fast or slow.
"""

from __future__ import annotations

import logging
import select
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

from lodestone_bench.emulators.emulator_loop import EmulatorLoop
from lodestone_bench.emulators.line import SerialLine, Transmission
from lodestone_bench.emulators.stream_requests import COMMON, Requests, parse
from lodestone_bench.emulators.stuffing import HostBytes, framed
from lodestone_bench.faults import ReplyFaults
from lodestone_core.config import option

log = logging.getLogger(__name__)

HELLO_REQUEST = bytes([0xF1, 0x01])
"""What a host sends to be told what the device is."""

_LONGEST_WAIT_S = 0.5
_MOST_BEHIND_S = 2.0
_SEQUENCES = 1 << 32
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class StreamDeviceConfig:
    """How an emulated device that streams runs."""

    rate_hz: float = option(100.0, unit="Hz", doc="records per second of the device's clock", minimum=0.1, maximum=2000.0)
    baud: int = option(460800, unit="baud", doc="rate of its line", minimum=1200)
    latency_ms: float = option(4.0, unit="ms", doc="from the trigger to the first byte of its record", minimum=0.0)
    drift_ppm: float = option(20.0, unit="ppm", doc="by how much its clock runs fast", minimum=-10000.0, maximum=10000.0)
    first_us: int = option(0, unit="us", doc="its clock at the start", minimum=0)
    first_sequence: int = option(0, doc="number of its first record", minimum=0, maximum=_SEQUENCES - 1)
    boot_s: float = option(0.05, unit="s", doc="from power to the first record", minimum=0.0)


class Records(Protocol):
    """What a device measures, and what it says of itself."""

    def record(self, sequence: int, device_us: int, world_s: float) -> bytes:
        """The body of the record that was triggered at `world_s`."""

    def hello(self, device_us: int) -> bytes:
        """The body that says what the device is; b"" for a device that never says."""

    def power_on(self) -> None:
        """The device has been without power: what it held is lost. Also said once before the first record."""

    def own_requests(self) -> Requests:
        """Requests of the control socket beyond those that every device has; each is called with the Records."""

    def clear(self) -> None:
        """Take back all faults of its own."""

    def own_statistics(self) -> dict[str, Any]:
        """What it adds to the statistics."""


class Outgoing(NamedTuple):
    """What a transmission is: "record", "hello" or "junk"; its sequence number; whether it is unchanged."""

    kind: str
    sequence: int
    unchanged: bool


class StreamDevice(EmulatorLoop):
    """A device that sends records; `clock` gives world seconds."""

    def __init__(
        self,
        records: Records,
        config: StreamDeviceConfig,
        clock: Callable[[], float],
        link: Path,
        control: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(control)
        self.line: SerialLine[Outgoing] = SerialLine(link)
        self.records = records
        self.config = config
        self.clock = clock
        self.faults = ReplyFaults(seed)
        self.baud = config.baud
        self.sequence = config.first_sequence
        self.clock_offset_us = 0
        self.counts: Counter[str] = Counter()
        self.replug_at_s: float | None = None
        self._rate_factor = 1.0
        self._host = HostBytes()
        self._random = Random(seed)
        self._power_on()

    def request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request of the control socket. Raises InputError."""
        own = self.records.own_requests()
        perform, fields = parse({**COMMON, **own}, request)
        self.counts[f"request {request['do']}"] += 1
        return perform(self.records if request["do"] in own else self, fields) or {}

    def restart(self) -> None:
        """Power off and on: what was on its way is lost, counters and clock begin anew, the device says hello."""
        self.line.discard_output()
        self._power_on()
        self.send_hello(self._started_s)

    def hang(self, for_s: float) -> None:
        """The device measures nothing for a while and then goes on: the numbers of what it missed are used up."""
        self._hanging_until_s = self.clock() + for_s

    def set_rate(self, factor: float) -> None:
        """Measure at the rate of the configuration times this."""
        self._origin_s, self._ticks, self._rate_factor = self._trigger_s(), 0, factor

    def set_baud(self, baud: int) -> None:
        """Go on at this rate. What waits for the line is lost with the change, as in a board that sets its port up anew."""
        if baud != self.baud:
            self.line.discard_output()
            self.baud = baud

    def unplug(self, replug_after_s: float | None, restart: bool) -> None:
        """The port vanishes."""
        self.line.unplug()
        self.replug_at_s = None if replug_after_s is None else self.clock() + replug_after_s
        self._restart_when_plugged = restart

    def replug(self) -> None:
        """The port comes back."""
        self.replug_at_s = None
        if not self.line.plugged_in:
            self.line.plug_in()
            if self._restart_when_plugged:
                self.restart()

    def clear(self) -> None:
        """Take back all faults that last."""
        self.faults.clear()
        self.records.clear()
        self.line.slow_bits_per_s = None
        self.set_baud(self.config.baud)
        self._hanging_until_s = 0.0
        if self._rate_factor != 1.0:
            self.set_rate(1.0)

    def send_junk(self, count: int) -> None:
        """Random bytes on the line."""
        self.line.send(self._random.randbytes(count), self.clock(), self.baud, Outgoing("junk", 0, False))

    def send_hello(self, at_s: float | None = None) -> None:
        """Say what the device is."""
        now_s = self.clock() if at_s is None else at_s
        body = self.records.hello(self.device_us(now_s))
        if body:
            self._send("hello", body, 0, now_s)

    def device_us(self, world_s: float) -> int:
        """The device's clock at a world time."""
        elapsed_us = (world_s - self._started_s) * _US_PER_S * (1.0 + self.config.drift_ppm * 1e-6)
        return max(0, self.config.first_us + self.clock_offset_us + round(elapsed_us))

    def statistics(self) -> dict[str, Any]:
        """What was counted: `record produced`, and `record intact` of those that went out whole to a host at the right rate."""
        return {
            "uptime_s": round(self.clock() - self._started_s, 3),
            "sequence": self.sequence,
            "counts": dict(self.counts),
            "faults": dict(self.faults.hits),
            "bytes_sent": self.line.bytes_sent,
            "plugged_in": self.line.plugged_in,
            **self.records.own_statistics(),
        }

    def _power_on(self) -> None:
        self._started_s = self.clock()
        self._origin_s, self._ticks = self._started_s + self.config.boot_s, 0
        self.sequence = self.config.first_sequence
        self.clock_offset_us = 0
        self._hanging_until_s = 0.0
        self._restart_when_plugged = True
        self.records.power_on()

    def _trigger_s(self) -> float:
        """World time of the next trigger: the device counts the period on its own clock."""
        rate_hz = self.config.rate_hz * self._rate_factor * (1.0 + self.config.drift_ppm * 1e-6)
        return self._origin_s + self._ticks / rate_hz

    def _plug_in(self) -> None:
        self.line.plug_in()
        self.restart()
        log.info("device at %s", self.line.link)

    def _unplug(self) -> None:
        self.line.unplug()

    def _turn(self) -> None:
        now_s = self.clock()
        if self.replug_at_s is not None and now_s >= self.replug_at_s:
            self.replug()
        self._measure(now_s)
        for transmission in self.line.service(now_s):
            self._through(transmission)
        fd = self.line.readable_fd(now_s)
        readers: list[Any] = [*([] if fd is None else [fd]), *self._others()]
        ready, _, _ = select.select(readers, [], [], self._wait_s())
        if fd is not None and fd in ready:
            for body in self._host.take(self.line.read(self.baud)):
                if body == HELLO_REQUEST:
                    self.send_hello()
        if self._control is not None:
            self._control.service(ready, self.request)

    def _wait_s(self) -> float:
        now_s = self.clock()
        due = [self.line.due_s(now_s), self.replug_at_s, self._trigger_s() + self.config.latency_ms * 1e-3]
        return max(0.0, min([_LONGEST_WAIT_S, *(time_s - now_s for time_s in due if time_s is not None)]))

    def _measure(self, now_s: float) -> None:
        """Send every record that is ready by now."""
        latency_s = self.config.latency_ms * 1e-3
        while (trigger_s := self._trigger_s()) + latency_s <= now_s:
            self._ticks += 1
            number, self.sequence = self.sequence, (self.sequence + 1) % _SEQUENCES
            self.counts["record produced"] += 1
            if trigger_s < self._hanging_until_s or now_s - trigger_s > _MOST_BEHIND_S or not self.line.plugged_in:
                self.counts["record not sent"] += 1
                continue
            self._send("record", self.records.record(number, self.device_us(trigger_s), trigger_s), number, trigger_s + latency_s)

    def _send(self, kind: str, body: bytes, sequence: int, at_s: float) -> None:
        # What a restart cut off would otherwise run into the hello and take it along.
        payload = (b"\0" if kind == "hello" else b"") + framed(body)
        delivery = self.faults.deliver(kind, payload, at_s)
        for one in delivery.payloads:
            self.line.send(one, at_s + delivery.delay_s, self.baud, Outgoing(kind, sequence, one == payload))
        if not delivery.payloads:
            self.counts[f"{kind} lost"] += 1

    def _through(self, transmission: Transmission[Outgoing]) -> None:
        kind, _, unchanged = transmission.token
        self.counts[f"{kind} {'intact' if unchanged and transmission.intact else 'damaged'}"] += 1
