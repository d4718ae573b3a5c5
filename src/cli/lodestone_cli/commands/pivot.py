"""`lodestone calibrate pivot`: poses in, tip and its uncertainty out, with where they come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lodestone_cli.console import console
from lodestone_core.bags import open_bag
from lodestone_core.config import load_config, to_mapping
from lodestone_core.errors import InputError
from lodestone_core.formats.matrix_folder import read_matrix_folder
from lodestone_core.messages import pose_sample_from_msg
from lodestone_core.pivot import PivotCalibration, PivotConfig, calibrate_pivot
from lodestone_core.results.provenance import collect_provenance
from lodestone_core.types import Array
from lodestone_core.version import package_version
from lodestone_core.yaml_file import dump_yaml

_POSE = "geometry_msgs/msg/PoseStamped"


def run(path: Path, out: Path, topic: str | None, config_file: Path | None) -> int:
    """Calibrate and write `out`, which must not exist yet: a calibration in use is never overwritten."""
    if out.exists():
        raise InputError(str(out), expected="a new file", got="one that exists", remedy="give another name with --out")
    config = load_config(PivotConfig, config_file)
    poses = read_poses(path, topic)
    calibration = calibrate_pivot(poses, config)
    _write(out, dump_yaml(as_mapping(calibration, config, path, topic)))
    console().print(_table(calibration))
    console().print(f"written to {out}")
    return 0


def read_poses(path: Path, topic: str | None) -> Array:
    """Poses (N, 4, 4) in mm of a folder of matrices, or of a topic of a bag (the only one with poses when None).

    Raises InputError when there are none.
    """
    if path.is_dir() and topic is None and any(path.glob("*.txt")):
        return read_matrix_folder(path).T_tracker_body
    if not path.exists():
        remedy = "check the path"
        raise InputError(str(path), expected="a folder of 4x4 matrices (*.txt), or a bag", got="nothing at that path", remedy=remedy)
    with open_bag(path) as bag:
        found = [name for name, info in bag.topics.items() if info.msgtype == _POSE]
        chosen = topic or (found[0] if len(found) == 1 else None)
        if chosen not in found or chosen is None:
            remedy = f"name one with --topic: {', '.join(found)}" if found else "record the tool's measured_cp"
            got = f"'{topic}'" if topic else f"{len(found)} such topics"
            raise InputError(str(path), expected=f"a topic with {_POSE}", got=got, remedy=remedy)
        poses = [pose_sample_from_msg(message.message, "tool").T_parent_child for message in bag.messages([chosen])]
    return np.stack(poses) if poses else np.empty((0, 4, 4))


def as_mapping(calibration: PivotCalibration, config: PivotConfig, path: Path, topic: str | None) -> dict[str, Any]:
    """The calibration as it stands in the file: lengths in mm, the tip in the tool's frame, and its provenance."""
    provenance = collect_provenance(config.seed, {"poses": path})
    return {
        "kind": "pivot_calibration",
        "tip_tool_mm": _rounded(calibration.tip_tool_mm),
        "tip_covariance_mm2": [_rounded(row) for row in calibration.tip_covariance],
        "pivot_reference_mm": _rounded(calibration.pivot_reference_mm),
        "rms_mm": round(calibration.rms_mm, 6),
        "rms_all_mm": round(calibration.rms_all_mm, 6),
        "poses": len(calibration.inliers),
        "inliers": int(np.count_nonzero(calibration.inliers)),
        "config": to_mapping(config),
        "provenance": {
            "date": provenance.date,
            "commit": provenance.commit,
            "version": package_version("lodestone_core"),
            "input": path.name,
            "topic": topic or "",
            "sha256": provenance.inputs["poses"],
        },
    }


def _rounded(values: Array) -> list[float]:
    return [round(float(value), 9) for value in values]


def _table(calibration: PivotCalibration) -> Table:
    table = Table("what", "value", "unit")
    table.add_row("tip in the tool's frame", ", ".join(f"{value:.3f}" for value in calibration.tip_tool_mm), "mm")
    sigma = np.sqrt(np.diag(calibration.tip_covariance))
    table.add_row("standard deviation", ", ".join(f"{value:.3f}" for value in sigma), "mm")
    table.add_row("RMS of the poses used", f"{calibration.rms_mm:.3f}", "mm")
    table.add_row("RMS of all poses", f"{calibration.rms_all_mm:.3f}", "mm")
    table.add_row("poses used", f"{np.count_nonzero(calibration.inliers)} of {len(calibration.inliers)}", "")
    return table


def _write(path: Path, text: str) -> None:
    """All of the file or none of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.rename(path)
    except OSError as error:
        remedy = "choose another folder with --out"
        raise InputError(str(path), expected="a place to write to", got=error.strerror or str(error), remedy=remedy) from error
