"""Named QoS profiles; docs/topics.md lists which topic uses which.

Device data and results are offered reliable (REP-2003: drivers publish with the system's default), so that a reader
may choose either. Poses are never transient-local: a late joiner would act on an old pose. Deadline and liveliness let
a reader learn from the middleware that a stream has stopped; they are promises of the writer, and a reader that asks
for none always matches.
"""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

LIVELINESS_LEASE_S = 1.0
"""A process whose middleware is silent for so long counts as gone."""


def reliable(depth: int = 10) -> QoSProfile:
    """Every sample arrives, in order, up to `depth` behind."""
    return _volatile(ReliabilityPolicy.RELIABLE, depth)


def watched(deadline_s: float, depth: int = 10) -> QoSProfile:
    """Reliable, with a promise of a sample every `deadline_s` seconds and of a sign of life; for estimates and status.

    A reader with the same profile can have `deadline` and `liveliness` events; it may not ask for a shorter deadline.
    """
    profile = reliable(depth)
    profile.deadline = Duration(seconds=deadline_s)
    profile.liveliness_lease_duration = Duration(seconds=LIVELINESS_LEASE_S)
    return profile


def latched(depth: int = 1) -> QoSProfile:
    """Reliable and kept for late joiners: configuration and static frames, never poses."""
    profile = reliable(depth)
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def _volatile(reliability: ReliabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


DEVICE = reliable(100)
"""What a driver publishes, and how a registration reads it: no frame may be lost, also when a reader is not scheduled for a second."""

IMAGE = reliable(5)
"""Images, however large: a reader may be half a second behind at 10 Hz, and a writer keeps no more than five of them in memory."""

SENSOR = _volatile(ReliabilityPolicy.BEST_EFFORT, 5)
"""How a reader takes sensor data whose newest sample is all it wants (displays, other vendors' best-effort drivers)."""

ESTIMATE = watched(deadline_s=0.5, depth=100)
"""Registration estimates and what the authority makes of them."""

STATUS = watched(deadline_s=0.3)
"""The authority's status, 10 Hz."""

EVENT = latched(100)
"""`~/events`: rare, and each one changes the state of a pipeline; a recorder that starts late needs what came before."""

CONFIG = latched(1)
"""`~/config`: a recorder that starts late still gets it."""

DIAGNOSTICS = reliable(10)
TF = reliable(100)
TF_STATIC = latched(1)
TF_STATIC_READER = latched(100)
"""Several nodes broadcast static frames, each with a history of one."""
