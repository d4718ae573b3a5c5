"""The CRC against golden vectors and against the bitwise definition."""

from random import Random

import pytest

from em_registration.drivers.ndi_crc import crc_text
from lodestone_core.device.crc16 import crc16


def test_has_the_check_value_of_crc_16_arc():
    assert crc16(b"123456789") == 0xBB3D


def test_agrees_with_every_golden_command_and_reply(vectors):
    for entry in (*vectors["commands"], *vectors["simple_replies"]):
        text = entry.get("command") or entry["text"]
        assert crc_text(text.encode()) == entry["crc"].encode(), text


def test_agrees_with_the_bitwise_definition_for_every_length(crc):
    random = Random(0)
    for length in range(260):
        data = random.randbytes(length)
        assert crc16(data) == crc(data)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_takes_any_buffer(wrap):
    assert crc16(wrap(b"INIT:")) == 0xE3A5


def test_register_is_zero_after_data_and_its_own_crc():
    reply = b"\xc4\xa5\x39\x00"
    assert crc16(reply + crc16(reply).to_bytes(2, "little")) == 0
