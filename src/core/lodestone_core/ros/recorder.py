"""The node behind `lodestone record`: every message of the chosen topics, as it came over the wire, into a crash-safe bag."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from lodestone_core.bags.qos import qos_from_profile
from lodestone_core.bags.writer import BagWriter
from lodestone_core.errors import InputError
from lodestone_core.ros.qos import reliable

DISCOVERY_PERIOD_S = 0.1
_DEPTH = 1000


class Recorder:
    """Records `topics` (all visible ones when empty) into the new bag directory `path` until finish(), as a part of a node.

    Topics that appear later are joined. A topic is read as its publishers offer it: reliable if all do, and with what they keep
    for late joiners if all do. The log time is the arrival in the middleware, the publish time that of the sender. Topics of the types
    `without` (package/msg/Name) are left out.
    """

    def __init__(
        self,
        node: Node,
        path: str | Path,
        topics: Sequence[str] = (),
        *,
        without: Sequence[str] = (),
        custom: Mapping[str, str] | None = None,
    ) -> None:
        """`custom` goes into the bag's metadata. Raises InputError when the bag cannot be made."""
        self._node = node
        self._wanted = frozenset(node.resolve_topic_name(topic) for topic in topics)
        self._without = frozenset(without)
        self._readers: dict[str, Subscription] = {}
        self._refused: set[str] = set()
        self.counts: dict[str, int] = {}
        """Messages recorded so far by topic."""
        self.lost = 0
        """Messages that the middleware dropped before they could be recorded."""
        self._writer = BagWriter(path, custom=custom)
        node.create_timer(DISCOVERY_PERIOD_S, self._discover, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def missing(self) -> list[str]:
        """Topics asked for by name that nobody has published yet."""
        return sorted(self._wanted - set(self._readers))

    def finish(self) -> None:
        """Finish the bag. Raises InputError when the disk failed; what was written stays readable."""
        self._writer.close()

    def _discover(self) -> None:
        for topic, types in self._node.get_topic_names_and_types():
            if topic in self._refused or self._without.intersection(types) or not self._is_wanted(topic):
                continue
            offered = [end.qos_profile for end in self._node.get_publishers_info_by_topic(topic)]
            if offered:
                self._join(topic, types, offered)

    def _is_wanted(self, topic: str) -> bool:
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
        events = SubscriptionEventCallbacks(message_lost=self._on_lost)
        record = self._recording(topic, channel)
        self._readers[topic] = self._node.create_subscription(message, topic, record, profile, raw=True, event_callbacks=events)

    def _recording(self, topic: str, channel: int) -> Callable[[bytes, Mapping[str, int]], None]:
        def record(data: bytes, info: Mapping[str, int]) -> None:
            self._writer.write(channel, data, info["received_timestamp"], info["source_timestamp"])
            self.counts[topic] += 1

        return record

    def _on_lost(self, status: Any) -> None:
        self.lost += status.total_count_change


class RecorderNode(Node):
    """A node that records and does nothing else; see Recorder."""

    def __init__(self, path: str | Path, topics: Sequence[str] = (), *, custom: Mapping[str, str] | None = None, **ros: Any) -> None:
        """`ros` goes to rclpy's Node. Raises InputError when the bag cannot be made."""
        super().__init__("recorder", **ros)
        self._recorder = Recorder(self, path, topics, custom=custom)

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
