"""Repairs a bag that was cut off or damaged: what is whole goes into a new, complete bag, what is lost is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lodestone_core.bags.reader import Bag, open_bag
from lodestone_core.bags.storage import Channel, RawMessage
from lodestone_core.bags.typestore import message_types
from lodestone_core.bags.writer import BagWriter, Definition
from lodestone_core.errors import InputError

_PROGRESS_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `recover` did: messages by topic that are in the new bag, and a sentence for each thing that is lost."""

    path: Path
    out: Path
    counts: dict[str, int]
    lost: tuple[str, ...]

    @property
    def message_count(self) -> int:
        """Messages in the new bag."""
        return sum(self.counts.values())


def recover(path: str | Path, out: str | Path, progress: Callable[[float], None] | None = None) -> Recovery:
    """Copy all that is whole in the bag `path` into the new bag directory `out`; `path` is not touched.

    `progress` is called with the fraction done. Raises InputError when `path` holds no bag or `out` exists.
    """
    path, out = Path(path), Path(out)
    with open_bag(path, ignore_index=True) as bag:
        lost = list(bag.notes)
        with BagWriter(out, custom={"recovered_from": path.name}) as writer:
            counts = _copy(bag, writer, lost, progress or (lambda fraction: None))
    return Recovery(path, out, counts, tuple(lost))


def _copy(bag: Bag, writer: BagWriter, lost: list[str], progress: Callable[[float], None]) -> dict[str, int]:
    total = max(bag.message_count, 1)
    numbers = {channel: _add(writer, channel) for channel in bag.channels}
    counts = dict.fromkeys(bag.topics, 0)
    for done, message in enumerate(_readable(bag, lost)):
        writer.write(numbers[message.channel], message.data, message.log_ns, message.publish_ns)
        counts[message.channel.topic] += 1
        if done % _PROGRESS_EVERY == 0:
            progress(done / total)
    if missing := bag.message_count - sum(counts.values()):
        lost.append(f"{missing} messages that the index counts could not be read")
    progress(1.0)
    return counts


def _readable(bag: Bag, lost: list[str]) -> Iterator[RawMessage]:
    """The messages up to the first that cannot be read (in sqlite3; a damaged chunk of an MCAP file is already left out)."""
    try:
        yield from bag.raw_messages()
    except InputError as error:
        lost.append(f"what comes after the damage: {error.got}")


def _add(writer: BagWriter, channel: Channel) -> int:
    definition: Definition | None = Definition(channel.encoding, channel.definition)
    if not channel.encoding:  # older sqlite3 bags hold no definitions
        definition = None if message_types().knows(channel.msgtype) else definition
    return writer.add_topic(channel.topic, channel.msgtype, channel.qos, definition)
