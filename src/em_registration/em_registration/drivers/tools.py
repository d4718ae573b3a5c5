"""The tools of one tracker and the names that they keep. Tools are told apart by (serial number, channel)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.ndi_replies import HandleInfo

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool (one sensor coil or rigid tool) at one port handle; `serial` is empty when the device gives none."""

    handle: int
    name: str
    serial: str
    channel: int
    port: int
    degrees_of_freedom: int

    @property
    def label(self) -> str:
        """How diagnostics call it."""
        return f"{self.name} (port {self.port}, serial {self.serial or 'unknown'}, channel {self.channel})"


@dataclass(slots=True)
class Names:
    """Names stay with their tool for as long as the driver runs: one that is plugged in again keeps its own."""

    config: AuroraConfig
    _given: dict[Key, str] = field(default_factory=dict)

    def of(self, key: Key) -> str:
        """The configured name, else the next free number."""
        if key not in self._given:
            configured = self.config.names()
            self._given[key] = entry_of(configured, *key) or self._next_number(configured.values())
        return self._given[key]

    def _next_number(self, reserved: Iterable[str]) -> str:
        taken = {*self._given.values(), *reserved}
        return next(name for name in map(str, range(len(taken) + 1)) if name not in taken)


def entry_of(entries: dict[str, str], key: str, channel: int) -> str | None:
    """The configured entry of `key:channel`; an entry without channel stands for channel 0."""
    return entries.get(f"{key}:{channel}") or (entries.get(key) if channel == 0 else None)


def identify(infos: dict[int, HandleInfo], config: AuroraConfig, names: Names) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """Tools in port order, each under its own key, and notes about what is odd; `infos` is by port handle."""
    serials = [info.serial for info in infos.values() if info.has_serial]
    tools: dict[Key, Tool] = {}
    notes = []
    for handle in sorted(infos, key=lambda handle: (infos[handle].port, infos[handle].channel, handle)):
        info = infos[handle]
        place = f"port {info.port}" if info.port else f"port handle {handle:02X}"
        key = (info.serial if info.has_serial else place, info.channel)
        if not info.has_serial:
            notes.append(f"{place}: the tool gives no serial number, so its name goes with the port")
        if key in tools:
            notes.append(f"{place}: a second tool calls itself {key[0]} channel {key[1]}")
            key = (f"port handle {handle:02X}", info.channel)
        freedom = _freedom(config, info, dual=serials.count(info.serial) > 1)
        tools[key] = Tool(handle, names.of(key), info.serial if info.has_serial else "", info.channel, info.port, freedom)
    return tuple(tools.values()), tuple(notes)


def _freedom(config: AuroraConfig, info: HandleInfo, dual: bool) -> int:
    """5, 6, or 0 for not known. Two channels under one serial number are two 5-DOF coils; no more can be told from the device."""
    freedoms = config.freedoms()
    found = freedoms.get(f"{info.serial}:{info.channel}", freedoms.get(info.serial, 0))
    return found or (5 if dual or info.channel else 0)
