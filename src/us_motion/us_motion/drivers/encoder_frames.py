"""Bodies of the encoder stream to records, and back: the layout of docs/encoder_stream.md, version 1. No I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np

from us_motion.types import Counts

MEASUREMENT: Final = 0x21
HELLO: Final = 0x31
HELLO_REQUEST: Final = bytes([0xF1, 0x01])
MOST_ENCODERS: Final = 16

_HEADER: Final = struct.Struct("<BBHIQB")
_JOINT: Final = np.dtype([("count", "<i4"), ("index_count", "<i4"), ("status", "u1")])
_HELLO: Final = struct.Struct("<BBHIQBBBBHB")
_ENCODER: Final = struct.Struct("<IB")


class EncoderBits(IntFlag):
    """Status byte of one encoder; its upper four bits are two counters modulo four, see the properties of EncoderFrame."""

    INDEX_SEEN = 1
    NO_SIGNAL = 2
    WEAK = 4
    RESERVED = 8


@dataclass(frozen=True, slots=True, eq=False)
class EncoderFrame:
    """One trigger: counters, the counter at the last index pulse, and the status byte of each encoder, as the device sends them."""

    device_id: int
    overrun: bool
    sequence: int
    device_us: int
    counts: Counts
    index_counts: Counts
    status: Counts

    @property
    def index_pulses(self) -> Counts:
        """Index pulses so far, modulo four."""
        return (self.status >> 4) & 3

    @property
    def illegal_transitions(self) -> Counts:
        """Transitions of both channels at once so far, modulo four: each may have cost a count."""
        return (self.status >> 6) & 3


@dataclass(frozen=True, slots=True)
class EncoderHello:
    """What the device says it is."""

    device_id: int
    serial: int
    device_us: int
    firmware: str
    counter_bits: int
    rate_hz: int
    counts_per_revolution: tuple[int, ...]
    has_index: tuple[bool, ...]

    @property
    def name(self) -> str:
        """As it stands in the `devices` of a calibration."""
        return f"encoders {self.device_id}, serial {self.serial}"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A good frame that is none of this stream, and why."""

    reason: str


def parse(body: bytes) -> EncoderFrame | EncoderHello | Malformed:
    """The record in the body of a frame whose CRC was right."""
    if body[:1] == bytes([MEASUREMENT]):
        return _frame(body)
    if body[:1] == bytes([HELLO]):
        return _hello(body)
    return Malformed(f"a frame of version 0x{body[0]:02X}: not the encoder stream, or newer firmware" if body else "an empty frame")


def _frame(body: bytes) -> EncoderFrame | Malformed:
    if len(body) < _HEADER.size:
        return Malformed(f"a measurement of {len(body)} bytes, at least {_HEADER.size} expected")
    _, device_id, flags, sequence, device_us, encoders = _HEADER.unpack_from(body)
    wanted = _HEADER.size + encoders * _JOINT.itemsize
    if not 1 <= encoders <= MOST_ENCODERS or len(body) != wanted:
        return Malformed(f"a measurement of {encoders} encoders in {len(body)} bytes, {wanted} expected")
    joints = np.frombuffer(body, _JOINT, encoders, _HEADER.size)
    status = joints["status"].astype(np.int64)
    if flags > 1 or (status & EncoderBits.RESERVED).any():
        return Malformed("a measurement with reserved bits set")
    counts, index_counts = joints["count"].astype(np.int64), joints["index_count"].astype(np.int64)
    return EncoderFrame(device_id, bool(flags), sequence, device_us, counts, index_counts, status)


def _hello(body: bytes) -> EncoderHello | Malformed:
    if len(body) < _HELLO.size:
        return Malformed(f"a hello of {len(body)} bytes, at least {_HELLO.size} expected")
    _, device_id, flags, serial, device_us, major, minor, patch, bits, rate_hz, encoders = _HELLO.unpack_from(body)
    wanted = _HELLO.size + encoders * _ENCODER.size
    if not 1 <= encoders <= MOST_ENCODERS or len(body) != wanted:
        return Malformed(f"a hello of {encoders} encoders in {len(body)} bytes, {wanted} expected")
    parts = list(_ENCODER.iter_unpack(body[_HELLO.size :]))
    if flags or bits not in (16, 32) or any(flag > 1 or counts < 4 for counts, flag in parts):
        return Malformed("a hello with reserved bits, counters of neither 16 nor 32 bits, or an encoder of fewer than 4 counts")
    counts_per_revolution, has_index = tuple(counts for counts, _ in parts), tuple(bool(flag) for _, flag in parts)
    return EncoderHello(device_id, serial, device_us, f"{major}.{minor}.{patch}", bits, rate_hz, counts_per_revolution, has_index)


def encode_frame_body(frame: EncoderFrame) -> bytes:
    """The body of a measurement, for test vectors."""
    header = _HEADER.pack(MEASUREMENT, frame.device_id, int(frame.overrun), frame.sequence, frame.device_us, len(frame.counts))
    joints = np.empty(len(frame.counts), _JOINT)
    joints["count"], joints["index_count"], joints["status"] = frame.counts, frame.index_counts, frame.status
    return header + joints.tobytes()


def encode_hello_body(hello: EncoderHello) -> bytes:
    """The body of a hello, for test vectors."""
    firmware = [int(part) for part in hello.firmware.split(".")]
    encoders = zip(hello.counts_per_revolution, hello.has_index, strict=True)
    head = (HELLO, hello.device_id, 0, hello.serial, hello.device_us, *firmware, hello.counter_bits, hello.rate_hz, len(hello.has_index))
    return _HELLO.pack(*head) + b"".join(_ENCODER.pack(counts, index) for counts, index in encoders)
