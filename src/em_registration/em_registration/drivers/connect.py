"""From an open port to an initialised device at the configured baud rate, and what firmware it runs."""

from __future__ import annotations

from typing import Final

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.link import Link, arrived_damaged, refusal
from em_registration.drivers.ndi_codes import ErrorCode
from em_registration.drivers.ndi_replies import Failure, Okay, ResetDone, Text
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.serial_port import Clock
from lodestone_core.time import NS_PER_S

RESET_BAUD: Final = 9600
_PROBES: Final = 2
# ndicapi waits so long after INIT and around COMM; other drivers wait 200 to 500 ms.
_SETTLE_S: Final = 0.1
_BUSY_WAIT_S: Final = 0.5
# What was written may still be on its way to the line, at the rate that is set then.
_OUT_S: Final = 0.1


def find_device(link: Link, config: AuroraConfig) -> None:
    """Set the line to the rate at which the device answers: the configured one or 9600, in turn, first the one that is not set now.

    Raises DriverFault: SILENT when nothing came at either rate, NOISE when bytes came that were no reply.
    """
    noise = False
    for baud in _PROBES * sorted({config.baud, RESET_BAUD}, key=lambda baud: baud == link.baud):
        link.set_baud(baud, config.handshake and baud == config.baud)
        answer = link.ask(ndi.api_revision())
        if answer.reply is not None and not arrived_damaged(answer.reply):
            return
        noise = noise or answer.noise or answer.reply is not None
    raise DriverFault(Cause.NOISE if noise else Cause.SILENT, f"no good reply at {config.baud} or {RESET_BAUD} baud")


def reset_device(link: Link, config: AuroraConfig, by_command: bool) -> None:
    """Reset by a break, or by RESET at both rates where an adapter does not forward breaks; `find_device` tells what came of it."""
    if not by_command:
        link.send_break()
        return
    for baud in dict.fromkeys((RESET_BAUD, config.baud)):
        link.set_baud(baud)
        link.send(ndi.reset())
        link.pause(_OUT_S)


def initialise(link: Link, config: AuroraConfig, clock: Clock) -> None:
    """INIT until it is carried out: a device that tracks wants TSTOP first, one that has just been switched on wants time."""
    deadline_ns = clock.now_ns() + round(config.limits.slow_s * NS_PER_S)
    wait_s = 0.0
    while True:
        link.pause(wait_s)
        reply = link.require(ndi.init())
        if isinstance(reply, Okay):
            break
        tracks_or_boots = isinstance(reply, Failure) and reply.code in (ErrorCode.INVALID_IN_CURRENT_MODE, ErrorCode.INVALID_MODE)
        if not (tracks_or_boots or isinstance(reply, ResetDone)) or clock.now_ns() > deadline_ns:
            raise refusal(ndi.init(), reply)
        link.ask(ndi.stop_tracking())
        wait_s = _BUSY_WAIT_S if wait_s else _SETTLE_S
    link.pause(_SETTLE_S)


def change_baud(link: Link, config: AuroraConfig) -> str:
    """Bring both sides to the configured rate; returns a note when the device stays where it is. Raises DriverFault when it is lost."""
    old = link.baud
    if old == config.baud:
        return ""
    try:
        link.okay(ndi.comm(config.baud, config.handshake))
    except DriverFault as fault:
        if fault.cause is not Cause.REFUSED:
            raise
        return f"stays at {old} baud: {fault}"
    link.pause(_SETTLE_S)
    link.set_baud(config.baud, config.handshake)
    link.pause(_SETTLE_S)
    if link.listens():
        return ""
    link.set_baud(old)
    if link.listens():
        return f"stays at {old} baud: the device did not answer at {config.baud}; choose another rate"
    remedy = "choose a lower `baud`, or check the adapter and its cable"
    raise DriverFault(Cause.SILENT, f"no reply at {config.baud} baud after COMM", remedy)


def firmware(link: Link) -> str:
    """Firmware version as one line; empty when the device tells none."""
    for command in (ndi.firmware_version(), ndi.version()):
        reply = link.require(command)
        if isinstance(reply, Text):
            return " ".join(reply.text.split())
    return ""
