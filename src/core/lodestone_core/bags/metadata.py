"""The metadata.yaml of a bag directory, as rosbag2 of ROS 2 Jazzy writes and reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Qos

from lodestone_core.bags.qos import plain_qos
from lodestone_core.yaml_file import dump_yaml

FILE_NAME = "metadata.yaml"
_VERSION = 9
_NO_START = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TopicEntry:
    """One recorded topic and how many messages it has."""

    topic: str
    msgtype: str
    type_hash: str
    qos: tuple[Qos, ...]
    count: int


def write_metadata(
    folder: Path,
    storage_file: str,
    topics: Sequence[TopicEntry],
    span_ns: tuple[int, int] | None,
    custom: Mapping[str, str],
) -> None:
    """Write metadata.yaml into `folder`, whole or not at all. `span_ns`: first and last log time, None without messages."""
    count = sum(topic.count for topic in topics)
    information = {
        "version": _VERSION,
        "storage_identifier": "mcap",
        **_extent(span_ns, count),
        "topics_with_message_count": [_topic(topic) for topic in topics],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [storage_file],
        "files": [{"path": storage_file, **_extent(span_ns, count)}],
        "custom_data": dict(custom) or None,
        "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
    }
    unfinished = folder / f".{FILE_NAME}.part"
    unfinished.write_text(dump_yaml({"rosbag2_bagfile_information": information}), encoding="utf-8")
    unfinished.replace(folder / FILE_NAME)


def _extent(span_ns: tuple[int, int] | None, count: int) -> dict[str, Any]:
    start_ns, end_ns = span_ns or (_NO_START, _NO_START)
    return {
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "duration": {"nanoseconds": end_ns - start_ns},
        "message_count": count,
    }


def _topic(entry: TopicEntry) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": entry.topic,
            "type": entry.msgtype,
            "serialization_format": "cdr",
            "offered_qos_profiles": plain_qos(entry.qos),
            "type_description_hash": entry.type_hash,
        },
        "message_count": entry.count,
    }
