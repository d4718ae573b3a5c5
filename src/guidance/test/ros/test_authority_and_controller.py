"""Authority and example controller over real DDS: what goes through, and that pulling any plug stops both in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.messages import EstimateSet, stamp_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import estimates_to_msg
from lodestone_guidance.ros.authority_node import WATCH_S, AuthorityNode
from lodestone_guidance.ros.controller_node import ExampleController
from lodestone_msgs.msg import RegistrationEstimate, RegistrationEstimates, RegistrationStatus

pytestmark = pytest.mark.ros
MAX_AGE_S, PERIOD_S, RATE_HZ = 0.3, 0.02, 40.0
# Thrice what the contract says beyond max_age: this machine runs other tests beside this one.
SLACK_S = 3 * (PERIOD_S + WATCH_S) + 0.1
FRAMES = "frames: [{parent: bench, child: em_field_generator, translation_mm: [0, 0, 100], quaternion_xyzw: [0, 0, 0, 1]}]\n"
TOOL = "em_tool_0_corrected"


class Rig:
    """Both nodes, a registration that the test plays, and everything that came out with its arrival time."""

    def __init__(self, folder: Path) -> None:
        frames = folder / "frames.yaml"
        frames.write_text(FRAMES)
        self.executor = SingleThreadedExecutor()
        self.authority = AuthorityNode(
            parameter_overrides=[Parameter("rig_frames", value=str(frames)), Parameter("max_age_s", value=MAX_AGE_S)]
        )
        self.controller = ExampleController()
        self.controller._max_age_s, self.controller._goal = MAX_AGE_S, [1.0, 0.0, 0.0]
        self.test = rclpy.create_node("registration")
        self.estimates = self.test.create_publisher(RegistrationEstimates, "em_registration/estimates", qos.ESTIMATE)
        self.seen: dict[str, list[tuple[float, object]]] = {"tf": [], "out": [], "status": [], "command": []}
        for key, kind, topic in (
            ("tf", TFMessage, "/tf"),
            ("out", RegistrationEstimate, f"registration/{TOOL}"),
            ("status", RegistrationStatus, "registration/status"),
            ("command", TwistStamped, "example_controller/command"),
        ):
            self.test.create_subscription(kind, topic, lambda msg, key=key: self.seen[key].append((time.monotonic(), msg)), 100)
        for node in (self.authority, self.controller, self.test):
            self.executor.add_node(node)
        self.sent: list[int] = []
        self.wait(lambda: self.authority.state == "active" and self.estimates.get_subscription_count() == 1)
        self.wait(lambda: bool(self.seen["command"]) and bool(self.seen["status"]))

    def spin(self, duration_s: float) -> None:
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.005)

    def wait(self, condition: Callable[[], bool], limit_s: float = 15.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self.executor.spin_once(timeout_sec=0.01)

    def play(self, duration_s: float, **tool: object) -> float:
        """Send samples at the tracker's rate; the time of the last one."""
        end = time.monotonic() + duration_s
        last = time.monotonic()
        while last < end:
            self.estimates.publish(estimates_to_msg(self.sample(**tool)))
            last = time.monotonic()
            self.spin(1.0 / RATE_HZ)
        return last

    def sample(self, **tool: object) -> EstimateSet:
        stamp_ns = time.time_ns() - 2_000_000
        C = np.diag([0.1] * 3 + [1e-4] * 3)
        image = Estimate(stamp_ns, "em_field_generator", "image", State.OK, np.eye(4), C, expected_tre_mm=0.5, epoch=1)
        corrected = Estimate(stamp_ns, "image", TOOL, State.OK, np.eye(4), C, expected_tre_mm=0.5, epoch=1)
        self.sent.append(stamp_ns)
        return EstimateSet(stamp_ns, stamp_ns, (image, replace(corrected, **tool)))  # type: ignore[arg-type]

    def moving(self) -> list[float]:
        return [at for at, msg in self.seen["command"] if msg.twist.linear.x != 0.0]  # type: ignore[attr-defined]

    def tool_edges(self) -> list[tuple[float, int]]:
        return [
            (at, stamp_from_msg(edge.header.stamp))
            for at, msg in self.seen["tf"]
            for edge in msg.transforms  # type: ignore[attr-defined]
            if edge.child_frame_id == TOOL
        ]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rclpy.init()
    made = Rig(tmp_path)
    yield made
    made.executor.shutdown()
    for node in (made.authority, made.controller, made.test):
        node.destroy_node()
    rclpy.shutdown()


def test_a_good_stream_is_broadcast_with_its_own_stamps_and_the_controller_moves(rig: Rig) -> None:
    rig.play(1.0)
    stamps = [stamp for _, stamp in rig.tool_edges()]
    assert len(stamps) > 0.9 * len(rig.sent)
    assert set(stamps) <= set(rig.sent)
    assert len(stamps) == len(set(stamps))
    assert rig.moving()


def test_when_the_tracker_goes_silent_edge_and_controller_stop_within_max_age(rig: Rig) -> None:
    last = rig.play(1.0)
    rig.spin(MAX_AGE_S + SLACK_S + 0.3)
    assert last < max(rig.moving()) < last + MAX_AGE_S + SLACK_S
    assert max(at for at, _ in rig.tool_edges()) < last + SLACK_S
    status = rig.seen["status"][-1][1]
    edge = next(edge for edge in status.edges if edge.child_frame_id == TOOL)  # type: ignore[attr-defined]
    assert not edge.broadcast
    assert edge.reasons & Reason.STALE


@pytest.mark.parametrize(
    "fault",
    [
        {"state": State.INVALID, "reasons": Reason.INPUT_MISSING, "detail": "unplugged"},
        {"expected_tre_mm": 50.0},
        {"covariance": np.full((6, 6), np.nan)},
    ],
    ids=["invalid", "quality", "covariance"],
)
def test_an_invalid_input_stops_both_although_samples_go_on(rig: Rig, fault: dict[str, object]) -> None:
    last = rig.play(0.7)
    assert rig.moving()
    rig.play(MAX_AGE_S + 0.5, **fault)
    assert max(rig.moving()) < last + MAX_AGE_S + SLACK_S
    assert max(at for at, _ in rig.tool_edges()) < last + SLACK_S


def test_a_new_epoch_is_never_blended_with_the_old_one(rig: Rig) -> None:
    rig.play(0.6)
    moved = np.eye(4)
    moved[:3, 3] = 15.0
    rig.play(0.6, epoch=2, T_parent_child=moved)
    xs = {round(msg.pose.pose.position.x, 9) for _, msg in rig.seen["out"]}  # type: ignore[attr-defined]
    assert xs == {0.0, 0.015}
    epochs = [msg.epoch for _, msg in rig.seen["out"]]  # type: ignore[attr-defined]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) == 2


def test_an_authority_that_dies_stops_the_controller(rig: Rig) -> None:
    last = rig.play(0.7)
    rig.executor.remove_node(rig.authority)
    rig.play(MAX_AGE_S + 0.5)
    assert max(rig.moving()) < last + MAX_AGE_S + SLACK_S
