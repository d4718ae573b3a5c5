"""Motion out of a bag: one topic of any type that moves with what it measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lodestone_core.bags import Bag
from lodestone_core.errors import InputError
from lodestone_core.latency.motion import Motion, as_motion, field_motion, image_motion, pose_motion
from lodestone_core.messages import frame_from_msg, pose_from_msg, stamp_from_msg
from lodestone_core.types import Array

_LEAST_VALID = 0.9  # share of the messages in which a sensor or joint must hold to be used
_MOST_IMAGE_CELLS = 192  # along one side, of what is kept of an image
_CHANNELS = {"mono8": 1, "8UC1": 1, "mono16": 1, "16UC1": 1, "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}

Stamped = list[tuple[int, Any]]


def read_motion(bag: Bag, topic: str, part: str = "") -> Motion:
    """The motion that a topic saw; `part` names a tool of TrackedTools. Raises InputError for a type without one, or too few samples."""
    known = bag.topics.get(topic)
    if known is None:
        expected = "a topic of the bag: " + ", ".join(bag.topics)
        raise InputError(topic, expected=expected, got="none of that name", remedy="name another, or record it")
    reader = READERS.get(known.msgtype)
    if reader is None:
        raise InputError(topic, expected="one of " + ", ".join(READERS), got=known.msgtype, remedy="name another topic of the device")
    return reader(topic, (message.message for message in bag.messages([topic])), part)


def _poses(topic: str, messages: Iterable[Any], part: str) -> Motion:
    samples = [(stamp_from_msg(message.header.stamp), pose_from_msg(message.pose)) for message in messages]
    return _of_poses(topic, samples)


def _tools(topic: str, messages: Iterable[Any], part: str) -> Motion:
    frames = [frame_from_msg(message) for message in messages]
    posed = [(frame.stamp_ns, tool) for frame in frames for tool in frame.tools if tool.T_tracker_tool is not None]
    counts = Counter(tool.name for _, tool in posed)
    name = part or max(sorted(counts), key=lambda each: counts[each], default="")
    if name not in counts:
        expected = "a tool with poses: " + (", ".join(sorted(counts)) or "there is none")
        raise InputError(topic, expected=expected, got=name or "none", remedy="name one of them with --tool")
    return _of_poses(f"{topic} ({name})", [(stamp, tool.T_tracker_tool) for stamp, tool in posed if tool.name == name])


def _of_poses(name: str, samples: Stamped) -> Motion:
    if not samples:
        return as_motion(name, np.zeros(0, dtype=np.int64), np.zeros((0, 6)))
    return as_motion(name, [stamp for stamp, _ in samples], pose_motion(np.array([T for _, T in samples])))


def _points(topic: str, messages: Iterable[Any], part: str) -> Motion:
    return _vectors(topic, [(stamp_from_msg(m.header.stamp), [m.point.x, m.point.y, m.point.z]) for m in messages])


def _joints(topic: str, messages: Iterable[Any], part: str) -> Motion:
    return _vectors(topic, [(stamp_from_msg(m.header.stamp), np.array(m.position, dtype=np.float64)) for m in messages])


def _magnetic_field(topic: str, messages: Iterable[Any], part: str) -> Motion:
    samples = [(stamp_from_msg(m.header.stamp), [m.magnetic_field.x, m.magnetic_field.y, m.magnetic_field.z]) for m in messages]
    return _vectors(topic, samples)


def _array(topic: str, messages: Iterable[Any], part: str) -> Motion:
    """Sensors that hold in most messages; a message in which one of them does not is left out."""
    stamps, rows = [], []
    for message in messages:
        stamps.append(stamp_from_msg(message.header.stamp))
        # Counts serve as well as a field: each column is measured against its own noise.
        rows.append([_sensor(sensor, message.calibrated) for sensor in message.sensors])
    fields = _stack(topic, rows)
    good = np.isfinite(fields).all(axis=2).mean(axis=0) >= _LEAST_VALID if len(fields) else np.zeros(0, dtype=bool)
    if not good.any():
        remedy = "look at the array's diagnostics"
        raise InputError(topic, expected=f"sensors that hold in {_LEAST_VALID:.0%} of the messages", got="none", remedy=remedy)
    held = np.isfinite(fields[:, good]).all(axis=(1, 2))
    return as_motion(topic, np.array(stamps)[held], *field_motion(fields[held][:, good]))


def _sensor(sensor: Any, calibrated: bool) -> list[float]:
    if not sensor.valid:
        return [float("nan")] * 3
    return [float(x) for x in (sensor.field if calibrated else sensor.raw)]


def _images(topic: str, messages: Iterable[Any], part: str) -> Motion:
    stamps, frames = [], []
    for message in messages:
        stamps.append(stamp_from_msg(message.header.stamp))
        frames.append(_image(topic, message))
    if not frames:
        return as_motion(topic, np.zeros(0, dtype=np.int64), np.zeros((0, 1)))
    return as_motion(topic, stamps, *image_motion(_stack(topic, frames)))


def _image(topic: str, message: Any) -> Array:
    """Grey values (rows, columns), means of neighbours where there are many."""
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        got, remedy = message.encoding, "record image_raw of a camera without compression"
        raise InputError(topic, expected="an encoding out of " + ", ".join(_CHANNELS), got=got, remedy=remedy)
    wide = "16" in message.encoding
    kind = np.dtype(np.uint16 if wide else np.uint8).newbyteorder(">" if message.is_bigendian else "<")
    rows, columns = int(message.height), int(message.width)
    raw = np.frombuffer(bytes(message.data), dtype=np.uint8)
    if not rows or not columns or raw.size != rows * message.step or message.step < columns * channels * kind.itemsize:
        got = f"{raw.size} bytes for {columns} x {rows}, step {message.step}"
        raise InputError(topic, expected="images whose size fits their data", got=got, remedy="look at what publishes them")
    pixels = raw.reshape(rows, message.step)[:, : columns * channels * kind.itemsize].copy().view(kind)
    pixels = pixels.reshape(rows, columns, channels)
    size = max(1, max(rows, columns) // _MOST_IMAGE_CELLS)
    cut = pixels[: rows // size * size, : columns // size * size]
    return np.asarray(cut.reshape(rows // size, size, columns // size, size, channels).mean(axis=(1, 3, 4)))


def _vectors(topic: str, samples: Stamped) -> Motion:
    """Numbers that hold in most messages; a message in which one of them does not is left out."""
    values = _stack(topic, [np.asarray(value, dtype=np.float64) for _, value in samples])
    values = values.reshape(len(samples), -1)
    good = np.isfinite(values).mean(axis=0) >= _LEAST_VALID if len(values) else np.zeros(0, dtype=bool)
    if len(values) and not good.any():
        remedy = "look at the device's diagnostics (an arm must be homed first)"
        raise InputError(topic, expected=f"numbers that hold in {_LEAST_VALID:.0%} of the messages", got="none", remedy=remedy)
    return as_motion(topic, np.array([stamp for stamp, _ in samples], dtype=np.int64), values[:, good])


def _stack(topic: str, rows: list[Any]) -> Array:
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1:
        remedy = "record while nothing is reconfigured"
        raise InputError(topic, expected="messages of one size", got=", ".join(map(str, sorted(shapes))), remedy=remedy)
    return np.array(rows, dtype=np.float64)


READERS: dict[str, Callable[[str, Iterable[Any], str], Motion]] = {
    "geometry_msgs/msg/PoseStamped": _poses,
    "geometry_msgs/msg/PointStamped": _points,
    "lodestone_msgs/msg/TrackedTools": _tools,
    "lodestone_msgs/msg/ArmEncoders": _joints,
    "lodestone_msgs/msg/MagnetometerArray": _array,
    "sensor_msgs/msg/JointState": _joints,
    "sensor_msgs/msg/MagneticField": _magnetic_field,
    "sensor_msgs/msg/Image": _images,
}
"""Message type -> reader of (topic, messages, part)."""
