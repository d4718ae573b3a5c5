"""CRC-16/ARC against polynomial division, at every length around the piece that is looked up at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_core.device.crc16 import crc16


def division(data: bytes) -> int:
    """The remainder of the message as a polynomial over GF(2), bit by bit."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register


def test_the_check_value_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0xBB3D and crc16(b"") == 0 and crc16(b"\0" * 700) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 193, 511, 512, 513, 514, 1023, 1024, 1025, 1026, 4096])
def test_pieces_are_joined_as_if_they_were_one(length: int) -> None:
    data = bytes((7 * k * k + 3 * k + length) & 0xFF for k in range(length))
    assert crc16(data) == division(data) == crc16(bytearray(data)) == crc16(memoryview(data))


@given(st.binary(max_size=1200))
def test_any_bytes_give_the_remainder_of_the_division(data: bytes) -> None:
    assert crc16(data) == division(data)
