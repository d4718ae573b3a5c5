"""The node behind `lodestone record`: every message of the chosen topics, as it came over the wire, into a crash-safe bag."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import QoSSubscriptionEventType, SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from lodestone_core.bags.qos import qos_from_profile
from lodestone_core.bags.writer import BagWriter
from lodestone_core.errors import InputError
from lodestone_core.kept_memory import reserve_memory
from lodestone_core.ros.qos import reliable

DISCOVERY_PERIOD_S = 0.1
LOOK_AGAIN_S = 2.0
"""Publishers of topics that are recorded already are looked at so often."""
DRAIN_PERIOD_S = 0.05
"""Messages are taken in bunches: a wait for each, over all topics, would cost ten times as much. Their times are the middleware's."""
_DEPTH = 1000


class _Polled(CallbackGroup):
    """Subscriptions that no executor waits for."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


class Recorder:
    """Records `topics` (all visible ones when empty) into the new bag directory `path` until finish(), as a part of a node.

    Topics that appear later are joined. A topic is read as its publishers offer it: reliable if all do, and with what they keep
    for late joiners if all do. The log time is the arrival in the middleware, the publish time what it says of the sender (Fast DDS
    2.14 says the arrival again). Topics of the types `without` (package/msg/Name), and those that a pattern of `exclude`
    (/name/*/name) fits, are left out.
    """

    def __init__(
        self,
        node: Node,
        path: str | Path,
        topics: Sequence[str] = (),
        *,
        without: Sequence[str] = (),
        exclude: Sequence[str] = (),
        custom: Mapping[str, str] | None = None,
    ) -> None:
        """`custom` goes into the bag's metadata. Raises InputError when the bag cannot be made."""
        reserve_memory()  # for images, which wait beside one another while the disk is slow
        self._node = node
        self._wanted = frozenset(node.resolve_topic_name(topic) for topic in topics)
        self._without = frozenset(without)
        self._exclude = tuple(exclude)
        self._readers: dict[str, Subscription] = {}
        self._channels: dict[str, int] = {}
        self._losses: dict[str, Any] = {}
        self._refused: set[str] = set()
        self.counts: dict[str, int] = {}
        """Messages recorded so far by topic."""
        self.lost = 0
        """Messages that the middleware dropped before they could be recorded."""
        self._writer = BagWriter(path, custom=custom)
        self._group = _Polled()
        self._looked = 0
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(DISCOVERY_PERIOD_S, self._discover, clock=steady)
        node.create_timer(DRAIN_PERIOD_S, self._drain, clock=steady)

    @property
    def missing(self) -> list[str]:
        """Topics asked for by name that nobody has published yet."""
        return sorted(self._wanted - set(self._readers))

    def finish(self) -> None:
        """Finish the bag. Raises InputError when the disk failed; what was written stays readable."""
        try:
            self._drain()
        finally:
            self._writer.close()

    def _discover(self) -> None:
        self._looked += 1
        again = self._looked % round(LOOK_AGAIN_S / DISCOVERY_PERIOD_S) == 0
        for topic, types in self._node.get_topic_names_and_types():
            if (topic in self._readers and not again) or topic in self._refused or not self._is_wanted(topic, types):
                continue
            offered = [end.qos_profile for end in self._node.get_publishers_info_by_topic(topic)]
            if offered:
                self._join(topic, types, offered)

    def _is_wanted(self, topic: str, types: Sequence[str]) -> bool:
        if self._without.intersection(types) or any(fnmatchcase(topic, pattern) for pattern in self._exclude):
            return False
        if self._wanted:
            return topic in self._wanted
        # ROS hides topics with a token that starts with an underscore, those of actions for instance.
        return "/_" not in topic

    def _join(self, topic: str, types: Sequence[str], offered: Sequence[QoSProfile]) -> None:
        profile = _adapted(offered)
        known = self._readers.get(topic)
        if known is not None and not _is_weaker(profile, known.qos_profile):
            return
        try:
            message = message_class(topic, types)
            channel = self._writer.add_topic(topic, types[0], [qos_from_profile(each) for each in offered])
        except InputError as error:
            self._refused.add(topic)
            self._node.get_logger().warning(f"not recorded: {error}")
            return
        if known is not None:
            # A publisher with less to offer came later; what it sends would not arrive.
            self._node.destroy_subscription(known)
        self.counts.setdefault(topic, 0)
        self._channels[topic] = channel
        self._readers[topic] = self._reader(message, topic, profile)

    def _reader(self, message: type, topic: str, profile: QoSProfile) -> Subscription:
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        reader = self._node.create_subscription(
            message, topic, _polled, profile, raw=True, event_callbacks=quiet, callback_group=self._group
        )
        with reader.handle:
            # Not as a callback: an executor that waits for it wakes at each message.
            self._losses[topic] = rclpy_implementation.EventHandle(reader.handle, QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST)
        return reader

    def _drain(self) -> None:
        """Write what has come."""
        for topic, reader in self._readers.items():
            channel, count = self._channels[topic], 0
            with reader.handle:
                while count < _DEPTH and (taken := reader.handle.take_message(reader.msg_type, True)) is not None:
                    data, info = taken
                    self._writer.write(channel, data, info["received_timestamp"], info["source_timestamp"])
                    count += 1
            self.counts[topic] += count
            with self._losses[topic]:
                self.lost += self._losses[topic].take_event().total_count_change


def _polled(data: bytes) -> None:
    """Subscriptions need a callback; no executor calls it."""


class RecorderNode(Node):
    """A node that records and does nothing else; see Recorder."""

    def __init__(self, path: str | Path, topics: Sequence[str] = (), *, exclude: Sequence[str] = (), **ros: Any) -> None:
        """`ros` goes to rclpy's Node. Raises InputError when the bag cannot be made."""
        super().__init__("recorder", **ros)
        self._recorder = Recorder(self, path, topics, exclude=exclude)

    @property
    def counts(self) -> Mapping[str, int]:
        """Messages recorded so far by topic."""
        return self._recorder.counts

    @property
    def lost(self) -> int:
        """Messages that the middleware dropped before they could be recorded."""
        return self._recorder.lost

    @property
    def missing(self) -> list[str]:
        """Topics asked for by name that nobody has published yet."""
        return self._recorder.missing

    def close(self) -> None:
        """Finish the bag and destroy the node. Raises InputError when the disk failed; what was written stays readable."""
        try:
            self._recorder.finish()
        finally:
            self.destroy_node()


def _adapted(offered: Sequence[QoSProfile]) -> QoSProfile:
    """The strongest profile that every publisher can serve."""
    profile = reliable(_DEPTH)
    if any(each.reliability == ReliabilityPolicy.BEST_EFFORT for each in offered):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def _is_weaker(profile: QoSProfile, than: QoSProfile) -> bool:
    less_reliable = profile.reliability == ReliabilityPolicy.BEST_EFFORT != than.reliability
    less_durable = profile.durability == DurabilityPolicy.VOLATILE != than.durability
    return less_reliable or less_durable


def message_class(topic: str, types: Sequence[str]) -> type:
    """The class of a topic's only type. Raises InputError for several types, or one that is not built here."""
    if len(types) > 1:
        got, remedy = ", ".join(types), "remap one of the publishers"
        raise InputError(f"topic {topic}", expected="one message type", got=got, remedy=remedy)
    package, _, name = types[0].partition("/msg/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as error:
        remedy = f"build {package} here, or source the workspace that holds it"
        raise InputError(f"topic {topic}", expected="a type that is built here", got=types[0], remedy=remedy) from error
    return found
