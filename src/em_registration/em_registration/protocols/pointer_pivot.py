"""Pivot calibration of a tracked pointer from recorded poses, with all poses and with the outliers left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_core import metrics
from lodestone_core.config import section
from lodestone_core.formats.matrix_folder import MatrixFolder, read_matrix_folder
from lodestone_core.pivot import PivotCalibration, PivotConfig, calibrate_pivot
from lodestone_core.results import (
    Picture,
    Progress,
    Result,
    Row,
    Table,
    conclude,
    methods_of,
    pictures,
    row_of,
    settings_of,
    tell,
)

Array = npt.NDArray[np.float64]

ROBUST, ALL_POSES = "robust", "all_poses"
# Beyond any residual: every pose counts as an inlier and plain least squares remains.
_NO_LIMIT = 1e9


@dataclass(frozen=True, slots=True)
class PointerPivotConfig:
    """Settings of the protocol."""

    pivot: PivotConfig = section(PivotConfig, doc="robust pivot calibration")


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Tip and pivot by each method. Raises InputError for bad input."""
    config = settings_of(protocol, PointerPivotConfig)
    poses = read_matrix_folder(inputs["poses"])
    tell(progress, 0.2, f"{len(poses.names)} poses read")
    found = {method: _calibrate(method, poses, config, protocol["seed"]) for method in methods_of(protocol, (ROBUST, ALL_POSES))}
    tell(progress, 0.7, "pivot found")
    rows = [row for method, pivot in found.items() for row in _rows(method, pivot, protocol["seed"])]
    tables = [_tips(found), _residuals(found, poses)]
    return conclude(protocol, inputs, rows, tables, _pictures(found, out), _notes(found))


def _calibrate(method: str, poses: MatrixFolder, config: PointerPivotConfig, seed: int) -> PivotCalibration:
    pivot = replace(config.pivot, seed=seed)
    if method == ALL_POSES:
        pivot = replace(pivot, inlier_sigmas=_NO_LIMIT, max_rms_mm=_NO_LIMIT)
    return calibrate_pivot(poses.T_tracker_body, pivot)


def _rows(method: str, pivot: PivotCalibration, seed: int) -> list[Row]:
    errors = _errors(pivot)
    case, kept = "pointer", int(np.count_nonzero(pivot.inliers))
    tip_sigma_mm = float(np.sqrt(np.trace(pivot.tip_covariance)))
    return [
        row_of(metrics.rmse(errors[pivot.inliers], "mm", seed).named("rms_inliers"), method, case),
        row_of(metrics.rmse(errors, "mm", seed).named("rms_all"), method, case),
        Row(method, case, "inliers", kept, "poses", len(errors)),
        Row(method, case, "tip_sigma", tip_sigma_mm, "mm", kept),
    ]


def _errors(pivot: PivotCalibration) -> Array:
    """Distance (N,) of the tip from the pivot in every pose, mm."""
    return np.asarray(np.linalg.norm(pivot.residuals_mm, axis=1))


def _tips(found: Mapping[str, PivotCalibration]) -> Table:
    columns = ("method", "tip_x_mm", "tip_y_mm", "tip_z_mm", "pivot_x_mm", "pivot_y_mm", "pivot_z_mm")
    rows = ((method, *p.tip_tool_mm.tolist(), *p.pivot_reference_mm.tolist()) for method, p in found.items())
    return Table("tips", "Tip in the pointer's frame, pivot in the tracker's", columns, tuple(rows))


def _residuals(found: Mapping[str, PivotCalibration], poses: MatrixFolder) -> Table:
    columns = ("pose", *(f"{method}_{what}" for method in found for what in ("error_mm", "inlier")))
    rows = []
    for i, name in enumerate(poses.names):
        cells = [cell for p in found.values() for cell in (float(_errors(p)[i]), int(p.inliers[i]))]
        rows.append((name, *cells))
    return Table("residuals", "Distance of the tip from the pivot, pose by pose", columns, tuple(rows))


def _pictures(found: Mapping[str, PivotCalibration], out: Path) -> list[Picture]:
    drawn = []
    for method, pivot in found.items():
        caption = f"Distance of the tip from the pivot in each pose, method {method}."
        drawn.append(pictures.error_by_sample(out / f"errors_{method}.png", _errors(pivot), pivot.inliers, caption))
    errors = {method: _errors(pivot) for method, pivot in found.items()}
    caption = "Distribution of the distance of the tip from the pivot over all poses."
    return [*drawn, pictures.error_distribution(out / "distribution.png", errors, caption)]


def _notes(found: Mapping[str, PivotCalibration]) -> list[str]:
    if len(found) < 2:
        return []
    robust, plain = found[ROBUST], found[ALL_POSES]
    apart = float(np.linalg.norm(robust.tip_tool_mm - plain.tip_tool_mm))
    return [f"The tips of the two methods are {apart:.2f} mm apart: that is what the outliers move."]
