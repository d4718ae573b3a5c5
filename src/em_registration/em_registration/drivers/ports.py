"""Which tools are plugged in: frees, initialises and enables port handles until none are left.

A tool that fails is noted and left out, and the others go on. Tools with several channels appear only after the first
initialisation, hence the loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.link import Link
from em_registration.drivers.ndi_codes import ErrorCode
from em_registration.drivers.ndi_commands import HandleSet
from em_registration.drivers.ndi_measurements import MalformedReply
from em_registration.drivers.ndi_replies import (
    Caution,
    Failure,
    HandleInfo,
    Okay,
    parse_handle_info,
    parse_handles,
    parse_new_handle,
)
from em_registration.drivers.srom import read_rom, upload
from em_registration.drivers.tools import Names, Tool, entry_of, identify
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.errors import InputError

_INFO_AND_LOCATION: Final = 0x0021
# Each round reaches handles that the one before made visible; a device has no more levels than this.
_ROUNDS: Final = 8
_SERIAL_ATTEMPTS: Final = 3
_SERIAL_WAIT_S: Final = 0.5
_MODES: Final = {"01": "S", "03": "B"}
"""PENA mode by main type: references are static, button boxes their own kind, all else moves."""
_NO_SROM: Final = "the tool may have no SROM: name its .rom file in `rom_files`"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one pass over the ports found, and what stood in the way of single tools.

    `unanswered`: a command got no good reply though the device answers else, so that a tool may be missing for a bad line alone.
    """

    tools: tuple[Tool, ...]
    notes: tuple[str, ...]
    unanswered: bool = False


def discover(link: Link, config: AuroraConfig, names: Names) -> Discovery:
    """Bring every tool that can be to ENABLED. Raises DriverFault when the device itself fails; a single tool never does."""
    return _Pass(link, config).run(names)


class _Pass:
    """One pass over the ports; collects notes instead of giving up."""

    def __init__(self, link: Link, config: AuroraConfig) -> None:
        self._link = link
        self._config = config
        self._notes: list[str] = []
        self._failed: set[int] = set()
        self._unanswered = False

    def run(self, names: Names) -> Discovery:
        for handle in self._handles(HandleSet.STALE):
            self._attempt(f"free port handle {handle:02X}", partial(self._carry_out, ndi.free_handle(handle)))
        for _ in range(2):
            # Enabling makes the second coil of some tools appear: twice.
            self._for_all(HandleSet.NOT_INITIALISED, "initialise", self._initialise)
            self._request_ports_with_rom()
            self._for_all(HandleSet.NOT_ENABLED, "enable", self._enable)
        tools, notes = identify(self._infos(self._handles(HandleSet.ENABLED)), self._config, names)
        return Discovery(tools, (*dict.fromkeys(self._notes), *notes), self._unanswered)

    def _for_all(self, which: HandleSet, verb: str, step: Callable[[int], None]) -> None:
        """Apply `step` until no new handle of the set is left; one that failed is not tried again in this pass."""
        done: set[int] = set()
        for _ in range(_ROUNDS):
            new = [handle for handle in self._handles(which) if handle not in done | self._failed]
            if not new:
                return
            for handle in new:
                done.add(handle)
                if not self._attempt(f"{verb} port handle {handle:02X}", partial(step, handle)):
                    self._failed.add(handle)

    def _attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Whether it worked. What the device refuses, or leaves unanswered while it answers else, concerns one tool alone."""
        try:
            step()
        except (InputError, MalformedReply) as error:
            self._notes.append(f"cannot {what}: {error}")
        except DriverFault as fault:
            if fault.cause is not Cause.REFUSED:
                if not self._link.listens():
                    raise
                self._unanswered = True
            self._notes.append(f"cannot {what}: {fault}")
        else:
            return True
        return False

    def _handles(self, which: HandleSet) -> tuple[int, ...]:
        try:
            return tuple(entry.handle for entry in parse_handles(self._link.text(ndi.list_handles(which))))
        except MalformedReply as error:
            raise DriverFault(Cause.MALFORMED, str(error)) from error

    def _carry_out(self, command: ndi.Command) -> None:
        warning = self._link.okay(command)
        if warning:
            self._notes.append(warning)

    def _initialise(self, handle: int) -> None:
        """PINIT; where that fails for want of an SROM and a file is configured for the port, the file and PINIT again."""
        reply = self._link.require(ndi.init_handle(handle))
        if isinstance(reply, Failure) and reply.code == ErrorCode.PINIT_FAILED:
            info = self._info(handle)
            path = entry_of(self._config.roms(), str(info.port), info.channel)
            if path is None:
                raise DriverFault(Cause.REFUSED, f"PINIT was answered by {reply}; {_NO_SROM}")
            upload(self._link, handle, read_rom(path))
            self._carry_out(ndi.init_handle(handle))
        elif isinstance(reply, Caution):
            self._notes.append(f"port handle {handle:02X}: {reply.text}")
        elif not isinstance(reply, Okay):
            raise DriverFault(Cause.REFUSED, f"PINIT was answered by {reply}")

    def _enable(self, handle: int) -> None:
        info = self._info_or_none(handle) or HandleInfo()
        self._carry_out(ndi.enable_handle(handle, _MODES.get(info.main_type, "D")))

    def _request_ports_with_rom(self) -> None:
        """A port whose tool has no SROM may show no handle at all: ask for one and write the file there."""
        roms = self._config.roms()
        if not roms:
            return
        infos = [self._info_or_none(handle) for handle in self._handles(HandleSet.ALL)]
        seen = {f"{info.port}:{info.channel}" for info in infos if info is not None}
        for key, path in roms.items():
            port, _, channel = key.partition(":")
            if f"{port}:{channel or 0}" not in seen:
                request = ndi.request_handle(int(port), int(channel or 0))
                self._attempt(f"load the SROM file of port {key}", partial(self._load, request, path))

    def _load(self, request: ndi.Command, path: str) -> None:
        image = read_rom(path)
        upload(self._link, parse_new_handle(self._link.text(request)), image)

    def _infos(self, handles: Iterable[int]) -> dict[int, HandleInfo]:
        """What the device says of each tool. The newest Aurora over USB sometimes gives the serial number 00000000, until
        the tool is initialised again."""
        infos = {handle: self._info_or_none(handle) or HandleInfo() for handle in handles}
        for _ in range(_SERIAL_ATTEMPTS):
            nameless = [handle for handle, info in infos.items() if not info.has_serial]
            if not nameless:
                break
            self._link.pause(_SERIAL_WAIT_S)
            for handle in nameless:
                self._attempt(f"initialise port handle {handle:02X} again", partial(self._again, handle))
                infos[handle] = self._info_or_none(handle) or infos[handle]
        return infos

    def _again(self, handle: int) -> None:
        self._initialise(handle)
        self._enable(handle)

    def _info(self, handle: int) -> HandleInfo:
        return parse_handle_info(self._link.text(ndi.handle_info(handle, _INFO_AND_LOCATION)))

    def _info_or_none(self, handle: int) -> HandleInfo | None:
        """What the device says of the tool; None and a note where it says something else."""
        found: list[HandleInfo] = []
        self._attempt(f"tell what is at port handle {handle:02X}", lambda: found.append(self._info(handle)))
        return found[0] if found else None
