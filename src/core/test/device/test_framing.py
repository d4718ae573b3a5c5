"""Framed streams: golden bytes, damage of any kind, and that nothing wrong is ever let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_core.device.crc16 import crc16
from lodestone_core.device.framing import FrameDecoder, encode_frame
from lodestone_core.errors import InputError


def test_a_frame_on_the_line_byte_for_byte() -> None:
    # "123456789" has the CRC 0xBB3D; the low byte comes first, and without a zero inside COBS adds its length in front.
    assert encode_frame(b"123456789") == b"\x0c123456789\x3d\xbb\0"
    # Worked by hand: 01 00 11 00 and the CRC of it, each zero replaced by the distance to the next one.
    body = b"\x01\x00\x11\x00"
    low, high = crc16(body).to_bytes(2, "little")
    assert 0 not in (low, high)
    assert encode_frame(body) == bytes([2, 1, 2, 0x11, 3, low, high, 0])


BODIES = st.binary(min_size=1, max_size=600).filter(lambda body: body[0] != 0)


@given(st.lists(BODIES, min_size=1, max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_any_bodies_come_back_whatever_pieces_the_line_delivers(bodies: list[bytes], sizes: list[int]) -> None:
    line = b"".join(map(encode_frame, bodies))
    decoder, found, at, turn = FrameDecoder(), [], 0, 0
    while at < len(line):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(line[at : at + size])
        at, turn = at + size, turn + 1
    assert found == bodies
    assert (decoder.counters.bad_crc, decoder.counters.bad_stuffing, decoder.counters.noise_bytes) == (0, 0, 0)


@given(BODIES, st.data())
def test_a_damaged_frame_is_dropped_and_the_next_one_comes_through(body: bytes, data: st.DataObject) -> None:
    good = encode_frame(body)
    bit = data.draw(st.integers(0, 8 * (len(good) - 1) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    decoder = FrameDecoder()
    assert decoder.feed(good) == [body]
    assert all(found == body for found in decoder.feed(bytes(bad) + good))
    assert decoder.counters.bad_crc + decoder.counters.bad_stuffing >= 1


@given(st.binary(max_size=3000))
def test_no_bytes_make_it_fail_and_memory_stays_bounded(noise: bytes) -> None:
    decoder = FrameDecoder(longest=100)
    decoder.feed(noise)
    assert len(decoder._begun) <= 100
    assert decoder.feed(b"\0" + encode_frame(b"after all"))[-1] == b"after all"


def test_a_body_that_begins_with_zero_is_refused_at_both_ends() -> None:
    with pytest.raises(InputError, match="version"):
        encode_frame(b"\0\1")
    # Zeros ahead of a good body do not change its CRC: the frame that lost or gained one would pass.
    assert crc16(b"\0\0abc") == crc16(b"abc")


def test_a_port_that_is_opened_in_the_middle_of_a_frame_counts_no_error() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode_frame(b"first")[3:]) == []
    assert decoder.feed(encode_frame(b"second")) == [b"second"]
    assert (decoder.counters.bad_crc, decoder.counters.bad_stuffing) == (0, 0)


@pytest.mark.parametrize("length", [252, 253, 254, 255, 508, 1000])
def test_overhead_is_at_most_one_byte_in_254(length: int) -> None:
    body = bytes([7]) * (length - 2)
    assert len(encode_frame(body)) <= length + 2 + length // 254
    assert FrameDecoder().feed(encode_frame(body)) == [body]
