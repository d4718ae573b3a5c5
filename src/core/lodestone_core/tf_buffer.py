"""A tree of frames over time, the same for live use, bags and tests; look-ups fail with a reason, never with identity.

Pure counterpart of tf2's buffer with its interpolation, and stricter where guidance needs it: `lookup_fresh` refuses
what is old, extrapolated, or would be interpolated across a gap or an epoch. What failed is returned, not raised. One
thread owns a buffer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lodestone_core import se3, tf_failure
from lodestone_core.checks import as_se3
from lodestone_core.errors import InputError
from lodestone_core.tf_failure import LookupFailure, TfReason
from lodestone_core.time import ns_from_s
from lodestone_core.types import Array

__all__ = ["Lookup", "LookupFailure", "TfBuffer", "TfReason"]


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """T_target_source (4x4, mm) at `stamp_ns`; `oldest_ns` is the oldest sample that went into it."""

    T_target_source: Array
    stamp_ns: int
    oldest_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """T_parent_child of one edge at a stamp, and the stamps of the two samples that it lies between."""

    child: str
    pose: Array
    older_ns: int
    newer_ns: int


@dataclass(slots=True)
class _Edge:
    """T_parent_child over time; a static edge has one sample that holds always."""

    parent: str
    child: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[Array] = field(default_factory=list)

    def at(self, stamp_ns: int) -> _Sample | LookupFailure:
        if self.static:
            return _Sample(self.child, self.poses[0], stamp_ns, stamp_ns)
        i = bisect_left(self.stamps, stamp_ns)
        if i < len(self.stamps) and self.stamps[i] == stamp_ns:
            return _Sample(self.child, self.poses[i], stamp_ns, stamp_ns)
        if i in (0, len(self.stamps)):
            return tf_failure.extrapolated(self.child, self.stamps[0], self.stamps[-1], stamp_ns)
        older_ns, newer_ns = self.stamps[i - 1 : i + 1]
        share = (stamp_ns - older_ns) / (newer_ns - older_ns)
        return _Sample(self.child, se3.interpolate(self.poses[i - 1], self.poses[i], share), older_ns, newer_ns)


class TfBuffer:
    """Stamped edges parent -> child, each kept for `duration_s` before its newest."""

    def __init__(self, duration_s: float = 10.0) -> None:
        self._duration_ns = ns_from_s(duration_s)
        self._edges: dict[str, _Edge] = {}
        self._clock_ns: int | None = None

    def set_transform(self, parent: str, child: str, stamp_ns: int, T: npt.ArrayLike, static: bool = False) -> LookupFailure | None:
        """Take T_parent_child (4x4, mm); None when taken, otherwise why not, with the buffer unchanged."""
        try:
            pose = as_se3(f"transform {parent} -> {child}", T)
        except InputError as error:
            return tf_failure.malformed(str(error))
        edge = self._edges.get(child)
        refusal = self._misplaced(parent, child) if edge is None else _conflict(edge, parent, static)
        if refusal is not None:
            return refusal
        if static:
            return self._set_static(parent, child, pose)
        if stamp_ns <= 0:
            return tf_failure.malformed(f"transform {parent} -> {child} has no stamp")
        if edge is None:
            edge = self._edges[child] = _Edge(parent, child, static)
        elif stamp_ns <= edge.stamps[-1]:
            return tf_failure.not_newer(parent, child, edge.stamps[-1] - stamp_ns)
        edge.stamps.append(stamp_ns)
        edge.poses.append(pose)
        expired = bisect_left(edge.stamps, stamp_ns - self._duration_ns)
        del edge.stamps[:expired], edge.poses[:expired]
        return None

    def set_clock(self, now_ns: int) -> bool:
        """Tell the buffer the time; a step backward clears the moving edges, and True says so."""
        stepped = self._clock_ns is not None and now_ns < self._clock_ns
        self._clock_ns = now_ns
        if stepped:
            self.clear()
        return stepped

    def clear(self) -> None:
        """Forget all moving edges; static ones stay, as in tf2."""
        self._edges = {child: edge for child, edge in self._edges.items() if edge.static}

    def parents(self) -> dict[str, str]:
        """The parent of each child: the tree."""
        return {child: edge.parent for child, edge in self._edges.items()}

    def lookup(self, target: str, source: str, stamp_ns: int) -> Lookup | LookupFailure:
        """T_target_source at a time, interpolated as tf2 does, over gaps too; never extrapolated."""
        samples = self._samples(target, source, stamp_ns)
        return samples if isinstance(samples, LookupFailure) else _compose(*samples, stamp_ns)

    def lookup_fresh(
        self, target: str, source: str, stamp_ns: int, max_age_ns: int, valid_since: Mapping[str, int] | None = None
    ) -> Lookup | LookupFailure:
        """As `lookup`, fit for use: no edge is interpolated between samples more than `max_age_ns` apart.

        `valid_since` gives for a child frame the stamp of its first sample in the present epoch or after a gap (as
        EdgeStatus has it): no earlier sample is used, and 0 means that the edge is not valid at all.
        """
        samples = self._samples(target, source, stamp_ns)
        if isinstance(samples, LookupFailure):
            return samples
        for sample in (*samples[0], *samples[1]):
            refusal = _unfit(sample, max_age_ns, (valid_since or {}).get(sample.child))
            if refusal is not None:
                return refusal
        return _compose(*samples, stamp_ns)

    def lookup_newest(
        self, target: str, source: str, now_ns: int, max_age_ns: int, valid_since: Mapping[str, int] | None = None
    ) -> Lookup | LookupFailure:
        """As `lookup_fresh` at the newest stamp that all edges between the frames reach, if not too old at `now_ns`."""
        chains = self._chains(target, source)
        if isinstance(chains, LookupFailure):
            return chains
        newest = [edge.stamps[-1] for chain in chains for edge in chain if not edge.static]
        common_ns = min(newest, default=now_ns)
        age_ns, what = now_ns - common_ns, f"{source} in {target}"
        if age_ns > max_age_ns:
            return tf_failure.too_old(what, age_ns, max_age_ns)
        if -age_ns > max_age_ns:
            return tf_failure.clocks_differ(what, -age_ns)
        return self.lookup_fresh(target, source, common_ns, max_age_ns, valid_since)

    def _set_static(self, parent: str, child: str, pose: Array) -> LookupFailure | None:
        present = self._edges.setdefault(child, _Edge(parent, child, True, [0], [pose]))
        return None if np.array_equal(present.poses[0], pose) else tf_failure.static_changed(parent, child)

    def _misplaced(self, parent: str, child: str) -> LookupFailure | None:
        """Why a new edge has no place in the tree."""
        if not parent or not child or parent.startswith("/") or child.startswith("/"):
            return tf_failure.malformed(f"'{parent}' -> '{child}' has an empty name or one with a leading slash")
        above = [edge.parent for edge in self._path(parent)]
        return tf_failure.loop(parent, child) if child in (parent, *above) else None

    def _path(self, frame: str) -> list[_Edge]:
        """The edges from a frame up to its root."""
        path = []
        while frame in self._edges:
            path.append(self._edges[frame])
            frame = path[-1].parent
        return path

    def _chains(self, target: str, source: str) -> tuple[list[_Edge], list[_Edge]] | LookupFailure:
        """The edges from target and from source up to the frame that they have in common."""
        known = self._edges.keys() | {edge.parent for edge in self._edges.values()}
        for frame in (target, source):
            if frame not in known:
                return tf_failure.unknown_frame(frame, known)
        from_target, from_source = self._path(target), self._path(source)
        roots = [path[-1].parent if path else end for path, end in ((from_target, target), (from_source, source))]
        if roots[0] != roots[1]:
            return tf_failure.not_connected(target, source, *roots)
        while from_target and from_source and from_target[-1] is from_source[-1]:
            from_target.pop()
            from_source.pop()
        return from_target, from_source

    def _samples(self, target: str, source: str, stamp_ns: int) -> tuple[list[_Sample], list[_Sample]] | LookupFailure:
        """What `_chains` gives, at one time."""
        chains = self._chains(target, source)
        if isinstance(chains, LookupFailure):
            return chains
        samples: tuple[list[_Sample], list[_Sample]] = ([], [])
        for chain, found in zip(chains, samples, strict=True):
            for edge in chain:
                sample = edge.at(stamp_ns)
                if isinstance(sample, LookupFailure):
                    return sample
                found.append(sample)
        return samples


def _compose(from_target: list[_Sample], from_source: list[_Sample], stamp_ns: int) -> Lookup:
    T_common_target, T_common_source = np.eye(4), np.eye(4)
    for sample in from_target:
        T_common_target = sample.pose @ T_common_target
    for sample in from_source:
        T_common_source = sample.pose @ T_common_source
    oldest_ns = min((sample.older_ns for sample in (*from_target, *from_source)), default=stamp_ns)
    return Lookup(se3.inverse(T_common_target) @ T_common_source, stamp_ns, oldest_ns)


def _conflict(edge: _Edge, parent: str, static: bool) -> LookupFailure | None:
    """Why a further sample does not go with the edge that is there."""
    if edge.parent != parent:
        return tf_failure.other_parent(parent, edge.child, edge.parent)
    return None if edge.static == static else tf_failure.static_changed(parent, edge.child)


def _unfit(sample: _Sample, max_age_ns: int, since_ns: int | None) -> LookupFailure | None:
    """Why a sample is not fit for use."""
    gap_ns = sample.newer_ns - sample.older_ns
    if since_ns is not None and since_ns <= 0:
        return tf_failure.not_valid(sample.child)
    if since_ns is not None and sample.older_ns < since_ns:
        return tf_failure.spans_valid_since(sample.child, since_ns - sample.older_ns)
    return tf_failure.over_a_gap(sample.child, gap_ns, max_age_ns) if gap_ns > max_age_ns else None
