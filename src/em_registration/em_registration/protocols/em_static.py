"""Every method on a real tracker in a distorted field: fitted on most of the places where a tool lay, tested on the others.

The truth is the optical tracker, whose marker sits on the same rigid tool; where the sensor truly was follows from the sensor's offset to
the marker, which is calibrated inside the fold (or taken from clean recordings where the motion does not give it). All places of a fold are
left out together, before anything is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from em_registration.field.config import PoseFieldConfig
from em_registration.field.pose_field import fit_pose_field
from em_registration.methods.combined import fit_combined
from em_registration.methods.in_context import fit_in_context
from em_registration.methods.interface import Correspondences, Method, correspondences
from em_registration.methods.registry import METHODS
from em_registration.protocols.static_poses import StaticPoses, folds, read_static_poses
from lodestone_core import metrics, se3
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.hand_eye import JointConfig, calibrate_joint
from lodestone_core.results import Picture, Progress, Result, Row, Table, conclude, methods_of, pictures, row_of, settings_of, tell
from lodestone_core.types import Array

FIELD, NETWORK, COMBINED, RIGID = "pose_field", "in_context", "combined", "rigid"
SENSOR, MARKER = "sensor", "marker"


@dataclass(frozen=True, slots=True)
class EmStaticConfig:
    """Which sets are scored and how they are divided."""

    sets: tuple[str, ...] = option(("clean91",), doc="sets whose sensors' offsets are calibrated inside each fold")
    known_offset_sets: tuple[str, ...] = option((), doc="sets whose motion does not give the offset: it comes from offset_sets")
    offset_sets: tuple[str, ...] = option((), doc="clean sets that give these offsets")
    parts: int = option(5, doc="folds", minimum=2)
    split_seeds: tuple[int, ...] = option((0, 1, 2, 3, 4), doc="one split for each")
    targets: tuple[str, ...] = option((SENSOR, MARKER), doc="points of the tool that are scored", choices=(SENSOR, MARKER))
    joint: JointConfig = section(JointConfig, doc="calibration of the sensor's offset")
    field: PoseFieldConfig = section(PoseFieldConfig, doc="the method for a bench")


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out results of one method in one case: errors and predicted radii (splits, N) in mm, and where the target was (N, 3)."""

    error_mm: Array
    radius_mm: Array
    place_mm: Array


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Score all methods on all sets. Raises InputError for bad input."""
    config = settings_of(protocol, EmStaticConfig)
    known: dict[str, Method] = {
        FIELD: lambda c: fit_pose_field(c, config.field),
        COMBINED: lambda c: fit_combined(c, config.field),
        NETWORK: fit_in_context,
        **METHODS,
    }
    methods = {name: known[name] for name in methods_of(protocol, tuple(known))}
    offsets = known_offsets(inputs["static_poses"], config)
    cases = [(name, None) for name in config.sets] + [(name, offsets) for name in config.known_offset_sets]
    found, refused = held_out(inputs["static_poses"], cases, methods, config, progress)
    rows = [row for (method, case), held in found.items() for row in _rows(method, case, held, protocol["seed"])]
    tables = [_summary(found), Table("refused", "Methods that do not apply", ("case", "method", "why"), _refusals(refused))]
    return conclude(protocol, inputs, rows, tables, _pictures(found, out), NOTES)


NOTES = (
    "rms: mean over the splits of the RMS of the held-out errors; the optical tracker's own 0.2 to 0.3 mm is in every figure.",
    "at the sensor: where the optical tracker says the EM sensor was. At the marker: off on the tool, where errors of rotation count too.",
)


def held_out(
    path: Path,
    cases: Sequence[tuple[str, list[Array] | None]],
    methods: Mapping[str, Method],
    config: EmStaticConfig,
    progress: Progress | None = None,
) -> tuple[dict[tuple[str, str], Held], dict[tuple[str, str], str]]:
    """Results by method and case of all sensors of these sets (with their offsets where these are known), and why a method has none."""
    found: dict[tuple[str, str], Held] = {}
    refused: dict[tuple[str, str], str] = {}
    for done, (name, offsets) in enumerate(cases):
        for s, poses in enumerate(read_static_poses(path, name)):
            for target in config.targets:
                offset = None if offsets is None else offsets[s]
                case = _Case(f"{name} sensor_{s} at the {target}", poses, offset, target)
                held, why = _score(case, methods, config)
                found |= {(method, case.name): one for method, one in held.items()}
                refused |= {(case.name, method): reason for method, reason in why.items()}
        tell(progress, (done + 1) / len(cases), name)
    return found, refused


def known_offsets(path: Path, config: EmStaticConfig) -> list[Array]:
    """T_sensor_marker of each sensor, the mean over the clean sets."""
    if not config.known_offset_sets:
        return []
    by_set = [[_offset(poses, None, config.joint) for poses in read_static_poses(path, name)] for name in config.offset_sets]
    if not by_set:
        remedy = "name the sets to take them from"
        raise InputError("offset_sets", expected="clean sets for known_offset_sets", got="none", remedy=remedy)
    means = []
    for of_sensor in zip(*by_set, strict=True):
        first = of_sensor[0]
        apart = np.mean([se3.log(T @ se3.inverse(first)) for T in of_sensor], axis=0)
        means.append(se3.exp(apart) @ first)
    return means


def _offset(poses: StaticPoses, rows: Array | None, config: JointConfig) -> Array:
    kept = np.arange(len(poses)) if rows is None else np.flatnonzero(rows)
    found = calibrate_joint(poses.T_tracker_sensor[kept], poses.T_image_marker[kept], config)
    return found.sensors["sensor"].T_sensor_marker


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """A sensor and a point of its tool; `T_sensor_marker` is None where it is calibrated in the fold."""

    name: str
    poses: StaticPoses
    T_sensor_marker: Array | None
    target: str


def _score(case: _Case, methods: Mapping[str, Method], config: EmStaticConfig) -> tuple[dict[str, Held], dict[str, str]]:
    """Results by method, and why a method has none."""
    poses, refused = case.poses, dict[str, str]()
    shape = (len(config.split_seeds), len(poses))
    errors = {name: np.full(shape, np.inf) for name in methods}
    radii = {name: np.full(shape, np.nan) for name in methods}
    for split, seed in enumerate(config.split_seeds):
        fold = folds(len(poses), config.parts, seed)
        for part in range(config.parts):
            test = np.flatnonzero(fold == part)
            known = case.T_sensor_marker
            T_sensor_marker = _offset(poses, fold != part, config.joint) if known is None else known
            data = _correspondences(poses, T_sensor_marker, case.target)
            for name, method in methods.items():
                try:
                    prediction = method(data.take(fold != part))(data.T_tracker_tool[test])
                except InputError as error:
                    refused[name] = str(error)
                    continue
                errors[name][split, test] = np.linalg.norm(prediction.mean_mm - data.image_mm[test], axis=1)
                radii[name][split, test] = prediction.radius_95_mm
    places = poses.T_image_marker[:, :3, 3]
    return {name: Held(errors[name], radii[name], places) for name in methods if name not in refused}, refused


def _correspondences(poses: StaticPoses, T_sensor_marker: Array, target: str) -> Correspondences:
    if target == MARKER:
        return correspondences(poses.T_tracker_sensor, poses.T_image_marker[:, :3, 3], T_sensor_marker[:3, 3])
    T_image_sensor = poses.T_image_marker @ se3.inverse(T_sensor_marker)
    return correspondences(poses.T_tracker_sensor, T_image_sensor[:, :3, 3])


def _rows(method: str, case: str, held: Held, seed: int) -> list[Row]:
    splits = np.sqrt(np.mean(held.error_mm**2, axis=1))
    low, high = metrics.bootstrap_interval(np.sqrt(np.mean(held.error_mm**2, axis=0)), metrics.root_mean_square, seed)
    rows = [Row(method, case, "rms", float(splits.mean()), "mm", held.error_mm.size, (low, high))]
    if method in (FIELD, NETWORK, COMBINED, RIGID):
        inside = held.error_mm <= held.radius_mm
        rows.append(Row(method, case, "coverage_95", float(inside.mean()), "1", inside.size))
        rows.append(Row(method, case, "coverage_95_top", float(inside.mean()), "1", inside.size))
        rows.append(row_of(metrics.radius_ratio(held.error_mm.ravel(), held.radius_mm.ravel()), method, case))
    return rows


def _summary(found: Mapping[tuple[str, str], Held]) -> Table:
    rows = []
    for (method, case), held in found.items():
        splits = np.sqrt(np.mean(held.error_mm**2, axis=1))
        inside = float((held.error_mm <= held.radius_mm).mean())
        rows.append((case, method, float(splits.mean()), float(splits.min()), float(splits.max()), float(np.median(held.error_mm)), inside))
    columns = ("case", "method", "rms_mm", "best_split_mm", "worst_split_mm", "median_mm", "coverage_95")
    return Table("summary", "Held-out errors by method", columns, tuple(rows))


def _refusals(refused: Mapping[tuple[str, str], str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((case, method, why) for (case, method), why in refused.items())


def _pictures(found: Mapping[tuple[str, str], Held], out: Path) -> Sequence[Picture]:
    cases = list(dict.fromkeys(case for _, case in found))
    shown = [case for case in cases if case.endswith(SENSOR)] or cases
    methods = [
        m for m in (RIGID, "affine", "tps_smoothed", "bernstein_2", "gp_position", NETWORK, FIELD, COMBINED) if (m, shown[0]) in found
    ]
    bars = {m: np.array([_rms(found[m, case]) if (m, case) in found else 0.0 for case in shown]) for m in methods}
    labels = [case.removesuffix(f" at the {SENSOR}") for case in shown]
    made = [
        pictures.bars(out / "by_method.png", labels, bars, "Held-out RMS error at the sensor by method (none: the method does not apply).")
    ]
    for method in (RIGID, FIELD):
        if (method, shown[0]) in found:
            held = found[method, shown[0]]
            points = {shown[0]: (held.place_mm, np.sqrt(np.mean(held.error_mm**2, axis=0)))}
            made.append(pictures.error_in_space(out / f"in_space_{method}.png", points, f"Where the held-out errors of {method} are."))
    return made


def _rms(held: Held) -> float:
    return float(np.sqrt(np.mean(held.error_mm**2, axis=1)).mean())
