"""A registration session over real DDS: fiducials under a tool's tip, compute, save, load, reset; and what a bag then replays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from em_registration.registration import load_registration
from em_registration.ros.registration_node import RegistrationNode
from lodestone_core import se3
from lodestone_core.estimate import State
from lodestone_core.messages import estimates_from_msg, point_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import frame_to_msg, point_to_msg
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame
from lodestone_msgs.action import CollectFiducial
from lodestone_msgs.msg import Event, Fiducial, RegistrationEstimates, TrackedTools
from lodestone_msgs.srv import (
    ComputeRegistration,
    LoadRegistration,
    RemoveFiducial,
    ResetRegistration,
    SaveRegistration,
    StartSession,
)

pytestmark = pytest.mark.ros
T_TRACKER_IMAGE = se3.exp(np.array([20.0, -30.0, 400.0, 0.3, -0.2, 1.1]))
IMAGE = {"a": (0.0, 0.0, 0.0), "b": (100.0, 0.0, 10.0), "c": (0.0, 100.0, 20.0), "d": (0.0, 0.0, 120.0), "e": (70.0, 80.0, 90.0)}


class Desk:
    """The node under test, a tracker that the test moves, and clients."""

    def __init__(self, folder: Path) -> None:
        self.executor = SingleThreadedExecutor()
        parameters = [Parameter("session.directory", value=str(folder / "sessions")), Parameter("session.samples", value=5)]
        self.node = RegistrationNode(parameter_overrides=[*parameters, Parameter("session.timeout_s", value=3.0)])
        self.test = rclpy.create_node("desk")
        self.tools = self.test.create_publisher(TrackedTools, "tools", qos.DEVICE)
        self.estimates: list[Any] = []
        self.events: list[Any] = []
        self.test.create_subscription(RegistrationEstimates, "em_registration/estimates", self.estimates.append, 10)
        self.test.create_subscription(Event, "em_registration/events", self.events.append, qos.EVENT)
        self.collect = ActionClient(self.test, CollectFiducial, "em_registration/collect_fiducial")
        self.position_mm = np.zeros(3)
        self.turn = np.zeros(3)
        self.status = ToolStatus.VALID
        self.number = 0
        self.test.create_timer(0.02, self.send)
        self.executor.add_node(self.node)
        self.executor.add_node(self.test)
        self.wait(lambda: self.node.state == "active" and self.collect.server_is_ready() and bool(self.estimates))

    def send(self) -> None:
        self.number += 1
        R = se3.exp(np.concatenate([np.zeros(3), self.turn]))[:3, :3]
        pose = se3.make(R, self.position_mm) if self.status is ToolStatus.VALID else None
        stamp_ns = time.time_ns()
        frame = TrackedFrame(stamp_ns, stamp_ns, self.number, (ToolSample("0", self.status, pose, 0.2, 6),))
        self.tools.publish(frame_to_msg(frame, "em_field_generator"))

    def wait(self, condition: Callable[[], bool], limit_s: float = 15.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self.executor.spin_once(timeout_sec=0.01)

    def call(self, kind: Any, service: str, /, **fields: Any) -> Any:
        client = self.test.create_client(kind, f"em_registration/{service}")
        self.wait(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.wait(future.done)
        return future.result()

    def collected(self, name: str, position_mm: np.ndarray, cancel: bool = False) -> Any:
        self.position_mm = position_mm
        goal = self.collect.send_goal_async(CollectFiducial.Goal(name=name, tool="0", planned=True))
        self.wait(goal.done)
        if cancel:
            goal.result().cancel_goal_async()
        result = goal.result().get_result_async()
        self.wait(result.done)
        return result.result().result

    def start(self) -> Any:
        fiducials = [Fiducial(name=name, point_image=point_to_msg(point)) for name, point in IMAGE.items()]
        return self.call(StartSession, "start_session", name="head", fiducials=fiducials)

    def placed(self, name: str, image: tuple[float, float, float], position_mm: np.ndarray) -> Any:
        """Collect a fiducial that was not planned."""
        self.position_mm = position_mm
        goal = self.collect.send_goal_async(CollectFiducial.Goal(name=name, tool="0", point_image=point_to_msg(image)))
        self.wait(goal.done)
        result = goal.result().get_result_async()
        self.wait(result.done)
        return result.result().result

    def epoch(self) -> int:
        return int(self.estimates[-1].estimates[0].epoch)

    def last_states(self) -> set[State]:
        seen = len(self.estimates)
        self.wait(lambda: len(self.estimates) > seen + 1)
        return {estimate.state for estimate in estimates_from_msg(self.estimates[-1]).estimates}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    rclpy.init()
    made = Desk(tmp_path)
    yield made
    made.executor.shutdown()
    made.node.close()
    made.test.destroy_node()
    rclpy.shutdown()


def truth(name: str) -> np.ndarray:
    return se3.transform(T_TRACKER_IMAGE, np.array(IMAGE[name]))


def test_a_whole_session_ends_in_a_registration_that_is_used_saved_and_loaded(desk: Desk, tmp_path: Path) -> None:
    assert desk.last_states() == {State.INITIALISING}
    assert desk.start().success
    for name in IMAGE:
        result = desk.collected(name, truth(name))
        assert result.success, result.message
        np.testing.assert_allclose(point_from_msg(result.fiducial.point_tracker), truth(name), atol=1e-6)
    assert desk.call(RemoveFiducial, "remove_fiducial", name="e").success
    computed = desk.call(ComputeRegistration, "compute")
    assert computed.success, computed.message
    assert State.INITIALISING not in desk.last_states()
    path = tmp_path / "registration.yaml"
    assert desk.call(SaveRegistration, "save", path=str(path)).success
    np.testing.assert_allclose(load_registration(path).T_tracker_image, T_TRACKER_IMAGE, atol=1e-5)
    assert desk.call(ResetRegistration, "reset").success
    assert desk.last_states() == {State.INITIALISING}
    assert desk.call(LoadRegistration, "load", path=str(path)).success
    assert State.INITIALISING not in desk.last_states()
    kinds = [event.kind for event in desk.events]
    assert kinds == [
        Event.KIND_SESSION_STARTED,
        *[Event.KIND_FIDUCIAL_ADDED] * 5,
        Event.KIND_FIDUCIAL_REMOVED,
        Event.KIND_MODEL_ADOPTED,
        Event.KIND_RESET,
        Event.KIND_MODEL_ADOPTED,
    ]


def test_bad_requests_are_answered_with_what_to_do_and_change_nothing(desk: Desk, tmp_path: Path) -> None:
    for kind, name, fields, words in (
        (ComputeRegistration, "compute", {}, "start_session"),
        (SaveRegistration, "save", {"path": str(tmp_path / "x.yaml")}, "compute or load"),
        (LoadRegistration, "load", {"path": str(tmp_path / "nothing.yaml")}, "nothing.yaml"),
        (StartSession, "start_session", {"name": "../x"}, "letters"),
    ):
        answer = desk.call(kind, name, **fields)
        assert not answer.success
        assert words in answer.message
    assert desk.last_states() == {State.INITIALISING}


def test_a_tool_that_is_not_there_ends_the_collection_in_time_and_loses_nothing(desk: Desk) -> None:
    assert desk.start().success
    assert desk.collected("a", truth("a")).success
    desk.status = ToolStatus.MISSING
    result = desk.collected("b", truth("b"))
    assert not result.success
    assert "5 valid samples" in result.message
    desk.status = ToolStatus.VALID
    assert desk.collected("b", truth("b")).success


def test_a_cancelled_collection_leaves_the_session_as_it_was(desk: Desk) -> None:
    assert desk.start().success
    desk.status = ToolStatus.MISSING
    result = desk.collected("a", truth("a"), cancel=True)
    assert not result.success
    answer = desk.call(ComputeRegistration, "compute")
    assert not answer.success
    assert "got 0" in answer.message


def distorted(image: tuple[float, float, float], size_mm: float = 2.0) -> np.ndarray:
    """Where a tracker sees a point that metal bends by up to `size_mm` along each axis."""
    x, y, z = (value / 80.0 for value in image)
    return truth_of(image) + size_mm * np.array([np.sin(y), np.cos(z + x), np.tanh(x - z)])


def truth_of(image: tuple[float, float, float]) -> np.ndarray:
    return se3.transform(T_TRACKER_IMAGE, np.array(image))


POINTS = {f"p{i}": tuple(point) for i, point in enumerate(np.random.default_rng(4).uniform(-90.0, 90.0, (11, 3)).tolist())}


def collect_distorted(desk: Desk, names: list[str]) -> None:
    for i, name in enumerate(names):
        desk.turn = 0.2 * np.array([np.sin(i), np.cos(2 * i), np.sin(3 * i)])
        result = desk.placed(name, POINTS[name], distorted(POINTS[name]))
        assert result.success, result.message
        assert abs(result.fiducial.pose_tool.orientation.w) < 1.0


def test_a_distorted_tracker_gets_a_field_while_frames_go_on_and_a_touch_of_a_known_point_fits_it_again(desk: Desk, tmp_path: Path) -> None:
    assert desk.start().success
    for name in IMAGE:
        assert desk.call(RemoveFiducial, "remove_fiducial", name=name).success
    collect_distorted(desk, [f"p{i}" for i in range(10)])
    seen, started = len(desk.estimates), time.monotonic()
    computed = desk.call(ComputeRegistration, "compute")
    assert computed.success, computed.message
    assert "distortion corrected" in computed.message
    # A frame comes every 20 ms; none waits for the fit.
    assert len(desk.estimates) - seen > 0.5 * (time.monotonic() - started) / 0.02
    desk.wait(lambda: desk.epoch() == computed.epoch)
    path = tmp_path / "registration.yaml"
    assert desk.call(SaveRegistration, "save", path=str(path)).success
    assert load_registration(path).fields["0"].evidence_non_rigid > 0.5
    result = desk.placed("p10", POINTS["p10"], distorted(POINTS["p10"]))
    assert result.success
    assert "the registration in use is" in result.message
    desk.wait(lambda: desk.epoch() == computed.epoch + 1)
    assert desk.call(SaveRegistration, "save", path=str(path)).success
    assert len(load_registration(path).fields["0"].data) == 11
    # The same from the file, in a node that never saw the session: a touch goes on from its fiducials.
    assert desk.call(ResetRegistration, "reset").success
    assert desk.call(LoadRegistration, "load", path=str(path)).success
    again = desk.placed("p11", (10.0, 20.0, 30.0), distorted((10.0, 20.0, 30.0)))
    assert again.success, again.message
    desk.wait(lambda: len([event for event in desk.events if event.kind == Event.KIND_MODEL_ADOPTED]) == 4)
    assert "12 fiducials" in desk.node.diagnostics._latest["fit"].reason


def test_a_fit_whose_process_dies_says_so_and_loses_nothing(desk: Desk) -> None:
    assert desk.start().success
    for name in IMAGE:
        assert desk.collected(name, truth(name)).success
    process = desk.node._session._fitter._process
    desk.wait(lambda: process.pid is not None)
    os.kill(process.pid, signal.SIGSTOP)
    client = desk.test.create_client(ComputeRegistration, "em_registration/compute")
    desk.wait(client.service_is_ready)
    answer = client.call_async(ComputeRegistration.Request())
    desk.wait(lambda: process.busy)
    os.kill(process.pid, signal.SIGKILL)
    desk.wait(answer.done)
    assert not answer.result().success
    assert "exit code -9" in answer.result().message
    assert desk.last_states() == {State.INITIALISING}
    assert desk.call(ComputeRegistration, "compute").success
    assert State.INITIALISING not in desk.last_states()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("duplicate", "a and b"),
        ("collinear", "collinear"),
        ("mirrored", "mirrored"),
        ("metres", "metres"),
        ("swapped", "a"),
        ("mislabelled", "b"),
    ],
)
def test_each_mistake_comes_back_from_the_service_by_its_name(desk: Desk, how: str, words: str) -> None:
    image = {name: np.array(point) for name, point in IMAGE.items()}
    wrong = {
        "duplicate": lambda: image | {"b": image["a"]},
        "collinear": lambda: {name: np.array([45.0, 45.0, 20.0]) * i for i, name in enumerate(image)},
        "mirrored": lambda: {name: point * [1.0, 1.0, -1.0] for name, point in image.items()},
        "metres": lambda: {name: point / 1000.0 for name, point in image.items()},
        "swapped": lambda: image | {"a": image["d"], "d": image["a"]},
        "mislabelled": lambda: image | {"b": image["c"], "c": image["d"], "d": image["b"]},
    }[how]()
    planned = [Fiducial(name=name, point_image=point_to_msg(point)) for name, point in wrong.items()]
    assert desk.call(StartSession, "start_session", name="head", fiducials=planned).success
    for name in IMAGE:
        assert desk.collected(name, truth(name)).success
    answer = desk.call(ComputeRegistration, "compute")
    assert not answer.success
    assert words in answer.message
    assert desk.last_states() == {State.INITIALISING}


def test_a_session_goes_on_from_the_file_of_one_that_was_cut_off(desk: Desk, tmp_path: Path) -> None:
    assert desk.start().success
    for name in "abcd":
        assert desk.collected(name, truth(name)).success
    (file,) = (tmp_path / "sessions").glob("*.session.yaml")
    assert desk.call(ResetRegistration, "reset").success
    answer = desk.call(StartSession, "start_session", name="again", go_on_from=str(file))
    assert answer.success, answer.message
    assert "4 fiducials are collected" in answer.message
    assert desk.call(ComputeRegistration, "compute").success
    missing = desk.call(StartSession, "start_session", name="third", go_on_from=str(tmp_path / "none.yaml"))
    assert not missing.success
    assert "none.yaml" in missing.message
