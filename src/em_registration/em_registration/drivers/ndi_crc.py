"""CRC-16/ARC as ASCII commands and replies of the NDI serial protocol carry it."""

from __future__ import annotations

from lodestone_core.device.crc16 import crc16


def crc_text(data: bytes | bytearray | memoryview) -> bytes:
    """The CRC of `data` as the four upper-case hexadecimal digits that end an ASCII command or reply."""
    return b"%04X" % crc16(data)
