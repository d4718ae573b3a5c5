"""Writes a rosbag2 directory with one MCAP file that survives a kill: all but the last half second can be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcap.writer import CompressionType, Writer
from rosbags.interfaces import Qos

from lodestone_core.bags.metadata import TopicEntry, write_metadata
from lodestone_core.bags.packed_index import pack_index
from lodestone_core.bags.qos import plain_qos
from lodestone_core.bags.typestore import message_types
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import dump_yaml

MAX_CHUNK_BYTES = 1 << 20
FLUSH_PERIOD_S = 0.5
_RECORD_OVERHEAD_BYTES = 31


@dataclass(frozen=True, slots=True)
class Definition:
    """A message definition as it stands in a bag: `encoding` is ros2msg or ros2idl, `text` holds all types in it too."""

    encoding: str
    text: str
    type_hash: str = ""


@dataclass(slots=True)
class _Topic:
    topic: str
    msgtype: str
    type_hash: str
    qos: tuple[Qos, ...]
    count: int = 0


class BagWriter:
    """Context manager that records serialised messages into the new directory `path`.

    Messages are gathered in chunks of at most 1 MiB (or one message) and handed to the operating system every half second,
    whether or not another message comes. metadata.yaml is written at the start, with each new topic and at the end. All
    methods may be called from any thread. `custom` goes into the metadata (provenance, for instance).

    Raises InputError when `path` exists or cannot be written, also later when the disk is full: what was written stays readable.
    """

    def __init__(self, path: str | Path, *, custom: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self._custom = dict(custom or {})
        self._topics: dict[int, _Topic] = {}
        self._schemas: dict[tuple[str, str], int] = {}
        self._span_ns: tuple[int, int] | None = None
        self._pending_bytes = 0
        self._failure: OSError | None = None
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._file_name = f"{self.path.name}_0.mcap"
        try:
            self.path.mkdir(parents=True)
            self._stream = (self.path / self._file_name).open("xb")
            # Not compressed: LZ4 doubles the work for images and leaves out a thousandth of them.
            self._mcap: Any = Writer(self._stream, chunk_size=MAX_CHUNK_BYTES, compression=CompressionType.NONE)
            pack_index(self._mcap)
            self._mcap.start(profile="ros2", library="lodestone")
            self._stream.flush()
            self._write_metadata()
        except FileExistsError as error:
            remedy = "give another name or move it away"
            raise InputError(f"bag {self.path}", expected="a path that is free", got="one that exists", remedy=remedy) from error
        except OSError as error:
            raise self._unwritable(error) from error
        self._flusher = threading.Thread(target=self._flush_regularly, name="bag-flush", daemon=True)
        self._flusher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def message_count(self) -> int:
        """Messages taken so far."""
        return sum(topic.count for topic in self._topics.values())

    def add_topic(self, topic: str, msgtype: str, qos: Sequence[Qos] = (), definition: Definition | None = None) -> int:
        """Announce a topic; returns the channel for write(). The same topic and type again give the same channel.

        `qos` are the profiles that its publishers offer. `definition` is looked up by type unless it is given. Raises InputError
        for a type without definition.
        """
        with self._lock:
            for channel, known in self._topics.items():
                if (known.topic, known.msgtype) == (topic, msgtype):
                    return channel
            if definition is None:
                types = message_types()
                definition = Definition("ros2msg", types.definition(msgtype), types.type_hash(msgtype))
            self._check_usable()
            channel = self._register(topic, msgtype, tuple(qos), definition)
            self._topics[channel] = _Topic(topic, msgtype, definition.type_hash, tuple(qos))
            with self._disk():
                self._write_metadata()
            return channel

    def write(self, channel: int, data: bytes, log_ns: int, publish_ns: int | None = None) -> None:
        """Record one message as CDR bytes, as a raw subscription hands them out; `log_ns` is the time of its arrival."""
        if log_ns < 0:
            raise InputError("log time", expected="nanoseconds of at least 0", got=log_ns, remedy="check the clock")
        with self._lock:
            self._check_usable()
            topic = self._topics[channel]
            size = len(data) + _RECORD_OVERHEAD_BYTES
            if self._pending_bytes and self._pending_bytes + size > MAX_CHUNK_BYTES:
                self.flush()
            publish_ns = log_ns if publish_ns is None else publish_ns
            with self._disk():
                self._mcap.add_message(channel, log_ns, data, publish_ns, sequence=topic.count & 0xFFFFFFFF)
            self._pending_bytes += size
            topic.count += 1
            first, last = self._span_ns or (log_ns, log_ns)
            self._span_ns = (min(first, log_ns), max(last, log_ns))

    def write_message(self, channel: int, message: Any, log_ns: int) -> None:
        """Record one message object of the type store (`message_types().store.types[...]`), serialised here."""
        data = message_types().store.serialize_cdr(message, self._topics[channel].msgtype)
        self.write(channel, bytes(data), log_ns)

    def flush(self) -> None:
        """Hand everything taken so far to the operating system."""
        with self._lock:
            self._check_usable()
            with self._disk():
                self._mcap.flush()
            self._pending_bytes = 0

    def close(self) -> None:
        """Write index and metadata; further calls do nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._flusher.join()
        with self._lock:
            if self._failure is not None:
                # The file ends in the middle of a record: appending an index would hide that, the reader finds all before it.
                with suppress(OSError):
                    self._stream.close()
                raise self._unwritable(self._failure)
            with self._disk():
                self._mcap.finish()
                self._stream.close()
                self._write_metadata()

    def _register(self, topic: str, msgtype: str, qos: tuple[Qos, ...], definition: Definition) -> int:
        key = (msgtype, definition.text)
        if key not in self._schemas:
            data = definition.text.encode()
            self._schemas[key] = self._mcap.register_schema(name=msgtype, encoding=definition.encoding, data=data)
            self._pending_bytes += len(data)
        metadata = {"offered_qos_profiles": dump_yaml(plain_qos(qos)), "topic_type_hash": definition.type_hash}
        channel: int = self._mcap.register_channel(topic, "cdr", self._schemas[key], metadata)
        return channel

    def _flush_regularly(self) -> None:
        while not self._stopped.wait(FLUSH_PERIOD_S):
            # A failure is kept and raised by the next write() or close(): nobody would see it here.
            with self._lock, suppress(InputError):
                self.flush()

    def _write_metadata(self) -> None:
        entries = [TopicEntry(t.topic, t.msgtype, t.type_hash, t.qos, t.count) for t in self._topics.values()]
        write_metadata(self.path, self._file_name, entries, self._span_ns, self._custom)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Keeps the first failure of the disk: a record may have been cut off, nothing may be appended behind it."""
        try:
            yield
        except OSError as error:
            self._failure = error
            raise self._unwritable(error) from error

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._unwritable(self._failure)
        if self._stream.closed:
            raise InputError(f"bag {self.path}", expected="an open bag", got="a closed one", remedy="write before close()")

    def _unwritable(self, error: OSError) -> InputError:
        remedy = "free space or mend permissions and record into a new bag; what was written before can be read"
        return InputError(f"bag {self.path}", expected="to write", got=error.strerror or str(error), remedy=remedy)
