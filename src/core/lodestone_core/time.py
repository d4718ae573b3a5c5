"""Time is int nanoseconds of acquisition; these helpers are its only conversions."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


def ns_from_s(seconds: float) -> int:
    """Nanoseconds of a duration in seconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def s_from_ns(nanoseconds: int) -> float:
    """Seconds of a duration in nanoseconds."""
    return nanoseconds / NS_PER_S


def split_ns(stamp_ns: int) -> tuple[int, int]:
    """Seconds and nanoseconds (0..999999999) of a stamp, as ROS messages carry it."""
    return divmod(stamp_ns, NS_PER_S)


def join_ns(sec: int, nanosec: int) -> int:
    """Stamp in nanoseconds of the two fields of a ROS time."""
    return sec * NS_PER_S + nanosec
