"""Recordings for the calibration of an array: raw counts of all sensors over time, and where the magnet was.

Two formats beside bags (array_bag.py). NumPy's .npz, read without pickle:

    counts            (N, S, 3)  counts of 10 nT along each sensor's axes; NaN, or an end of the range, where not usable
    temperature_degc  (N, S)     optional
    time_s            (N,)       optional
    T_array_magnet    (N, 4, 4)  optional, mm: where the magnet was, its moment along its z axis
    array_id          ()         optional

CSV, one row for each sensor of each sample under a line of names: time_s, sensor, x, y, z (counts); optional: temperature_degc, and mx, my,
mz, qx, qy, qz, qw (place in mm and orientation of the magnet).
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from guidewire_recon.drivers.ak09940a import LEAST, MOST, T_PER_COUNT
from lodestone_core import se3
from lodestone_core.checks import as_se3_stack
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_CSV = ("time_s", "sensor", "x", "y", "z")
_POSE = ("mx", "my", "mz", "qx", "qy", "qz", "qw")


@dataclass(frozen=True, slots=True, eq=False)
class ArrayRecording:
    """N samples of S sensors: `raw_T` (N, S, 3) in T along the sensors' axes, NaN where not usable; `temperature_degc` (N, S), NaN unknown.

    `overflows` (S,): samples of each sensor at an end of its range. `T_array_magnet` (N, 4, 4) or None. `array_id` is -1 when not said.
    """

    raw_T: Array
    temperature_degc: Array
    time_s: Array
    overflows: npt.NDArray[np.intp]
    T_array_magnet: Array | None = None
    array_id: int = -1
    name: str = "recording"

    @property
    def count(self) -> int:
        """Sensors."""
        return int(self.raw_T.shape[1])

    def __len__(self) -> int:
        """Samples."""
        return len(self.raw_T)

    def taken(self, rows: npt.NDArray[np.intp]) -> ArrayRecording:
        """Some of its samples."""
        poses = None if self.T_array_magnet is None else self.T_array_magnet[rows]
        raw, warmth, times = self.raw_T[rows], self.temperature_degc[rows], self.time_s[rows]
        return replace(self, raw_T=raw, temperature_degc=warmth, time_s=times, T_array_magnet=poses)


def recording_of(
    counts: Array,
    name: str,
    temperature_degc: Array | None = None,
    time_s: Array | None = None,
    T_array_magnet: Array | None = None,
    array_id: int = -1,
) -> ArrayRecording:
    """A recording of counts (N, S, 3); what is at an end of the range is not usable. Raises InputError for other shapes."""
    raw = np.array(counts, dtype=np.float64)
    if raw.ndim != 3 or raw.shape[2] != 3 or raw.shape[0] < 1 or raw.shape[1] < 1:
        raise InputError(f"{name}, counts", expected="(samples, sensors, 3)", got=raw.shape, remedy="see the docs of guidewire_recon")
    ends = ((raw <= LEAST) | (raw >= MOST)).any(axis=2)
    raw[ends | ~np.isfinite(raw).all(axis=2)] = np.nan
    shape = raw.shape[:2]
    temperature = np.full(shape, np.nan) if temperature_degc is None else np.array(temperature_degc, dtype=np.float64)
    times = np.arange(shape[0], dtype=np.float64) if time_s is None else np.array(time_s, dtype=np.float64)
    for key, value, expected in (("temperature_degc", temperature, shape), ("time_s", times, shape[:1])):
        if value.shape != expected:
            raise InputError(f"{name}, {key}", expected=f"shape {expected}", got=value.shape, remedy="one value for each sample")
    poses = None
    if T_array_magnet is not None:
        poses = as_se3_stack(f"{name}, T_array_magnet", T_array_magnet)
        if len(poses) != len(raw):
            raise InputError(f"{name}, T_array_magnet", expected=f"{len(raw)} poses", got=len(poses), remedy="one pose for each sample")
    return ArrayRecording(raw * T_PER_COUNT, temperature, times, ends.sum(axis=0), poses, array_id, name)


def read_recording(path: Path) -> ArrayRecording:
    """A recording as .npz or .csv. Raises InputError with what is wrong."""
    if not path.exists():
        raise InputError(str(path), expected="a recording", got="nothing at that path", remedy="check the path")
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    raise InputError(str(path), expected=".npz, .csv, or a bag", got=path.suffix or "no suffix", remedy="see the docs of guidewire_recon")


def _read_npz(path: Path) -> ArrayRecording:
    try:
        with np.load(path, allow_pickle=False) as file:
            found: Mapping[str, Array] = {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise InputError(str(path), expected="arrays of numbers in an .npz", got=str(error), remedy="write it with numpy.savez") from error
    known = ("counts", "temperature_degc", "time_s", "T_array_magnet", "array_id")
    if "counts" not in found or not set(found) <= set(known):
        raise InputError(str(path), expected="counts, and of " + ", ".join(known[1:]), got=", ".join(found), remedy="name them so")
    number = found.get("array_id", np.array(-1.0)).ravel()
    rest = {name: found[name] for name in known[1:4] if name in found}
    return recording_of(found["counts"], str(path), array_id=int(number[0]) if number.size == 1 else -1, **rest)


def _read_csv(path: Path) -> ArrayRecording:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = tuple(rows[0]) if rows else ()
        table = {name: np.array([float(row[name]) for row in rows]) for name in names}
    except (OSError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as error:
        raise InputError(str(path), expected="numbers under a line of names", got=str(error), remedy="see the docs") from error
    missing = [name for name in _CSV if name not in table]
    if missing:
        raise InputError(str(path), expected=", ".join(_CSV), got="no " + ", ".join(missing), remedy="name the columns so")
    sensors = table["sensor"]
    count = int(sensors.max()) + 1 if np.isfinite(sensors).all() and sensors.max() < 256 else 0
    if count < 1 or len(sensors) % count or not np.array_equal(sensors, np.tile(np.arange(count), len(sensors) // count)):
        raise InputError(
            f"{path}, sensor", expected="0, 1, ... of all sensors again and again", got="another order", remedy="sort the rows"
        )
    shape = (-1, count)
    counts = np.stack([table[name].reshape(shape) for name in ("x", "y", "z")], axis=-1)
    temperature = table["temperature_degc"].reshape(shape) if "temperature_degc" in table else None
    return recording_of(counts, str(path), temperature, table["time_s"].reshape(shape)[:, 0], _csv_poses(table, count))


def _csv_poses(table: Mapping[str, Array], count: int) -> Array | None:
    if not all(name in table for name in _POSE):
        return None
    values = np.stack([table[name][::count] for name in _POSE], axis=-1)
    length = np.linalg.norm(values[:, 3:], axis=1)
    if not np.all(np.abs(length - 1.0) < 1e-3):
        raise InputError("qx, qy, qz, qw", expected="unit quaternions", got=float(length.min()), remedy="normalise them")
    return np.asarray(se3.from_quaternion(values[:, 3:] / length[:, None], values[:, :3]))


def dwells(recording: ArrayRecording) -> tuple[ArrayRecording, npt.NDArray[np.intp]]:
    """Samples of one place of the magnet averaged (median, so that a knock does not count), and how many each place had.

    A place is as many samples that follow one another with the very same pose.
    """
    poses = recording.T_array_magnet
    if poses is None:
        return recording, np.ones(len(recording), dtype=np.intp)
    new = np.any(np.abs(np.diff(poses, axis=0)) > 1e-9, axis=(1, 2))
    starts = np.concatenate([[0], np.flatnonzero(new) + 1, [len(poses)]])
    spans = [slice(int(a), int(b)) for a, b in pairwise(starts)]
    raw = np.array([_middle(recording.raw_T[span]) for span in spans])
    temperature = np.array([_middle(recording.temperature_degc[span]) for span in spans])
    first = np.asarray(starts[:-1], dtype=np.intp)
    averaged = replace(recording.taken(first), raw_T=raw, temperature_degc=temperature)
    return averaged, np.diff(starts).astype(np.intp)


def _middle(values: Array) -> Array:
    """Mean over the first axis without the outer tenths; NaN where fewer than half are usable."""
    usable = np.isfinite(values)
    enough = usable.sum(axis=0) * 2 >= len(values)
    if len(values) < 10:
        total = np.where(usable, values, 0.0).sum(axis=0)
        return np.where(enough, total / np.maximum(usable.sum(axis=0), 1), np.nan)
    ordered = np.sort(np.where(usable, values, np.nan), axis=0)
    cut = len(values) // 10
    inner = ordered[cut : len(values) - cut]
    present = np.isfinite(inner)
    return np.where(enough, np.where(present, inner, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1), np.nan)
