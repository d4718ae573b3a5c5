"""Cameras in files and messages: the YAML layout of camera_calibration_parsers, and sensor_msgs/CameraInfo.

image_width: 2048
image_height: 1536
camera_name: left
camera_matrix: {rows: 3, cols: 3, data: [...]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [...]}
rectification_matrix: {rows: 3, cols: 3, data: [...]}
projection_matrix: {rows: 3, cols: 4, data: [...]}     # fourth column in px m

Any camera driver of ROS reads these files. The writer of the message needs ROS: ros/camera_info.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lodestone_core.camera import CameraModel
from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.messages import Message
from lodestone_core.types import Array
from lodestone_core.units import m_from_mm, mm_from_m
from lodestone_core.yaml_file import dump_yaml, parse_yaml

_MATRICES = {"camera_matrix": (3, 3), "distortion_coefficients": (1, None), "rectification_matrix": (3, 3), "projection_matrix": (3, 4)}
_KEYS = (
    "image_width",
    "image_height",
    "camera_name",
    "camera_matrix",
    "distortion_model",
    "distortion_coefficients",
    "rectification_matrix",
    "projection_matrix",
)
_REMEDY = "write it as camera_calibration does, or make it with `lodestone calibrate stereo`"


def load_camera(path: Path) -> CameraModel:
    """The camera in a file. Raises InputError as camera_from_yaml, and when the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "correct the path, or make one with `lodestone calibrate stereo`"
        raise InputError(str(path), expected="a camera calibration (camera_info YAML)", got=str(error), remedy=remedy) from error
    return camera_from_yaml(text, str(path))


def save_camera(path: Path, camera: CameraModel) -> None:
    """Write the file atomically. Raises InputError when the folder cannot be written."""
    write_atomically(path, camera_to_yaml(camera))


def camera_from_yaml(text: str, where: str = "camera calibration") -> CameraModel:
    """The camera in the text of a file; `where` names it in errors. Raises InputError for what is missing or no camera."""
    tree = parse_yaml(text, where)
    missing = [key for key in _KEYS if key not in tree] if isinstance(tree, dict) else list(_KEYS)
    if missing:
        raise InputError(where, expected="the keys " + ", ".join(_KEYS), got="none of " + ", ".join(missing), remedy=_REMEDY)
    found = {key: _matrix(f"{where}, {key}", tree[key], shape) for key, shape in _MATRICES.items()}
    return CameraModel(
        name=str(tree["camera_name"]),
        width=_whole(f"{where}, image_width", tree["image_width"]),
        height=_whole(f"{where}, image_height", tree["image_height"]),
        K=found["camera_matrix"],
        D=found["distortion_coefficients"][0],
        distortion_model=str(tree["distortion_model"]),
        R=found["rectification_matrix"],
        P=_in_mm(found["projection_matrix"]),
    )


def camera_to_yaml(camera: CameraModel) -> str:
    """The text of the camera's file; every number comes back to the last bit, but for the unit of P's fourth column."""
    return dump_yaml(
        {
            "image_width": camera.width,
            "image_height": camera.height,
            "camera_name": camera.name,
            "camera_matrix": _tree(camera.K),
            "distortion_model": camera.distortion_model,
            "distortion_coefficients": _tree(camera.D[None]),
            "rectification_matrix": _tree(camera.R),
            "projection_matrix": _tree(projection_in_m(camera)),
        }
    )


def camera_from_msg(msg: Message, name: str) -> CameraModel:
    """The camera of a CameraInfo, which does not name it. Raises InputError for an uncalibrated, binned or cropped one."""
    where = f"camera_info of {name}"
    binning = (int(msg.binning_x), int(msg.binning_y))
    if any(one > 1 for one in binning):
        raise InputError(f"{where}, binning", expected="none", got=binning, remedy="switch it off and calibrate at that size")
    region = (int(msg.roi.width), int(msg.roi.height), int(msg.roi.x_offset), int(msg.roi.y_offset))
    size = (int(msg.width), int(msg.height))
    if region not in ((0, 0, 0, 0), (*size, 0, 0)):
        raise InputError(f"{where}, region of interest", expected="the whole sensor", got=region, remedy="read the camera out fully")
    return CameraModel(
        name=name,
        width=size[0],
        height=size[1],
        K=np.array(msg.k, dtype=np.float64).reshape(3, 3),
        D=np.array(msg.d, dtype=np.float64),
        distortion_model=str(msg.distortion_model),
        R=np.array(msg.r, dtype=np.float64).reshape(3, 3),
        P=_in_mm(np.array(msg.p, dtype=np.float64).reshape(3, 4)),
    )


def projection_in_m(camera: CameraModel) -> Array:
    """P (3, 4) with its fourth column in px m, as files and messages have it."""
    P = camera.projection
    return np.column_stack([P[:, :3], m_from_mm(P[:, 3])])


def _in_mm(P: Array) -> Array:
    return np.column_stack([P[:, :3], mm_from_m(P[:, 3])])


def _tree(matrix: Array) -> dict[str, Any]:
    rows, cols = matrix.shape
    return {"rows": rows, "cols": cols, "data": matrix.ravel().tolist()}


def _whole(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(where, expected="a whole number of px", got=repr(value), remedy=_REMEDY)
    return value


def _matrix(where: str, tree: Any, shape: tuple[int, int | None]) -> Array:
    """The matrix under one key; None in `shape` takes any number of columns."""
    data = tree.get("data") if isinstance(tree, dict) else None
    if not isinstance(data, list) or any(isinstance(one, bool) or not isinstance(one, int | float) for one in data):
        raise InputError(where, expected="rows, cols and data (numbers)", got=repr(tree)[:80], remedy=_REMEDY)
    rows, cols = shape[0], len(data) if shape[1] is None else shape[1]
    said = (tree.get("rows"), tree.get("cols"))
    if len(data) != rows * cols or said != (rows, cols):
        got = f"rows {said[0]}, cols {said[1]} and {len(data)} numbers"
        raise InputError(where, expected=f"rows {rows}, cols {cols} and {rows * cols} numbers", got=got, remedy=_REMEDY)
    return np.array(data, dtype=np.float64).reshape(rows, cols)
