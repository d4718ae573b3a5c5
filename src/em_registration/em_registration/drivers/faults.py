"""Why the driver does not track, as values: the stage that failed, the cause, and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from lodestone_core.device.faults import REMEDIES as GENERAL_REMEDIES
from lodestone_core.device.faults import Cause, DriverFault


class Stage(Enum):
    """Where the session stands; the order is the order of a start."""

    OPEN = "open the port"
    PROBE = "find the device"
    RESET = "reset the device"
    INITIALISE = "initialise the system"
    BAUD = "change the baud rate"
    PORTS = "initialise the tools"
    START = "start tracking"
    TRACKING = "track"
    REPLUG = "initialise tools that were plugged in or out"
    RESTART = "stop and start tracking again"


REMEDIES: Final = {
    Cause.LOST: "check the cable to the system control unit; the driver opens the port again by itself",
    Cause.SILENT: "check that the system control unit is on and its cable plugged in, and that `port` is the right one of several",
    Cause.NOISE: "check that `port` is the Aurora's; if so, switch the system control unit off and on: its baud rate is unknown",
    Cause.REFUSED: "switch the system control unit off and on; if that does not help, set `trace_file` and look at the last command",
}


def remedy_of(fault: DriverFault) -> str:
    """What a person can do about it at an Aurora."""
    general = fault.remedy == GENERAL_REMEDIES[fault.cause]
    return REMEDIES.get(fault.cause, fault.remedy) if general else fault.remedy


@dataclass(frozen=True, slots=True)
class DriverStatus:
    """What the session says about itself; `problem` is empty while all is well."""

    stage: Stage = Stage.OPEN
    problem: str = ""
    remedy: str = ""
    firmware: str = ""
    baud: int = 0
    reply: str = ""
    tools: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tracking(self) -> bool:
        """Whether frames are expected."""
        return self.stage is Stage.TRACKING and not self.problem
