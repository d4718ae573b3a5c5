"""Files that a calibration takes: known points, and the tip of the tool as `lodestone calibrate pivot` wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from em_registration.calibration.guide import ToolAndTip
from em_registration.session import SESSION_FORMAT, recorded_fiducials
from lodestone_core.checks import as_point, as_points
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.yaml_file import read_yaml


def read_points(path: Path) -> dict[str, Array]:
    """Image points in mm by name: `points: {name: [x, y, z]}`, or the fiducials of a session's or registration's file."""
    mapping = read_yaml(path)
    if isinstance(mapping, dict) and isinstance(mapping.get("points"), dict):
        found = {str(name): as_point(f"{path}, points.{name}", value) for name, value in mapping["points"].items()}
    elif isinstance(mapping, dict) and str(mapping.get("format", "")).startswith(("lodestone/em_registration/", SESSION_FORMAT)):
        found = {fiducial.name: np.array(fiducial.image_mm) for fiducial in recorded_fiducials(path)}
    else:
        got = ", ".join(mapping) if isinstance(mapping, dict) else type(mapping).__name__
        raise InputError(
            str(path), expected="points: {name: [x, y, z]} in mm, LPS", got=got, remedy="write the file so, or give a session's"
        )
    as_points(f"{path}, points", list(found.values()), at_least=4)
    return found


def read_tool(name: str, path: Path | None) -> ToolAndTip:
    """The tool, with the tip of a pivot calibration where one is given."""
    if path is None:
        return ToolAndTip(name)
    mapping = read_yaml(path)
    if not isinstance(mapping, dict) or mapping.get("kind") != "pivot_calibration":
        got = mapping.get("kind", "no kind") if isinstance(mapping, dict) else type(mapping).__name__
        raise InputError(str(path), expected="kind: pivot_calibration", got=got, remedy="make it with lodestone calibrate pivot")
    tip = as_point(f"{path}, tip_tool_mm", mapping.get("tip_tool_mm", []))
    return ToolAndTip(name, tip, float(mapping.get("rms_mm", 0.0)), int(mapping.get("inliers", 0)))


def read_volume(text: str) -> tuple[Array, Array] | None:
    """Low and high corner of "x0,y0,z0,x1,y1,z1" in mm; None for an empty text."""
    if not text:
        return None
    try:
        values = np.array([float(word) for word in text.split(",")]).reshape(2, 3)
    except ValueError as error:
        remedy = "write x0,y0,z0,x1,y1,z1"
        raise InputError("--volume", expected="six numbers in mm with commas between", got=f"'{text}'", remedy=remedy) from error
    low, high = values.min(axis=0), values.max(axis=0)
    return low, high
