"""Takes the registration node's place before the authority, so that what no registration says of its own accord can be said."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from lodestone_core.errors import InputError
from lodestone_core.estimate import State
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import stamp_to_msg
from lodestone_msgs.msg import RegistrationEstimates
from lodestone_msgs.srv import LoadRegistration, ResetRegistration

NODE = "em_registration"
ANSWER_S = 10.0
Alteration = Callable[[RegistrationEstimates, int], None]
"""Changes one set of estimates in place; the number counts the sets that were fed."""


def untouched(msg: RegistrationEstimates, number: int) -> None:
    """Good estimates."""


@dataclass
class StandIn:
    """Calls the node's services, and feeds the authority in its place: the last good estimates, altered, with fresh stamps."""

    node: Node
    publisher: Any
    alteration: Alteration = untouched
    feeding: bool = False
    good: RegistrationEstimates | None = None
    fed: int = 0

    def on_estimates(self, msg: RegistrationEstimates) -> None:
        """Remember what the node itself says."""
        if not self.feeding:
            self.good = msg

    def feed(self) -> None:
        """One set; the middle of the frames that stay away."""
        if not self.feeding or self.good is None:
            return
        msg = copy.deepcopy(self.good)
        restamp(msg, time.time_ns())
        self.alteration(msg, self.fed)
        self.fed += 1
        self.publisher.publish(msg)

    def call(self, kind: type[Any], service: str, **fields: Any) -> Any:
        """Ask the node for something. Raises InputError when it does not answer or refuses."""
        client = self.node.create_client(kind, f"{NODE}/{service}")
        try:
            if not client.wait_for_service(timeout_sec=ANSWER_S):
                raise InputError(f"{NODE}/{service}", expected="a service", got="none", remedy="see the log of the launch")
            done = threading.Event()
            future = client.call_async(kind.Request(**fields))
            future.add_done_callback(lambda _: done.set())
            if not done.wait(ANSWER_S) or not future.result().success:
                got = future.result() if future.done() else f"nothing within {ANSWER_S:g} s"
                raise InputError(f"{NODE}/{service}", expected="success", got=got, remedy="see the log of the launch")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def load(self, path: str) -> None:
        """Have the node adopt a registration."""
        self.call(LoadRegistration, "load", path=path)

    def reset(self) -> None:
        """Have the node forget its registration."""
        self.call(ResetRegistration, "reset")

    @contextmanager
    def in_its_place(self) -> Iterator[None]:
        """The node is silent and we speak, in good words at first; it goes on afterwards."""
        self.call(ChangeState, "change_state", transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        self.alteration, self.feeding = untouched, True
        try:
            yield
        finally:
            self.feeding = False
            self.call(ChangeState, "change_state", transition=Transition(id=Transition.TRANSITION_ACTIVATE))


def restamp(msg: RegistrationEstimates, stamp_ns: int) -> None:
    """Give a set of estimates another time of acquisition."""
    msg.header.stamp = msg.received = stamp_to_msg(stamp_ns)
    for estimate in msg.estimates:
        estimate.header.stamp = msg.header.stamp


def shifted(by_s: float) -> Alteration:
    """Estimates that are so much older (newer where it is negative) than they should be."""
    return lambda msg, _: restamp(msg, time.time_ns() - round(by_s * 1e9))


def altered(child: str, change: Callable[[Any, int], None]) -> Alteration:
    """A change of the estimate of one frame."""

    def alteration(msg: RegistrationEstimates, number: int) -> None:
        for estimate in msg.estimates:
            if estimate.child_frame_id == child:
                change(estimate, number)

    return alteration


def state(value: State) -> Callable[[Any, int], None]:
    """Another state; the pose stays in the message, as a careless node would leave it."""
    return lambda estimate, _: setattr(estimate, "state", int(value))


def expected_error(value_m: float) -> Callable[[Any, int], None]:
    """Another expected error."""
    return lambda estimate, _: setattr(estimate, "expected_tre", value_m)


def variance(value_m2: float) -> Callable[[Any, int], None]:
    """Another variance of x."""

    def change(estimate: Any, number: int) -> None:
        estimate.pose.covariance[0] = value_m2

    return change


def no_number(estimate: Any, number: int) -> None:
    """A position that is not a number."""
    estimate.pose.pose.position.x = math.nan


def no_rotation(estimate: Any, number: int) -> None:
    """A quaternion that is not of unit length."""
    estimate.pose.pose.orientation.w += 0.5


def jumping(estimate: Any, number: int) -> None:
    """A pose that is elsewhere in every frame, further than anything moves."""
    estimate.pose.pose.position.x += (0.2, -0.3, 0.5)[number % 3]


@contextmanager
def registration_stand_in(rate_hz: float) -> Iterator[StandIn]:
    """A stand-in on the DDS domain of the environment, in its own thread."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("registration_stand_in", context=context)
    stand_in = StandIn(node, node.create_publisher(RegistrationEstimates, f"{NODE}/estimates", qos.ESTIMATE))
    node.create_subscription(RegistrationEstimates, f"{NODE}/estimates", stand_in.on_estimates, qos.reliable(1))
    node.create_timer(1.0 / rate_hz, stand_in.feed)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        executor.shutdown()
        thread.join(ANSWER_S)
        node.destroy_node()
        rclpy.shutdown(context=context)


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return
