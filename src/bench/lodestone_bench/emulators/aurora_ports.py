"""Port handles of the emulated device: who has one, what state it is in, what a fault has done to its tool.

Assumed where public drivers do not say: handles count up from 0A and are given out by INIT and by plugging in; the status
bits "port occupied" and "port unoccupied" stay set until the next PHSR; a freed handle comes back with PHRQ or INIT.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lodestone_bench.emulators.aurora_config import Tool

FIRST_HANDLE = 0x0A
ROM_CHUNK = 64
ROM_LAST_ADDRESS = 0x07C0

OCCUPIED, INITIALISED, ENABLED = 0x01, 0x10, 0x20
OUT_OF_VOLUME, PARTIALLY_OUT_OF_VOLUME = 0x40, 0x80
SYSTEM_PORT_OCCUPIED, SYSTEM_PORT_UNOCCUPIED = 0x0040, 0x0080


class Refusal(Exception):
    """The device answers ERRORnn with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ERROR{code:02X}")
        self.code = code


@dataclass(slots=True)
class Handle:
    """One port handle. `rom` holds what PVWR wrote, by address."""

    number: int
    tool: Tool
    occupied: bool = True
    initialised: bool = False
    enabled: bool = False
    rom: dict[int, bytes] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Port status bits that come from the handle itself."""
        return OCCUPIED * self.occupied | INITIALISED * self.initialised | ENABLED * self.enabled

    def rom_image(self) -> bytes:
        """What was written so far; empty while there is a hole in it."""
        addresses = sorted(self.rom)
        if addresses != [ROM_CHUNK * i for i in range(len(addresses))]:
            return b""
        return b"".join(self.rom[address] for address in addresses)


@dataclass(slots=True)
class Condition:
    """What faults hold a tool in, by host time: unmeasurable, outside the volume, with further port status bits or a poor fit."""

    missing_until_s: float = 0.0
    outside_until_s: float = 0.0
    bits: int = 0
    bits_until_s: float = 0.0
    error_mm: float = 0.0
    error_until_s: float = 0.0
    zero_serial: bool = False


class PortTable:
    """Handles in the order of their numbers."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.conditions = {name: Condition() for name in self.tools}
        self.handles: dict[int, Handle] = {}
        self.system_status = 0
        self._plugged = set(self.tools)
        self._next = FIRST_HANDLE
        self._running = False

    def restart(self) -> None:
        """All handles go, as after power-on."""
        self.handles.clear()
        self._next = FIRST_HANDLE
        self._running = False
        self.system_status = 0

    def enumerate(self) -> None:
        """Handles for whatever is plugged in, as INIT gives them: first channels only."""
        self.restart()
        self._running = True
        for condition in self.conditions.values():
            condition.zero_serial = False
        for tool in self._in_port_order():
            if tool.name in self._plugged and tool.channel == 0:
                self.allocate(tool)

    def allocate(self, tool: Tool) -> Handle:
        """A new handle for a plugged-in tool. Refused with 2D when all are given out."""
        if self._next > 0xFF:
            raise Refusal(0x2D)
        handle = Handle(self._next, tool)
        self.handles[handle.number] = handle
        self._next += 1
        return handle

    def get(self, number: int) -> Handle:
        """The handle of that number; refused with 2B when it is not allocated."""
        if number not in self.handles:
            raise Refusal(0x2B)
        return self.handles[number]

    def of(self, name: str) -> Handle | None:
        """The handle under which a tool is known now."""
        return next((h for h in self.handles.values() if h.tool.name == name and h.occupied), None)

    def initialise(self, handle: Handle) -> None:
        """PINIT. The second channel of a dual tool shows itself only now."""
        if not handle.occupied:
            raise Refusal(0x2C)
        if handle.tool.plug.needs_rom and handle.tool.channel == 0 and not handle.rom_image():
            raise Refusal(0x13)
        handle.initialised = True
        self.conditions[handle.tool.name].zero_serial = False
        for tool in self._in_port_order():
            if tool.port == handle.tool.port and tool.channel > handle.tool.channel and self.of(tool.name) is None:
                self.allocate(tool)

    def enable(self, handle: Handle) -> None:
        """PENA."""
        if not handle.occupied:
            raise Refusal(0x2C)
        if not handle.initialised:
            raise Refusal(0x0E)
        handle.enabled = True

    def write_rom(self, handle: Handle, address: int, chunk: bytes) -> None:
        """PVWR: 64 bytes at a multiple of 64."""
        if address % ROM_CHUNK or not 0 <= address <= ROM_LAST_ADDRESS or len(chunk) != ROM_CHUNK:
            raise Refusal(0x23)
        handle.rom[address] = chunk

    def request(self, port: int | None) -> Handle:
        """PHRQ: the handle of a port (any port that has none yet when `port` is None), new if need be."""
        for tool in self._in_port_order():
            if tool.name not in self._plugged or tool.channel or (port is not None and tool.port != port):
                continue
            known = self.of(tool.name)
            if known is None or port is not None:
                return known or self.allocate(tool)
        raise Refusal(0x0D)

    def pull_out(self, name: str) -> None:
        """The tool leaves its port, with all channels; its handles go stale."""
        for tool in self._sharing_port(name):
            self._plugged.discard(tool.name)
            for handle in self.handles.values():
                if handle.tool is tool:
                    handle.occupied = handle.initialised = handle.enabled = False
        self.system_status |= SYSTEM_PORT_UNOCCUPIED

    def put_in(self, name: str) -> None:
        """The tool comes back, under a new handle that wants initialising."""
        for tool in self._sharing_port(name):
            self._plugged.add(tool.name)
            if tool.channel == 0 and self._running and self.of(tool.name) is None:
                self.allocate(tool)
        self.system_status |= SYSTEM_PORT_OCCUPIED

    def _sharing_port(self, name: str) -> list[Tool]:
        return [tool for tool in self._in_port_order() if tool.port == self.tools[name].port]

    def _in_port_order(self) -> list[Tool]:
        return sorted(self.tools.values(), key=lambda tool: (tool.port, tool.channel))
