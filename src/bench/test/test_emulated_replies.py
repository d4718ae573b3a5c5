"""The bytes that the emulated device sends, against golden vectors that were accepted by an independent reader of the protocol."""

from __future__ import annotations

import pytest

from lodestone_bench.emulators.aurora_reply import HandleReport, HandleState, bx_reply, tx_reply
from lodestone_bench.emulators.crc16 import crc16, with_crc
from lodestone_bench.sources.source import Pose

CRCS = {
    "RESET": 0xBE6F, "INIT:": 0xE3A5, "OKAY": 0xA896, "VER:0": 0x65EE, "GETINFO:Features.Firmware.Version": 0x0492,
    "COMM:50000": 0x0048, "COMM:A0000": 0x0BF8, "COMM:60001": 0xC0CD, "PHSR:02": 0xE17E, "PINIT:0A": 0xD5EB, "PENA:0AD": 0xAD1E,
    "PHINF:0A0021": 0x64EC, "TSTART:80": 0x1B0B, "TSTOP:": 0x2C14, "TX:0801": 0xC19B, "BX:0801": 0x00EC, "APIREV:": 0x443E,
    "ERROR01": 0x6BC2, "ERROR0D": 0x8C03, "123456789": 0xBB3D,
}  # fmt: skip

GOLDEN_TX = b"030A+10000+00000+00000+00000+001000-002000-015050+025000000003100000064\n0BMISSING0000003100000064\n0CDISABLED\n0000E808\r"
GOLDEN_BX = bytes.fromhex(
    "c4 a5 39 00 3f 43 03 0a 01 00 00 80 3f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 41 00 00 a0 c1 00 80 16 c3 00 00 80 3e"
    "31 00 00 00 64 00 00 00 0b 02 31 00 00 00 64 00 00 00 0c 04 00 00 86 0a"
)
GOLDEN_BX_THREE = bytes.fromhex(
    "c4 a5 81 00 4d 43 03 0a 01 00 00 80 3f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 41 00 00 a0 c1 00 80 16 c3 00 00 80 3e"
    "31 00 00 00 0d 00 00 00 0b 01 00 00 00 00 00 00 80 3f 00 00 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 c8 c2 00 00 00"
    "3f b1 00 00 00 0d 00 00 00 0c 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80 bf 00 00 80 c2 00 00 00 42 00 40 48 c3 00 00"
    "80 3f 31 01 00 00 0d 00 00 00 00 00 6b ec"
)
PLAIN = Pose((1.0, 0.0, 0.0, 0.0), (10.0, -20.0, -150.5))
VALID = HandleReport(0x0A, HandleState.VALID, 0x31, 100, PLAIN, 0.25)
MIXED = [VALID, HandleReport(0x0B, HandleState.MISSING, 0x31, 100), HandleReport(0x0C, HandleState.DISABLED)]


@pytest.mark.parametrize(("text", "expected"), CRCS.items())
def test_crc_is_that_of_the_golden_vectors(text: str, expected: int) -> None:
    assert crc16(text.encode()) == expected


def test_ascii_messages_end_with_four_upper_case_digits() -> None:
    assert with_crc(b"OKAY") == b"OKAYA896\r"


def test_tx_of_a_valid_a_missing_and_a_disabled_tool_is_the_golden_one() -> None:
    assert tx_reply(MIXED, 0) == GOLDEN_TX


def test_bx_of_a_valid_a_missing_and_a_disabled_tool_is_the_golden_one() -> None:
    assert bx_reply(MIXED, 0) == GOLDEN_BX


def test_bx_of_three_visible_tools_is_the_golden_one() -> None:
    reports = [
        HandleReport(0x0A, HandleState.VALID, 0x31, 13, PLAIN, 0.25),
        HandleReport(0x0B, HandleState.VALID, 0xB1, 13, Pose((0.0, 1.0, 0.0, 0.0), (0.5, 0.0, -100.0)), 0.5),
        HandleReport(0x0C, HandleState.VALID, 0x131, 13, Pose((0.0, 0.0, 0.0, -1.0), (-64.0, 32.0, -200.25)), 1.0),
    ]
    assert bx_reply(reports, 0) == GOLDEN_BX_THREE


def test_sizes_are_eleven_bytes_and_so_many_for_each_visible_tool() -> None:
    assert [len(bx_reply([VALID] * n, 0)) for n in (0, 1, 4, 8)] == [11, 53, 179, 347]
    assert [len(tx_reply([VALID] * n, 0)) for n in (0, 1, 4)] == [11, 81, 291]


def test_tx_can_carry_digits_after_disabled_and_unoccupied() -> None:
    reports = [HandleReport(0x0A, HandleState.DISABLED), HandleReport(0x0B, HandleState.UNOCCUPIED)]
    assert tx_reply(reports, 0x80)[:-5] == b"020ADISABLED\n0BUNOCCUPIED\n0080"
    assert tx_reply(reports, 0, tail=True)[:-5] == b"020ADISABLED" + b"0" * 16 + b"\n0BUNOCCUPIED" + b"0" * 16 + b"\n0000"


def test_a_frame_number_keeps_all_32_bits_in_both_replies() -> None:
    last = [HandleReport(0x0A, HandleState.MISSING, 0x31, 0xFFFFFFFF)]
    assert b"00000031FFFFFFFF\n" in tx_reply(last, 0)
    assert b"\x31\x00\x00\x00\xff\xff\xff\xff" in bx_reply(last, 0)
