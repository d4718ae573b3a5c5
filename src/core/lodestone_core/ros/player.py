"""The node behind `lodestone replay`: a bag's messages as they were recorded, at their times or faster, with /clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosReliability, QosTime
from rosgraph_msgs.msg import Clock

from lodestone_core.bags import Bag
from lodestone_core.bags.storage import RawMessage
from lodestone_core.errors import InputError
from lodestone_core.pace import Pace
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import stamp_to_msg
from lodestone_core.ros.recorder import message_class
from lodestone_core.time import NS_PER_S, join_ns

CLOCK_HZ = 100.0
LATE_S = 0.005
"""A message that goes out later than this counts as late."""
_LATCHED_AHEAD_NS = NS_PER_S
_LEAST_DEPTH = 100
_STABLE_S = 0.3
_LONGEST_TURN_S = 0.02  # services and signals are looked at this often, however late the bag is
CLOCK_TOPIC = "/clock"
_INFINITE_NS = 2**63 - 1  # what a profile without a limit says, or more


@dataclass(slots=True)
class Played:
    """What went out so far. `bag_s` is how far the bag has come."""

    messages: int = 0
    late: int = 0
    latest_s: float = 0.0
    bag_s: float = 0.0
    laps: int = 0
    not_taken: tuple[str, ...] = ()
    """Topics of which a reliable reader had not acknowledged everything by the end."""


class PlayerNode(Node):
    """Publishes the chosen topics (all when empty) of an open bag, each message as the bytes that were recorded."""

    def __init__(
        self, bag: Bag, topics: Sequence[str] = (), *, rate: float = 1.0, start_s: float = 0.0, paused: bool = False, **ros: Any
    ) -> None:
        """`rate` 2 is twice as fast, `start_s` into the bag. Raises InputError for topics or types that are not there."""
        super().__init__("player", **ros)
        if not rate > 0.0:
            raise InputError("rate", expected="more than 0", got=rate, remedy="1 is the speed of the recording, 2 twice as fast")
        self.topics = _chosen(bag, topics)
        self._bag, self._rate, self._start_s = bag, rate, start_s
        self._span_ns = bag.span_ns or (0, 0)
        self._latched = {topic for topic in self.topics if is_latched(bag.topics[topic].qos)}
        self._offered: dict[str, Publisher] = {topic: self._publisher(topic) for topic in self.topics}
        self._clock_publisher = self.create_publisher(Clock, CLOCK_TOPIC, qos.reliable(100))
        self._clock_ns = -1
        self._turn_s = time.monotonic()
        self.paused = paused
        self.played = Played()

    @property
    def duration_s(self) -> float:
        """Length of the bag."""
        return (self._span_ns[1] - self._span_ns[0]) / NS_PER_S

    @property
    def readers(self) -> int:
        """Readers of all topics together."""
        return sum(publisher.get_subscription_count() for publisher in self._offered.values())

    def wait_for_readers(self, limit_s: float) -> Iterator[float]:
        """Yields, with the time to wait, until readers have come and no further one does, or the limit is over."""
        began_s = changed_s = time.monotonic()
        count = 0
        while (now_s := time.monotonic()) < began_s + limit_s:
            if self.readers != count:
                count, changed_s = self.readers, now_s
            if count and now_s >= changed_s + _STABLE_S:
                return
            yield 0.02

    def play(self, *, loop: bool = False) -> Iterator[float]:
        """Publishes what is due and yields how many seconds there is time for something else."""
        while True:
            yield from self._lap()
            self.played.laps += 1
            if not loop:
                return

    def wait_until_taken(self, limit_s: float) -> Iterator[float]:
        """Yields, with the time to wait, until reliable readers have acknowledged all that went out, or the limit is over.

        What a reader has not taken is lost with the player: it lies in the player's memory.
        """
        end_s = time.monotonic() + limit_s
        while True:
            self.played.not_taken = tuple(t for t, publisher in self._offered.items() if not publisher.wait_for_all_acked(Duration()))
            if not self.played.not_taken or time.monotonic() >= end_s:
                return
            yield 0.01

    def _lap(self) -> Iterator[float]:
        start_ns = self._span_ns[0] + round(self._start_s * NS_PER_S)
        # What a late joiner was given on latched topics; a recorder gets it in its first second.
        ahead_ns = max(start_ns, self._span_ns[0] + _LATCHED_AHEAD_NS)
        for message in self._latched_before(start_ns, ahead_ns):
            self._publish(message)
        self._clock_ns = -1
        pace = Pace(start_ns, self._rate)
        for message in self._bag.raw_messages(self.topics, start_ns=start_ns):
            if message.log_ns < ahead_ns and message.channel.topic in self._latched:
                continue
            yield from self._wait(pace, message.log_ns)
            self._tick(message.log_ns)
            late_s = pace.late_s(message.log_ns)
            self.played.late += late_s > LATE_S
            self.played.latest_s = max(self.played.latest_s, late_s)
            self._publish(message)

    def _wait(self, pace: Pace, until_ns: int) -> Iterator[float]:
        """Until a message is due, with /clock going on. While paused, bag and clock stand still."""
        while True:
            if self.paused:
                pace.hold()
                self._tick(self._clock_ns if self._clock_ns >= 0 else pace.start_ns, again=True)
                yield 1.0 / CLOCK_HZ
                pace.go_on()
                continue
            now_ns = pace.bag_ns()
            if now_ns >= until_ns and time.monotonic() < self._turn_s + _LONGEST_TURN_S:
                return
            self._tick(min(now_ns, until_ns))
            yield min(1.0 / CLOCK_HZ, pace.wall_s(until_ns))
            self._turn_s = time.monotonic()

    def _tick(self, bag_ns: int, *, again: bool = False) -> None:
        """/clock, which never steps back within a lap."""
        if bag_ns > self._clock_ns or again:
            self._clock_ns = bag_ns
            self.played.bag_s = (bag_ns - self._span_ns[0]) / NS_PER_S
            self._clock_publisher.publish(Clock(clock=stamp_to_msg(bag_ns)))

    def _publish(self, message: RawMessage) -> None:
        self._offered[message.channel.topic].publish(message.data)
        self.played.messages += 1

    def _latched_before(self, start_ns: int, ahead_ns: int) -> list[RawMessage]:
        """Of each latched topic as many as were kept at `start_ns`, and all from there to `ahead_ns`."""
        kept: dict[str, deque[RawMessage]] = {t: deque(maxlen=_depth(self._bag.topics[t].qos)) for t in self._latched}
        following: list[RawMessage] = []
        for message in self._bag.raw_messages(sorted(self._latched), stop_ns=ahead_ns):
            (kept[message.channel.topic] if message.log_ns < start_ns else following).append(message)
        before = sorted((message for queue in kept.values() for message in queue), key=lambda message: message.log_ns)
        return [*before, *following]

    def _publisher(self, topic: str) -> Publisher:
        known = self._bag.topics[topic]
        return self.create_publisher(message_class(topic, [known.msgtype]), topic, profile_of(known.qos))


def profile_of(recorded: Iterable[Qos]) -> QoSProfile:
    """What a publisher offers so that every reader of the recorded ones matches.

    Reliable and kept for late joiners only if all of them were; the shortest deadline and lease of them, which every reader takes.
    """
    profiles = list(recorded)
    latched, depth = is_latched(profiles), _depth(profiles)
    reliable = all(profile.reliability is not QosReliability.BEST_EFFORT for profile in profiles)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        # One that is kept for late joiners keeps what was kept; any other may be further behind than it was.
        depth=depth if latched else max(depth, _LEAST_DEPTH),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        deadline=_shortest(profile.deadline for profile in profiles),
        liveliness_lease_duration=_shortest(profile.liveliness_lease_duration for profile in profiles),
    )


def is_latched(recorded: Iterable[Qos]) -> bool:
    """Whether all publishers kept messages for late joiners."""
    profiles = list(recorded)
    return bool(profiles) and all(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in profiles)


def _depth(recorded: Iterable[Qos]) -> int:
    return max((profile.depth for profile in recorded), default=0) or 1


def _shortest(durations: Iterable[QosTime]) -> Duration:
    """The shortest that is set, else none (infinite)."""
    set_ns = [ns for each in durations if 0 < (ns := join_ns(each.sec, each.nsec)) < _INFINITE_NS]
    return Duration(nanoseconds=min(set_ns)) if set_ns else Duration()


def _chosen(bag: Bag, topics: Sequence[str]) -> tuple[str, ...]:
    """The topics to play. Raises InputError for one that the bag does not hold, and for none."""
    known = [topic for topic in bag.topics if topic != CLOCK_TOPIC]
    chosen = tuple(f"/{topic.strip('/')}" for topic in topics) or tuple(known)
    unknown = sorted(set(chosen) - set(known))
    if unknown or not chosen or bag.span_ns is None:
        got = ", ".join(unknown) or "no message"
        raise InputError(f"bag {bag.path}", expected="topics out of " + ", ".join(known), got=got, remedy="choose among them")
    return chosen
