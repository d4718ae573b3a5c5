"""The static frames of one rig: rigs/<name>/frames.yaml, checked to be one tree below the root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_points, as_unit_quaternion
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import parse_yaml

Array = npt.NDArray[np.float64]
KEYS = {"parent", "child", "translation_mm", "quaternion_xyzw"}


@dataclass(frozen=True, slots=True, eq=False)
class StaticFrame:
    """T_parent_child (4x4, mm), fixed for as long as the rig is."""

    parent: str
    child: str
    T_parent_child: Array


def parse_frames(text: str, where: str) -> tuple[StaticFrame, ...]:
    """The frames of a rig file. Raises InputError for unknown keys, bad poses or a child with two parents."""
    mapping = parse_yaml(text, where)
    entries = mapping.get("frames") if isinstance(mapping, dict) else None
    if not isinstance(entries, list):
        raise InputError(
            where,
            expected="a list under 'frames'",
            got=type(entries).__name__,
            remedy="see launch/rigs/template/frames.yaml",
        )
    frames = tuple(_frame(entry, f"{where}, frame {number}") for number, entry in enumerate(entries, 1))
    children = [frame.child for frame in frames]
    for child in children:
        if children.count(child) > 1:
            raise InputError(
                f"{where}, child {child}",
                expected="one parent",
                got=children.count(child),
                remedy="keep one of the entries",
            )
    return frames


def poses_from_root(frames: tuple[StaticFrame, ...], root: str, where: str) -> dict[str, Array]:
    """T_root_frame of every frame. Raises InputError when a frame is not connected to the root."""
    T_root = {root: np.eye(4)}
    left = list(frames)
    while left:
        ready = [frame for frame in left if frame.parent in T_root]
        if not ready:
            names = ", ".join(frame.parent for frame in left)
            raise InputError(
                where,
                expected=f"every frame connected to {root!r}",
                got=f"unconnected parents: {names}",
                remedy="add the missing frame",
            )
        for frame in ready:
            T_root[frame.child] = T_root[frame.parent] @ frame.T_parent_child
        left = [frame for frame in left if frame not in ready]
    return T_root


def _frame(entry: Any, where: str) -> StaticFrame:
    if not isinstance(entry, dict) or set(entry) != KEYS:
        got = sorted(map(str, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise InputError(where, expected=f"the keys {sorted(KEYS)}", got=got, remedy="see launch/rigs/template/frames.yaml")
    translation = as_points(f"{where}, translation_mm", [entry["translation_mm"]])[0]
    quaternion = as_unit_quaternion(f"{where}, quaternion_xyzw", entry["quaternion_xyzw"])
    return StaticFrame(str(entry["parent"]), str(entry["child"]), se3.from_quaternion(quaternion, translation))
