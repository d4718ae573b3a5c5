"""What the device says in text, as typed records, and the parsers of the payloads that the driver reads.

A parser raises MalformedReply where a reply's CRC held but its content does not fit its own layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from em_registration.drivers.ndi_codes import HandleBits, error_text
from em_registration.drivers.ndi_measurements import MalformedReply, Measurement

NO_SERIAL: Final = "00000000"
_HANDLES = re.compile(r"([0-9A-F]{2})((?:[0-9A-F]{5})*)")
_INFO_CHARS, _LOCATION_CHARS = 33, 14
_WIRED = "0"


@dataclass(frozen=True, slots=True)
class Okay:
    """The command was carried out."""


@dataclass(frozen=True, slots=True)
class ResetDone:
    """The device has restarted: 9600 baud, nothing initialised."""


@dataclass(frozen=True, slots=True)
class Failure:
    """ERRORnn."""

    code: int

    def __str__(self) -> str:
        return error_text(self.code)


@dataclass(frozen=True, slots=True)
class Caution:
    """WARNING...: the command was carried out, and something about it is worth saying."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Any other reply, without its CRC."""

    text: str


Reply: TypeAlias = Okay | ResetDone | Failure | Caution | Text | Measurement


@dataclass(frozen=True, slots=True)
class HandleEntry:
    """One handle in a PHSR reply."""

    handle: int
    bits: HandleBits


@dataclass(frozen=True, slots=True)
class HandleInfo:
    """PHINF with options 0021: what the SROM says and where the tool is plugged in. Empty when the port is unoccupied."""

    main_type: str = ""
    manufacturer: str = ""
    revision: str = ""
    serial: str = ""
    port: int = 0
    channel: int = 0
    wired: bool = True

    @property
    def has_serial(self) -> bool:
        """Whether the serial number tells this tool from another."""
        return bool(self.serial) and self.serial != NO_SERIAL


def parse_words(payload: bytes) -> Reply:
    """The record of a text reply (without CRC)."""
    text = payload.decode("latin-1")
    if text == "OKAY":
        return Okay()
    if text == "RESET":
        return ResetDone()
    if re.fullmatch(r"ERROR[0-9A-F]{2}", text):
        return Failure(int(text[5:], 16))
    if text.startswith("WARNING"):
        return Caution(text)
    return Text(text)


def parse_handles(text: str) -> tuple[HandleEntry, ...]:
    """The handles of a PHSR reply, in the device's order."""
    match = _HANDLES.fullmatch(text)
    if match is None or len(match[2]) != 5 * int(match[1], 16):
        raise MalformedReply(f"PHSR: {text[:40]!r} is not a count with five characters a handle")
    entries = (match[2][at : at + 5] for at in range(0, len(match[2]), 5))
    return tuple(HandleEntry(int(entry[:2], 16), HandleBits(int(entry[2:], 16))) for entry in entries)


def parse_handle_info(text: str) -> HandleInfo:
    """The reply to PHINF with options 0021; an unoccupied port gives an empty record."""
    if text.startswith("UNOCCUPIED"):
        return HandleInfo()
    if len(text) != _INFO_CHARS + _LOCATION_CHARS:
        raise MalformedReply(f"PHINF: {len(text)} characters instead of {_INFO_CHARS + _LOCATION_CHARS}")
    tool, location = text[:_INFO_CHARS], text[_INFO_CHARS:]
    return HandleInfo(
        main_type=tool[0:2],
        manufacturer=tool[8:20].strip(),
        revision=tool[20:23].strip(),
        serial=tool[23:31].strip().upper(),
        port=_number(location[10:12]),
        channel=_number(location[12:14]),
        wired=location[9] == _WIRED,
    )


def parse_new_handle(text: str) -> int:
    """The handle that PHRQ gave."""
    if not re.fullmatch(r"[0-9A-F]{2}", text):
        raise MalformedReply(f"PHRQ: {text[:20]!r} is not a handle")
    return int(text, 16)


def _number(digits: str) -> int:
    """Two digits of a port location; wireless ports carry letters, which have no number here."""
    return int(digits) if digits.isdecimal() else 0
