"""Configuration of the Aurora driver: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from em_registration.drivers.ndi_codes import BAUD_CODES
from lodestone_core.clock import ClockConfig
from lodestone_core.config import option, section
from lodestone_core.errors import InputError

_TOOL_KEY = re.compile(r"[0-9A-F]{8}(?::[01])?")
_PORT_KEY = re.compile(r"[0-9]{1,2}(?::[01])?")
_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """How long the device may take, by class of command; for one that it has carried out before, little more than that took."""

    probe_s: float = option(0.3, unit="s", doc="APIREV, which asks whether a device listens; TSTOP where polls failed", minimum=0.05)
    quick_s: float = option(1.0, unit="s", doc="TSTOP and queries of versions, handles and tools", minimum=0.05)
    port_s: float = option(5.0, unit="s", doc="PINIT, PENA, PHRQ, PVWR, TSTART", minimum=0.05)
    measure_s: float = option(0.2, unit="s", doc="TX and BX, on top of the time that the line needs for the bytes", minimum=0.02)
    slow_s: float = option(15.0, unit="s", doc="INIT, or after a reset: up to 12 s; so long a silence opens the port anew", minimum=0.05)
    byte_gap_s: float = option(0.03, unit="s", doc="a silence so long inside a TX or BX reply ends it: it was truncated", minimum=0.002)


@dataclass(frozen=True, slots=True)
class RecoveryConfig:
    """When the driver goes on to the next stage of recovery."""

    retries: int = option(4, doc="polls that may stay unanswered in a row before tracking is stopped and started again", minimum=1)
    bad_replies: int = option(5, doc="bad replies in a row before BX gives way to TX, and TX to a restart of tracking", minimum=1)
    reopen_s: float = option(0.1, unit="s", doc="interval at which a port that is gone is looked for", minimum=0.02)
    backoff_s: float = option(0.5, unit="s", doc="wait after a port was not to be had, or the device refused; then it doubles", minimum=0.0)
    backoff_max_s: float = option(5.0, unit="s", doc="longest such wait", minimum=0.0)


@dataclass(frozen=True, slots=True)
class AuroraConfig:
    """One NDI Aurora on a serial port."""

    port: str = option("/dev/ttyUSB0", doc="serial port; prefer the stable name in /dev/serial/by-id/")
    baud: int = option(230400, unit="baud", doc="rate to run at; the device starts at 9600", choices=sorted(BAUD_CODES))
    handshake: bool = option(False, doc="RTS/CTS handshake; needs a cable that carries both lines")
    reply: str = option("bx", doc="measurement reply: bx (binary, falls back to tx after repeated bad replies) or tx", choices=("bx", "tx"))
    out_of_volume: bool = option(True, doc="ask for poses from outside the characterised volume too: reported, never broadcast")
    poll_interval_s: float = option(0.005, unit="s", doc="shortest time from one poll to the next", minimum=0.0, maximum=1.0)
    frame_id: str = option("em_field_generator", doc="frame of the poses: the field generator's own")
    tool_names: tuple[str, ...] = option((), doc='names of tools: "serial=name" or "serial:channel=name"; else 0, 1, ... in port order')
    degrees_of_freedom: tuple[str, ...] = option(
        (), doc='5 or 6, as "serial[:channel]=5"; the device itself tells only dual 5-DOF tools apart'
    )
    rom_files: tuple[str, ...] = option((), doc='SROM images for tools without one: "port=path" or "port:channel=path", ports from 1')
    trace_file: str = option("", doc="file for all bytes in both directions with their times; empty: none. For support, and replayable")
    trace_max_mb: float = option(100.0, unit="MB", doc="size at which the trace moves to <trace_file>.1 and begins anew", minimum=0.1)
    time_calibration: str = option("", doc="calibration file of kind time with the latency of aurora/tools; empty: clock.latency_s holds")
    limits: LimitsConfig = section(LimitsConfig, "time limits by class of command")
    recovery: RecoveryConfig = section(RecoveryConfig, "stages of recovery")
    clock: ClockConfig = section(ClockConfig, "frame number to host time")

    def __post_init__(self) -> None:
        names = list(self.names().values())
        for name in names:
            if not _NAME.fullmatch(name) or names.count(name) > 1:
                raise InputError("tool_names", expected="letters, digits and _, each name once", got=name, remedy="rename the tool")
        for key, value in self.freedoms().items():
            if value not in (5, 6):
                raise InputError("degrees_of_freedom", expected="5 or 6", got=f"{key}={value}", remedy="look at the tool's data sheet")
        self.roms()

    def names(self) -> dict[str, str]:
        """Name of each tool that has one, by `SERIAL` or `SERIAL:channel`."""
        return _pairs("tool_names", self.tool_names, _TOOL_KEY, "serial[:channel]=name with the 8 digits of the serial number")

    def freedoms(self) -> dict[str, int]:
        """Degrees of freedom of each tool that has an entry, by `SERIAL` or `SERIAL:channel`."""
        pairs = _pairs("degrees_of_freedom", self.degrees_of_freedom, _TOOL_KEY, "serial[:channel]=5 or =6")
        return {key: int(value) if value.isdecimal() else 0 for key, value in pairs.items()}

    def roms(self) -> dict[str, str]:
        """Path of the SROM image of each port that has one, by `port` or `port:channel`."""
        return _pairs("rom_files", self.rom_files, _PORT_KEY, "port[:channel]=path with the number that is printed at the port")


def _pairs(option_name: str, entries: tuple[str, ...], key_pattern: re.Pattern[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        key, separator, value = entry.partition("=")
        key = key.strip().upper()
        if not separator or not value.strip() or not key_pattern.fullmatch(key):
            raise InputError(option_name, expected=form, got=repr(entry), remedy="correct the entry")
        if key in found:
            raise InputError(option_name, expected="one entry for each key", got=f"two for {key}", remedy="remove one")
        found[key] = value.strip()
    return found
