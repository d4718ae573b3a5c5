"""The arm's node over real DDS, on the emulated device: counts always, angles, pose and TF only while all joints hold, one owner of TF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.epoch import join_world
from lodestone_core.errors import InputError
from lodestone_core.messages import pose_from_msg, stamp_from_msg, transforms_from_msg
from lodestone_core.ros import qos
from lodestone_core.tf_buffer import Lookup, TfBuffer
from lodestone_msgs.msg import ArmEncoders
from us_motion.ros.arm_node import ArmNode

pytestmark = pytest.mark.ros
LAUNCH = Path(__file__).parents[4] / "launch"
CALIBRATION = LAUNCH / "rigs" / "simulated" / "us_arm.yaml"
PROBE = """format: 1
kind: us_probe
rig: simulated
devices: []
created: ''
method: ''
version: ''
inputs: {}
figures: {}
values: {T_probe_image: [[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}
"""


class Desk(NodeDesk):
    """The arm's node on the emulated device."""

    def __init__(self, folder: Path, **parameters: Any) -> None:
        super().__init__(folder)
        self.link, clock = folder / "arm", folder / "clock"
        self.world = join_world(clock)
        self.emulate("arm", "--link", self.link, "--clock", clock)
        (folder / "us_probe.yaml").write_text(PROBE)
        given = {
            "stream.port": str(self.link),
            "urdf": str(LAUNCH / "urdf" / "us_arm.urdf"),
            "calibration_file": str(CALIBRATION),
            "probe_calibration_file": str(folder / "us_probe.yaml"),
            "rig": "simulated",
            **parameters,
        }
        self.encoders: list[ArmEncoders] = self.hear(ArmEncoders, "us_arm/encoders", qos.DEVICE)
        self.joints: list[JointState] = self.hear(JointState, "us_arm/measured_js", qos.DEVICE)
        self.poses: list[PoseStamped] = self.hear(PoseStamped, "us_arm/measured_cp", qos.DEVICE)
        self.edges: list[TFMessage] = self.hear(TFMessage, "/tf", qos.TF)
        self.static: list[TFMessage] = self.hear(TFMessage, "/tf_static", qos.TF_STATIC_READER)
        self.serve(ArmNode, given)

    def holds(self) -> bool:
        return bool(self.encoders) and self.encoders[-1].valid and bool(self.joints)

    def call(self, service: str) -> Trigger.Response:
        client = self.test.create_client(Trigger, f"/us_arm/{service}")
        self.wait(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.wait(future.done)
        return future.result()

    def forget(self) -> None:
        for heard in (self.encoders, self.joints, self.poses, self.edges):
            heard.clear()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


def test_pose_and_tree_are_the_worlds_and_stop_when_a_joint_does_not_hold(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.encoders) > 5)
    first = d.encoders[0]
    assert first.header.frame_id == "us_arm_base" and first.names == [f"us_arm_joint{i}" for i in range(1, 7)]
    assert not first.valid and "its index has not been passed yet" in first.detail and np.isnan(first.position).any()
    assert not d.joints and not d.poses and not d.edges, "no angle, no pose, no edge"
    d.wait(d.holds)
    d.forget()
    d.wait(lambda: len(d.poses) > 30 and len(d.edges) > 30 and bool(d.static))
    pose, by_stamp = d.poses[-1], {stamp_from_msg(message.header.stamp): message for message in d.joints}
    stamp_ns = stamp_from_msg(pose.header.stamp)
    world, T_base_probe = ArmWorld(), pose_from_msg(pose.pose)
    assert T_base_probe == pytest.approx(world.T_base_probe(np.array(by_stamp[stamp_ns].position)), abs=1e-6), "metres, and the same sample"
    true = world.T_base_probe(world.joint_positions((stamp_ns - d.world.wall_ns(0.0)) * 1e-9))
    assert np.linalg.norm((T_base_probe - true)[:3, 3]) < 10.0, "some 3 ms of latency are not calibrated here"
    buffer = TfBuffer()
    for message, static in [(message, False) for message in d.edges] + [(message, True) for message in d.static]:
        for edge in transforms_from_msg(message):
            assert buffer.set_transform(edge.parent, edge.child, edge.stamp_ns, edge.T_parent_child, static) is None
    found = buffer.lookup("us_arm_base", "us_image", stamp_ns)
    assert isinstance(found, Lookup)
    assert np.linalg.norm(found.T_target_source[:3, 3] - T_base_probe[:3, 3] - 5.0 * T_base_probe[:3, 0]) < 1e-6
    d.do("dead", joint=2, for_s=30.0)
    d.wait(lambda: not d.encoders[-1].valid)
    d.pause(0.2)
    d.forget()
    d.pause(0.5)
    assert len(d.encoders) > 30 and not d.joints and not d.poses and not d.edges
    assert d.encoders[-1].status[1] == ArmEncoders.STATUS_MISSING | ArmEncoders.STATUS_SIGNAL and np.isnan(d.encoders[-1].position[1])
    d.wait(lambda: "does not answer" in getattr(d.reports.get("us_arm_joint2"), "message", ""))
    d.do("clear")
    assert d.call("accept_counts").message.startswith("us_arm_joint2: believed in spite of")
    d.wait(d.holds)


def test_with_another_owner_of_the_chain_only_the_image_is_placed(desk: Callable[..., Desk]) -> None:
    d = desk(tf_owner="robot_state_publisher")
    assert d.call("home").message.startswith(("move over their index: us_arm_joint1", "nothing is known of the joints yet"))
    d.wait(d.holds)
    d.forget()
    d.wait(lambda: len(d.poses) > 20)
    assert not d.edges and [edge.child_frame_id for message in d.static for edge in message.transforms] == ["us_image"]
    assert d.call("home").message == "all joints are homed"
    d.wait(lambda: getattr(d.reports.get("device"), "message", "") == "all 6 joints hold")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"rig": "another"}, "rig: expected another, got simulated"),
        ({"time_calibration": str(CALIBRATION)}, "kind: expected time, got us_arm"),
        ({"urdf": ""}, "a URDF beside the calibration"),
        ({"urdf": str(CALIBRATION)}, "a URDF"),
        ({"probe_frame": "us_flange2"}, "no joint with the child us_flange2"),
        ({"probe_frame": "us_arm_link4"}, "joint us_arm_joint5: expected one of us_arm_joint1"),
        ({"probe_calibration_file": str(CALIBRATION)}, "kind: expected us_probe, got us_arm"),
        ({"state_file": str(CALIBRATION)}, "the kept homing of an arm"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(desk: Callable[..., Desk], parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        desk(**parameters).wait(lambda: False, 5.0)
