"""The control protocol of the Aurora emulator: `{"do": NAME, ...}`, one frozen record for each name.

The same requests stand in the `faults:` list of a script, with the time at which they are due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lodestone_bench.emulators.aurora_device import AuroraDevice
from lodestone_bench.emulators.aurora_ports import Condition
from lodestone_bench.emulators.aurora_statistics import state, statistics
from lodestone_bench.emulators.request_fields import For, Junk, Nothing, SlowLine
from lodestone_bench.faults import REPLY_FAULTS, ReplyFault
from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_core.config import REQUIRED, load_config, option
from lodestone_core.errors import InputError

if TYPE_CHECKING:
    from lodestone_bench.emulators.aurora_emulator import AuroraEmulator

_FOREVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class ErrorReply(ReplyFault):
    """The command is not carried out and ERRORnn comes back."""

    code: int = option(0x05, doc="error code", minimum=1, maximum=0xFF)


@dataclass(frozen=True, slots=True)
class WarningReply(ReplyFault):
    """The command is carried out and a warning comes back in place of OKAY."""

    text: str = option("WARNING01", doc="the reply without its CRC")


@dataclass(frozen=True, slots=True)
class Unplug:
    """The port vanishes."""

    replug_after_s: float | None = option(None, unit="s", doc="when it comes back; null for on request only", minimum=0.0)
    power_cycle: bool = option(False, doc="the device loses its state too; otherwise it stays at its rate and goes on tracking")


@dataclass(frozen=True, slots=True)
class OfTool:
    """A request about one tool."""

    tool: str = option(REQUIRED, doc="name of the tool")


@dataclass(frozen=True, slots=True)
class OfToolFor(OfTool):
    """A request about one tool for a while."""

    for_s: float = option(_FOREVER_S, unit="s", doc="for how long", minimum=0.0)


@dataclass(frozen=True, slots=True)
class PortBits(OfToolFor):
    """Further port status bits."""

    bits: int = option(0x100, doc="bits to set, for instance 0x100 for a broken coil", minimum=0, maximum=0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class ErrorIndicator(OfToolFor):
    """Another error indicator is sent with each pose of a tool; the poses stay as they are."""

    mm: float = option(5.0, unit="mm", doc="the indicator", minimum=0.0)


@dataclass(frozen=True, slots=True)
class ZeroSerial:
    """PHINF gives serial number 00000000 until the next PINIT of the tool or INIT."""

    tool: str = option("", doc="name of the tool; empty for all")


@dataclass(frozen=True, slots=True)
class SetFrame:
    """The frame counter jumps: a wrap, a reset."""

    value: int = option(0, doc="frame number of the newest sample", minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True, slots=True)
class OfMetal:
    """A request about metal of the scripted world."""

    body: str = option("", doc="name of the piece; empty for all")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was understood."""

    name: str
    fields: Any


def parse_request(request: Mapping[str, Any]) -> Request:
    """The request in a mapping. Raises InputError that names what is wrong with it."""
    name = request.get("do")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError("request: do", expected="one of " + ", ".join(_KINDS), got=name, remedy="name one of them")
    fields = {key: value for key, value in request.items() if key != "do"}
    return Request(str(name), load_config(kind[0], fields, f"request {name}"))


def check_tool(device: AuroraDevice, request: Request) -> None:
    """Raises InputError when the request is about a tool or a piece of metal that there is not."""
    name = getattr(request.fields, "tool", "")
    if name:
        _condition(device, name)
    if isinstance(request.fields, OfMetal):
        _scripted(device).check_metal(request.fields.body)


def perform(emulator: AuroraEmulator, request: Request) -> dict[str, Any]:
    """Carry a request out; what is to be told about it."""
    kind = _KINDS[request.name]
    return kind[1](emulator, request.fields) or {}


def _unplug(emulator: AuroraEmulator, fields: Unplug) -> None:
    if fields.power_cycle:
        emulator.device.power_on(emulator.clock())
    emulator.unplug(fields.replug_after_s)


def _power_cycle(emulator: AuroraEmulator, fields: Nothing) -> None:
    emulator.line.discard_output()
    emulator.device.power_on(emulator.clock())


def _junk(emulator: AuroraEmulator, fields: Junk) -> None:
    emulator.send_junk(fields.bytes)


def _stall(emulator: AuroraEmulator, fields: For) -> None:
    emulator.line.stall(emulator.clock(), fields.for_s)
    emulator.events["stall"] += 1


def _slow_line(emulator: AuroraEmulator, fields: SlowLine) -> None:
    emulator.line.slow_bits_per_s = fields.bits_per_s


def _condition(device: AuroraDevice, tool: str) -> Condition:
    conditions = device.ports.conditions
    if tool not in conditions:
        raise InputError("request: tool", expected="one of " + ", ".join(conditions), got=tool, remedy="name one of them")
    return conditions[tool]


def _tool_out(emulator: AuroraEmulator, fields: OfTool) -> None:
    _condition(emulator.device, fields.tool)
    emulator.device.ports.pull_out(fields.tool)


def _tool_in(emulator: AuroraEmulator, fields: OfTool) -> None:
    _condition(emulator.device, fields.tool)
    emulator.device.ports.put_in(fields.tool)


def _missing(emulator: AuroraEmulator, fields: OfToolFor) -> None:
    _condition(emulator.device, fields.tool).missing_until_s = emulator.clock() + fields.for_s


def _out_of_volume(emulator: AuroraEmulator, fields: OfToolFor) -> None:
    _condition(emulator.device, fields.tool).outside_until_s = emulator.clock() + fields.for_s


def _port_status(emulator: AuroraEmulator, fields: PortBits) -> None:
    condition = _condition(emulator.device, fields.tool)
    condition.bits, condition.bits_until_s = fields.bits, emulator.clock() + fields.for_s


def _error_indicator(emulator: AuroraEmulator, fields: ErrorIndicator) -> None:
    condition = _condition(emulator.device, fields.tool)
    condition.error_mm, condition.error_until_s = fields.mm, emulator.clock() + fields.for_s


def _zero_serial(emulator: AuroraEmulator, fields: ZeroSerial) -> None:
    for tool in [fields.tool] if fields.tool else list(emulator.device.ports.conditions):
        _condition(emulator.device, tool).zero_serial = True


def _set_frame(emulator: AuroraEmulator, fields: SetFrame) -> None:
    emulator.device.measuring.set_frame(emulator.clock(), fields.value)


def _scripted(device: AuroraDevice) -> ScriptedSource:
    source = device.measuring.source
    if not isinstance(source, ScriptedSource):
        raise InputError("request: metal", expected="a scripted world", got="a recording", remedy="start the emulator with --script")
    return source


def _move_metal(emulator: AuroraEmulator, fields: OfMetal, *, into: bool) -> None:
    elapsed_s = emulator.device.measuring.elapsed_s(emulator.clock())
    _scripted(emulator.device).move_metal(fields.body, into, elapsed_s)


def _reply_fault(emulator: AuroraEmulator, fields: ReplyFault, *, name: str) -> None:
    emulator.faults.add(name, fields, emulator.clock())


def _clear(emulator: AuroraEmulator, fields: Nothing) -> None:
    emulator.faults.clear()
    emulator.line.slow_bits_per_s = None
    for name in emulator.device.ports.conditions:
        emulator.device.ports.conditions[name] = Condition()


_Perform = Callable[["AuroraEmulator", Any], dict[str, Any] | None]
_KINDS: dict[str, tuple[type[Any], _Perform]] = {
    **{name: (kind, partial(_reply_fault, name=name)) for name, kind in REPLY_FAULTS.items()},
    "error": (ErrorReply, partial(_reply_fault, name="error")),
    "warning": (WarningReply, partial(_reply_fault, name="warning")),
    "garble_command": (ReplyFault, partial(_reply_fault, name="garble_command")),
    "clear": (Nothing, _clear),
    "junk": (Junk, _junk),
    "stall": (For, _stall),
    "slow_line": (SlowLine, _slow_line),
    "unplug": (Unplug, _unplug),
    "replug": (Nothing, lambda emulator, fields: emulator.replug()),
    "break": (Nothing, lambda emulator, fields: emulator.reset_by_break()),
    "power_cycle": (Nothing, _power_cycle),
    "tool_out": (OfTool, _tool_out),
    "tool_in": (OfTool, _tool_in),
    "missing": (OfToolFor, _missing),
    "out_of_volume": (OfToolFor, _out_of_volume),
    "port_status": (PortBits, _port_status),
    "error_indicator": (ErrorIndicator, _error_indicator),
    "zero_serial": (ZeroSerial, _zero_serial),
    "metal_in": (OfMetal, partial(_move_metal, into=True)),
    "metal_out": (OfMetal, partial(_move_metal, into=False)),
    "set_frame": (SetFrame, _set_frame),
    "statistics": (Nothing, lambda emulator, fields: statistics(emulator)),
    "state": (Nothing, lambda emulator, fields: state(emulator)),
    "quit": (Nothing, lambda emulator, fields: emulator.stop()),
}
