"""Recordings of one rigid tool under both trackers, as streams that a registration takes."""

from __future__ import annotations

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


def _valid(name: str, stream: tracking_text.RecordedStream) -> PoseStream:
    return as_pose_stream(name, stream.stamps_ns[stream.valid], stream.T_tracker_body[stream.valid])
