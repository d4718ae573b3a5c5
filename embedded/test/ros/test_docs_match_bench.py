"""docs/topics.md and docs/frames.md against a bench that runs: every topic, type, publisher, QoS, frame, parent and owner."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from write_docs import ROOT, pages, rendered

from em_registration.registration import Registration
from lodestone_core import se3
from lodestone_core.ros import qos

pytestmark = [pytest.mark.ros, pytest.mark.alone]
ROS_OWN = re.compile(r"/rosout|/parameter_events|.*/transition_event|.*/_action/.*")
PROFILES = {name: profile for name, profile in vars(qos).items() if isinstance(profile, QoSProfile)}
PROFILES |= {"reliable": qos.reliable(), "latched": qos.latched()}
CHANNELS = ("/tf", "/tf_static")
START_UP_S = 60.0
UNDISCOVERED = "_NODE_NAME_UNKNOWN_"
"""What rmw says while the endpoint is known and its node is not yet."""


@dataclass
class Seen:
    """What a bench showed: (topic, type, node) -> QoS, and (frame, parent, owner, channel)."""

    publishers: dict[tuple[str, str, str], QoSProfile] = field(default_factory=dict)
    edges: set[tuple[str, str, str]] = field(default_factory=set)
    parents: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A line of a table in docs, without backticks."""

    cells: tuple[str, ...]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The first cell, with <names> that stand for anything."""
        return re.compile(re.sub(r"<\w+>", r"[a-z0-9_]+", self.cells[0]))


def rows(page: str, first_header: str) -> list[Row]:
    """The table of a page that begins with this header."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_header} |"))
    body = lines[start + 2 :]
    end = next((i for i, line in enumerate(body) if not line.startswith("|")), len(body))
    return [Row(tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))) for line in body[:end]]


TOPICS, FRAMES, QOS = rows("topics.md", "topic"), rows("frames.md", "frame"), rows("topics.md", "name")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The demo's bench on a scripted world with the example controller, and all other simulated devices, until all of the docs was seen."""
    folder = tmp_path_factory.mktemp("bench")
    process = subprocess.Popen(
        [sys.executable, "-m", "lodestone_cli", "up", str(launch_file(folder))], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    rclpy.init()
    node = rclpy.create_node("reader_of_docs")
    try:
        seen = look(node)
    finally:
        rclpy.shutdown()
        process.terminate()
        output, _ = process.communicate(timeout=30)
    if missing_topics(seen):
        print(output.decode(errors="replace"))
    yield seen


def launch_file(folder: Path) -> Path:
    """The demo and the controller in one file, with a registration."""
    C = np.diag([0.01, 0.01, 0.01, 1e-6, 1e-6, 1e-6])
    T = se3.make(np.eye(3), np.array([0.0, 0.0, -100.0]))
    registration = Registration("fiducials", T, C, fre_mm=0.1, n=10, created="2026-01-01T00:00:00+00:00", version="0")
    registration.save(folder / "registration.yaml")
    arguments = {"registration_file": str(folder / "registration.yaml"), "port_link": str(folder / "port")}
    demo = {"file": str(ROOT / "launch" / "demo.launch.yaml"), "arg": [{"name": k, "value": v} for k, v in arguments.items()]}
    controller = {"file": str(ROOT / "launch" / "controller.launch.yaml")}
    others = {"sim": "true", "em": "false"}
    rest = {"file": str(ROOT / "launch" / "bench.launch.yaml"), "arg": [{"name": k, "value": v} for k, v in others.items()]}
    path = folder / "docs.launch.yaml"
    path.write_text(yaml.safe_dump({"launch": [{"include": demo}, {"include": controller}, {"include": rest}]}))
    return path


def look(node: Node) -> Seen:
    """Watch the graph and TF until every line of the docs has been seen, or time is up."""
    seen = Seen()
    for channel, profile in zip(CHANNELS, (qos.TF, qos.TF_STATIC_READER), strict=True):
        node.create_subscription(TFMessage, channel, lambda message, channel=channel: take(seen, channel, message), profile)
    deadline = time.monotonic() + START_UP_S
    while time.monotonic() < deadline and (missing_topics(seen) or missing_frames(seen)):
        rclpy.spin_once(node, timeout_sec=0.1)
        for topic, _ in node.get_topic_names_and_types():
            for info in node.get_publishers_info_by_topic(topic):
                if info.node_name not in (node.get_name(), UNDISCOVERED) and not ROS_OWN.fullmatch(topic):
                    seen.publishers[topic, info.topic_type, info.node_name] = info.qos_profile
    return seen


def take(seen: Seen, channel: str, message: TFMessage) -> None:
    """Keep every edge and each frame's parents."""
    for transform in message.transforms:
        seen.edges.add((transform.child_frame_id, transform.header.frame_id, channel))
        seen.parents.setdefault(transform.child_frame_id, set()).add(transform.header.frame_id)


def missing_topics(seen: Seen) -> list[str]:
    """Lines of topics.md that nothing matches."""
    return [row.cells[0] for row in TOPICS if not any(row.pattern.fullmatch(topic) for topic, _, _ in seen.publishers)]


def missing_frames(seen: Seen) -> list[str]:
    """Lines of frames.md that nothing matches; the root is nobody's child."""
    return [row.cells[0] for row in FRAMES if row.cells[1] and not any(row.pattern.fullmatch(child) for child in seen.parents)]


def row_of(name: str, table: list[Row]) -> Row:
    """The line that fits best: the one with the fewest letters left to <names>."""
    found = [row for row in table if row.pattern.fullmatch(name)]
    assert found, f"{name} is not in the docs"
    return max(found, key=lambda row: len(re.sub(r"<\w+>", "", row.cells[0])))


def test_every_topic_of_the_docs_is_there(bench: Seen) -> None:
    assert missing_topics(bench) == []


def test_every_publisher_is_as_the_docs_say(bench: Seen) -> None:
    for topic, kind, publisher in bench.publishers:
        _, wanted_kind, publishers, _, _ = row_of(topic, TOPICS).cells
        assert kind == wanted_kind, topic
        assert publishers == "every node" or publisher in publishers.split(", "), topic


def test_every_publisher_offers_the_qos_of_the_docs(bench: Seen) -> None:
    for (topic, _, publisher), offered in bench.publishers.items():
        wanted = PROFILES[row_of(topic, TOPICS).cells[3]]
        assert (offered.reliability, offered.durability) == (wanted.reliability, wanted.durability), (topic, publisher)
        assert seconds(offered.deadline.nanoseconds) == seconds(wanted.deadline.nanoseconds), (topic, publisher)


def test_the_table_of_qos_is_that_of_the_code() -> None:
    for row in QOS:
        name, reliability, durability, depth, deadline, lease = row.cells
        profile = PROFILES[name]
        assert profile.reliability.name.lower() == reliability
        assert profile.durability.name.lower().replace("_", " ") == durability
        assert profile.depth == int(depth)
        assert seconds(profile.deadline.nanoseconds) == (float(deadline.removesuffix(" s")) if deadline else None)
        assert seconds(profile.liveliness_lease_duration.nanoseconds) == (float(lease.removesuffix(" s")) if lease else None)
    assert {row.cells[3] for row in TOPICS} <= {row.cells[0] for row in QOS}


def seconds(duration_ns: int) -> float | None:
    """A duration of a QoS profile; None for zero and infinity, which both mean none."""
    return duration_ns / 1e9 if 0 < duration_ns < 10**15 else None


def test_every_frame_of_the_docs_is_there(bench: Seen) -> None:
    assert missing_frames(bench) == []


def test_every_edge_is_as_the_docs_say(bench: Seen) -> None:
    for child, parent, channel in bench.edges:
        _, wanted_parent, _, wanted_channel, _ = row_of(child, FRAMES).cells
        assert (parent, channel) == (wanted_parent, wanted_channel), child


def test_the_frames_are_one_tree_below_bench(bench: Seen) -> None:
    assert all(len(parents) == 1 for parents in bench.parents.values())
    assert set().union(*bench.parents.values()) - set(bench.parents) == {"bench"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_parameters_of_nodes_are_up_to_date(page: Path) -> None:
    assert page.read_text() == rendered(page.read_text(), ros=True), "run: .venv/bin/python embedded/write_docs.py"
