"""The control protocol of every emulated device that streams: `{"do": NAME, ...}`, one frozen record for each name.

A device adds its own requests (`own_requests` of its Records): name, class of the fields, what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lodestone_bench.emulators.request_fields import For, Junk, Nothing, SlowLine
from lodestone_bench.faults import REPLY_FAULTS, ReplyFault
from lodestone_core.config import load_config, option
from lodestone_core.errors import InputError

if TYPE_CHECKING:
    from lodestone_bench.emulators.stream_device import StreamDevice


@dataclass(frozen=True, slots=True)
class Unplug:
    """The port vanishes; the device loses its power with it unless it has its own."""

    replug_after_s: float | None = option(None, unit="s", doc="when it comes back; null for on request only", minimum=0.0)
    restart: bool = option(True, doc="the device begins anew, its counters at 0")


@dataclass(frozen=True, slots=True)
class Rate:
    """The device measures less often, or more often."""

    factor: float = option(0.5, doc="its rate over what it says it is", minimum=0.01, maximum=10.0)


@dataclass(frozen=True, slots=True)
class Baud:
    """The device goes on at another baud rate; what waits to be sent is lost with the change."""

    value: int = option(115200, unit="baud", doc="the rate", minimum=1200)


@dataclass(frozen=True, slots=True)
class SetSequence:
    """The sequence number jumps: a wrap, a gap."""

    value: int = option(0, doc="number of the next record", minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True, slots=True)
class StepClock:
    """The device's clock jumps."""

    by_us: int = option(1_000_000, unit="us", doc="by how much")


Perform = Callable[[Any, Any], dict[str, Any] | None]
Requests = dict[str, tuple[type[Any], Perform]]


def parse(known: Mapping[str, tuple[type[Any], Perform]], request: Mapping[str, Any]) -> tuple[Perform, Any]:
    """What is to be done, and with what. Raises InputError that names what is wrong with the request."""
    name = request.get("do")
    kind = known.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError("request: do", expected="one of " + ", ".join(known), got=name, remedy="name one of them")
    fields = {key: value for key, value in request.items() if key != "do"}
    return kind[1], load_config(kind[0], fields, f"request {name}")


def _fault(device: StreamDevice, fields: ReplyFault, *, name: str) -> None:
    device.faults.add(name, fields, device.clock())


def _unplug(device: StreamDevice, fields: Unplug) -> None:
    device.unplug(fields.replug_after_s, fields.restart)


def _stall(device: StreamDevice, fields: For) -> None:
    device.line.stall(device.clock(), fields.for_s)


def _hang(device: StreamDevice, fields: For) -> None:
    device.hang(fields.for_s)


def _slow(device: StreamDevice, fields: SlowLine) -> None:
    device.line.slow_bits_per_s = fields.bits_per_s


def _rate(device: StreamDevice, fields: Rate) -> None:
    device.set_rate(fields.factor)


def _baud(device: StreamDevice, fields: Baud) -> None:
    device.set_baud(fields.value)


def _sequence(device: StreamDevice, fields: SetSequence) -> None:
    device.sequence = fields.value


def _step(device: StreamDevice, fields: StepClock) -> None:
    device.clock_offset_us += fields.by_us


COMMON: Requests = {
    **{name: (kind, partial(_fault, name=name)) for name, kind in REPLY_FAULTS.items()},
    "clear": (Nothing, lambda device, fields: device.clear()),
    "junk": (Junk, lambda device, fields: device.send_junk(fields.bytes)),
    "stall": (For, _stall),
    "hang": (For, _hang),
    "slow_line": (SlowLine, _slow),
    "unplug": (Unplug, _unplug),
    "replug": (Nothing, lambda device, fields: device.replug()),
    "restart": (Nothing, lambda device, fields: device.restart()),
    "rate": (Rate, _rate),
    "baud": (Baud, _baud),
    "set_sequence": (SetSequence, _sequence),
    "step_clock": (StepClock, _step),
    "hello": (Nothing, lambda device, fields: device.send_hello()),
    "statistics": (Nothing, lambda device, fields: device.statistics()),
    "quit": (Nothing, lambda device, fields: device.stop()),
}
