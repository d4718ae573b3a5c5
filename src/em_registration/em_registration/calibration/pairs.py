"""Pairs of poses from a tool that two trackers see at once: streams in, correspondences at new places out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.calibration.config import CalibrationConfig
from em_registration.methods.interface import Correspondences, correspondences
from em_registration.paired_poses import Provenance, register_streams
from em_registration.registration import Registration
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.pose_stream import PairingConfig, PoseStream, as_pose_stream
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array, TrackedFrame

THINNED_NS = 80_000_000
"""The tracker's poses are kept this far apart: more of them would tell nothing new."""
_PAIRING = PairingConfig()


@dataclass
class _Track:
    stamps_ns: list[int]
    poses: list[Array]

    def stream(self, name: str) -> PoseStream:
        return as_pose_stream(name, np.array(self.stamps_ns, dtype=np.int64), np.array(self.poses).reshape(-1, 4, 4))


class PairedStreams:
    """Collects both streams. The reference (T_image_marker) stands for the image; each tool's tip is where the marker is on it."""

    def __init__(self, config: CalibrationConfig) -> None:
        self._config = config
        self._tools: dict[str, _Track] = {}
        self._reference = _Track([], [])

    @property
    def tools(self) -> tuple[str, ...]:
        """Tools with poses so far, the one with most of them first."""
        return tuple(sorted(self._tools, key=lambda name: -len(self._tools[name].poses)))

    @property
    def seconds(self) -> float:
        """How long both have been seen."""
        tracks = [track.stamps_ns for track in (*self._tools.values(), self._reference)]
        if len(tracks) < 2 or not all(tracks):
            return 0.0
        return max(0.0, (min(stamps[-1] for stamps in tracks) - max(stamps[0] for stamps in tracks)) / NS_PER_S)

    def add_frame(self, frame: TrackedFrame) -> None:
        """A frame of the tracker."""
        for tool in frame.tools:
            if tool.T_tracker_tool is None:
                continue
            track = self._tools.setdefault(tool.name, _Track([], []))
            if not track.stamps_ns or frame.stamp_ns - track.stamps_ns[-1] >= THINNED_NS:
                track.stamps_ns.append(frame.stamp_ns)
                track.poses.append(tool.T_tracker_tool)

    def add_reference(self, stamp_ns: int, T_image_marker: Array) -> None:
        """A pose of the reference tracker."""
        self._reference.stamps_ns.append(stamp_ns)
        self._reference.poses.append(T_image_marker)

    def register(self, provenance: Provenance) -> Registration:
        """Rigid registration, tips, noise and time offsets of all tools. Raises InputError while the movement does not tell them."""
        em = {name: self._tools[name].stream(f"tool {name}") for name in self.tools}
        return register_streams(em, self._reference.stream("reference"), provenance)

    def correspondences(self, tool: str, model: Registration) -> Correspondences:
        """Those of a tool that lie apart from one another in place or turn, from slow enough movement, in the order of their stamps."""
        em, reference = self._tools[tool].stream(f"tool {tool}"), self._reference.stream("reference")
        offset_s = model.tools[tool].time_offset_s
        usable = reference.covers(em.stamps_ns, offset_s, _PAIRING) & (_speeds_mm_s(em) <= self._config.max_speed_mm_s)
        T, stamps_ns = em.T[usable], em.stamps_ns[usable]
        kept = _apart(T, self._config)
        if not kept:
            expected = f"poses under both trackers from movement of at most {self._config.max_speed_mm_s:g} mm/s"
            raise InputError(f"pairs of tool {tool}", expected=expected, got="none", remedy="move more slowly, in sight of both")
        image = reference.at(stamps_ns[kept], offset_s)[:, :3, 3]
        names = tuple(f"{stamp_ns}" for stamp_ns in stamps_ns[kept])
        return correspondences(T[kept], image, model.reference_mm(tool), names)

    def tip_mm(self, tool: str, model: Registration) -> Array | None:
        """Where a tool's tip is now, in the tracker; None before it was seen."""
        track = self._tools.get(tool)
        return None if track is None else se3.transform(track.poses[-1], model.reference_mm(tool))


def _speeds_mm_s(stream: PoseStream) -> Array:
    """Speed (N,) at each sample, from its neighbours; infinite across a gap."""
    steps = np.linalg.norm(np.diff(stream.T[:, :3, 3], axis=0), axis=1)
    times_s = np.diff(stream.stamps_ns) / NS_PER_S
    speeds = np.where(times_s < 1.0, steps / times_s, np.inf)
    return np.asarray(np.maximum(np.append(speeds, speeds[-1]), np.insert(speeds, 0, speeds[0])))


def _apart(T: Array, config: CalibrationConfig) -> list[int]:
    """Indices of poses (N, 4, 4), each apart from all kept before it."""
    kept: list[int] = []
    for i in range(len(T)):
        near = np.linalg.norm(T[kept, :3, 3] - T[i, :3, 3], axis=1) < config.spacing_mm
        if near.any() and (se3.geodesic(T[kept][near], T[i]) < config.spacing_rad).any():
            continue
        kept.append(i)
        if len(kept) >= config.most:
            break
    return kept
