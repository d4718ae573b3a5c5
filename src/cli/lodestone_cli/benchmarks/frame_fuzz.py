"""Damaged frames of the magnetometer array, each followed by two good ones, through the driver's decoder and parser.

What must hold: no measurement comes out of bytes whose CRC fails, no exception escapes, and a good frame behind a zero byte is found as
soon as its own zero byte is there. Encoder, COBS and CRC are written here and share nothing with the driver. Two kinds of damage pass this
CRC: one in 65536 where more is wrong than it finds for certain, and two whole frames whose zero byte between them was lost (its register
is zero behind a good frame); they are counted, each must pass the CRC here, and none may pass the parser as a measurement.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from guidewire_recon.drivers.array_frames import Measurement, parse
from lodestone_cli.benchmarks.damage import COMMON, LAST, Damage
from lodestone_cli.benchmarks.reply_fuzz import bitwise_crc
from lodestone_core.device.framing import FrameDecoder

_GOOD_FRAMES = 64
_FAILURES_SHOWN = 20


@dataclass(slots=True)
class FrameFuzzReport:
    """What came of the run; the first three must be zero."""

    count: int
    accepted_with_bad_crc: int = 0
    exceptions: int = 0
    not_resynchronised: int = 0
    crc_collisions: int = 0
    wrong_measurements: int = 0
    refused: int = 0
    seconds: float = 0.0
    by_damage: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all three requirements held."""
        return not (self.accepted_with_bad_crc or self.exceptions or self.not_resynchronised)


def measurement_body(random: Random, sensors: int) -> bytes:
    """A measurement of so many sensors with random content; a third of the numbers are small, so that there are zero bytes."""
    body = struct.pack("<BBHIQB", 1, 1, 1, random.getrandbits(32), random.getrandbits(40), sensors)
    for _ in range(sensors):
        for _ in range(3):
            body += struct.pack("<i", random.choice((random.randint(-131072, 131071), random.randint(-9, 9), random.randint(-9999, 9999))))[
                :3
            ]
        body += struct.pack("<bB", random.randint(-128, 127), random.choice((1, 1, 1, 0, 3, 16)))
    return body


def on_the_line(body: bytes) -> bytes:
    """The frame of a body."""
    data = body + struct.pack("<H", bitwise_crc(body)) + b"\0"
    line, begin = bytearray(), 0
    while begin < len(data):
        end = data.index(b"\0", begin)
        if end - begin > 253 and not (end - begin == 254 and end == len(data) - 1):
            line += b"\xff" + data[begin : begin + 254]
            begin += 254
            continue
        line += bytes([end - begin + 1]) + data[begin:end]
        begin = end + 1
    return bytes(line) + b"\0"


def whole(frame: bytes) -> bytes | None:
    """The body of a frame without its zero byte, by the COBS and CRC of this file; None when it is damaged."""
    data, at = b"", 0
    while at < len(frame):
        code = frame[at]
        if at + code > len(frame):
            return None
        data += frame[at + 1 : at + code] + (b"\0" if code < 255 else b"")
        at += code
    if frame and frame[-1 - (code - 1)] < 255:
        data = data[:-1]
    return data[:-2] if len(data) > 2 and bitwise_crc(data[:-2]) == int.from_bytes(data[-2:], "little") else None


def _lose_one(random: Random, frame: bytes, other: bytes) -> bytes:
    at = random.randrange(len(frame))
    return frame[:at] + frame[at + 1 :]


DAMAGES: dict[str, Damage] = {**COMMON, "one byte lost": _lose_one, **LAST}


def fuzz_frames(count: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> FrameFuzzReport:
    """Feed `count` damaged frames, each followed by two good ones, through one decoder."""
    random, report = Random(seed), FrameFuzzReport(count)
    lane = _Lane(random)
    began = time.perf_counter()
    for done in range(count):
        lane.trial(random, report)
        if done % 10_000 == 0:
            progress(done)
    report.seconds = time.perf_counter() - began
    counters = lane.decoder.counters
    report.refused += counters.bad_crc + counters.bad_stuffing + counters.too_long
    return report


class _Lane:
    """The good examples and the decoder that all goes through."""

    def __init__(self, random: Random) -> None:
        self.decoder = FrameDecoder()
        self.bodies = [measurement_body(random, random.choice((1, 4, 16, 16, 16, 24))) for _ in range(_GOOD_FRAMES)]
        self.frames = [on_the_line(body) for body in self.bodies]
        self.known = set(self.bodies)
        for frame, body in zip(self.frames, self.bodies, strict=True):
            if FrameDecoder().feed(frame) != [body] or not isinstance(parse(body), Measurement):
                raise AssertionError(f"the driver refuses a good frame: {frame.hex()}")

    def trial(self, random: Random, report: FrameFuzzReport) -> None:
        name = random.choice(tuple(DAMAGES))
        damaged = DAMAGES[name](random, random.choice(self.frames), random.choice(self.frames))
        first, second = random.randrange(_GOOD_FRAMES), random.randrange(_GOOD_FRAMES)
        report.by_damage[name] = report.by_damage.get(name, 0) + 1
        line = damaged + self.frames[first]
        try:
            before = self._feed(line, random)
            after = self._feed(self.frames[second], random)
        except Exception as error:  # whatever escapes is what this bench looks for
            report.exceptions += 1
            self._failed(report, f"{type(error).__name__}: {error}", name, line)
            self.decoder = FrameDecoder()
            return
        for body in before + after:
            if body not in self.known:
                self._judge(body, name, line, report)
        found = after == [self.bodies[second]] and (damaged[-1:] not in (b"", b"\0") or before[-1:] == [self.bodies[first]])
        if not found:
            report.not_resynchronised += 1
            self._failed(report, "a good frame was not found", name, line)

    def _feed(self, data: bytes, random: Random) -> list[bytes]:
        """In one or two chunks, as a line may give them; every record is made, as the driver would."""
        cut = random.randrange(len(data) + 1)
        bodies = self.decoder.feed(data[:cut]) + self.decoder.feed(data[cut:])
        for body in bodies:
            parse(body)
        return bodies

    def _judge(self, body: bytes, name: str, line: bytes, report: FrameFuzzReport) -> None:
        """A body that nobody sent: fine only where the CRC cannot tell, and counted where it would have been used."""
        if body not in {whole(part) for part in line.split(b"\0") if part}:
            report.accepted_with_bad_crc += 1
            self._failed(report, "accepted", name, line)
            return
        report.crc_collisions += 1
        if isinstance(parse(body), Measurement):
            report.wrong_measurements += 1
            self._failed(report, "a measurement that the CRC cannot tell from a good one", name, line)

    def _failed(self, report: FrameFuzzReport, what: str, name: str, line: bytes) -> None:
        if len(report.failures) < _FAILURES_SHOWN:
            report.failures.append(f"{name}, {what}: {line.hex()}")
