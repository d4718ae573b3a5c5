"""The Aurora node over real DDS, on the emulated device: messages, TF only while a pose holds, diagnostics, lifecycle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from geometry_msgs.msg import PoseStamped
from tf2_msgs.msg import TFMessage

from em_registration.ros.aurora_node import AuroraNode
from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import stamp_from_msg
from lodestone_msgs.msg import TrackedTool, TrackedTools

pytestmark = [pytest.mark.ros, pytest.mark.alone]
SCRIPT = {
    "bodies": {"wand": {"center_mm": [10.0, -20.0, -150.0]}},
    "tools": {"pointer": {"plug": {"serial": "AAAAAA01"}}, "sensor": {"mount_mm": [0.0, 0.0, 50.0], "plug": {"serial": "AAAAAA02"}}},
}


class Desk(NodeDesk):
    """The Aurora's node on the emulated device."""

    def __init__(self, folder: Path, emulate: bool = True, **parameters: Any) -> None:
        super().__init__(folder)
        self.link = folder / "aurora"
        if emulate:
            (folder / "script.yaml").write_text(yaml.safe_dump(SCRIPT))
            self.emulate("aurora", "--script", folder / "script.yaml", "--link", self.link)
        self.tools: list[TrackedTools] = self.hear(TrackedTools, "aurora/tools", qos.DEVICE)
        self.poses: list[PoseStamped] = self.hear(PoseStamped, "aurora/tool_0/measured_cp", qos.DEVICE)
        self.edges: list[TFMessage] = self.hear(TFMessage, "/tf", qos.TF)
        self.serve(AuroraNode, {"port": str(self.link), "tool_names": ["AAAAAA01=pointer"], **parameters})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


def by_name(message: TrackedTools) -> dict[str, TrackedTool]:
    return {tool.name: tool for tool in message.tools}


def test_one_frame_is_one_message_in_metres_with_poses_and_edges_of_the_same_stamp(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.tools) > 20 and len(d.poses) > 10 and len(d.edges) > 10)
    message = d.tools[-1]
    tools = by_name(message)
    assert message.header.frame_id == "em_field_generator" and message.reply_kind == TrackedTools.REPLY_BX
    assert set(tools) == {"pointer", "0"} and tools["0"].serial_number == "AAAAAA02"
    assert (tools["0"].pose.position.x, tools["0"].pose.position.z) == pytest.approx((0.010, -0.100), abs=1e-6)
    assert tools["0"].rms_error == pytest.approx(0.0002, abs=1e-6)
    numbers = [each.frame_number for each in d.tools]
    assert numbers == sorted(set(numbers)) and sum(each.frames_skipped for each in d.tools) == 0
    stamps = {stamp_from_msg(each.header.stamp) for each in d.tools}
    assert {stamp_from_msg(pose.header.stamp) for pose in d.poses} <= stamps | {stamp_from_msg(d.poses[0].header.stamp)}
    edge = d.edges[-1].transforms
    assert [(e.header.frame_id, e.child_frame_id) for e in edge] == [
        ("em_field_generator", "em_tool_pointer"),
        ("em_field_generator", "em_tool_0"),
    ]
    assert edge[1].transform.translation.z == pytest.approx(-0.100, abs=1e-6)


def test_messages_arrive_within_the_latency_budget(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.tools) > 5)
    delays = []
    for _ in range(60):
        seen = len(d.tools)
        d.wait(lambda seen=seen: len(d.tools) > seen)
        delays.append(time.time_ns() - stamp_from_msg(d.tools[-1].received))
    assert sorted(delays)[len(delays) // 2] * 1e-6 < 15.0
    received, stamp = d.tools[-1].received, d.tools[-1].header.stamp
    assert 0 <= stamp_from_msg(received) - stamp_from_msg(stamp) < 30_000_000


def test_edge_and_pose_stop_while_the_tool_is_missing_and_its_status_goes_on(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.poses) > 3)
    for request, status in (("missing", TrackedTool.STATUS_MISSING), ("out_of_volume", TrackedTool.STATUS_OUT_OF_VOLUME)):
        d.do(request, tool="sensor", for_s=1.0)
        d.wait(lambda status=status: by_name(d.tools[-1])["0"].status == status)
        d.pause(0.1)
        d.tools.clear(), d.poses.clear(), d.edges.clear()
        d.pause(0.4)
        assert len(d.tools) > 8 and all(by_name(message)["0"].status == status for message in d.tools)
        assert all(by_name(message)["0"].pose.position.x != by_name(message)["0"].pose.position.x for message in d.tools)
        assert d.poses == [] and {edge.child_frame_id for message in d.edges for edge in message.transforms} == {"em_tool_pointer"}
        d.wait(lambda: len(d.poses) > 3)


def test_diagnostics_say_which_stage_failed_and_what_to_do(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: d.says("device", "tracking 2 tools by BX at 230400 baud"))
    d.do("unplug")
    d.wait(lambda: d.says("device", "cannot open the port: the port does not exist"))
    report = d.reports["device"]
    assert report.level == b"\x02" and "by-id" in str(report)
    d.do("replug")
    d.wait(lambda: d.says("device", "tracking 2 tools"))
    d.do("tool_out", tool="sensor")
    d.wait(lambda: "UNPLUGGED" in str(getattr(d.reports.get("tool 0"), "message", "")))


def test_port_that_does_not_exist_leaves_the_node_waiting_for_it(desk: Callable[..., Desk]) -> None:
    d = desk(emulate=False)
    d.wait(lambda: d.says("device", "the port does not exist"))
    assert d.node.state == "active" and d.tools == []


def test_deactivation_gives_the_port_back_and_activation_takes_it_again(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.poses) > 3)
    d.node.trigger_deactivate()
    assert not any(thread.name == "aurora" for thread in threading.enumerate())
    d.pause(0.1)
    d.tools.clear()
    d.pause(0.3)
    assert d.tools == []
    d.poses.clear()
    d.node.trigger_activate()
    d.wait(lambda: len(d.tools) > 3 and len(d.poses) > 3)


def test_programming_error_in_the_driver_ends_the_node(desk: Callable[..., Desk]) -> None:
    d = desk(emulate=False)
    d.wait(lambda: d.says("device", "the port does not exist"))

    def broken() -> None:
        raise ZeroDivisionError("a bug in the driver")

    d.node._driver.session.step = broken
    with pytest.raises(ZeroDivisionError):
        d.pause(2.0)


@pytest.mark.parametrize(("name", "value"), [("tool_names", ["tip"]), ("rom_files", ["1=/no/such/file.rom"])])
def test_parameters_that_mean_nothing_are_refused_before_the_port_is_touched(desk: Callable[..., Desk], name: str, value: Any) -> None:
    with pytest.raises(Exception, match=r"expected .*, got") as caught:
        desk(emulate=False, **{name: value}).pause(1.0)
    assert name in str(caught.value) or "file.rom" in str(caught.value)
