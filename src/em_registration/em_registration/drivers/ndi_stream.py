"""From a stream of bytes to replies: framing, CRC check and resynchronisation.

A reply is accepted only when its CRC holds and its content fits its layout. After noise, a corrupted or a truncated reply the
next good reply is found as soon as its last byte is there, whatever came before it: every possible beginning in the buffer is
tried, so a damaged length field cannot swallow what follows.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Final

from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_crc import crc_text
from em_registration.drivers.ndi_measurements import (
    BX_HEADER_BYTES,
    BX_MAX_BODY_BYTES,
    BX_OVERHEAD_BYTES,
    BX_START,
    MalformedReply,
    parse_bx,
    parse_tx,
)
from em_registration.drivers.ndi_replies import Reply, Text, parse_words
from lodestone_core.device.crc16 import crc16

_CRC_CHARS: Final = 4
# Longer than any reply: 255 handles in TX.
_MAX_BUFFER: Final = 20_000
# The shortest BX body is a count and the system status.
_MIN_BODY_BYTES: Final = 3
# A reply that may stand inside a BX stream or behind noise; its words are unlikely enough to be looked for anywhere.
_WORDS = re.compile(rb"(OKAY|RESET|ERROR[0-9A-F]{2}|WARNING[ -~]{0,80}?)([0-9A-F]{4})\r")
_FIRST_WORDS: Final = (b"OKAY", b"RESET", b"ERROR", b"WARNING")
_LONGEST_WORD: Final = 96
_TX_COUNT = re.compile(rb"(?=([0-9A-F]{2}))")


@dataclass(slots=True)
class StreamCounters:
    """What went wrong on the line since the beginning."""

    crc_failures: int = 0
    malformed: int = 0
    header_crc_mismatches: int = 0
    noise_bytes: int = 0

    @property
    def failures(self) -> int:
        """Replies that came complete and were refused."""
        return self.crc_failures + self.malformed


class ReplyStream:
    """Bytes in by `feed`, replies out by `take`."""

    def __init__(self) -> None:
        self.counters = StreamCounters()
        self._buffer = bytearray()
        self._begin = 0
        self._refused: set[int] = set()

    def __len__(self) -> int:
        """Bytes that wait for the rest of their reply."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append what the line gave."""
        self._buffer += data
        if len(self._buffer) > _MAX_BUFFER:
            self._drop(len(self._buffer) - _MAX_BUFFER, noise=True)

    def clear(self) -> None:
        """Forget what is left of an unfinished reply."""
        self._drop(len(self._buffer), noise=True)

    def take(self, kind: ReplyKind) -> Reply | None:
        """The next reply, framed as `kind` or as one of the words (OKAY, ERROR...) that may come instead; None until there is one."""
        return self._take_binary() if kind is ReplyKind.BX else self._take_line(kind)

    def _take_binary(self) -> Reply | None:
        """The first complete good reply that begins anywhere in the buffer; only what cannot become one is dropped."""
        buffer = self._buffer
        unfinished = -1
        at = buffer.find(BX_START)
        while at >= 0:
            end = self._binary_end(at)
            if end > len(buffer):
                unfinished = at if unfinished < 0 else unfinished
            elif end and (reply := self._binary_reply(at, end)) is not None:
                # A reply that lost its last byte may have been completed by the first of the next one: that byte stays.
                borrowed = buffer[end - 1] == BX_START[0]
                self._drop(at, noise=True)
                self._drop(end - at - borrowed)
                return reply
            at = buffer.find(BX_START, at + 1)
        word = self._take_word()
        if word is None:
            # A reply may begin with the last byte, and a word may be half there.
            keep = len(buffer) - _half_word(buffer) if unfinished < 0 else unfinished
            self._drop(keep, noise=True)
        return word

    def _binary_end(self, at: int) -> int:
        """Where the BX reply at `at` would end; beyond the buffer while its header is incomplete, 0 for an impossible length."""
        if at + BX_HEADER_BYTES > len(self._buffer):
            return len(self._buffer) + 1
        body = int.from_bytes(self._buffer[at + 2 : at + 4], "little")
        return at + body + BX_OVERHEAD_BYTES if _MIN_BODY_BYTES <= body <= BX_MAX_BODY_BYTES else 0

    def _binary_reply(self, at: int, end: int) -> Reply | None:
        """The reply in [at, end) when its trailing CRC, taken over the whole reply, holds and its content fits."""
        if self._begin + at in self._refused:
            return None
        frame = bytes(self._buffer[at:end])
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            self.counters.crc_failures += 1
            self._refused.add(self._begin + at)
            return None
        try:
            if _another_begins_in(frame):
                raise MalformedReply("BX: truncated, and completed by the reply that follows")
            reply = parse_bx(frame[BX_HEADER_BYTES:-2])
        except MalformedReply:
            self.counters.malformed += 1
            self._refused.add(self._begin + at)
            return None
        # What exactly the header CRC covers is not confirmed on hardware: counted, never a reason to refuse.
        self.counters.header_crc_mismatches += crc16(frame[:4]) != int.from_bytes(frame[4:6], "little")
        return reply

    def _take_word(self) -> Reply | None:
        """OKAY, RESET, ERRORnn or WARNING... anywhere in the buffer."""
        if b"\r" not in self._buffer:
            return None
        for match in _WORDS.finditer(bytes(self._buffer)):
            if crc_text(match[1]) == match[2]:
                self._drop(match.start(), noise=True)
                self._drop(match.end() - match.start())
                return parse_words(match[1])
        return None

    def _take_line(self, kind: ReplyKind) -> Reply | None:
        """The first good line; a bad one is dropped, whole, and counted."""
        while (end := self._buffer.find(b"\r")) >= 0:
            # A glitch of the line reads as zeros, and zeros in front change no CRC that starts from zero.
            line = bytes(self._buffer[:end]).lstrip(b"\0")
            reply = _line_reply(line, kind) or self._take_word_of(line)
            if reply is None:
                self.counters.crc_failures += 1
                self.counters.noise_bytes += len(line) + 1
            self._drop(end + 1)
            if reply is not None:
                return reply
        return None

    def _take_word_of(self, line: bytes) -> Reply | None:
        """A word that ends this line behind noise."""
        for match in _WORDS.finditer(line + b"\r"):
            if crc_text(match[1]) == match[2]:
                self.counters.noise_bytes += match.start()
                return parse_words(match[1])
        return None

    def _drop(self, count: int, noise: bool = False) -> None:
        if count <= 0:
            return
        del self._buffer[:count]
        self._begin += count
        self.counters.noise_bytes += count if noise else 0
        if self._refused:
            self._refused = {place for place in self._refused if place >= self._begin}


def _another_begins_in(frame: bytes) -> bool:
    """Whether a header with its own CRC stands inside: of two ways to read these bytes that is the likelier one by far."""
    at = frame.find(BX_START, 1)
    while at >= 0:
        if at + BX_HEADER_BYTES <= len(frame) and crc16(frame[at : at + 4]) == int.from_bytes(frame[at + 4 : at + 6], "little"):
            return True
        at = frame.find(BX_START, at + 1)
    return False


def _line_reply(line: bytes, kind: ReplyKind) -> Reply | None:
    """The reply that the line is, or, for TX, that it ends with."""
    payload = line[:-_CRC_CHARS]
    if len(line) > _CRC_CHARS and crc_text(payload) == line[-_CRC_CHARS:]:
        reply = parse_words(payload)
        if kind is not ReplyKind.TX or not isinstance(reply, Text):
            return reply
        with contextlib.suppress(MalformedReply):
            return parse_tx(payload)
    # Also where noise and a good reply together carry the right CRC by chance.
    return _tx_behind_noise(payload, line[-_CRC_CHARS:]) if kind is ReplyKind.TX else None


def _tx_behind_noise(payload: bytes, crc: bytes) -> Reply | None:
    """A whole TX reply that begins somewhere in `payload`: where a count is followed by just as many lines."""
    for match in _TX_COUNT.finditer(payload):
        begin = match.start()
        if payload.count(b"\n", begin) == int(match[1], 16) and crc_text(payload[begin:]) == crc:
            try:
                return parse_tx(payload[begin:])
            except MalformedReply:
                continue
    return None


def _half_word(buffer: bytearray) -> int:
    """How many bytes at the end may be the beginning of a BX reply or of a word."""
    longest = int(buffer.endswith(BX_START[:1]))
    for word in _FIRST_WORDS:
        at = buffer.rfind(word, -_LONGEST_WORD)
        longest = max(longest, len(buffer) - at if at >= 0 and b"\r" not in buffer[at:] else 0)
        longest = max(longest, next((n for n in range(len(word) - 1, 0, -1) if buffer.endswith(word[:n])), 0))
    return longest
