"""Recordings for the calibration out of a bag: the raw topic of the array, and the magnet's poses where a tracker saw it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.recording import ArrayRecording, recording_of
from lodestone_core import se3
from lodestone_core.bags import Bag, open_bag
from lodestone_core.errors import InputError
from lodestone_core.messages import pose_from_msg, stamp_from_msg
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array

RAW_TOPIC = "/magnetometers/array_raw"
_ARRAY, _POSE = "lodestone_msgs/msg/MagnetometerArray", "geometry_msgs/msg/PoseStamped"
_FAR_NS = 100_000_000


def read_array_bag(path: Path, topic: str = RAW_TOPIC, pose_topic: str = "") -> ArrayRecording:
    """The samples of one array; with `pose_topic` those during which the magnet was seen, its poses interpolated to their stamps.

    The poses must be given in the frame of the array. Raises InputError for a bag without the topic, of more than one array or of
    calibrated values, and for poses in another frame.
    """
    with open_bag(path) as bag:
        _check_topic(bag, topic, _ARRAY, "record the raw topic of the array")
        messages = [message.message for message in bag.messages([topic])]
        if not messages:
            raise InputError(f"{path}, {topic}", expected="samples", got="none", remedy="record while the array runs")
        stamps = np.array([stamp_from_msg(m.header.stamp) for m in messages], dtype=np.int64)
        _check_array(messages, f"{path}, {topic}")
        poses = _poses(bag, pose_topic, str(messages[0].header.frame_id)) if pose_topic else None
    counts = np.array([[_counts(sensor) for sensor in m.sensors] for m in messages])
    warmth = np.array([[float(sensor.temperature) for sensor in m.sensors] for m in messages])
    kept, T = (slice(None), None) if poses is None else _at(stamps, *poses, f"{path}, {pose_topic}")
    times = (stamps - stamps[0]) / NS_PER_S
    return recording_of(counts[kept], str(path), warmth[kept], times[kept], T, int(messages[0].array_id))


def _counts(sensor: object) -> list[float]:
    valid = bool(sensor.valid)  # type: ignore[attr-defined]
    return [float(v) for v in sensor.raw] if valid else [np.nan] * 3  # type: ignore[attr-defined]


def _check_topic(bag: Bag, topic: str, msgtype: str, remedy: str) -> None:
    info = bag.topics.get(topic)
    if info is None or info.msgtype != msgtype:
        got = "no such topic" if info is None else info.msgtype
        raise InputError(f"{bag.path}, {topic}", expected=msgtype, got=got, remedy=remedy)


def _check_array(messages: list[object], where: str) -> None:
    ids = {int(m.array_id) for m in messages}  # type: ignore[attr-defined]
    sizes = {len(m.sensors) for m in messages}  # type: ignore[attr-defined]
    if len(ids) > 1 or len(sizes) > 1:
        got = f"arrays {sorted(ids)} of {sorted(sizes)} sensors"
        raise InputError(where, expected="one array", got=got, remedy="record one array at a time")
    if any(bool(m.calibrated) for m in messages):  # type: ignore[attr-defined]
        raise InputError(where, expected="raw samples", got="calibrated ones", remedy=f"give the raw topic, such as {RAW_TOPIC}")


def _poses(bag: Bag, topic: str, frame: str) -> tuple[npt.NDArray[np.int64], Array]:
    """Stamps and poses of the magnet."""
    _check_topic(bag, topic, _POSE, "name the topic of the tool that holds the magnet")
    found = [message.message for message in bag.messages([topic])]
    frames = sorted({str(m.header.frame_id) for m in found} - {frame})
    if frames:
        remedy = "republish the tool's pose in the frame of the array, or write the recording as .npz"
        raise InputError(f"{bag.path}, {topic}", expected=f"poses in {frame}", got=", ".join(frames), remedy=remedy)
    stamps = np.array([stamp_from_msg(m.header.stamp) for m in found], dtype=np.int64)
    T = np.array([pose_from_msg(m.pose) for m in found]).reshape(-1, 4, 4)
    order = np.argsort(stamps, kind="stable")
    return stamps[order], T[order]


def _at(stamps: npt.NDArray[np.int64], at: npt.NDArray[np.int64], T: Array, where: str) -> tuple[npt.NDArray[np.bool_], Array]:
    """Which samples lie between two poses that are near in time, and the pose at each."""
    if len(at) < 2:
        raise InputError(where, expected="poses", got=len(at), remedy="record the tool with the array")
    after = np.searchsorted(at, stamps)
    inside = (after > 0) & (after < len(at))
    after = np.clip(after, 1, len(at) - 1)
    gap = at[after] - at[after - 1]
    kept = inside & (gap > 0) & (gap < _FAR_NS)
    if not kept.any():
        raise InputError(where, expected="poses during the samples", got="none at the same time", remedy="check the clocks of both")
    share = (stamps - at[after - 1])[kept] / gap[kept]
    moved = [se3.interpolate(a, b, float(s)) for a, b, s in zip(T[after - 1][kept], T[after][kept], share, strict=True)]
    return kept, np.array(moved)
