"""Code tables of the NDI combined API: baud rates, port and system status bits, handle status, error codes.

Sources: ndicapi, PLUS, sawNDITracker and two Aurora drivers; the vendor's own guide was not available. Port status bits 8 and 12
rest on two drivers that are probably related.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

BAUD_CODES: Final = {
    9600: "0",
    14400: "1",
    19200: "2",
    38400: "3",
    57600: "4",
    115200: "5",
    921600: "6",
    1228739: "7",
    230400: "A",
}


class HandleStatus(IntEnum):
    """Status byte of one handle in a BX reply; TX spells it out. UNOCCUPIED occurs in TX only."""

    VALID = 1
    MISSING = 2
    DISABLED = 4
    UNOCCUPIED = 8


class PortStatus(IntFlag):
    """Bits of the 32-bit port status of one handle."""

    OCCUPIED = 1 << 0
    SWITCH_1 = 1 << 1
    SWITCH_2 = 1 << 2
    SWITCH_3 = 1 << 3
    INITIALIZED = 1 << 4
    ENABLED = 1 << 5
    OUT_OF_VOLUME = 1 << 6
    PARTIALLY_OUT_OF_VOLUME = 1 << 7
    SENSOR_COIL_BROKEN = 1 << 8
    PROCESSING_EXCEPTION = 1 << 12


class SystemStatus(IntFlag):
    """Bits of the 16-bit system status that ends every measurement reply."""

    COMM_SYNC_ERROR = 1 << 0
    EXTERNAL_IR = 1 << 1
    CRC_ERROR = 1 << 2
    RECOVERABLE = 1 << 3
    HARDWARE_FAILURE = 1 << 4
    HARDWARE_CHANGE = 1 << 5
    PORT_OCCUPIED = 1 << 6
    PORT_UNOCCUPIED = 1 << 7


class HandleBits(IntFlag):
    """Bits of the 12-bit status of one handle in a PHSR reply."""

    OCCUPIED = 0x01
    SWITCH_1 = 0x02
    SWITCH_2 = 0x04
    SWITCH_3 = 0x08
    INITIALIZED = 0x10
    ENABLED = 0x20
    CURRENT_DETECT = 0x80


class ErrorCode(IntEnum):
    """The error codes that the driver acts on; ERROR_TEXTS knows the others too."""

    BAD_CRC = 0x04
    INVALID_MODE = 0x09
    INVALID_IN_CURRENT_MODE = 0x0C
    NOT_INITIALISED = 0x10
    PINIT_FAILED = 0x13


ERROR_TEXTS: Final = {
    0x01: "invalid command",
    0x02: "too long",
    0x03: "too short",
    0x04: "bad command CRC",
    0x05: "execution timeout",
    0x06: "comm parameters failed",
    0x07: "wrong parameter count",
    0x08: "invalid port",
    0x09: "invalid mode",
    0x0C: "invalid in current mode",
    0x0D: "no tool",
    0x0E: "port not initialised",
    0x0F: "port not enabled",
    0x10: "not initialised",
    0x11: "TSTOP failed",
    0x12: "TSTART failed",
    0x13: "PINIT failed",
    0x15: "init failed",
    0x1A: "internal",
    0x1E: "SROM read",
    0x1F: "SROM write",
    0x23: "parameter range",
    0x28: "too many tools",
    0x2B: "handle not allocated",
    0x2C: "handle empty",
    0x2D: "handles full",
    0x33: "feature absent",
}


# What noise on the line makes of a command (invalid, too long, too short, bad CRC, wrong count): worth another try.
GARBLED: Final = frozenset((0x01, 0x02, 0x03, 0x04, 0x07))


def error_text(code: int) -> str:
    """The error as a person reads it, for instance `ERROR0D (no tool)`."""
    return f"ERROR{code:02X} ({ERROR_TEXTS.get(code, 'not in the table')})"
