"""Recordings of one rigid tool under both trackers, as streams that a registration takes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lodestone_core.formats import tracking_text
from lodestone_core.pose_stream import PoseStream, as_pose_stream


def read_em_streams(path: Path) -> dict[str, PoseStream]:
    """T_tracker_sensor by sensor name; samples that the tracker marked invalid are left out. Raises InputError for a malformed file."""
    sensors = tracking_text.read_em_tracking(path)
    return {str(name): _valid(f"{path.name}, sensor {name}", stream) for name, stream in sensors.items()}


def read_reference_stream(path: Path) -> PoseStream:
    """T_reference_marker; invalid samples are left out. Raises InputError for a malformed file."""
    return _valid(path.name, tracking_text.read_optical_tracking(path))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, for the provenance of what is computed from it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _valid(name: str, stream: tracking_text.PoseStream) -> PoseStream:
    return as_pose_stream(name, stream.stamps_ns[stream.valid], stream.T_tracker_body[stream.valid])
