"""One command line of the host, taken apart: CRC form `NAME:args` + CRC, or plain form `NAME args`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lodestone_bench.emulators.aurora_ports import Refusal
from lodestone_bench.emulators.crc16 import crc16

_FORM = re.compile(rb"([A-Z0-9]+)([: ])(.*)", re.DOTALL)
_CRC_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Command:
    """Name and arguments as text."""

    name: str
    args: str


def name_of(line: bytes) -> str:
    """The command's name for counting, `?` when it has none."""
    match = _FORM.fullmatch(line)
    return match[1].decode() if match else "?"


def parse_command(line: bytes) -> Command:
    """The command in a line without its carriage return.

    Refused with 01 (no command), 03 (too short for a CRC) or 04 (wrong CRC).
    """
    match = _FORM.fullmatch(line)
    if match is None:
        raise Refusal(0x01)
    name, separator, args = match.groups()
    if separator == b":":
        if len(args) < _CRC_DIGITS:
            raise Refusal(0x03)
        if args[-_CRC_DIGITS:].upper() != b"%04X" % crc16(line[:-_CRC_DIGITS]):
            raise Refusal(0x04)
        args = args[:-_CRC_DIGITS]
    return Command(name.decode(), args.decode("ascii", "replace").rstrip(" "))


def hex_field(text: str, digits: int, refusal: int = 0x23) -> int:
    """A hexadecimal argument of exactly so many digits, in either case."""
    if len(text) != digits or not re.fullmatch(r"[0-9A-Fa-f]+", text):
        raise Refusal(0x07 if len(text) != digits else refusal)
    return int(text, 16)


def decimal_field(text: str) -> int:
    """A decimal argument (port numbers are decimal, everything else is hexadecimal)."""
    if not re.fullmatch(r"[0-9]+", text):
        raise Refusal(0x23)
    return int(text)
