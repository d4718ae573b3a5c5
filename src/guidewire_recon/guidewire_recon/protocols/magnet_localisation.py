"""A magnet located by an array whose gains come from another recording.

The truth is the tracker that saw magnet and array; nothing of a tested recording is fitted. What was chosen by hand (how a model's error
is weighed) was chosen by cross-validation within data1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.magnet_gains import Gains, GainsConfig, fit_gains
from guidewire_recon.formats.magnet_recording import MagnetRecording, read_magnet_recording
from guidewire_recon.magnet_localisation import LocalisationConfig, Localiser, Located
from lodestone_core import metrics
from lodestone_core.config import option, section
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
from lodestone_core.types import Array

IDEAL, GAINS, FINITE, MATRIX, BARE = "dipole_ideal", "dipole_gains", "finite_gains", "finite_matrix", "finite_gains_no_background"
_FREE: Mapping[str, GainsConfig] = {
    IDEAL: GainsConfig(gains=False, finite=False),
    GAINS: GainsConfig(finite=False),
    FINITE: GainsConfig(),
    MATRIX: GainsConfig(matrices=True),
    BARE: GainsConfig(),
}


@dataclass(frozen=True, slots=True)
class MagnetLocalisationConfig:
    """Settings of the protocol."""

    search: LocalisationConfig = section(
        LocalisationConfig,
        doc="where to search, about the middle of the array",
        low_mm=(-60.0, -60.0, -60.0),
        high_mm=(60.0, 60.0, 60.0),
        step_mm=15.0,
        model_share=0.001,
        worst_chi2=1e4,
    )
    folds: int = option(4, doc="parts of data1 for the cross-validation within it", minimum=2)
    block_poses: int = option(4, unit="poses", doc="neighbours that hang together, for the confidence intervals", minimum=1)


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Of N poses: distance (N,) in mm and angle (N,) in rad, infinite where nothing was found, and the predicted 95 % radius (N,)."""

    distance_mm: Array
    angle_rad: Array
    radius_mm: Array


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Fit on each recording, locate in the other. Raises InputError for bad input."""
    config = settings_of(protocol, MagnetLocalisationConfig)
    recordings = {name: read_magnet_recording(path) for name, path in inputs.items()}
    methods = methods_of(protocol, tuple(_FREE))
    found: dict[tuple[str, str], Errors] = {}
    gains: dict[tuple[str, str], Gains] = {}
    for index, method in enumerate(methods):
        for train, test in (("data1", "data2"), ("data2", "data1")):
            gains[method, train] = fitted(recordings[train], method)
            found[method, f"{train} -> {test}"] = located(gains[method, train], recordings[test], method, config)
        if method != BARE:
            other = located(gains[method, "data1"], recordings["data2"], method, config, recordings["data1"].background)
            found[method, "data1 -> data2, background of data1"] = other
            found[method, f"within data1, {config.folds} folds"] = cross_validated(recordings["data1"], method, config)
        tell(progress, (index + 1) / len(methods), method)
    rows = [row for (method, case), errors in found.items() for row in _rows(method, case, errors, protocol["seed"], config)]
    return conclude(protocol, inputs, rows, [_fit_table(gains)], _pictures(found, out), NOTES)


NOTES = (
    "The background is the field without the magnet that each recording carries (G_reshape_lisa). How it was measured is not documented. "
    "It is not the constant that a dipole with free gains leaves at the reference poses (13 counts off along z), and agrees within 0.5 to "
    "1.2 counts with what is left under a finite magnet. Rows with data1's background in data2 use nothing of data2 but its fields.",
    "finite_gains: gains, strength, octupole of a magnet of finite size, and how far its middle lies along its axis from the reference.",
    "How much of a field counts as error of the model (0.1 %) was chosen by the cross-validation within data1.",
    "A pose without a result counts as infinitely far off. The reference tracker's own error is part of every figure.",
)


def fitted(recording: MagnetRecording, method: str, poses: npt.NDArray[np.bool_] | slice = slice(None)) -> Gains:
    """Gains and magnet from some poses of a recording."""
    raw = recording.field - (0.0 if method == BARE else recording.background)
    return fit_gains(recording.T_outer_sensor[poses], recording.T_outer_magnet[poses], raw[poses], _FREE[method])


def located(
    gains: Gains, recording: MagnetRecording, method: str, config: MagnetLocalisationConfig, background: Array | None = None
) -> Errors:
    """Locate every pose of a recording with gains of another one."""
    off = recording.background if background is None else background
    field = np.einsum("sij,nsj->nsi", np.linalg.inv(gains.matrix), recording.field - (0.0 if method == BARE else off))
    outer = np.einsum("nsij,nsj->nsi", recording.T_outer_sensor[..., :3, :3], field)
    rows = [_one(gains, *case, config) for case in zip(outer, recording.T_outer_sensor, recording.T_outer_magnet, strict=True)]
    return Errors(*np.array(rows).T)


def cross_validated(recording: MagnetRecording, method: str, config: MagnetLocalisationConfig) -> Errors:
    """Within one recording: each part located with gains of the other parts."""
    part = np.arange(len(recording.field)) * config.folds // len(recording.field)
    found = []
    for k in range(config.folds):
        held = part == k
        rest = MagnetRecording(recording.T_outer_sensor[held], recording.T_outer_magnet[held], recording.field[held], recording.background)
        found.append(located(fitted(recording, method, ~held), rest, method, config))
    return Errors(*(np.concatenate([getattr(e, name) for e in found]) for name in ("distance_mm", "angle_rad", "radius_mm")))


def _one(gains: Gains, field: Array, T_sensor: Array, T_magnet: Array, config: MagnetLocalisationConfig) -> tuple[float, float, float]:
    places = T_sensor[:, :3, 3]
    middle = places.mean(axis=0)
    result = Localiser(places - middle, gains.magnet, config.search).locate(field, gains.sigma)
    if not isinstance(result, Located):
        return np.inf, np.inf, np.inf
    reference = result.position_mm + middle - gains.offset_mm * result.axis
    angle = np.arccos(np.clip(result.axis @ T_magnet[:3, 2], -1.0, 1.0))
    return float(np.linalg.norm(reference - T_magnet[:3, 3])), float(angle), result.radius_95_mm


def _rows(method: str, case: str, errors: Errors, seed: int, config: MagnetLocalisationConfig) -> list[Row]:
    block = config.block_poses
    figures = [
        metrics.percentile(errors.distance_mm, 50, "mm", seed, block).named("position_median"),
        metrics.percentile(errors.distance_mm, 95, "mm", seed, block).named("position_p95"),
        metrics.percentile(np.degrees(errors.angle_rad), 50, "deg", seed, block).named("axis_median"),
        metrics.success_rate(errors.distance_mm, np.finfo(np.float64).max, seed, block).named("located_share"),
        metrics.coverage(errors.distance_mm, errors.radius_mm, seed, block).named("coverage_95"),
    ]
    return [row_of(figure, method, case) for figure in figures]


def _fit_table(gains: Mapping[tuple[str, str], Gains]) -> Table:
    columns = ("method", "fitted_on", "strength_counts_mm3", "octupole_mm2", "offset_mm", "gain_spread", "residual_counts")
    rows = []
    for (method, train), g in gains.items():
        diagonal = np.trace(g.matrix, axis1=1, axis2=2) / 3.0
        rows.append((method, train, g.magnet.strength, g.magnet.octupole_mm2, g.offset_mm, float(np.std(diagonal)), g.sigma))
    return Table("fits", "What was fitted", columns, tuple(rows))


def _pictures(found: Mapping[tuple[str, str], Errors], out: Path) -> list[Picture]:
    case = "data1 -> data2"
    errors = {m: e.distance_mm for (m, c), e in found.items() if c == case and np.isfinite(e.distance_mm).all() and m != BARE}
    if not errors:
        return []
    caption = "Position error in data2 with gains of data1: histogram, and share of the poses below an error."
    return [pictures.error_distribution(out / "errors.png", errors, caption)]
