"""What a bag's storage gives, whatever its format, and the storage that rosbags reads (complete MCAP and sqlite3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinitionFormat, Qos

from lodestone_core.bags.typestore import message_types

_ENCODINGS = {MessageDefinitionFormat.MSG: "ros2msg", MessageDefinitionFormat.IDL: "ros2idl", MessageDefinitionFormat.NONE: ""}


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One recorded topic. `definition` is the schema in `encoding` (ros2msg, ros2idl), both empty where the bag holds none."""

    topic: str
    msgtype: str
    encoding: str
    definition: str
    qos: tuple[Qos, ...]
    count: int


class RawMessage(NamedTuple):
    """One message as CDR bytes. `log_ns` is when it was recorded, `publish_ns` when it was sent (the same where unknown)."""

    channel: Channel
    log_ns: int
    publish_ns: int
    data: bytes


class Storage(Protocol):
    """One file (or directory) of a bag, open."""

    channels: Sequence[Channel]
    notes: Sequence[str]
    """What is missing, one sentence each; empty for a complete file."""
    span_ns: tuple[int, int] | None
    """First and last log time; None without messages."""

    def raw_messages(self, channels: Collection[Channel], start_ns: int | None, stop_ns: int | None) -> Iterator[RawMessage]:
        """Messages of `channels` with start <= log time < stop, ordered by log time, equal times in the order of recording."""

    def decode(self, message: RawMessage) -> Any:
        """The message object, with the definition that the bag holds."""

    def close(self) -> None:
        """Close the file."""


class RosbagsStorage:
    """A complete MCAP file, a sqlite3 file or a bag directory through rosbags. Raises what rosbags raises."""

    def __init__(self, path: Path) -> None:
        self._reader = AnyReader([path], default_typestore=message_types().store)
        self._reader.open()
        self._channels = {_key(connection): _channel(connection) for connection in self._reader.connections}
        self.channels: Sequence[Channel] = tuple(self._channels.values())
        self.notes: Sequence[str] = _left_behind_by_sqlite(path)
        # rosbags gives the end of what it holds, one after the last.
        self.span_ns = (self._reader.start_time, self._reader.end_time - 1) if self._reader.message_count else None

    def raw_messages(self, channels: Collection[Channel], start_ns: int | None, stop_ns: int | None) -> Iterator[RawMessage]:
        """As Storage.raw_messages."""
        wanted = [connection for connection in self._reader.connections if self._channels[_key(connection)] in channels]
        if not wanted:  # rosbags takes an empty selection for all topics
            return
        for connection, log_ns, data in self._reader.messages(wanted, start_ns, stop_ns):
            yield RawMessage(self._channels[_key(connection)], log_ns, log_ns, data)

    def decode(self, message: RawMessage) -> Any:
        """As Storage.decode."""
        return self._reader.deserialize(message.data, message.channel.msgtype)

    def close(self) -> None:
        """As Storage.close."""
        self._reader.close()


def _key(connection: Connection) -> tuple[int, int]:
    return id(connection.owner), connection.id


def _channel(connection: Connection) -> Channel:
    qos = tuple(cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles)
    definition = connection.msgdef
    encoding = _ENCODINGS[definition.format]
    return Channel(connection.topic, connection.msgtype, encoding, definition.data, qos, connection.msgcount)


def _left_behind_by_sqlite(path: Path) -> list[str]:
    """Notes on write-ahead logs: messages that a killed recorder left there are not read."""
    files = sorted(path.glob("*.db3-wal")) if path.is_dir() else [path.with_name(path.name + "-wal")]
    return [
        f"{file.name}: the recorder was killed and its last messages are in this file; "
        f"run `sqlite3 {file.name.removesuffix('-wal')} 'PRAGMA wal_checkpoint(TRUNCATE)'` once to have them read"
        for file in files
        if file.is_file() and file.stat().st_size
    ]
