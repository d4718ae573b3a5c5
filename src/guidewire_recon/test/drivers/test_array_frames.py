"""Frames of the array: the vectors of the page for firmware writers, every wrong frame named, no bytes that make it fail."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidewire_recon.drivers import ak09940a
from guidewire_recon.drivers.ak09940a import Drive, at_an_end, counts, temperature_degc
from guidewire_recon.drivers.array_frames import Hello, Measurement, parse, status_words
from guidewire_recon.types import SensorStatus
from lodestone_core.device.framing import FrameDecoder, encode_frame

VECTORS = Path(__file__).parents[1] / "vectors"
STREAM = json.loads((VECTORS / "magnetometer_stream.json").read_text())
CHIP = json.loads((VECTORS / "ak09940a.json").read_text())
PAGE = Path(__file__).parents[4] / "docs" / "magnetometer_stream.md"
FRAMES = {frame["name"]: frame for frame in STREAM["frames"]}
HEAD = struct.Struct("<BBHIQB")


def body_of(name: str) -> bytes:
    return bytes.fromhex(FRAMES[name]["body_hex"])


@pytest.mark.parametrize("vector", [*STREAM["framing"], *STREAM["frames"]], ids=lambda vector: vector["name"])
def test_a_vector_goes_over_the_line_byte_for_byte_both_ways(vector: dict[str, Any]) -> None:
    body, line = bytes.fromhex(vector["body_hex"]), bytes.fromhex(vector["line_hex"])
    assert encode_frame(body) == line and FrameDecoder().feed(line) == [body]


@pytest.mark.parametrize("frame", [frame for frame in STREAM["frames"] if "measurement" in frame], ids=lambda frame: frame["name"])
def test_a_measurement_of_the_vectors_is_read_as_they_say(frame: dict[str, Any]) -> None:
    found, expected = parse(bytes.fromhex(frame["body_hex"])), frame["measurement"]
    assert isinstance(found, Measurement)
    assert [getattr(found, name) for name in ("array_id", "flags", "sequence", "device_us")] == [
        expected[name] for name in ("array_id", "flags", "sequence", "device_us")
    ]
    sensors = expected["sensors"]
    assert found.raw.tolist() == [sensor["raw"] for sensor in sensors]
    np.testing.assert_allclose(temperature_degc(found.tmps), [sensor["temperature_degc"] for sensor in sensors], atol=1e-4)
    overflow = np.where(at_an_end(found.raw), np.uint16(SensorStatus.OVERFLOW), np.uint16(0))
    assert (status_words(found.st) | overflow).tolist() == [sensor["status"] for sensor in sensors]


def test_the_hello_of_the_vectors_is_read_as_they_say() -> None:
    found, expected = parse(body_of("hello")), FRAMES["hello"]["hello"]
    assert isinstance(found, Hello)
    assert (found.array_id, found.triggered, found.device_us, found.rate_hz) == (1, True, expected["device_us"], 100.0)
    assert found.drive is Drive.LOW_NOISE_2 and found.firmware == "array 1.2"
    assert [list(wia) for wia in found.identities] == expected["identities"] and list(found.self_tests) == expected["self_tests"]
    assert found.strangers() == (2,)


def test_the_page_for_firmware_writers_shows_the_vectors() -> None:
    text = PAGE.read_text()
    for name in ("one sensor", "zeros", "states", "hello", "request"):
        assert f"| {name} | `{FRAMES[name]['line_hex']}` |" in text
    assert len(bytes.fromhex(FRAMES["sixteen sensors"]["line_hex"])) == 197 and "| 16 | 197 |" in text


@pytest.mark.parametrize("vector", CHIP["field"], ids=lambda vector: vector["reply_hex"])
def test_three_bytes_of_the_chip_are_18_bits_with_a_sign(vector: dict[str, Any]) -> None:
    axis = np.frombuffer(bytes.fromhex(vector["reply_hex"]), np.uint8)
    expected = vector["expected"]
    assert int(counts(axis)) == expected["lsb"]
    assert int(counts(axis)) * ak09940a.T_PER_COUNT == pytest.approx(expected["tesla"], rel=1e-12)
    assert bool(at_an_end(np.array([int(counts(axis)), 0, 0]))) == expected["at_limit"]


@pytest.mark.parametrize("vector", CHIP["temperature"], ids=lambda vector: vector["reply_hex"])
def test_the_temperature_is_signed(vector: dict[str, Any]) -> None:
    raw = np.frombuffer(bytes.fromhex(vector["reply_hex"]), np.int8)
    assert float(temperature_degc(raw)[0]) == pytest.approx(vector["expected"]["celsius"], abs=1e-4)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x01\x01", "at least 17 bytes"),
        (body_of("one sensor")[:-1], "has 28 bytes before its CRC, this one 27"),
        (body_of("one sensor") + b"\0", "has 28 bytes before its CRC, this one 29"),
        (HEAD.pack(1, 1, 0, 1, 1, 0), "of 0 sensors"),
        (HEAD.pack(1, 1, 4, 1, 1, 1) + bytes(11), "reserved"),
        (HEAD.pack(1, 1, 0, 1, 1, 1) + bytes(10) + b"\x20", "reserved"),
        (b"\x02" + body_of("one sensor")[1:], "0x02, which is no version known here"),
        (b"\x41rest", "the ports of the two devices are swapped"),
        (body_of("hello")[:20], "hello frame of 3 sensors"),
        (body_of("hello")[:-1], "hello frame of 3 sensors"),
        (body_of("hello")[:13] + b"\x09" + body_of("hello")[14:], "drive 9"),
        (b"\x11", "at least 18 bytes"),
    ],
)
def test_a_wrong_frame_is_refused_in_words(body: bytes, words: str) -> None:
    reason = parse(body)
    assert isinstance(reason, str) and words in reason


@given(st.binary(min_size=1, max_size=400).filter(lambda body: body[0] != 0), st.sampled_from([0x01, 0x11, None]))
def test_no_body_makes_the_parser_fail(body: bytes, kind: int | None) -> None:
    body = body if kind is None else bytes([kind]) + body[1:]
    record = parse(body)
    assert isinstance(record, (Measurement, Hello, str))
    if isinstance(record, Measurement):
        assert len(body) == 17 + 11 * len(record.raw)


SENSOR = st.tuples(*[st.integers(-131072, 131071)] * 3, st.integers(-128, 127), st.integers(0, 31))


@given(st.lists(SENSOR, min_size=1, max_size=20), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.booleans())
def test_any_measurement_comes_back_whether_the_chip_extends_the_sign_or_not(
    sensors: list[tuple[int, ...]], sequence: int, device_us: int, extended: bool
) -> None:
    mask = 0xFFFFFF if extended else 0x3FFFF
    table = b"".join(
        b"".join((axis & mask).to_bytes(3, "little") for axis in axes) + struct.pack("<bB", tmps, status) for *axes, tmps, status in sensors
    )
    found = parse(HEAD.pack(1, 9, 3, sequence, device_us, len(sensors)) + table)
    assert isinstance(found, Measurement) and (found.sequence, found.device_us, found.flags) == (sequence, device_us, 3)
    assert [
        (*raw, tmps, status) for raw, tmps, status in zip(found.raw.tolist(), found.tmps.tolist(), found.st.tolist(), strict=True)
    ] == sensors


def test_the_noise_of_a_drive_falls_with_its_measuring_time() -> None:
    noise = [drive.noise_T for drive in Drive]
    assert noise == sorted(noise, reverse=True) and noise[-1] == 120e-9
    assert [drive.most_hz for drive in Drive] == [2500, 1000, 400, 200, 200]
    assert ak09940a.identity(0x48, 0xA3) == "AK09940A" and ak09940a.identity(0x48, 0xA1) == "AK09940"
    assert ak09940a.identity(0x00, 0xA3) == "" == ak09940a.identity(0x48, 0xA4)
