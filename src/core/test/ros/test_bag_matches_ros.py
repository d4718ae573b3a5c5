"""The definitions and profiles that bags hold are those of the ROS that this process runs with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.interfaces import QosDurability, QosReliability, QosTime

from lodestone_core.bags import BagWriter, message_types, open_bag, qos_from_profile
from lodestone_msgs.msg import RegistrationEstimate

pytestmark = pytest.mark.ros


def test_type_hashes_are_those_of_the_built_messages() -> None:
    prefixes = os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)
    folder = next(Path(p) / "share" / "lodestone_msgs" / "msg" for p in prefixes if (Path(p) / "share" / "lodestone_msgs").is_dir())
    described = sorted(folder.glob("*.json"))
    assert described
    for path in described:
        (own,) = (h for h in json.loads(path.read_text())["type_hashes"] if h["type_name"].endswith(f"/{path.stem}"))
        assert message_types().type_hash(own["type_name"]) == own["hash_string"]


def test_bytes_that_ros_serialised_are_read_without_ros(tmp_path: Path) -> None:
    sent = RegistrationEstimate(child_frame_id="image", state=2, reasons=8192, expected_tre=0.001, epoch=3)
    sent.pose.covariance[35] = 4.0
    with BagWriter(tmp_path / "bag") as bag:
        channel = bag.add_topic("/registration/image", "lodestone_msgs/msg/RegistrationEstimate")
        bag.write(channel, serialize_message(sent), 5)
    with open_bag(tmp_path / "bag") as opened:
        (message,) = (m.message for m in opened.messages())
    assert (message.child_frame_id, message.state, message.reasons, message.epoch) == ("image", 2, 8192, 3)
    assert message.pose.covariance[35] == 4.0 and message.expected_tre == 0.001


def test_an_rclpy_profile_is_kept_in_the_bag(tmp_path: Path) -> None:
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=7,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
        liveliness=LivelinessPolicy.AUTOMATIC,
        deadline=Duration(seconds=1.5),
    )
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/status", "std_msgs/msg/String", [qos_from_profile(profile)])
    with open_bag(tmp_path / "bag") as opened:
        (qos,) = opened.topics["/status"].qos
    assert (qos.depth, qos.reliability, qos.durability) == (7, QosReliability.BEST_EFFORT, QosDurability.TRANSIENT_LOCAL)
    assert qos.deadline == QosTime(1, 500_000_000)
