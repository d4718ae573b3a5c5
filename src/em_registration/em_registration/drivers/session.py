"""The state machine of the driver: from a port name to frames, and back there by stages when something fails.

    open -> probe (configured rate and 9600) -> initialise -> baud -> ports -> start -> tracking

Recovery goes up by stages: a poll that fails is repeated (polling.py); then tracking is stopped and started; then the device is
looked for anew, at both rates in turn, for as long as it takes. Where it is found as it was left, tracking is started again, else it is
set up from the beginning. What takes the device its state, or time, comes late: after `limits.slow_s` without a measurement the port is
closed and opened again, and a device that is not found at once then is reset by a break or RESET, one that only sends damaged replies
much later. A line that disappears is opened again as soon as it is back; a device that refuses is set up anew after a wait that doubles.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.connect import change_baud, find_device, firmware, initialise, reset_device
from em_registration.drivers.faults import DriverStatus, Stage, remedy_of
from em_registration.drivers.frames import FrameTracker
from em_registration.drivers.link import Link, Pace
from em_registration.drivers.ndi_codes import SystemStatus
from em_registration.drivers.ndi_commands import HandleSet
from em_registration.drivers.ndi_replies import Text
from em_registration.drivers.polling import Poller
from em_registration.drivers.ports import discover
from em_registration.drivers.tools import Names, Tool
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.serial_port import Clock, Connect, Transport
from lodestone_core.time import ns_from_s
from lodestone_core.types import TrackedFrame

_PORT_BITS: Final = SystemStatus.PORT_OCCUPIED | SystemStatus.PORT_UNOCCUPIED
_FAULT_BITS: Final = SystemStatus.HARDWARE_FAILURE | SystemStatus.RECOVERABLE
_FAULT_NOTE: Final = "the device reports a fault of its own in its system status: look at its lamps, switch it off and on"
_WAITING: Final = (HandleSet.STALE, HandleSet.NOT_INITIALISED, HandleSet.NOT_ENABLED)
# A port bit that stays set with nothing left to do, or a tool that never answers, must not keep interrupting the tools that work.
_LOOK_AGAIN_S, _LOOK_AGAIN_MAX_S = 2.0, 60.0
_LOOK_FOR_MISSING_S: Final = 1.0
_NEXT_STAGE: Final = {
    Stage.TRACKING: Stage.RESTART,
    Stage.REPLUG: Stage.RESTART,
    Stage.RESTART: Stage.PROBE,
}
_MAY_TRACK: Final = (Stage.START, Stage.TRACKING, Stage.REPLUG, Stage.RESTART)
# After so many faults with no measurement between them the device is set up anew.
_FAULTS_IN_A_ROW: Final = 5
_NOT_HEARD: Final = (Cause.SILENT, Cause.NOISE)
# A device that is heard, if badly, is there, and a reset would only cost it its state: not before the port was opened so often in vain.
_OPENINGS_IN_NOISE: Final = 10


class Session:
    """One device on one port. `step` does one thing and returns the frames that came of it.

    It never raises for what a device or a cable does; it raises Stopped when `stopping` says so.
    """

    def __init__(self, config: AuroraConfig, connect: Connect, clock: Clock, stopping: Callable[[], bool]) -> None:
        self.status = DriverStatus()
        self.frames = FrameTracker(config.clock, clock)
        self.poller = Poller(config, clock)
        self._config = config
        self._connect = connect
        self._clock = clock
        self._stopping = stopping
        self._transport: Transport | None = None
        self._names = Names(config)
        self._tools: dict[int, Tool] = {}
        self._gone: dict[str, Tool] = {}
        self._notes: dict[Stage, tuple[str, ...]] = {}
        self._port_bits = SystemStatus(0)
        self._look_again_s = _LOOK_AGAIN_S
        self._look_again_ns = 0
        self._unanswered = False
        self._pace = Pace()
        self._faults = self._openings = self._refusals = self._resets = 0
        self._well_ns = 0
        self._set_up = self._may_reset = False
        self._actions: dict[Stage, Callable[[], tuple[TrackedFrame, ...] | None]] = {
            Stage.OPEN: self._open,
            Stage.PROBE: self._probe,
            Stage.RESET: self._reset,
            Stage.INITIALISE: self._initialise,
            Stage.BAUD: self._change_baud,
            Stage.PORTS: self._find_tools,
            Stage.START: self._start,
            Stage.TRACKING: self._poll,
            Stage.REPLUG: self._replug,
            Stage.RESTART: self._restart,
        }

    def step(self) -> tuple[TrackedFrame, ...]:
        """Do what the stage asks for: one poll while tracking, else one part of a start or of a recovery."""
        try:
            return self._actions[self.status.stage]() or ()
        except DriverFault as fault:
            self._recover(fault)
            return ()

    def close(self) -> None:
        """Stop tracking if the device still listens, and give the port back."""
        if self._transport is not None:
            if self.status.stage in _MAY_TRACK:
                with contextlib.suppress(DriverFault):
                    # The session's own link would stop waiting at once.
                    farewell = Link(self._transport, self._clock, self._config.limits, lambda: False)
                    farewell.baud = self._link.baud
                    farewell.ask(ndi.stop_tracking())
            self._transport.close()
            self._transport = None

    def _open(self) -> None:
        self._transport = self._connect(self._config.port, self._config.baud)
        self._link = Link(self._transport, self._clock, self._config.limits, self._stopping)
        self._link.pace = self._pace
        self._well_ns = self._clock.now_ns()
        self._set_up, self._may_reset = False, True
        self._enter(Stage.PROBE)

    def _probe(self) -> None:
        find_device(self._link, self._config)
        as_it_was = self._set_up and self._link.baud == self.status.baud
        self._enter(Stage.RESTART if as_it_was else Stage.INITIALISE)

    def _reset(self) -> None:
        self._well_ns = self._clock.now_ns()
        self._set_up = self._may_reset = False
        reset_device(self._link, self._config, by_command=self._resets % 2 == 1)
        self._resets += 1
        self._enter(Stage.PROBE)

    def _initialise(self) -> None:
        self._set_up, self._faults = False, 0
        initialise(self._link, self._config, self._clock)
        self._enter(Stage.BAUD)

    def _change_baud(self) -> None:
        note = change_baud(self._link, self._config)
        self._notes[Stage.BAUD] = (note,) if note else ()
        self.status = replace(self.status, baud=self._link.baud, firmware=firmware(self._link))
        self._enter(Stage.PORTS)

    def _find_tools(self) -> None:
        self._discover()
        self._set_up, self._may_reset = True, False
        self._enter(Stage.START)

    def _start(self) -> None:
        started_ns = self._clock.now_ns()
        self._link.okay(ndi.start_tracking(reset_frames=True))
        self.frames.begin(started_ns)
        self.poller.begin()
        self._enter(Stage.TRACKING)

    def _poll(self) -> tuple[TrackedFrame, ...]:
        good = self.poller.poll(self._link)
        if good is None:
            return ()
        reply, answer = good
        bits = SystemStatus(reply.system_status)
        self._on_good_reply(bits)
        frames = self.frames.update(reply, answer, self._tools, self._gone.values())
        if self._ports_changed(bits):
            self._enter(Stage.REPLUG)
        return frames

    def _replug(self) -> None:
        """Look at the ports; the tools that work are interrupted only when a handle waits for something."""
        before = dict(self._tools)
        if self._unanswered or self._handle_waits():
            self._link.okay(ndi.stop_tracking())
            self._discover()
            self._resume()
        idle = self._tools == before
        self._look_again_s = min(2.0 * self._look_again_s, _LOOK_AGAIN_MAX_S) if idle else _LOOK_AGAIN_S
        self._look_again_ns = self._clock.now_ns() + ns_from_s(self._look_again_s)
        self._enter(Stage.TRACKING)

    def _restart(self) -> None:
        answer = self._link.ask(ndi.stop_tracking(ndi.Patience.PROBE))
        if answer.reply is None:
            raise DriverFault(Cause.NOISE if answer.noise else Cause.SILENT, "no good reply to TSTOP")
        self._resume()
        self._enter(Stage.TRACKING)

    def _resume(self) -> None:
        """Start tracking without resetting the frame counter, so that what was missed is counted."""
        started_ns = self._clock.now_ns()
        self._link.okay(ndi.start_tracking(reset_frames=False))
        self.frames.resume(started_ns)
        self.poller.resume()

    def _discover(self) -> None:
        found = discover(self._link, self._config, self._names)
        known = {**self._gone, **{tool.name: tool for tool in self._tools.values()}}
        self._tools = {tool.handle: tool for tool in found.tools}
        here = {tool.name for tool in found.tools}
        self._gone = {name: tool for name, tool in known.items() if name not in here}
        self._link.handles = len(self._tools)
        self._unanswered = found.unanswered
        self._look_again_ns = self._clock.now_ns() + ns_from_s(_LOOK_FOR_MISSING_S)
        self._notes[Stage.PORTS] = found.notes or (() if found.tools else ("no tool is plugged in",))

    def _ports_changed(self, bits: SystemStatus) -> bool:
        """Whether a tool was plugged in or out: a port bit has come up, or stays up for longer; or whether one did not answer."""
        bits &= _PORT_BITS
        risen, self._port_bits = bits & ~self._port_bits, bits
        return bool(risen) or (bool(bits or self._unanswered) and self._clock.now_ns() >= self._look_again_ns)

    def _handle_waits(self) -> bool:
        """Whether a handle waits to be freed, initialised or enabled; a device that does not say while it tracks may have one."""
        replies = [self._link.ask(ndi.list_handles(which)).reply for which in _WAITING]
        return not all(isinstance(reply, Text) and reply.text == "00" for reply in replies)

    def _on_good_reply(self, bits: SystemStatus) -> None:
        faults = bits & _FAULT_BITS
        self._notes[Stage.TRACKING] = (_FAULT_NOTE,) if faults else ()
        self._well_ns = self._clock.now_ns()
        if self._faults or self._openings or self._refusals:
            self._faults = self._openings = self._refusals = self._resets = 0
            self._look_again_s = _LOOK_AGAIN_S
        told = self.status
        if told.problem or told.reply != self.poller.kind.value or bool(faults) != (_FAULT_NOTE in told.notes):
            self.status = replace(told, problem="", remedy="", notes=self._all_notes(), reply=self.poller.kind.value)

    def _enter(self, stage: Stage) -> None:
        names = tuple(tool.label for tool in self._tools.values())
        status = replace(self.status, stage=stage, tools=names, notes=self._all_notes())
        if status != self.status:
            self.status = status

    def _all_notes(self) -> tuple[str, ...]:
        notes = [note for stage_notes in self._notes.values() for note in stage_notes]
        if self.poller.fell_back:
            notes.append("BX replies came damaged, so TX is in use: check the cable, or choose a lower `baud`")
        return tuple(notes)

    def _recover(self, fault: DriverFault) -> None:
        """Go to the next stage of recovery."""
        failed = self.status.stage
        self._port_bits = SystemStatus(0)
        problem = f"cannot {failed.value}: {fault}"
        if problem != self.status.problem:
            self.status = replace(self.status, problem=problem, remedy=remedy_of(fault))
        following = self._following(failed, fault.cause)
        if following is Stage.OPEN:
            self._close_and_wait(failed, fault.cause)
        self._enter(following)

    def _following(self, failed: Stage, cause: Cause) -> Stage:
        """The stage that helps against a fault of this cause."""
        if cause is Cause.LOST:
            return Stage.OPEN
        self._faults += failed is not Stage.PROBE
        if self._faults > _FAULTS_IN_A_ROW or (failed is Stage.RESTART and cause not in _NOT_HEARD):
            self._set_up = False
        if failed is Stage.OPEN or cause not in _NOT_HEARD:
            return Stage.OPEN if self._faults > _FAULTS_IN_A_ROW else _NEXT_STAGE.get(failed, Stage.OPEN)
        if self._clock.now_ns() - self._well_ns > ns_from_s(self._config.limits.slow_s):
            return Stage.OPEN
        if failed is not Stage.PROBE:
            return Stage.RESTART if self._set_up and failed is not Stage.RESTART else Stage.PROBE
        known_and_heard = cause is Cause.NOISE and self.status.baud > 0
        return Stage.RESET if self._may_reset and (not known_and_heard or self._openings >= _OPENINGS_IN_NOISE) else Stage.PROBE

    def _close_and_wait(self, failed: Stage, cause: Cause) -> None:
        """A device that refuses is not hurried; a port is looked for again soon, and a device that was not heard at once."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        recovery = self._config.recovery
        if cause in (Cause.LOST, Cause.PORT_MISSING):
            self._clock.sleep(recovery.reopen_s)
        elif failed is Stage.OPEN:
            self._clock.sleep(recovery.backoff_s)
        elif cause in _NOT_HEARD:
            self._openings += 1
        else:
            self._clock.sleep(min(recovery.backoff_s * 2.0 ** min(self._refusals, 16), recovery.backoff_max_s))
            self._refusals += 1
