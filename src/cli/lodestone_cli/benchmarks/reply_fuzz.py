"""Damaged Aurora replies, each followed by a good one, through the driver's parser.

Three things must hold: no pose comes out of a reply whose CRC fails, no exception escapes, and the good reply that follows is
found as soon as its last byte is there, with the damaged bytes still in the buffer. Encoder and CRC are written here from the
protocol's description and share nothing with the driver. A CRC of 16 bits lets about one damaged reply in 65536 pass; those are
counted and named, and each must pass the CRC of this file too.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_measurements import Measurement
from em_registration.drivers.ndi_stream import ReplyStream
from em_registration.drivers.readings import sample_of
from em_registration.drivers.tools import Tool
from lodestone_cli.benchmarks.damage import COMMON, LAST, Damage
from lodestone_core.device.crc16 import crc16

_GOOD_REPLIES = 64
_FAILURES_SHOWN = 20
_TOOLS = {handle: Tool(handle, f"{handle}", "00000001", 0, 1, 0) for handle in range(256)}


def bitwise_crc(data: bytes) -> int:
    """CRC-16/ARC, bit by bit."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register


@dataclass(slots=True)
class FuzzReport:
    """What came of the run; the first three must be zero."""

    count: int
    accepted_with_bad_crc: int = 0
    exceptions: int = 0
    not_resynchronised: int = 0
    crc_collisions: int = 0
    refused: int = 0
    seconds: float = 0.0
    by_damage: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all three requirements held."""
        return not (self.accepted_with_bad_crc or self.exceptions or self.not_resynchronised)


def encode_bx(random: Random, tools: int) -> bytes:
    """A good BX reply of so many tools with random content."""
    body = bytes([tools])
    for handle in range(10, 10 + tools):
        status = random.choice((1, 1, 1, 2, 4))
        body += bytes([handle, status])
        if status == 1:
            body += struct.pack("<8f", *_unit(random), *(random.uniform(-300.0, 300.0) for _ in range(3)), random.random())
        if status != 4:
            body += struct.pack("<II", 0x31, random.getrandbits(32))
    body += struct.pack("<H", random.getrandbits(8))
    head = b"\xc4\xa5" + struct.pack("<H", len(body))
    reply = head + struct.pack("<H", bitwise_crc(head)) + body
    return reply + struct.pack("<H", bitwise_crc(reply))


def encode_tx(random: Random, tools: int) -> bytes:
    """A good TX reply of so many tools with random content."""
    text = f"{tools:02X}"
    for handle in range(10, 10 + tools):
        status = random.choice((1, 1, 1, 2, 4))
        if status == 1:
            numbers = "".join(f"{round(value * 1e4):+06d}" for value in _unit(random))
            numbers += "".join(f"{random.randint(-30000, 30000):+07d}" for _ in range(3)) + f"{random.randint(0, 9999):+06d}"
        words = {1: numbers if status == 1 else "", 2: "MISSING", 4: "DISABLED"}[status]
        tail = "" if status == 4 else f"{0x31:08X}{random.getrandbits(32):08X}"
        text += f"{handle:02X}{words}{tail}\n"
    text += f"{random.getrandbits(8):04X}"
    return f"{text}{bitwise_crc(text.encode()):04X}\r".encode()


def _unit(random: Random) -> list[float]:
    q = [random.gauss(0.0, 1.0) for _ in range(4)]
    length = sum(value * value for value in q) ** 0.5
    return [value / length for value in q]


def _wrong_length(random: Random, reply: bytes, other: bytes) -> bytes:
    return reply[:2] + random.randbytes(2) + reply[4:]


DAMAGES: dict[str, Damage] = {**COMMON, "wrong length": _wrong_length, **LAST}


def fuzz_replies(count: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> FuzzReport:
    """Feed `count` damaged replies, each followed by a good one, through one stream a kind of reply."""
    random, report = Random(seed), FuzzReport(count)
    lanes = [_Lane(kind, encode, random) for kind, encode in ((ReplyKind.BX, encode_bx), (ReplyKind.TX, encode_tx))]
    began = time.perf_counter()
    for done in range(count):
        random.choice(lanes).trial(random, report)
        if done % 10_000 == 0:
            progress(done)
    report.seconds = time.perf_counter() - began
    report.refused = sum(lane.stream.counters.failures for lane in lanes)
    return report


class _Lane:
    """One kind of reply with its good examples and its stream."""

    def __init__(self, kind: ReplyKind, encode: Callable[[Random, int], bytes], random: Random) -> None:
        self.kind = kind
        self.stream = ReplyStream()
        self.good = [encode(random, random.randint(1, 8)) for _ in range(_GOOD_REPLIES)]
        self.meanings = [self._alone(reply) for reply in self.good]
        self.known = set(self.meanings)

    def _alone(self, reply: bytes) -> Measurement:
        stream = ReplyStream()
        stream.feed(reply)
        meaning = stream.take(self.kind)
        if not isinstance(meaning, Measurement):
            raise AssertionError(f"the parser refuses a good {self.kind.name} reply: {reply.hex()}")
        return meaning

    def trial(self, random: Random, report: FuzzReport) -> None:
        name = random.choice(tuple(DAMAGES))
        damaged = DAMAGES[name](random, random.choice(self.good), random.choice(self.good))
        following = random.randrange(len(self.good))
        report.by_damage[name] = report.by_damage.get(name, 0) + 1
        try:
            first = self._feed(damaged, random)
            second = self._feed(self.good[following], random)
        except Exception as error:  # whatever escapes is what this bench looks for
            report.exceptions += 1
            self._failed(report, f"{type(error).__name__}: {error}", name, damaged)
            self.stream = ReplyStream()
            return
        strangers = [meaning for meaning in first + second if meaning not in self.known]
        for meaning in strangers:
            self._judge(meaning, name, damaged + self.good[following], report)
        # A stranger that the CRC cannot tell from a reply may have taken bytes of the good one: it is counted as what it is.
        if not strangers and (first + second)[-1:] != [self.meanings[following]]:
            report.not_resynchronised += 1
            self._failed(report, "the good reply was not found", name, damaged + b"|" + self.good[following])

    def _feed(self, data: bytes, random: Random) -> list[Measurement]:
        """In one or two chunks, as a line may give them; every pose is made, as the driver would."""
        cut = random.randrange(len(data) + 1)
        taken = []
        for chunk in (data[:cut], data[cut:]):
            self.stream.feed(chunk)
            while (reply := self.stream.take(self.kind)) is not None:
                if isinstance(reply, Measurement):
                    taken.append(reply)
                    for reading in reply.readings:
                        sample_of(reading, _TOOLS[reading.handle])
        return taken

    def _judge(self, meaning: Measurement, name: str, data: bytes, report: FuzzReport) -> None:
        """A reply that nobody sent was accepted: fine only where the CRC cannot tell."""
        if _holds_valid_reply(self.kind, data, len(meaning.readings)):
            report.crc_collisions += 1
            return
        report.accepted_with_bad_crc += 1
        self._failed(report, f"accepted {meaning}", name, data)

    def _failed(self, report: FuzzReport, what: str, name: str, damaged: bytes) -> None:
        if len(report.failures) < _FAILURES_SHOWN:
            report.failures.append(f"{self.kind.name}, {name}, {what}: {damaged.hex()}")


def _holds_valid_reply(kind: ReplyKind, data: bytes, handles: int) -> bool:
    """Whether a stretch of `data` that announces so many handles carries its own CRC, by the CRC of this file."""
    if kind is ReplyKind.BX:
        ends = [(at, at + 8 + struct.unpack_from("<H", data, at + 2)[0]) for at in range(len(data) - 8) if data[at : at + 2] == b"\xc4\xa5"]
        return any(
            end <= len(data) and data[at + 6] == handles and bitwise_crc(data[at : end - 2]) == struct.unpack_from("<H", data, end - 2)[0]
            for at, end in ends
        )
    count = f"{handles:02X}".encode()
    return any(
        data[at : at + 2] == count and f"{bitwise_crc(data[at : end - 4]):04X}".encode() == data[end - 4 : end]
        for end in (at for at, byte in enumerate(data) if byte == 0x0D)
        for at in range(end - 5)
    )


def parse_times_us(repeats: int = 2000) -> dict[str, float]:
    """Microseconds a reply of four visible tools takes from bytes to record, and its CRC alone."""
    random = Random(1)
    replies = {kind: _visible(encode, random) for kind, encode in ((ReplyKind.BX, encode_bx), (ReplyKind.TX, encode_tx))}
    times = {}
    for kind, reply in replies.items():
        stream = ReplyStream()
        began = time.perf_counter()
        for _ in range(repeats):
            stream.feed(reply)
            stream.take(kind)
        times[f"parse_{kind.value}_4_tools"] = (time.perf_counter() - began) / repeats * 1e6
    began = time.perf_counter()
    for _ in range(repeats):
        crc16(replies[ReplyKind.BX])
    times["crc_179_bytes"] = (time.perf_counter() - began) / repeats * 1e6
    return times


def _visible(encode: Callable[[Random, int], bytes], random: Random) -> bytes:
    """The longest of many replies: all four tools are visible."""
    return max((encode(random, 4) for _ in range(60)), key=len)
