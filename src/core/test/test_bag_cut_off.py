"""A bag survives a kill and a cut at any byte; recover makes it whole and says what is lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as RawWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from lodestone_core.bags import BagWriter, message_types, open_bag, recover
from lodestone_core.bags.mcap_records import has_footer
from lodestone_core.errors import InputError

KIND = "std_msgs/msg/UInt64"
WRITING_PROCESS = """
import sys, time
from lodestone_core.bags import BagWriter, message_types
number = message_types().store.types["std_msgs/msg/UInt64"]
bag = BagWriter(sys.argv[1])
channel = bag.add_topic("/number", "std_msgs/msg/UInt64")
print("ready", flush=True)
for count in range(1_000_000):
    bag.write_message(channel, number(data=count), time.time_ns())
    time.sleep(0.005)
"""


def number(value: int) -> bytes:
    return b"\0\1\0\0" + value.to_bytes(8, "little")


def write_numbers(path: Path, count: int = 60, per_chunk: int = 10) -> Path:
    with BagWriter(path) as bag:
        even, odd = bag.add_topic("/even", KIND), bag.add_topic("/odd", KIND)
        for value in range(count):
            bag.write(odd if value % 2 else even, number(value), 1000 + value)
            if value % per_chunk == per_chunk - 1:
                bag.flush()
    return path


def values(path: Path, **how: Any) -> list[int]:
    with open_bag(path, **how) as bag:
        return [message.data for _, _, message in bag.messages()]


def chunks(file: Path) -> list[Any]:
    with file.open("rb") as stream:
        return list(make_reader(stream).get_summary().chunk_indexes)


def cut(bag: Path, out: Path, size: int) -> Path:
    shutil.copytree(bag, out)
    with next(out.glob("*.mcap")).open("r+b") as stream:
        stream.truncate(size)
    return out


def test_after_kill_9_all_but_the_last_second_is_read_and_recovered(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    with subprocess.Popen([sys.executable, "-c", WRITING_PROCESS, str(bag)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        started_ns = time.time_ns()
        time.sleep(3.0)
        process.kill()
        killed_ns = time.time_ns()
    assert not has_footer(bag / "bag_0.mcap")
    with open_bag(bag) as opened:
        found = list(opened.messages())
        assert not opened.complete and "was cut off" in opened.notes[0]
    assert [m.message.data for m in found] == list(range(len(found))), "no gap"
    assert found[0].log_ns - started_ns < 0.2e9
    assert killed_ns - found[-1].log_ns < 1.0e9
    recovery = recover(bag, tmp_path / "whole")
    assert recovery.counts == {"/number": len(found)} and len(recovery.lost) == 1
    with AnyReader([tmp_path / "whole"]) as reader:
        assert reader.message_count == len(found)


def test_a_cut_at_any_byte_gives_all_whole_chunks_before_it(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag", count=30)
    file = bag / "bag_0.mcap"
    size = file.stat().st_size
    ends = [chunk.chunk_start_offset + chunk.chunk_length for chunk in chunks(file)]
    assert len(ends) == 3
    data = file.read_bytes()
    cut_file = tmp_path / "cut.mcap"
    for length in range(size):
        cut_file.write_bytes(data[:length])
        with open_bag(cut_file) as opened:
            assert opened.message_count == 10 * sum(end <= length for end in ends), f"cut at {length}"
            assert len(opened.notes) == 1, f"cut at {length}"
            if length % 97 == 0:
                assert [m.message.data for m in opened.messages()] == list(range(opened.message_count))


def test_the_note_says_whether_messages_are_lost(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    size = (bag / "bag_0.mcap").stat().st_size
    last = chunks(bag / "bag_0.mcap")[-1]
    cases = {
        0: "before its first record: it holds no message",
        last.chunk_start_offset: "it ends with a whole record",
        last.chunk_start_offset + 20: f"the last 20 of {last.chunk_start_offset + 20} bytes hold no whole record",
        size - 1: "in the index at its end: no message is lost",
    }
    for length, part in cases.items():
        with open_bag(cut(bag, tmp_path / f"cut_{length}", length)) as opened:
            assert part in opened.notes[0]


def test_a_cut_bag_reads_as_the_complete_one_also_in_part(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    torn = cut(bag, tmp_path / "torn", (bag / "bag_0.mcap").stat().st_size - 1)
    with open_bag(bag) as whole, open_bag(torn) as opened:
        assert opened.topics == whole.topics
        for how in ({}, {"topics": ["/odd"]}, {"topics": []}, {"start_ns": 1015, "stop_ns": 1033}):
            expected = [(m.topic, m.log_ns, m.message.data) for m in whole.messages(**how)]  # type: ignore[arg-type]
            assert [(m.topic, m.log_ns, m.message.data) for m in opened.messages(**how)] == expected  # type: ignore[arg-type]
            assert bool(expected) == (how != {"topics": []})


def test_a_recovered_bag_is_complete_and_reads_like_the_source(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    torn = cut(bag, tmp_path / "torn", chunks(bag / "bag_0.mcap")[4].chunk_start_offset + 5)
    fractions: list[float] = []
    recovery = recover(torn, tmp_path / "whole", progress=fractions.append)
    assert (recovery.message_count, recovery.counts) == (40, {"/even": 20, "/odd": 20})
    assert fractions[0] == 0.0 and fractions[-1] == 1.0
    with open_bag(tmp_path / "whole") as opened:
        assert opened.complete
    assert values(tmp_path / "whole") == values(torn) == list(range(40))
    with AnyReader([tmp_path / "whole"]) as reader:
        assert reader.message_count == 40
    assert "recovered_from: torn" in (tmp_path / "whole" / "metadata.yaml").read_text()


def test_a_complete_bag_loses_nothing_by_recovery(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    assert recover(bag, tmp_path / "again").lost == ()
    assert values(tmp_path / "again") == list(range(60))


def test_a_killed_recorder_that_finished_the_file_but_not_the_metadata_loses_nothing(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    with BagWriter(tmp_path / "other"):
        early = (tmp_path / "other" / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(early)
    assert values(bag) == list(range(60))
    (bag / "metadata.yaml").unlink()
    assert values(bag) == list(range(60))


@pytest.mark.parametrize("flipped", ["data", "channels"])
def test_a_damaged_chunk_is_left_out_and_said(tmp_path: Path, flipped: str) -> None:
    bag = write_numbers(tmp_path / "bag")
    file = bag / "bag_0.mcap"
    hit = chunks(file)[2 if flipped == "data" else 0]
    data = bytearray(file.read_bytes())
    data[hit.chunk_start_offset + hit.chunk_length - 3] ^= 0xFF
    file.write_bytes(data)
    with open_bag(bag) as opened, pytest.raises(InputError, match=r"damaged data .*; run `lodestone recover"):
        list(opened.messages())
    recovery = recover(bag, tmp_path / "whole")
    assert len(recovery.lost) == 1
    assert f"a chunk of {hit.chunk_length - 9} bytes at byte {hit.chunk_start_offset} (0.000 s from 1970-01-01T" in recovery.lost[0]
    skipped = range(20, 30) if flipped == "data" else range(10)
    # The summary repeats the topics, so that even the loss of the chunk that announced them costs only its own messages.
    assert values(tmp_path / "whole") == [value for value in range(60) if value not in skipped]


def test_without_the_summary_the_loss_of_the_first_chunk_is_said_in_messages(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    file = bag / "bag_0.mcap"
    first, last = chunks(file)[0], chunks(file)[-1]
    data = bytearray(file.read_bytes()[: last.chunk_start_offset])
    data[first.chunk_start_offset + first.chunk_length - 3] ^= 0xFF
    file.write_bytes(data)
    lost = recover(bag, tmp_path / "whole").lost
    assert any("40 messages are lost because the damaged part held the definition of their topics" in note for note in lost)


def test_a_record_whose_length_is_damaged_ends_what_can_be_read(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    file = bag / "bag_0.mcap"
    hit = chunks(file)[2].chunk_start_offset
    data = bytearray(file.read_bytes())
    data[hit + 5] = 0xFF
    file.write_bytes(data)
    recovery = recover(bag, tmp_path / "whole")
    assert recovery.lost == (f"bag_0.mcap is damaged: the last {len(data) - hit} of {len(data)} bytes hold no whole record",)
    assert values(tmp_path / "whole") == list(range(20))


def test_an_index_that_misses_messages_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "other.mcap"
    with file.open("wb") as stream:
        writer: Any = RawWriter(stream, index_types=IndexType.CHUNK)
        writer.start(profile="ros2")
        definition = message_types().definition(KIND).encode()
        channel = writer.register_channel("/n", "cdr", writer.register_schema(KIND, "ros2msg", definition))
        for value in range(7):
            writer.add_message(channel, value, number(value), value)
        writer.finish()
    with pytest.raises(InputError, match="an index of 7 messages, of which 0 can be found; run `lodestone recover"):
        values(file)
    assert recover(file, tmp_path / "whole").counts == {"/n": 7}
    assert values(tmp_path / "whole") == list(range(7))


def test_what_is_missing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = write_numbers(tmp_path / "bag")
    torn = cut(bag, tmp_path / "torn", chunks(bag / "bag_0.mcap")[1].chunk_start_offset)
    assert values(bag) and not caplog.messages
    assert values(torn) and "bag_0.mcap was cut off" in caplog.text


def test_a_tail_of_zeros_as_a_power_cut_leaves_it_is_ignored(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    start = chunks(bag / "bag_0.mcap")[3].chunk_start_offset
    torn = cut(bag, tmp_path / "torn", start)
    with (torn / "bag_0.mcap").open("ab") as stream:
        stream.write(bytes(5000))
    assert values(torn) == list(range(30))


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("chunked", [True, False])
def test_cut_bags_of_other_writers_are_read(tmp_path: Path, compression: CompressionType, chunked: bool) -> None:
    file = tmp_path / "other.mcap"
    with file.open("wb") as stream:
        writer: Any = RawWriter(stream, chunk_size=300, compression=compression, use_chunking=chunked, enable_crcs=False)
        writer.start(profile="ros2")
        definition = message_types().definition(KIND).encode()
        channel = writer.register_channel("/n", "cdr", writer.register_schema(KIND, "ros2msg", definition))
        for value in range(100):
            log_ns = value + (3 if value % 2 else 0)  # out of order, as several threads write
            writer.add_message(channel, log_ns, number(log_ns), log_ns)
        writer.finish()
    complete = file.read_bytes()
    expected = values(file, ignore_index=True)
    assert expected == sorted(expected) and len(expected) == 100
    file.write_bytes(complete[: int(len(complete) * (0.5 if chunked else 0.4))])
    found = values(file)
    assert found == sorted(found) and 20 < len(found) < 100


def test_one_cut_file_among_the_splits_costs_only_its_own_tail(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    torn = cut(write_numbers(tmp_path / "late"), tmp_path / "torn", chunks(tmp_path / "late" / "late_0.mcap")[1].chunk_start_offset)
    shutil.move(torn / "late_0.mcap", bag / "bag_1.mcap")
    assert values(bag) == sorted([*range(60), *range(10)])
    with open_bag(bag) as opened:
        assert [note[:10] for note in opened.notes] == ["bag_1.mcap"]


def test_recover_refuses_what_is_no_bag_and_what_exists_and_leaves_the_source_alone(tmp_path: Path) -> None:
    bag = write_numbers(tmp_path / "bag")
    before = (bag / "bag_0.mcap").read_bytes()
    with pytest.raises(InputError, match="nothing at that path"):
        recover(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="a path that is free"):
        recover(bag, bag)
    assert (bag / "bag_0.mcap").read_bytes() == before


def sqlite3_bag(path: Path, mode: CompressionMode = CompressionMode.NONE) -> Path:
    store = message_types().store
    writer = Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/n", KIND, typestore=store)
        for value in range(100):
            writer.write(connection, value, number(value))
    return path / f"{path.name}.db3"


def test_a_sqlite3_bag_is_recovered_as_mcap_up_to_the_damage(tmp_path: Path) -> None:
    file = sqlite3_bag(tmp_path / "bag", CompressionMode.MESSAGE)
    assert recover(tmp_path / "bag", tmp_path / "whole").lost == ()
    assert values(tmp_path / "whole") == list(range(100))
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE messages SET data = x'00' WHERE timestamp = 40")
    recovery = recover(tmp_path / "bag", tmp_path / "half")
    assert values(tmp_path / "half") == list(range(40))
    assert recovery.lost[-1] == "60 messages that the index counts could not be read"


def test_a_torn_sqlite3_file_is_refused_with_the_way_to_repair_it(tmp_path: Path) -> None:
    file = sqlite3_bag(tmp_path / "bag")
    file.write_bytes(file.read_bytes()[:8192])
    with pytest.raises(InputError, match=r"got bag with .* malformed; .*sqlite3 .*bag\.db3 '\.recover'"):
        recover(tmp_path / "bag", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
