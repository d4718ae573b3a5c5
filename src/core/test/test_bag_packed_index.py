"""The packed index is the same file to the last byte, in a sixth of the memory."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from lodestone_core.bags.packed_index import pack_index

TOPICS, CHUNKS = 40, 60


def written(prepare: Callable[[Any], object], chunks: int = CHUNKS) -> tuple[bytes, int]:
    """A file of so many chunks with a message of each topic, and the memory that the writer had for it beside the file, bytes."""
    stream = io.BytesIO()
    writer = Writer(stream, compression=CompressionType.NONE)
    prepare(writer)
    writer.start()
    schema = writer.register_schema("kind", "ros2msg", b"uint8 value")
    channels = [writer.register_channel(f"/topic_{number}", "cdr", schema) for number in range(TOPICS)]
    tracemalloc.start()
    for chunk in range(chunks):
        for channel in channels:
            writer.add_message(channel, 1000 * chunk + channel, b"x", 1000 * chunk)
        writer.flush()
    size = tracemalloc.get_traced_memory()[0] - len(stream.getvalue())
    tracemalloc.stop()
    writer.finish()
    return stream.getvalue(), size


def test_the_file_is_the_same_to_the_last_byte_and_its_index_is_used() -> None:
    plain, packed = written(lambda _: None)[0], written(pack_index)[0]
    assert packed == plain
    reader = make_reader(io.BytesIO(packed))
    summary = reader.get_summary()
    assert summary is not None and len(summary.chunk_indexes) == CHUNKS
    assert len(list(reader.iter_messages(topics=["/topic_7"], start_time=10_000, ending_before=20_000))) == 10


def test_an_empty_file_is_the_same_too() -> None:
    assert written(pack_index, 0)[0] == written(lambda _: None, 0)[0]


def test_it_takes_a_quarter_of_the_memory_or_less() -> None:
    def growth(prepare: Callable[[Any], object]) -> int:
        return written(prepare, 400)[1] - written(prepare, 100)[1]

    plain, packed = growth(lambda _: None), growth(pack_index)
    assert packed < plain / 4


@pytest.mark.parametrize("kept", [None, [1]])
def test_a_writer_that_keeps_it_otherwise_is_left_as_it_is(kept: object) -> None:
    class Other:
        pass

    other = Other()
    other.__dict__["_Writer__chunk_indices"] = kept
    assert not pack_index(other) and other.__dict__ == {"_Writer__chunk_indices": kept}
    assert pack_index(Writer(io.BytesIO())), "mcap's own, in the version that is pinned"
