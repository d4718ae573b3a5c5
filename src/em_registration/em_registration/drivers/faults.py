"""Why the driver does not track, as values: the stage that failed, the cause, and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


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


class Cause(Enum):
    """What went wrong."""

    PORT_MISSING = "the port does not exist"
    PERMISSION = "no permission to open the port"
    PORT_IN_USE = "the port is in use by another program"
    NOT_SERIAL = "the path is not a serial port"
    LOST = "the port has disappeared"
    SILENT = "the device does not answer"
    NOISE = "what comes from the port is not a reply of an Aurora"
    REFUSED = "the device refused a command"
    MALFORMED = "a reply does not fit its own layout"


REMEDIES: Final = {
    Cause.PORT_MISSING: "plug in the USB cable, or correct the parameter `port` (prefer /dev/serial/by-id/...)",
    Cause.PERMISSION: "join the port's group (`sudo usermod -aG dialout $USER`, then log in again), or install the udev rule",
    Cause.PORT_IN_USE: "end the other program; `fuser -v` on the port finds it",
    Cause.NOT_SERIAL: "correct the parameter `port`: it must name a serial device",
    Cause.LOST: "check the cable to the system control unit; the driver opens the port again by itself",
    Cause.SILENT: "check that the system control unit is on and its cable plugged in, and that `port` is the right one of several",
    Cause.NOISE: "check that `port` is the Aurora's; if so, switch the system control unit off and on: its baud rate is unknown",
    Cause.REFUSED: "switch the system control unit off and on; if that does not help, set `trace_file` and look at the last command",
    Cause.MALFORMED: "set `trace_file`, record a minute and report it with the firmware version: this dialect is not known here",
}


class DriverFault(Exception):
    """A stage of the session failed. Raised and caught within the driver: outside it is a DriverStatus."""

    def __init__(self, cause: Cause, detail: str, remedy: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}" if detail else cause.value)
        self.cause = cause
        self.remedy = remedy or REMEDIES[cause]


class Stopped(Exception):
    """The driver was asked to stop while it waited for the device."""


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
