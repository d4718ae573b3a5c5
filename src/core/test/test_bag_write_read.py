"""Bags that our writer makes are read by rosbags and by us, sqlite3 bags are read, and what cannot be read is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from lodestone_core.bags import BagWriter, Definition, message_types, messages, open_bag
from lodestone_core.bags import writer as writer_module
from lodestone_core.errors import InputError

POINT = "geometry_msgs/msg/PointStamped"
TOOLS = "lodestone_msgs/msg/TrackedTools"
NO_LIMIT = QosTime(9223372036, 854775807)
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    NO_LIMIT,
    NO_LIMIT,
    QosLiveliness.AUTOMATIC,
    NO_LIMIT,
    False,
)


def make(msgtype: str, **fields: Any) -> Any:
    return message_types().store.types[msgtype](**fields)


def header(stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return make("std_msgs/msg/Header", stamp=make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec), frame_id="tracker")


def point(stamp_ns: int) -> Any:
    return make(POINT, header=header(stamp_ns), point=make("geometry_msgs/msg/Point", x=stamp_ns * 1e-9, y=2.0, z=3.0))


def tools(stamp_ns: int) -> Any:
    pose = make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=0.1, y=0.2, z=0.3),
        orientation=make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    tool = make(
        "lodestone_msgs/msg/TrackedTool",
        name="probe",
        serial_number="34801403",
        channel=0,
        port_handle=10,
        degrees_of_freedom=5,
        status=1,
        port_status=0xFFFFFFFF,
        frame_number=7,
        pose=pose,
        rms_error=1e-4,
        detail="",
    )
    received = make("builtin_interfaces/msg/Time", sec=1, nanosec=5)
    return make(
        TOOLS,
        header=header(stamp_ns),
        received=received,
        frame_number=7,
        frames_skipped=0,
        repeats_dropped=1,
        system_status=0,
        reply_kind=2,
        tools=[tool, tool],
    )


def write_points(path: Path, stamps_ns: range | list[int], topic: str = "/point") -> Path:
    with BagWriter(path) as bag:
        channel = bag.add_topic(topic, POINT)
        for stamp_ns in stamps_ns:
            bag.write_message(channel, point(stamp_ns), stamp_ns)
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    with BagWriter(tmp_path / "mixed", custom={"commit": "abc"}) as bag:
        point_channel, tools_channel = bag.add_topic("/point", POINT, [LATCHED]), bag.add_topic("/aurora/tools", TOOLS)
        for stamp_ns in range(10, 20):
            bag.write_message(point_channel, point(stamp_ns), stamp_ns)
            bag.write_message(tools_channel, tools(stamp_ns), stamp_ns)
    return tmp_path / "mixed"


def test_rosbags_reads_what_the_writer_wrote(mixed: Path) -> None:
    with AnyReader([mixed]) as reader:
        assert reader.message_count == 20
        assert {c.topic: c.msgtype for c in reader.connections} == {"/point": POINT, "/aurora/tools": TOOLS}
        found = [(c.topic, stamp, reader.deserialize(data, c.msgtype)) for c, stamp, data in reader.messages()]
    assert [stamp for _, stamp, _ in found] == sorted([*range(10, 20), *range(10, 20)])
    last: Any = found[-1][2]
    assert last.tools[1].port_status == 0xFFFFFFFF and last.tools[1].serial_number == "34801403"


def test_the_mcap_tools_find_schema_qos_and_index(mixed: Path) -> None:
    with (mixed / "mixed_0.mcap").open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary.statistics.message_count == 20
    schemas = {schema.name: schema for schema in summary.schemas.values()}
    text = schemas[TOOLS].data.decode()
    assert schemas[TOOLS].encoding == "ros2msg"
    assert "MSG: lodestone_msgs/TrackedTool\n" in text and "MSG: builtin_interfaces/Time\n" in text
    assert "m, in the frame of the message" in text, "the comments with the units are recorded"
    channel = next(channel for channel in summary.channels.values() if channel.topic == "/point")
    (qos,) = yaml.safe_load(channel.metadata["offered_qos_profiles"])
    assert (qos["durability"], qos["depth"], qos["deadline"]["sec"]) == ("transient_local", 1, 9223372036)


def test_metadata_is_that_of_a_rosbag2_directory(mixed: Path) -> None:
    info = yaml.safe_load((mixed / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (info["version"], info["storage_identifier"], info["message_count"]) == (9, "mcap", 20)
    assert info["relative_file_paths"] == ["mixed_0.mcap"] and info["custom_data"] == {"commit": "abc"}
    assert info["starting_time"]["nanoseconds_since_epoch"] == 10 and info["duration"]["nanoseconds"] == 9
    assert [t["message_count"] for t in info["topics_with_message_count"]] == [10, 10]
    assert "&" not in (mixed / "metadata.yaml").read_text(), "no YAML anchors"


def test_we_read_it_back_ordered_with_typed_messages(mixed: Path) -> None:
    with open_bag(mixed) as bag:
        assert bag.complete and bag.message_count == 20
        assert bag.topics["/point"].qos == (LATCHED,) and bag.topics["/aurora/tools"].msgtype == TOOLS
        found = list(bag.messages())
        assert list(bag.messages()) and len(list(bag.messages(start_ns=12, stop_ns=14))) == 4
    assert [m.log_ns for m in found] == sorted(m.log_ns for m in found)
    topic, log_ns, message = found[0]
    assert (topic, log_ns, message.header.stamp.nanosec, message.point.y) == ("/point", 10, 10, 2.0)


def test_messages_are_ordered_by_log_time_and_equal_times_as_recorded(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        first, second = bag.add_topic("/b", POINT), bag.add_topic("/a", POINT)
        for channel, stamp_ns in ((first, 5), (second, 5), (first, 3), (second, 9), (first, 9), (first, 1)):
            bag.write_message(channel, point(stamp_ns), stamp_ns)
            bag.flush()
    expected = [("/b", 1), ("/b", 3), ("/b", 5), ("/a", 5), ("/a", 9), ("/b", 9)]
    for ignore_index in (False, True):
        with open_bag(tmp_path / "bag", ignore_index=ignore_index) as bag:
            assert [(m.topic, m.log_ns) for m in bag.messages()] == expected


def test_an_empty_selection_gives_nothing_and_an_unknown_topic_is_named(mixed: Path) -> None:
    assert list(messages(mixed, [])) == []
    assert {m.topic for m in messages(mixed, ["/point"])} == {"/point"}
    with pytest.raises(InputError, match=r"unknown topic: expected one of /aurora/tools, /point, got /pont; did you mean /point\?"):
        list(messages(mixed, ["/pont"]))
    with open_bag(mixed) as bag:
        assert len(list(bag.messages(["/point", "/events"], missing_ok=True))) == 10
        assert list(bag.messages(["/events"], missing_ok=True)) == []


def test_a_bag_without_messages_or_topics_is_a_bag(tmp_path: Path) -> None:
    write_points(tmp_path / "silent", [])
    with BagWriter(tmp_path / "bare"):
        pass
    with open_bag(tmp_path / "silent") as bag:
        assert bag.complete and bag.message_count == 0 and list(bag.messages(["/point"])) == []
    with open_bag(tmp_path / "bare") as bag:
        assert bag.complete and dict(bag.topics) == {} and list(bag.messages()) == []
    for name in ("silent", "bare"):
        with AnyReader([tmp_path / name]) as reader:
            assert reader.message_count == 0


def test_no_chunk_exceeds_a_mebibyte_unless_one_message_does(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        channel = bag.add_topic("/raw", "std_msgs/msg/UInt8MultiArray")
        for size in [300_000] * 12 + [2_000_000, 10]:
            bag.write(channel, b"\0\1\0\0" + bytes(size), 1)
    with (tmp_path / "bag" / "bag_0.mcap").open("rb") as stream:
        sizes = [index.uncompressed_size for index in make_reader(stream).get_summary().chunk_indexes]
    assert sum(size > writer_module.MAX_CHUNK_BYTES for size in sizes) == 1
    assert len(sizes) == 6


def test_messages_reach_the_disk_without_another_write(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_message(bag.add_topic("/point", POINT), point(1), 1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not _count(tmp_path / "bag"):
            time.sleep(0.05)
        assert _count(tmp_path / "bag") == 1


def _count(path: Path) -> int:
    with open_bag(path) as bag:
        return bag.message_count


def test_the_same_topic_is_registered_once(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        assert bag.add_topic("/point", POINT) == bag.add_topic("/point", POINT)
        assert bag.add_topic("/other", POINT) != bag.add_topic("/point", POINT)


def test_publish_time_is_kept(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write(bag.add_topic("/point", POINT), bytes(message_types().store.serialize_cdr(point(1), POINT)), 9, publish_ns=4)
    with open_bag(tmp_path / "bag", ignore_index=True) as bag:
        assert [(m.log_ns, m.publish_ns) for m in bag.raw_messages()] == [(9, 4)]


def test_a_path_that_exists_is_not_overwritten(mixed: Path) -> None:
    with pytest.raises(InputError, match="expected a path that is free, got one that exists"):
        BagWriter(mixed)
    assert _count(mixed) == 20


def test_a_type_without_definition_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        with pytest.raises(InputError, match="message type foo_msgs/msg/Bar: expected its definition in share/foo_msgs/msg"):
            bag.add_topic("/bar", "foo_msgs/msg/Bar")
        with pytest.raises(InputError, match="package/msg/Name"):
            bag.add_topic("/bar", "Bar")
        assert bag.add_topic("/bar", "foo_msgs/msg/Bar", definition=Definition("ros2msg", "int8 x\n"))


def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = BagWriter(tmp_path / "bag")
    channel = bag.add_topic("/point", POINT)
    bag.write_message(channel, point(1), 1)
    bag.flush()

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bag._mcap, "flush", full)
    bag.write_message(channel, point(2), 2)
    with pytest.raises(InputError, match="expected to write, got No space left on device"):
        bag.flush()
    for attempt in (lambda: bag.write_message(channel, point(3), 3), bag.close):
        with pytest.raises(InputError, match="No space left"):
            attempt()
    bag.close()
    assert _count(tmp_path / "bag") == 1


def test_writing_after_close_and_a_negative_time_are_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        channel = bag.add_topic("/point", POINT)
        with pytest.raises(InputError, match="log time: expected nanoseconds"):
            bag.write(channel, b"", -1)
    with pytest.raises(InputError, match="expected an open bag"):
        bag.write(channel, b"", 1)


def rosbags_bag(path: Path, plugin: StoragePlugin, version: Any = 9, mode: CompressionMode = CompressionMode.NONE) -> Path:
    store = message_types().store
    writer = Writer(path, version=version, storage_plugin=plugin)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        point_c = writer.add_connection("/point", POINT, typestore=store)
        tools_c = writer.add_connection("/aurora/tools", TOOLS, typestore=store)
        for stamp_ns in range(5):
            writer.write(point_c, stamp_ns, store.serialize_cdr(point(stamp_ns), POINT))
            writer.write(tools_c, stamp_ns, store.serialize_cdr(tools(stamp_ns), TOOLS))
    return path


@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.STORAGE])
def test_bags_of_other_writers_are_read(tmp_path: Path, plugin: StoragePlugin, version: int, mode: CompressionMode) -> None:
    if mode is CompressionMode.STORAGE and plugin is StoragePlugin.SQLITE3:
        mode = CompressionMode.MESSAGE
    bag_path = rosbags_bag(tmp_path / "bag", plugin, version, mode)
    with open_bag(bag_path) as bag:
        assert bag.complete and bag.message_count == 10
        found = list(bag.messages(["/aurora/tools"]))
        assert list(bag.messages([])) == []
    assert [m.log_ns for m in found] == list(range(5))
    assert found[0].message.tools[0].name == "probe"


def test_the_database_file_alone_is_read(tmp_path: Path) -> None:
    rosbags_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    assert len(list(messages(tmp_path / "bag" / "bag.db3"))) == 10


def test_the_log_that_a_killed_sqlite3_recorder_leaves_is_mentioned(tmp_path: Path) -> None:
    rosbags_bag(tmp_path / "bag", StoragePlugin.SQLITE3)
    (tmp_path / "bag" / "bag.db3-wal").write_bytes(b"x")
    with open_bag(tmp_path / "bag") as bag:
        assert not bag.complete and "bag.db3-wal" in bag.notes[0]


def test_the_splits_of_one_bag_are_read_in_time_order(tmp_path: Path) -> None:
    write_points(tmp_path / "bag", range(0, 10, 2))
    write_points(tmp_path / "more", range(1, 10, 2))
    (tmp_path / "more" / "more_0.mcap").rename(tmp_path / "bag" / "bag_1.mcap")
    assert [m.log_ns for m in messages(tmp_path / "bag")] == list(range(10))
    with open_bag(tmp_path / "bag") as bag:
        assert bag.topics["/point"].count == 10


def unreadable_paths(folder: Path) -> Iterator[tuple[Path, str]]:
    yield folder / "nowhere", "got nothing at that path; check the path"
    (folder / "empty").mkdir()
    yield folder / "empty", "got a directory without such files"
    (folder / "text.mcap").write_text("this is not a bag, whatever its name says")
    yield folder / "text.mcap", "got text.mcap, which is neither MCAP nor sqlite3"
    (folder / "zero.db3").touch()
    yield folder / "zero.db3", "got the empty file zero.db3"
    (folder / "torn.db3").write_bytes(b"SQLite format 3\0" + bytes(range(200)))
    yield folder / "torn.db3", "got torn.db3 with "
    (folder / "meta").mkdir()
    (folder / "meta" / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    yield folder / "meta", "got meta with "
    (folder / "old.bag").write_text("#ROSBAG V2.0\n")
    yield folder / "old.bag", "neither MCAP nor sqlite3"


def test_what_is_no_bag_gives_one_clear_sentence(tmp_path: Path) -> None:
    for path, part in unreadable_paths(tmp_path):
        with pytest.raises(InputError) as caught:
            open_bag(path)
        text = str(caught.value)
        assert text.startswith(f"bag {path}: expected a bag (a directory with") and part in text and "\n" not in text


def test_a_message_that_its_definition_does_not_describe_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write(bag.add_topic("/point", POINT), b"\0\1\0\0short", 7)
    for ignore_index in (False, True):
        with (
            open_bag(tmp_path / "bag", ignore_index=ignore_index) as bag,
            pytest.raises(InputError, match=rf"/point at 7 ns: expected a {POINT}, got "),
        ):
            list(bag.messages())
