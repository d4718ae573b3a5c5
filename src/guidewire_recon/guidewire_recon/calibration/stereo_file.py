"""The rig's files of a stereo calibration: left.yaml and right.yaml as every ROS driver reads them, and stereo.yaml for the pair.

`values` of stereo.yaml (kind `stereo`): `T_right_left` (translation_mm, quaternion_xyzw) with its 6x6 covariance (message convention, mm
and rad), the hashes of the two camera files that it belongs to, `T_bench_left` where a seat was given, the RMS of each view, and views that
were dropped with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from guidewire_recon.calibration.boards import BoardSpec
from guidewire_recon.calibration.stereo import StereoCalibration
from guidewire_recon.calibration.stereo_quality import Figure
from guidewire_recon.calibration.stereo_types import SIDES, StereoRig
from lodestone_core import se3
from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.camera_info import camera_to_yaml, load_camera
from lodestone_core.checks import as_covariance, as_point, as_unit_quaternion
from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.types import Array
from lodestone_core.version import package_version

KIND = "stereo"


@dataclass(frozen=True, slots=True, eq=False)
class StereoFile:
    """A pair as the rig's files have it: the cameras, the covariance of T_right_left (6x6, mm and rad), T_bench_left where it is known."""

    rig: StereoRig
    covariance: Array
    T_bench_left: Array | None
    calibration: CalibrationFile


def write_stereo(
    folder: Path,
    found: StereoCalibration,
    boards: Sequence[BoardSpec],
    figures: Mapping[str, tuple[Figure, str]],
    inputs: Mapping[str, str],
    T_bench_left: Array | None = None,
    replace: bool = False,
) -> CalibrationFile:
    """Write the three files into a rig's folder, whose name is the rig's. Raises InputError when one is there and not `replace`."""
    paths = {name: folder / f"{name}.yaml" for name in (*SIDES, KIND)}
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not replace:
        raise InputError(", ".join(there), expected="no calibration yet", got="one", remedy="keep it elsewhere, or give --replace")
    texts = {side: camera_to_yaml(found.rig.camera(side)) for side in SIDES}
    values = _values(found, {side: hashlib.sha256(text.encode()).hexdigest() for side, text in texts.items()}, T_bench_left)
    calibration = CalibrationFile(
        KIND,
        folder.resolve().name,
        tuple(f"{side}: {found.rig.camera(side).width}x{found.rig.camera(side).height}" for side in SIDES),
        now_text(),
        f"joint bundle adjustment ({found.bundle.distortion}) of {len(found.views)} views of " + ", ".join(map(str, boards)),
        package_version("guidewire_recon"),
        values,
        dict(inputs),
        {name: _figure(f, unit) for name, (f, unit) in figures.items() if f.n},
    )
    for side, text in texts.items():
        write_atomically(paths[side], text)
    calibration.save(paths[KIND])
    return calibration


def read_stereo(folder: Path, rig: str = "") -> StereoFile:
    """The pair of a rig's folder. Raises InputError for another rig's, and when a camera's file is not the one that belongs to it."""
    calibration = load_calibration(folder / f"{KIND}.yaml", KIND, rig)
    values, where = calibration.values, str(folder / f"{KIND}.yaml")
    cameras = {}
    for side in SIDES:
        path = folder / f"{side}.yaml"
        cameras[side] = load_camera(path)
        known = hashlib.sha256(path.read_bytes()).hexdigest()
        if known != _entry(values, f"{side}_sha256", where):
            other = "right" if side == "left" else "left"
            swapped = known == values.get(f"{other}_sha256")
            got = f"the {other} camera's" if swapped else "another one"
            remedy = "exchange the two files" if swapped else "calibrate again: cameras and their relation hold together only"
            raise InputError(str(path), expected="the camera that stereo.yaml was made with", got=got, remedy=remedy)
    pair = StereoRig(cameras["left"], cameras["right"], _pose(_entry(values, "T_right_left", where), where), (np.eye(4),))
    covariance = as_covariance(f"{where}, covariance", _entry(values, "covariance", where), 6)
    seat = values.get("T_bench_left")
    return StereoFile(pair, covariance, None if seat is None else _pose(seat, where), calibration)


def bench_from_seat(found: StereoCalibration, view: str, T_bench_target: Array) -> Array:
    """T_bench_left from a view in which the target's first face lay at a known place. Raises InputError when that view is not there."""
    if view not in found.bundle.poses:
        got = found.dropped.get(view, "no such view")
        expected = "a view of the target in its seat, one of " + ", ".join(found.bundle.poses)
        raise InputError(f"view {view}", expected=expected, got=got, remedy="give its name, or take it again")
    T: Array = T_bench_target @ se3.inverse(found.bundle.poses[view])
    return T


def frames_text(T_bench_left: Array, T_right_left: Array) -> str:
    """The two lines of the rig's frames.yaml."""
    lines = []
    for side, T in (("left", T_bench_left), ("right", T_bench_left @ se3.inverse(T_right_left))):
        tree = _tree(T)
        lines += ["- parent: bench", f"  child: stereo_{side}_optical"]
        lines += [f"  {key}: [{', '.join(f'{v:.9g}' for v in value)}]" for key, value in tree.items()]
    return "\n".join(lines)


def _values(found: StereoCalibration, hashes: Mapping[str, str], T_bench_left: Array | None) -> dict[str, Any]:
    views = {view.name: {side: round(found.bundle.view_rms_px(view, side), 4) for side in SIDES if view.of(side)} for view in found.views}
    seat = {} if T_bench_left is None else {"T_bench_left": _tree(T_bench_left)}
    return {
        "T_right_left": _tree(found.rig.T_right_left),
        "covariance": [[_short(value) for value in row] for row in found.extrinsic_covariance.tolist()],
        **{f"{side}_sha256": value for side, value in hashes.items()},
        **seat,
        "rms_px": {side: round(found.bundle.rms_px(side), 4) for side in SIDES},
        "view_rms_px": views,
        "dropped": dict(found.dropped),
    }


def _figure(found: Figure, unit: str) -> dict[str, Any]:
    return {"value": _short(found.value), "unit": unit, "low": _short(found.low), "high": _short(found.high), "n": found.n}


def _short(value: float) -> float:
    """Six digits: nobody knows a covariance better."""
    return float(f"{value:.6g}")


def _tree(T: Array) -> dict[str, list[float]]:
    q, t = se3.to_quaternion(T)
    return {"translation_mm": t.tolist(), "quaternion_xyzw": q.tolist()}


def _pose(tree: Any, where: str) -> Array:
    if not isinstance(tree, dict) or set(tree) != {"translation_mm", "quaternion_xyzw"}:
        raise InputError(where, expected="translation_mm and quaternion_xyzw", got=repr(tree)[:60], remedy="calibrate again")
    return se3.from_quaternion(as_unit_quaternion(where, tree["quaternion_xyzw"]), as_point(where, tree["translation_mm"]))


def _entry(values: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in values:
        raise InputError(where, expected=f"values: {key}", got="none", remedy="make it again with `lodestone calibrate stereo`")
    return values[key]
