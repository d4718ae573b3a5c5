"""Reads an MCAP file front to back without its index, up to where it was cut off, past chunks that are damaged."""

from __future__ import annotations

import heapq
import struct
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from mcap import records
from mcap.opcode import Opcode
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys.store import Typestore

from lodestone_core.bags.mcap_records import DAMAGED, HEAD, MAGIC, has_footer, whole_records
from lodestone_core.bags.storage import Channel, RawMessage
from lodestone_core.bags.typestore import types_of
from lodestone_core.time import s_from_ns

_LAST_OPCODE = int(Opcode.DATA_END)
_PRIVATE_OPCODES = 0x80
_RUN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of the file that holds messages: one chunk, or a run of messages outside chunks."""

    start_ns: int
    offset: int
    length: int
    end_ns: int


class ScannedMcap:
    """A Storage for an MCAP file without a usable index: one pass when opened, the chunks again when read.

    A file that ends anywhere, even inside its first bytes, gives what was whole before that.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._size = path.stat().st_size
        self._stream: BinaryIO = path.open("rb")
        self._schemas: dict[int, Any] = {}
        self._raw_channels: dict[int, Any] = {}
        self._counts: Counter[int] = Counter()
        self._spans: list[_Span] = []
        self._data_ended = False
        self._finished = has_footer(path)
        self.notes: Sequence[str] = tuple(self._scan())
        self._by_id = {key: self._channel(channel) for key, channel in self._raw_channels.items()}
        self.channels: Sequence[Channel] = tuple(self._by_id.values())
        self._stores: dict[Channel, Typestore] = {}
        self.span_ns = (min(s.start_ns for s in self._spans), max(s.end_ns for s in self._spans)) if self._spans else None

    def raw_messages(self, channels: Collection[Channel], start_ns: int | None, stop_ns: int | None) -> Iterator[RawMessage]:
        """As Storage.raw_messages."""
        ids = {key for key, channel in self._by_id.items() if channel in channels}
        spans = sorted((s for s in self._spans if _overlaps(s, start_ns, stop_ns)), key=lambda s: (s.start_ns, s.offset))
        # Spans may overlap in time: a message is due once no later span can begin before it.
        heap: list[tuple[int, int, int, Any]] = []
        for number, span in enumerate(spans):
            for place, message in enumerate(self._messages(span)):
                heapq.heappush(heap, (message.log_time, span.offset, place, message))
            following = spans[number + 1].start_ns if number + 1 < len(spans) else None
            while heap and (following is None or heap[0][0] < following):
                message = heapq.heappop(heap)[3]
                if message.channel_id in ids and _within(message.log_time, start_ns, stop_ns):
                    channel = self._by_id[message.channel_id]
                    yield RawMessage(channel, message.log_time, message.publish_time, message.data)

    def decode(self, message: RawMessage) -> Any:
        """As Storage.decode."""
        if message.channel not in self._stores:
            self._stores[message.channel] = types_of(message.channel.msgtype, message.channel.encoding, message.channel.definition)
        return self._stores[message.channel].deserialize_cdr(message.data, message.channel.msgtype)

    def close(self) -> None:
        """As Storage.close."""
        self._stream.close()

    def _scan(self) -> Iterator[str]:
        """Collects schemas, channels and spans; yields a sentence for each thing that is missing."""
        offset, seen = len(MAGIC), 0
        while offset < self._size and seen != Opcode.FOOTER:
            head = self._at(offset, HEAD.size)
            opcode, length = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
            end = offset + HEAD.size + length
            if end > self._size or not (1 <= opcode <= _LAST_OPCODE or opcode >= _PRIVATE_OPCODES):
                break
            note = self._take(opcode, offset, length)
            if note:
                yield note
            offset, seen = end, opcode
            self._data_ended |= opcode == Opcode.DATA_END
        if seen != Opcode.FOOTER or not self._finished:
            yield self._tail_note(offset)
        orphans = sorted(set(self._counts) - set(self._raw_channels))
        if orphans:
            count = sum(self._counts[key] for key in orphans)
            yield f"{self._name}: {count} messages are lost because the damaged part held the definition of their topics"

    def _tail_note(self, offset: int) -> str:
        if self._data_ended:
            return f"{self._name} was cut off in the index at its end: no message is lost"
        if self._size <= len(MAGIC):
            return f"{self._name} was cut off before its first record: it holds no message"
        fate = "is damaged" if self._finished else "was cut off"
        if offset >= self._size:
            return f"{self._name} {fate}: it ends with a whole record, without an index"
        return f"{self._name} {fate}: the last {self._size - offset} of {self._size} bytes hold no whole record"

    def _take(self, opcode: int, offset: int, length: int) -> str:
        """Notes what the record at `offset` holds; the sentence on its damage, else empty."""
        if opcode == Opcode.CHUNK:
            return self._take_chunk(offset, length)
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
            try:
                (record,) = whole_records(self._at(offset, HEAD.size + length))
            except DAMAGED as error:
                return f"{self._name}: the record at byte {offset} is damaged ({error})"
            self._note(record)
            if opcode == Opcode.MESSAGE:
                self._extend_run(record.log_time, offset, HEAD.size + length)
        return ""

    def _take_chunk(self, offset: int, length: int) -> str:
        body = self._at(offset, HEAD.size + length)
        try:
            inside = list(whole_records(body))
        except DAMAGED as error:
            start_ns, end_ns = struct.unpack_from("<QQ", body.ljust(HEAD.size + 16, b"\0"), HEAD.size)
            lasting = f"{s_from_ns(end_ns - start_ns):.3f} s from {_utc(start_ns)}"
            return f"{self._name}: a chunk of {length} bytes at byte {offset} ({lasting}) is damaged: {error or type(error).__name__}"
        for record in inside:
            self._note(record)
        times = [record.log_time for record in inside if isinstance(record, records.Message)]
        if times:
            self._spans.append(_Span(min(times), offset, HEAD.size + length, max(times)))
        return ""

    def _note(self, record: Any) -> None:
        if isinstance(record, records.Schema):
            self._schemas[record.id] = record
        elif isinstance(record, records.Channel):
            self._raw_channels[record.id] = record
        elif isinstance(record, records.Message):
            self._counts[record.channel_id] += 1

    def _extend_run(self, log_ns: int, offset: int, length: int) -> None:
        """Joins a message outside chunks to the run before it, so that a run is read at once."""
        last = self._spans[-1] if self._spans else None
        if last and last.offset + last.length == offset and last.length < _RUN_BYTES:
            joined = _Span(min(last.start_ns, log_ns), last.offset, last.length + length, max(last.end_ns, log_ns))
            self._spans[-1] = joined
        else:
            self._spans.append(_Span(log_ns, offset, length, log_ns))

    def _messages(self, span: _Span) -> Iterator[Any]:
        inside = (record for record in whole_records(self._at(span.offset, span.length)) if isinstance(record, records.Message))
        yield from sorted(inside, key=lambda message: message.log_time)

    def _at(self, offset: int, length: int) -> bytes:
        self._stream.seek(offset)
        return self._stream.read(length)

    def _channel(self, channel: Any) -> Channel:
        schema = self._schemas.get(channel.schema_id)
        name, encoding, text = (schema.name, schema.encoding, schema.data.decode()) if schema else ("", "", "")
        qos = tuple(parse_qos(channel.metadata.get("offered_qos_profiles", "")))
        return Channel(channel.topic, name, encoding, text, qos, self._counts[channel.id])


def _overlaps(span: _Span, start_ns: int | None, stop_ns: int | None) -> bool:
    return (start_ns is None or span.end_ns >= start_ns) and (stop_ns is None or span.start_ns < stop_ns)


def _within(log_ns: int, start_ns: int | None, stop_ns: int | None) -> bool:
    return (start_ns is None or log_ns >= start_ns) and (stop_ns is None or log_ns < stop_ns)


def _utc(stamp_ns: int) -> str:
    try:
        return datetime.fromtimestamp(s_from_ns(stamp_ns), UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return f"{stamp_ns} ns"
