"""Why a look-up in the frame tree has no answer, in words a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lodestone_core.time import NS_PER_S


class TfReason(StrEnum):
    """Why a transform was not taken in or a look-up has no answer."""

    MALFORMED = "malformed"
    OTHER_PARENT = "other_parent"
    LOOP = "loop"
    NOT_NEWER = "not_newer"
    STATIC_CHANGED = "static_changed"
    UNKNOWN_FRAME = "unknown_frame"
    NOT_CONNECTED = "not_connected"
    EXTRAPOLATED = "extrapolated"
    TOO_OLD = "too_old"
    NOT_VALID = "not_valid"
    SPANS_VALID_SINCE = "spans_valid_since"
    CLOCKS_DIFFER = "clocks_differ"


@dataclass(frozen=True, slots=True)
class LookupFailure:
    """What was refused and why, and what a person can do about it."""

    reason: TfReason
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.detail}; {self.remedy}"


def malformed(detail: str) -> LookupFailure:
    """What cannot be an edge at all."""
    return LookupFailure(TfReason.MALFORMED, detail, "the sender must not send it")


def loop(parent: str, child: str) -> LookupFailure:
    """An edge from a frame to one above it, or to itself."""
    detail = f"{parent} -> {child} closes a loop: {child} is above {parent} already"
    return LookupFailure(TfReason.LOOP, detail, "remove one edge of the loop at its sender")


def other_parent(parent: str, child: str, present: str) -> LookupFailure:
    """A second parent for a child."""
    detail = f"{child} is under {present} and cannot be under {parent} as well"
    return LookupFailure(TfReason.OTHER_PARENT, detail, "one owner an edge: stop one of the two senders")


def not_newer(parent: str, child: str, behind_ns: int) -> LookupFailure:
    """A sample with the stamp of the newest or an older one."""
    detail = f"{parent} -> {child} came with a stamp {ms(behind_ns)} behind the newest one"
    return LookupFailure(TfReason.NOT_NEWER, detail, "send each sample once, in order; after a clock step clear")


def static_changed(parent: str, child: str) -> LookupFailure:
    """A static edge that moves."""
    detail = f"the static edge {parent} -> {child} came with another value or as a moving one"
    return LookupFailure(TfReason.STATIC_CHANGED, detail, "send what can change on /tf, or restart after a calibration")


def unknown_frame(frame: str, known: set[str]) -> LookupFailure:
    """A frame of which no edge has come."""
    detail = f"the frame {frame} is not known, only {', '.join(sorted(known)) or 'none at all'}"
    return LookupFailure(TfReason.UNKNOWN_FRAME, detail, "start its sender or correct the name")


def not_connected(target: str, source: str, target_root: str, source_root: str) -> LookupFailure:
    """Two frames in two trees."""
    detail = f"{target} (under {target_root}) and {source} (under {source_root}) are in different trees"
    return LookupFailure(TfReason.NOT_CONNECTED, detail, f"start what connects {target_root} with {source_root}")


def extrapolated(child: str, oldest_ns: int, newest_ns: int, stamp_ns: int) -> LookupFailure:
    """A stamp outside the samples of an edge."""
    where = f"{ms(oldest_ns - stamp_ns)} before the oldest"
    if stamp_ns > newest_ns:
        where = f"{ms(stamp_ns - newest_ns)} after the newest"
    detail = f"{child} is wanted {where} sample"
    return LookupFailure(TfReason.EXTRAPOLATED, detail, "wait for the next sample, or ask for a time that is covered")


def too_old(what: str, age_ns: int, max_age_ns: int) -> LookupFailure:
    """A newest sample beyond the allowed age."""
    detail = f"{what} is {ms(age_ns)} old, allowed are {ms(max_age_ns)}"
    return LookupFailure(TfReason.TOO_OLD, detail, "see why its sender stopped")


def over_a_gap(child: str, gap_ns: int, max_age_ns: int) -> LookupFailure:
    """Two samples too far apart to interpolate between."""
    detail = f"{child} was not seen for {ms(gap_ns)} around this stamp, allowed are {ms(max_age_ns)}"
    return LookupFailure(TfReason.TOO_OLD, detail, "do not interpolate over the gap: wait for new samples")


def not_valid(child: str) -> LookupFailure:
    """An edge whose owner does not assert it."""
    return LookupFailure(TfReason.NOT_VALID, f"{child} is not valid at present", "see why in registration/status")


def spans_valid_since(child: str, before_ns: int) -> LookupFailure:
    """A sample from before the present epoch, or from before a gap."""
    detail = f"{child} at this stamp needs a sample {ms(before_ns)} before its present epoch began"
    return LookupFailure(TfReason.SPANS_VALID_SINCE, detail, "ask for a stamp within the present epoch")


def clocks_differ(what: str, ahead_ns: int) -> LookupFailure:
    """A sample from the future: with mixed clocks it would be fresh for ever."""
    detail = f"{what} is stamped {ms(ahead_ns)} after now"
    return LookupFailure(TfReason.CLOCKS_DIFFER, detail, "let all nodes use one clock (use_sim_time, NTP)")


def ms(duration_ns: int) -> str:
    """A duration in words."""
    return f"{duration_ns / NS_PER_S * 1e3:.1f} ms"
