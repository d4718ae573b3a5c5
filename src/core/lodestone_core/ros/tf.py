"""TF in and out: a listener that feeds a TfBuffer, a broadcaster that sends edges of one stamp in one message."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from lodestone_core.errors import InputError
from lodestone_core.messages import stamp_from_msg, transforms_from_msg
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import transforms_to_msg
from lodestone_core.tf_buffer import Lookup, LookupFailure, TfBuffer
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array, PoseSample
from lodestone_msgs.msg import RegistrationStatus

Edge = tuple[str, str, Array]
"""Parent, child, T_parent_child (4x4, mm)."""

SILENCE_NS = NS_PER_S // 2
"""An authority that has said nothing for so long (its rate is 10 Hz) vouches for no edge any more."""

_LOG_PERIOD_S = 5.0


class TfBroadcaster:
    """Sends edges on /tf: one message a call, one stamp a message, no stamp twice for a child, nothing that is not finite.

    Create it in `on_configure_node`; a second owner of the same child is not noticed here but by every listener.
    """

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(TFMessage, "/tf", qos.TF)
        self._last_ns: dict[str, int] = {}

    def send(self, stamp_ns: int, edges: Iterable[Edge]) -> tuple[str, ...]:
        """Send the edges whose stamp is newer than their last; the children sent. Raises InputError for NaN."""
        newer = [_sample(stamp_ns, edge) for edge in edges if stamp_ns > self._last_ns.get(edge[1], -1)]
        if newer:
            self._publisher.publish(transforms_to_msg(newer))
            self._last_ns.update((sample.child, stamp_ns) for sample in newer)
        return tuple(sample.child for sample in newer)

    def forget(self) -> None:
        """Start over after a backward step of the clock."""
        self._last_ns.clear()


class StaticTfBroadcaster:
    """Sends edges that never change on /tf_static, once, kept for late joiners; what can change belongs on /tf."""

    def __init__(self, node: Node, edges: Iterable[Edge]) -> None:
        self._publisher = node.create_publisher(TFMessage, "/tf_static", qos.TF_STATIC)
        # Static edges hold at any time; readers ignore the stamp.
        self._publisher.publish(transforms_to_msg([_sample(0, edge) for edge in edges]))


class TfListener:
    """Keeps `buffer` filled from /tf and /tf_static and knows from registration/status since when an edge is valid.

    `guarded` names children that need the authority's word from the start; without it, an edge that the authority has never
    mentioned is judged by its stamps alone. When the authority falls silent, every edge it has mentioned is invalid.
    """

    def __init__(self, node: Node, buffer: TfBuffer | None = None, guarded: Iterable[str] = ()) -> None:
        self.buffer = TfBuffer() if buffer is None else buffer
        self._node = node
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._valid_since = dict.fromkeys(guarded, 0)
        self._status_steady_ns = self._steady.now().nanoseconds
        node.create_subscription(TFMessage, "/tf", self._on_moving, qos.TF)
        node.create_subscription(TFMessage, "/tf_static", self._on_static, qos.TF_STATIC_READER)
        node.create_subscription(RegistrationStatus, "registration/status", self._on_status, qos.STATUS)

    def lookup_fresh(self, target: str, source: str, stamp_ns: int, max_age_ns: int) -> Lookup | LookupFailure:
        """T_target_source at the stamp, if it is fit for use there: see TfBuffer.lookup_fresh."""
        return self.buffer.lookup_fresh(target, source, stamp_ns, max_age_ns, self.valid_since())

    def lookup_newest(self, target: str, source: str, max_age_ns: int) -> Lookup | LookupFailure:
        """T_target_source at the newest stamp that all edges reach, if it is not older than that now."""
        now_ns = self._node.get_clock().now().nanoseconds
        return self.buffer.lookup_newest(target, source, now_ns, max_age_ns, self.valid_since())

    def valid_since(self) -> dict[str, int]:
        """For each child that the authority vouches for or not: stamp of the first sample of its epoch, 0 when invalid."""
        if self._steady.now().nanoseconds - self._status_steady_ns > SILENCE_NS:
            return dict.fromkeys(self._valid_since, 0)
        return dict(self._valid_since)

    def _on_moving(self, message: TFMessage) -> None:
        if self.buffer.set_clock(self._node.get_clock().now().nanoseconds):
            self._warn("the clock stepped backward: all moving edges are forgotten")
        self._take(message, static=False)

    def _on_static(self, message: TFMessage) -> None:
        self._take(message, static=True)

    def _take(self, message: TFMessage, *, static: bool) -> None:
        for transform in message.transforms:
            try:
                (edge,) = transforms_from_msg(TFMessage(transforms=[transform]))
            except InputError as error:
                self._warn(f"{transform.header.frame_id} -> {transform.child_frame_id}: {error}")
                continue
            refusal = self.buffer.set_transform(edge.parent, edge.child, edge.stamp_ns, edge.T_parent_child, static)
            if refusal is not None:
                self._warn(str(refusal))

    def _on_status(self, message: RegistrationStatus) -> None:
        self._status_steady_ns = self._steady.now().nanoseconds
        for edge in message.edges:
            since_ns = stamp_from_msg(edge.valid_since)
            self._valid_since[edge.child_frame_id] = since_ns if edge.broadcast else 0

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(f"TF: {text}", throttle_duration_sec=_LOG_PERIOD_S)


def _sample(stamp_ns: int, edge: Edge) -> PoseSample:
    parent, child, T = edge
    if not np.isfinite(T).all():
        remedy = "send an edge only while it is valid"
        raise InputError(f"transform {parent} -> {child}", expected="finite numbers", got="NaN or infinite", remedy=remedy)
    return PoseSample(stamp_ns, parent, child, T)
