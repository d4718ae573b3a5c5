"""The index of a long MCAP file while it is written: bytes, not objects.

mcap's Writer keeps an object with a dictionary of topics for each chunk until the file is finished: with forty topics and two chunks a
second 18 MB an hour, of which the bytes that the file gets are a sixth. Its list is private; where another version of it has none of this
name, all is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

from mcap.data_stream import RecordBuilder

_PLACE: Final = "_Writer__chunk_indices"


class PackedIndex:
    """Stands in for the list of ChunkIndex records of a Writer, which appends to it, goes through it and has each one written."""

    def __init__(self) -> None:
        self._records = bytearray()

    def append(self, index: Any) -> None:
        """Take a ChunkIndex."""
        builder = RecordBuilder()
        index.write(builder)
        self._records += builder.end()

    def __iter__(self) -> Iterator[Self]:
        return iter([self])

    def write(self, stream: Any) -> None:
        """Write all of them, to a RecordBuilder."""
        stream.write(self._records)


def pack_index(writer: Any) -> bool:
    """Let a Writer that has not begun yet keep its index packed; whether it does."""
    known = getattr(writer, _PLACE, None) == []
    if known:
        setattr(writer, _PLACE, PackedIndex())
    return known
