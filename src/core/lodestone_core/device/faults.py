"""Why a device gives nothing, as values: the cause, and what a person can do."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Cause(Enum):
    """What went wrong."""

    PORT_MISSING = "the port does not exist"
    PERMISSION = "no permission to open the port"
    PORT_IN_USE = "the port is in use by another program"
    NOT_SERIAL = "the path is not a serial port"
    LOST = "the port has disappeared"
    SILENT = "the device does not answer"
    NOISE = "what comes from the port is not this device's language"
    REFUSED = "the device refused a command"
    MALFORMED = "a message does not fit its own layout"
    FOREIGN = "what comes is not what this driver is set up for"


REMEDIES: Final = {
    Cause.PORT_MISSING: "plug in the USB cable, or correct the parameter `port` (prefer /dev/serial/by-id/...)",
    Cause.PERMISSION: "join the port's group (`sudo usermod -aG dialout $USER`, then log in again), or install the udev rule",
    Cause.PORT_IN_USE: "end the other program; `fuser -v` on the port finds it",
    Cause.NOT_SERIAL: "correct the parameter `port`: it must name a serial device",
    Cause.LOST: "check the cable to the device; the driver opens the port again by itself",
    Cause.SILENT: "check that the device is on and its cable plugged in, and that `port` is the right one of several",
    Cause.NOISE: "check that `port` is the right one and that `baud` is the device's rate",
    Cause.REFUSED: "switch the device off and on; if that does not help, set `trace_file` and look at the last command",
    Cause.MALFORMED: "set `trace_file`, record a minute and report it with the firmware version: this dialect is not known here",
    Cause.FOREIGN: "correct `port`, or the parameter that the message names",
}


class DriverFault(Exception):
    """A device cannot be used as it should. Raised and caught within a driver: outside it is a status with a reason."""

    def __init__(self, cause: Cause, detail: str, remedy: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}" if detail else cause.value)
        self.cause = cause
        self.remedy = remedy or REMEDIES[cause]


class Stopped(Exception):
    """The driver was asked to stop while it waited for the device."""
