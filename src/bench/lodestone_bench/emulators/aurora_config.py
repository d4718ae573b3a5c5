"""What the emulated Aurora is: its manners, and what is plugged into its ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lodestone_core.config import option
from lodestone_core.errors import InputError

PORTS = 12


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """How the device behaves apart from what it measures. Real times are longer; the defaults keep tests short."""

    turnaround_ms: float = option(0.5, unit="ms", doc="from the last byte of a command to the first of its reply", minimum=0.0)
    init_s: float = option(0.02, unit="s", doc="how long INIT takes", minimum=0.0)
    reset_s: float = option(0.2, unit="s", doc="how long a reset takes until its reply comes", minimum=0.0)
    boot_s: float = option(0.0, unit="s", doc="after power-on every command is refused with ERROR0C for so long", minimum=0.0)
    getinfo: bool = option(True, doc="whether GETINFO is known; an old device answers ERROR01")
    tail_after_disabled: bool = option(False, doc="in TX, DISABLED and UNOCCUPIED are followed by 8 + 8 digits")
    first_frame: int = option(0, doc="frame counter at power-on; TSTART:80 sets it to 0", minimum=0, maximum=2**32 - 1)
    firmware: str = option("AURORA Rev 009 emulated", doc="firmware name in the reply to VER")


@dataclass(frozen=True, slots=True)
class PlugConfig:
    """How a tool is plugged in and what its SROM says."""

    port: int = option(0, doc="port 1..12; 0 takes the next free one", minimum=0, maximum=PORTS)
    channel: int = option(0, doc="1 for the second sensor of a dual 5-DOF tool, which shares port and serial number", minimum=0, maximum=1)
    degrees_of_freedom: int = option(6, doc="5 reports no roll about the sensor's z axis", choices=(5, 6))
    serial: str = option("", doc="serial number, 8 hexadecimal digits; empty makes one from the port")
    part_number: str = option("610000", doc="part number, at most 20 characters")
    tool_type: str = option("02", doc="main type, 2 hexadecimal digits (01 reference, 02 probe, 03 button box)")
    needs_rom: bool = option(False, doc="the tool has no SROM: PINIT is refused until PVWR has written one")

    def __post_init__(self) -> None:
        """Refuse what has no representation in a PHINF reply."""
        _check("serial", self.serial, r"([0-9A-F]{8})?", "8 upper-case hexadecimal digits")
        _check("part_number", self.part_number, r"[ -~]{0,20}", "at most 20 printable characters")
        _check("tool_type", self.tool_type, r"[0-9A-F]{2}", "2 upper-case hexadecimal digits")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool in its port, everything settled."""

    name: str
    port: int
    channel: int
    serial: str
    plug: PlugConfig


def plug_in(plugs: Mapping[str, PlugConfig]) -> tuple[Tool, ...]:
    """Give every tool its port and serial number.

    A second channel without a port takes that of the tool before it. Raises InputError for two tools in one place, a second
    channel without a first, and too many tools.
    """
    taken = {(plug.port, plug.channel) for plug in plugs.values() if plug.port}
    tools: list[Tool] = []
    for name, plug in plugs.items():
        port = plug.port or _free_port(plug, taken, tools)
        taken.add((port, plug.channel))
        first = next((tool for tool in tools if tool.port == port), None)
        serial = plug.serial or (first.serial if first else f"3A{port:06X}")
        tools.append(Tool(name, port, plug.channel, serial, plug))
    _check_places(tools)
    return tuple(tools)


def _free_port(plug: PlugConfig, taken: set[tuple[int, int]], tools: list[Tool]) -> int:
    if plug.channel and tools:
        return tools[-1].port
    used = {port for port, _ in taken}
    free = next((port for port in range(1, PORTS + 1) if port not in used), None)
    if free is None:
        raise InputError("tools", expected=f"at most {PORTS} ports", got="more", remedy="remove tools or use channels")
    return free


def _check_places(tools: list[Tool]) -> None:
    places = [(tool.port, tool.channel) for tool in tools]
    for tool, place in zip(tools, places, strict=True):
        if places.count(place) > 1:
            got = f"a second one ({tool.name})"
            raise InputError(f"port {place[0]} channel {place[1]}", expected="one tool", got=got, remedy="give it another port")
        if tool.channel and (tool.port, 0) not in places:
            remedy = "give the first sensor channel 0"
            raise InputError(f"tool {tool.name}", expected="a tool on channel 0 of its port", got="none", remedy=remedy)


def _check(name: str, text: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, text):
        raise InputError(name, expected=expected, got=repr(text), remedy="correct it")
