"""Reads bags: MCAP and sqlite3, complete or cut off, with the message definitions that they hold; no ROS needed."""

from __future__ import annotations

import difflib
import heapq
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from rosbags.interfaces import Qos

from lodestone_core.bags.files import bag_files, one_line, open_storage, unreadable
from lodestone_core.bags.storage import Channel, RawMessage, Storage
from lodestone_core.errors import InputError

_LOG = logging.getLogger(__name__)


class BagMessage(NamedTuple):
    """One message: `message` has the fields of its type as attributes, numeric arrays are numpy arrays."""

    topic: str
    log_ns: int
    message: Any


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic of a bag: its type (package/msg/Name), its number of messages and the QoS that its publishers offered."""

    msgtype: str
    count: int
    qos: tuple[Qos, ...]


class Bag:
    """An open bag, a context manager; `open_bag` makes it."""

    def __init__(self, path: Path, storages: list[Storage], stack: ExitStack) -> None:
        self.path = path
        self._storages = storages
        self._stack = stack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing, one sentence each; empty for a complete bag."""
        return tuple(note for storage in self._storages for note in storage.notes)

    @property
    def complete(self) -> bool:
        """Whether the recorder finished the bag and nothing in it is known to be missing."""
        return not self.notes

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Everything recorded, one entry for each topic of each file."""
        return tuple(channel for storage in self._storages for channel in storage.channels)

    @property
    def topics(self) -> Mapping[str, TopicInfo]:
        """The topics by name."""
        grouped: dict[str, list[Channel]] = defaultdict(list)
        for channel in self.channels:
            grouped[channel.topic].append(channel)
        return {topic: TopicInfo(found[0].msgtype, sum(c.count for c in found), found[0].qos) for topic, found in sorted(grouped.items())}

    @property
    def message_count(self) -> int:
        """Messages of all topics."""
        return sum(channel.count for channel in self.channels)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """First and last log time; None without messages."""
        spans = [storage.span_ns for storage in self._storages if storage.span_ns is not None]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    def messages(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        missing_ok: bool = False,
    ) -> Iterator[BagMessage]:
        """Messages with start <= log time < stop, ordered by log time; equal times keep the order of recording.

        `topics` None means all, an empty list none. Raises InputError for a topic that the bag does not hold (unless
        `missing_ok`), and for a message that its definition does not describe.
        """
        for storage, message in self._merged(topics, start_ns, stop_ns, missing_ok):
            try:
                decoded = storage.decode(message)
            except Exception as error:  # rosbags generates its parsers: what damaged bytes make them raise is not documented
                what = f"bag {self.path}: {message.channel.topic} at {message.log_ns} ns"
                got, remedy = one_line(error), "leave this topic out, or record with matching message definitions"
                raise InputError(what, expected=f"a {message.channel.msgtype}", got=got, remedy=remedy) from error
            yield BagMessage(message.channel.topic, message.log_ns, decoded)

    def raw_messages(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        missing_ok: bool = False,
    ) -> Iterator[RawMessage]:
        """As messages(), but as CDR bytes."""
        for _, message in self._merged(topics, start_ns, stop_ns, missing_ok):
            yield message

    def close(self) -> None:
        """Close the files; further calls do nothing."""
        self._stack.close()

    def _merged(
        self, topics: Iterable[str] | None, start_ns: int | None, stop_ns: int | None, missing_ok: bool
    ) -> Iterator[tuple[Storage, RawMessage]]:
        names = None if topics is None else self._known(topics, missing_ok)
        streams = []
        for storage in self._storages:
            channels = [channel for channel in storage.channels if names is None or channel.topic in names]
            count = sum(channel.count for channel in channels) if start_ns is None and stop_ns is None else None
            streams.append(self._guarded(storage, storage.raw_messages(channels, start_ns, stop_ns), count))
        return heapq.merge(*streams, key=lambda pair: pair[1].log_ns)

    def _guarded(self, storage: Storage, stream: Iterator[RawMessage], count: int | None) -> Iterator[tuple[Storage, RawMessage]]:
        """The stream with its errors as InputError; `count` messages must come where it is given."""
        remedy = f"run `lodestone recover {self.path}` and read the repaired bag"
        read = 0
        try:
            for message in stream:
                read += 1
                yield storage, message
        except Exception as error:  # as above; a damaged chunk or page in an otherwise complete bag
            raise unreadable(self.path, f"damaged data ({one_line(error)})", remedy) from error
        if count is not None and read != count:
            raise unreadable(self.path, f"an index of {count} messages, of which {read} can be found", remedy)

    def _known(self, topics: Iterable[str], missing_ok: bool) -> set[str]:
        asked, known = set(topics), set(self.topics)
        for topic in sorted(asked - known) if not missing_ok else []:
            near = difflib.get_close_matches(topic, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else "check the name, or the list of topics when recording"
            expected = "one of " + (", ".join(sorted(known)) or "no topics at all")
            raise InputError(f"bag {self.path}: unknown topic", expected=expected, got=topic, remedy=remedy)
        return asked & known


def open_bag(path: str | Path, *, ignore_index: bool = False) -> Bag:
    """Open a bag directory, an .mcap or a .db3 file; one that was cut off gives all that is whole.

    What is missing is logged as a warning and stands in Bag.notes.
    `ignore_index` reads MCAP files front to back even where they are complete: slower, but past damaged chunks. Raises InputError
    when there is no bag that can be read.
    """
    path = Path(path)
    with ExitStack() as stack:
        storages = []
        for file in bag_files(path):
            storage = open_storage(path, file, ignore_index)
            stack.callback(storage.close)
            storages.append(storage)
        bag = Bag(path, storages, stack.pop_all())
    for note in bag.notes:
        _LOG.warning("%s", note)
    return bag


def messages(path: str | Path, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
    """Messages of a bag ordered by log time, see Bag.messages; the bag is closed at the end."""
    with open_bag(path) as bag:
        yield from bag.messages(topics)
