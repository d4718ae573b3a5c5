"""CRC-16/ARC from its definition; written apart from the driver's so that each can find a fault in the other."""

from __future__ import annotations

_REFLECTED_POLYNOMIAL = 0xA001  # x^16 + x^15 + x^2 + 1


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_REFLECTED_POLYNOMIAL if byte & 1 else 0)
    return byte


_REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """CRC-16/ARC of the bytes: reflected, initial value 0, no final xor; `123456789` gives 0xBB3D."""
    register = 0
    for byte in data:
        register = (register >> 8) ^ _REMAINDERS[(register ^ byte) & 0xFF]
    return register


def with_crc(text: bytes) -> bytes:
    """An ASCII message as it goes over the line: text, CRC as four upper-case hex digits, carriage return."""
    return b"%s%04X\r" % (text, crc16(text))
