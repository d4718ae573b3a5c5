"""Recordings that a probe is calibrated on: bags, PLUS sequences (.igs.mha), tables of spots (.npz)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_core import se3
from lodestone_core.bags import open_bag
from lodestone_core.bags.reader import Bag
from lodestone_core.errors import InputError
from lodestone_core.formats.sequence_mha import read_sequence
from lodestone_core.messages import pose_sample_from_msg, stamp_from_msg
from lodestone_core.pose_stream import PoseStream, as_pose_stream
from lodestone_core.types import Array
from lodestone_core.units import mm_from_m
from us_motion.calibration.observations import Observations, as_observations
from us_motion.calibration.recording import TrackedImages
from us_motion.calibration.wire_detection import Image, Mask
from us_motion.urdf import read_chain

IMAGES, GEOMETRY = "ultrasound/image_raw", "ultrasound/geometry"
POSES, JOINTS = "us_arm/measured_cp", "us_arm/measured_js"
_NPZ = ("T_ref_probe", "px", "image", "spacing_mm")


@dataclass(frozen=True, slots=True)
class Reading:
    """How recordings are read: pixel spacing where they do not say it, frames of a sequence, joints by a URDF instead of poses."""

    spacing_mm: tuple[float, float] | None = None
    reference: str = "Tracker"
    probe: str = "Probe"
    phantom: str = ""
    urdf: Path | None = None
    base: str = "us_arm_base"
    tip: str = "us_probe"


def read_tracked(path: Path, reading: Reading) -> TrackedImages | Observations:
    """One recording. Raises InputError that names what it lacks."""
    if path.suffix == ".npz":
        return _table(path)
    if path.name.endswith((".mha", ".mhd")):
        return _sequence(path, reading)
    return _bag(path, reading)


def _table(path: Path) -> Observations:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(str(path), expected="a table of spots (.npz)", got=str(error), remedy="give a whole file") from error
    missing = [name for name in _NPZ if name not in found]
    if missing:
        expected = "arrays " + ", ".join(_NPZ)
        raise InputError(str(path), expected=expected, got="no " + ", ".join(missing), remedy="see docs/us_motion.md")
    return as_observations(found["T_ref_probe"], found["image"], found["px"], found["spacing_mm"], found.get("wire"))


def _sequence(path: Path, reading: Reading) -> TrackedImages:
    sequence = read_sequence(path)
    probe = sequence.poses(reading.reference, reading.probe)
    T, valid = probe.T_target_source, probe.valid
    if reading.phantom:
        phantom = sequence.poses(reading.reference, reading.phantom)
        T, valid = se3.inverse(np.where(phantom.valid[:, None, None], phantom.T_target_source, np.eye(4))) @ T, valid & phantom.valid
    pixels = _upright(path, sequence.pixels(), sequence.header.get("UltrasoundImageOrientation", "MF"))
    pairs = ((np.ascontiguousarray(pixels[k]), T[k]) for k in np.flatnonzero(valid))
    return TrackedImages(str(path), pairs, _spacing(path, reading))


def _upright(path: Path, pixels: Any, orientation: str) -> Any:
    """Images with the marked side on the left and the far end below, as PLUS calls MF; grey."""
    if pixels.ndim == 4:
        pixels = pixels.mean(axis=3).astype(np.uint8)
    if pixels.dtype != np.uint8 or orientation[:2] not in ("MF", "MN", "UF", "UN"):
        got = f"{pixels.dtype}, orientation {orientation}"
        raise InputError(str(path), expected="8-bit images, orientation MF, MN, UF or UN", got=got, remedy="convert it with PLUS")
    columns = slice(None, None, -1 if orientation[0] == "U" else 1)
    rows = slice(None, None, -1 if orientation[1] == "N" else 1)
    return pixels[:, rows, columns]


def _spacing(path: Path, reading: Reading) -> Array:
    if reading.spacing_mm is None:
        raise InputError(str(path), expected="the size of a pixel", got="none in the recording", remedy="give --spacing X,Y in mm")
    return np.array(reading.spacing_mm)


def _bag(path: Path, reading: Reading) -> TrackedImages:
    with open_bag(path) as bag:
        if IMAGES not in bag.topics and f"/{IMAGES}" not in bag.topics:
            remedy = "record with `lodestone record`"
            raise InputError(str(path), expected=f"the topic {IMAGES}", got=", ".join(bag.topics) or "no topics", remedy=remedy)
        stream = _poses(bag, path, reading)
        spacing, mask = _geometry(bag, path, reading)
    return TrackedImages(str(path), _with_poses(path, stream), spacing, mask)


def _with_poses(path: Path, stream: PoseStream) -> Iterator[tuple[Image, Array]]:
    with open_bag(path) as bag:
        for message in bag.messages([_topic(bag, IMAGES)]):
            stamp = np.array([stamp_from_msg(message.message.header.stamp)])
            if stream.covers(stamp)[0]:
                yield _pixels(path, message.message), stream.at(stamp)[0]


def _pixels(path: Path, msg: Any) -> Image:
    size = int(msg.height) * int(msg.step)
    if msg.encoding != "mono8" or len(msg.data) < size or msg.step < msg.width:
        got = f"{msg.encoding}, {len(msg.data)} bytes for {msg.height} rows of {msg.step}"
        raise InputError(f"{path}: {IMAGES}", expected="whole mono8 images", got=got, remedy="publish mono8")
    rows = np.frombuffer(np.asarray(msg.data, dtype=np.uint8).tobytes(), dtype=np.uint8)[:size].reshape(int(msg.height), int(msg.step))
    return np.ascontiguousarray(rows[:, : int(msg.width)])


def _poses(bag: Bag, path: Path, reading: Reading) -> PoseStream:
    """T_base_probe over time: poses as the driver gave them, or joints through a URDF."""
    if reading.urdf is not None:
        chain = read_chain(reading.urdf, reading.base, reading.tip)
        stamps, joints = [], []
        for message in bag.messages([_topic(bag, JOINTS)]):
            by_name = dict(zip(message.message.name, message.message.position, strict=False))
            missing = [name for name in chain.names if name not in by_name]
            if missing:
                got = "no " + ", ".join(missing)
                raise InputError(f"{path}: {JOINTS}", expected="the joints of the URDF", got=got, remedy="give this arm's URDF")
            stamps.append(stamp_from_msg(message.message.header.stamp))
            joints.append([by_name[name] for name in chain.names])
        return as_pose_stream(JOINTS, np.array(stamps, dtype=np.int64), chain.T_base_tip(np.array(joints).reshape(-1, len(chain.names))))
    samples = [pose_sample_from_msg(message.message, "us_probe") for message in bag.messages([_topic(bag, POSES)])]
    T = np.stack([sample.T_parent_child for sample in samples]) if samples else np.empty((0, 4, 4))
    return as_pose_stream(POSES, np.array([sample.stamp_ns for sample in samples], dtype=np.int64), T)


def _geometry(bag: Bag, path: Path, reading: Reading) -> tuple[Array, Mask | None]:
    """Size of a pixel and the fan, as the grabber published them; the size alone where it did not."""
    if GEOMETRY not in bag.topics and f"/{GEOMETRY}" not in bag.topics:
        return _spacing(path, reading), None
    known = [message.message for message in bag.messages([_topic(bag, GEOMETRY)]) if message.message.valid]
    depths = sorted({round(float(msg.depth), 4) for msg in known})
    if len(depths) != 1:
        got = ", ".join(f"{1000.0 * depth:.0f} mm" for depth in depths) or "no valid geometry"
        raise InputError(f"{path}: {GEOMETRY}", expected="one depth all through", got=got, remedy="record each depth by itself")
    size = next(iter(bag.messages([_topic(bag, IMAGES)]))).message
    return mm_from_m(np.array(known[0].pixel_spacing, dtype=np.float64)), _fan(known[0], int(size.height), int(size.width))


def _fan(msg: Any, rows: int, columns: int) -> Mask:
    c, r = np.meshgrid(np.arange(columns), np.arange(rows))
    x, y = ((values - msg.apex[axis]) * msg.pixel_spacing[axis] for axis, values in ((0, c), (1, r)))
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    inside = (radius >= msg.radius_min) & (radius <= msg.radius_max) & (angle >= msg.angle_min) & (angle <= msg.angle_max)
    return np.asarray(inside)


def _topic(bag: Bag, name: str) -> str:
    return name if name in bag.topics else f"/{name}"
