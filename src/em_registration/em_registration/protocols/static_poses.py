"""Mean poses of a tool at rest under an EM and an optical tracker: reading the file, pairing sensors, and folds that never change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_unit_quaternion_stack
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_LARGEST_MM = 1e6
"""The tracker marks a pose that it does not have with numbers of about 1e28."""


@dataclass(frozen=True, slots=True, eq=False)
class StaticPoses:
    """One sensor at N places: T_tracker_sensor and T_image_marker (N, 4, 4) in mm; `index` (N,): number of the place in the file."""

    T_tracker_sensor: Array
    T_image_marker: Array
    index: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.index)


def read_static_poses(path: Path, name: str) -> list[StaticPoses]:
    """The sensors of one set: arrays `<name>_em_pose_wxyz_mm` (N, S, 7) and `<name>_ot_pose_wxyz_mm` (N, 7), quaternion w x y z, then mm.

    Raises InputError for a missing set, other shapes or quaternions that are none.
    """
    em_name, reference_name = f"{name}_em_pose_wxyz_mm", f"{name}_ot_pose_wxyz_mm"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            em, reference = (np.asarray(arrays[key], dtype=np.float64) for key in (em_name, reference_name))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            str(path), expected=f"arrays {em_name} and {reference_name}", got=str(error), remedy="check file and set"
        ) from error
    if em.ndim != 3 or em.shape[2] != 7 or reference.shape != (len(em), 7):
        got, remedy = f"shapes {em.shape} and {reference.shape}", "one pose a sensor, one of the marker, for each place"
        raise InputError(f"{path}: {name}", expected="(N, S, 7) and (N, 7)", got=got, remedy=remedy)
    return [_sensor(f"{path}: {name}, sensor {s}", em[:, s], reference) for s in range(em.shape[1])]


def folds(count: int, parts: int, seed: int) -> npt.NDArray[np.intp]:
    """Which of `parts` folds each of `count` places belongs to: a fixed shuffle, by hash, that no library's generator can change."""
    order = sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}/{i}".encode()).digest())
    fold = np.empty(count, dtype=np.intp)
    fold[order] = np.arange(count) * parts // count
    return fold


def _sensor(where: str, em: Array, reference: Array) -> StaticPoses:
    valid = np.isfinite(em).all(axis=1) & (np.abs(em) < _LARGEST_MM).all(axis=1) & np.isfinite(reference).all(axis=1)
    kept = np.flatnonzero(valid)
    return StaticPoses(_poses(where, em[kept]), _poses(where, reference[kept]), kept)


def _poses(where: str, wxyz_mm: Array) -> Array:
    return se3.from_quaternion(as_unit_quaternion_stack(where, wxyz_mm[:, [1, 2, 3, 0]]), wxyz_mm[:, 4:])
