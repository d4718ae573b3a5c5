"""The encoder stream's layout: vectors, an independent writer, and whatever else a line may bring."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.device.framing import FrameDecoder, encode_frame
from us_motion.drivers.encoder_frames import (
    EncoderFrame,
    EncoderHello,
    Malformed,
    encode_frame_body,
    encode_hello_body,
    parse,
)

VECTORS = json.loads((Path(__file__).parent / "vectors" / "encoders.json").read_text())
DOCS = Path(__file__).parents[4] / "docs" / "encoder_stream.md"
FRAME = EncoderFrame(1, False, 7, 70_000, np.array([5, -3]), np.array([0, 2]), np.array([0, 0x51]))
HELLO = EncoderHello(1, 1001, 0, "1.2.3", 32, 100, (40000, 20000), (True, False))


def plain(record: EncoderFrame | EncoderHello | Malformed) -> dict[str, Any]:
    """Fields of a record as JSON has them."""
    if isinstance(record, EncoderFrame):
        fields = {name: getattr(record, name) for name in EncoderFrame.__slots__}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}
    return {name: list(v) if isinstance(v := getattr(record, name), tuple) else v for name in type(record).__slots__}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_means_what_it_says(vector: dict[str, Any]) -> None:
    (body,) = FrameDecoder().feed(b"\0" + bytes.fromhex(vector["line"]))
    assert body.hex() == vector["body"]
    record = parse(body)
    assert type(record).__name__ == vector["record"] and plain(record) == vector["fields"]
    assert (
        encode_frame(encode_frame_body(record) if isinstance(record, EncoderFrame) else encode_hello_body(record)).hex() == vector["line"]
    )  # type: ignore[arg-type]


def test_the_vectors_stand_in_the_documentation() -> None:
    text = "".join(DOCS.read_text().split())
    assert not [vector["name"] for vector in VECTORS if vector["line"] not in text]


def test_the_upper_bits_of_the_status_are_two_counters_modulo_four() -> None:
    frame = replace(FRAME, status=np.array([0b01_11_0001, 0b11_10_0110]))
    assert frame.index_pulses.tolist() == [3, 2] and frame.illegal_transitions.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"\x01" + bytes(40), "version 0x01"),
        (b"\x21", "1 bytes"),
        (encode_frame_body(FRAME)[:-1], "2 encoders in 34 bytes"),
        (encode_frame_body(FRAME) + b"\0", "2 encoders in 36 bytes"),
        (encode_frame_body(FRAME)[:16] + b"\0", "0 encoders"),
        (encode_frame_body(replace(FRAME, status=np.array([8, 0]))), "reserved"),
        (encode_hello_body(HELLO)[:-1], "2 encoders in 32 bytes"),
        (encode_hello_body(replace(HELLO, counter_bits=24)), "neither 16 nor 32"),
        (encode_hello_body(replace(HELLO, counts_per_revolution=(40000, 3))), "fewer than 4"),
    ],
)
def test_a_body_that_does_not_fit_its_layout_is_refused_with_the_reason(body: bytes, said: str) -> None:
    record = parse(body)
    assert isinstance(record, Malformed) and said in record.reason


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_reason(body: bytes) -> None:
    record = parse(body)
    if isinstance(record, EncoderFrame):
        assert encode_frame_body(record) == body
    elif isinstance(record, EncoderHello):
        assert encode_hello_body(record) == body
    else:
        assert record.reason


counts = st.integers(-(2**31), 2**31 - 1)
joints = st.lists(st.tuples(counts, counts, st.integers(0, 255).map(lambda bits: bits & ~8)), min_size=1, max_size=16)


@settings(max_examples=200)
@given(st.integers(0, 255), st.booleans(), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), joints)
def test_a_measurement_comes_back_as_it_was(
    device: int, overrun: bool, sequence: int, time_us: int, values: list[tuple[int, int, int]]
) -> None:
    columns = [np.array(column, dtype=np.int64) for column in zip(*values, strict=True)]
    frame = EncoderFrame(device, overrun, sequence, time_us, *columns)
    assert plain(parse(encode_frame_body(frame))) == plain(frame)


def test_damaged_lines_bring_nothing_but_what_was_sent() -> None:
    random, decoder = Random(3), FrameDecoder()
    sent = [encode_frame_body(replace(FRAME, sequence=number, device_us=number * 10_000)) for number in range(4000)]
    got = []
    for body in sent:
        line = bytearray(encode_frame(body))
        for _ in range(random.randrange(3)):
            line[random.randrange(len(line))] = random.randrange(256)
        got += decoder.feed(bytes(line))
    whole = {bytes(body) for body in sent}
    wrong = [body for body in got if bytes(body) not in whole]
    # A CRC of 16 bits lets one damaged frame in 65536 through.
    assert len(wrong) <= 1 and 1000 < len(got) < 3500
