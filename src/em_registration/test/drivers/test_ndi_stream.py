"""Framing: any chunking, noise before, and one good reply is enough to be in step again."""

import struct

import pytest

from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_replies import Failure, Okay, ResetDone, Text
from em_registration.drivers.ndi_stream import ReplyStream


@pytest.fixture
def bx(vectors):
    return bytes.fromhex(next(entry for entry in vectors["replies"] if entry["name"] == "bx_three_visible")["reply_hex"])


@pytest.fixture
def tx(vectors):
    return bytes.fromhex(next(entry for entry in vectors["replies"] if entry["name"] == "tx_valid_missing_disabled")["reply_hex"])


def replies(stream, data, kind):
    stream.feed(data)
    taken = []
    while (reply := stream.take(kind)) is not None:
        taken.append(reply)
    return taken


@pytest.mark.parametrize("kind", [ReplyKind.BX, ReplyKind.TX])
def test_every_chunking_gives_the_reply_with_its_last_byte_and_not_before(kind, bx, tx):
    data = bx if kind is ReplyKind.BX else tx
    for size in (1, 2, 7, 64):
        stream = ReplyStream()
        taken = [replies(stream, data[at : at + size], kind) for at in range(0, len(data), size)]
        assert [len(some) for some in taken] == [0] * (len(taken) - 1) + [1]


def test_carriage_return_inside_a_binary_reply_does_not_end_it(bx):
    assert b"\r" in bx
    assert len(replies(ReplyStream(), bx + bx, ReplyKind.BX)) == 2


@pytest.mark.parametrize("kind", [ReplyKind.BX, ReplyKind.TX])
def test_good_reply_is_found_behind_every_truncation_of_another(kind, bx, tx):
    data = bx if kind is ReplyKind.BX else tx
    for length in range(len(data)):
        assert len(replies(ReplyStream(), data[:length] + data, kind)) == 1, length


def test_reply_that_lost_a_last_byte_like_the_first_of_the_next_does_not_take_it_from_there(bx, crc):
    for counter in range(65536):
        reply = bx[:-4] + struct.pack("<H", counter)
        if crc(reply) >> 8 == bx[0]:
            break
    reply += struct.pack("<H", crc(reply))
    assert len(replies(ReplyStream(), reply[:-1] + bx, ReplyKind.BX)) == 2
    assert len(replies(ReplyStream(), reply + bx, ReplyKind.BX)) == 2


def test_truncated_reply_that_the_next_one_completes_with_the_right_crc_by_chance_is_refused(bx, crc):
    head, body = bx[:6], bx[6:-2]
    for frame in range(65536):
        # The last tool's frame number makes the CRC so that the first bytes of the next reply complete it.
        cut = head + body[:-6] + struct.pack("<H", frame)
        if struct.pack("<H", crc(cut + bx[:4])) == bx[4:6]:
            break
    stolen = cut + bx[:6]
    assert crc(stolen) == 0 and len(stolen) == len(bx)
    stream = ReplyStream()
    assert len(replies(stream, cut + bx, ReplyKind.BX)) == 1 and len(stream) <= 1
    assert stream.counters.malformed == 1


def test_damaged_length_does_not_swallow_the_good_reply_that_follows(bx):
    for length in (0, 1, 64, 500, 10_713, 65_535):
        stream = ReplyStream()
        damaged = bx[:2] + struct.pack("<H", length) + bx[4:]
        assert len(replies(stream, damaged, ReplyKind.BX)) == 0
        assert len(replies(stream, bx, ReplyKind.BX)) == 1, length


@pytest.mark.parametrize("kind", [ReplyKind.BX, ReplyKind.TX])
def test_no_single_flipped_bit_passes_except_in_the_header_crc_field_where_the_trailer_notices_too(kind, bx, tx):
    data = bx if kind is ReplyKind.BX else tx
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert replies(ReplyStream(), bytes(damaged), kind) == [], bit


def test_wrong_header_crc_alone_is_counted_and_not_refused(bx, crc):
    reply = bx[:4] + b"\x00\x00" + bx[6:-2]
    reply += struct.pack("<H", crc(reply))
    stream = ReplyStream()
    assert len(replies(stream, reply, ReplyKind.BX)) == 1
    assert stream.counters.header_crc_mismatches == 1


def test_word_is_found_in_place_of_a_binary_reply_and_behind_noise(reply_line, bx):
    assert replies(ReplyStream(), reply_line("ERROR0C"), ReplyKind.BX) == [Failure(0x0C)]
    assert replies(ReplyStream(), bx[:40] + reply_line("OKAY"), ReplyKind.BX) == [Okay()]
    assert replies(ReplyStream(), bx + reply_line("OKAY"), ReplyKind.TEXT) == [Okay()]


def test_word_that_comes_in_pieces_is_found(reply_line):
    stream = ReplyStream()
    taken = [reply for byte in b"\xff\x00" + reply_line("ERROR0D") for reply in replies(stream, bytes([byte]), ReplyKind.BX)]
    assert taken == [Failure(0x0D)]


def test_bad_line_is_dropped_and_the_next_is_read(reply_line):
    stream = ReplyStream()
    assert replies(stream, b"020A0010B0010000\r" + reply_line("00"), ReplyKind.TEXT) == [Text("00")]
    assert stream.counters.crc_failures == 1


@pytest.mark.parametrize("kind", [ReplyKind.TEXT, ReplyKind.BX])
def test_zeros_in_front_of_a_word_do_not_hide_it_although_its_crc_holds_with_them(reply_line, kind):
    assert replies(ReplyStream(), b"\0\0" + reply_line("RESET"), kind) == [ResetDone()]


def test_good_tx_reply_is_found_where_the_noise_before_it_keeps_the_crc_right(tx, crc):
    noise = b"030A+1000"
    noise += crc(noise).to_bytes(2, "little")
    assert crc(noise) == 0 and b"\r" not in noise
    assert len(replies(ReplyStream(), noise + tx, ReplyKind.TX)) == 1


def test_noise_does_not_grow_the_buffer():
    stream = ReplyStream()
    for _ in range(300):
        assert replies(stream, b"\xc4\xa5\xff\x20" + b"\x55" * 250, ReplyKind.BX) == []
    assert len(stream) <= 20_000


def test_clear_forgets_half_a_reply(bx):
    stream = ReplyStream()
    stream.feed(bx[:50])
    stream.clear()
    assert len(stream) == 0
    assert len(replies(stream, bx, ReplyKind.BX)) == 1
