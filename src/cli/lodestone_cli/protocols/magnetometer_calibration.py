"""Protocol `magnetometer_calibration`: arrays of the simulated bench, calibrated on what their sensors send.

The truth is the bench: gains, skew, bias, turn and place of every sensor, and the exact field of a finite magnet. Fields are tested without
noise at temperatures that were not recorded; "before" is the sensor read with its nominal gain, axes and no bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from guidewire_recon.calibration.array_calibration import CalibratedArray, Recordings, calibrate_array
from guidewire_recon.calibration.config import CalibrationConfig
from guidewire_recon.drivers.calibrated import Calibrator
from lodestone_bench.magnetics.calibration_scene import CalibrationScene
from lodestone_cli.protocols.array_scenes import BAD, ArrayCalibrationConfig, Drawn, draw, without_poses
from lodestone_core import metrics
from lodestone_core.config import load_config
from lodestone_core.error_radius import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.results import Picture, Progress, Result, Row, Table, conclude, pictures, row_of, settings_of, tell
from lodestone_core.types import Array

METHOD = "joint"
MAIN = "jig, field known"
_T_PER_COUNT = 1e-8

Case = tuple[Callable[[Recordings], Recordings], Callable[[CalibrationScene], Mapping[str, Any]]]
_SAME: Callable[[Recordings], Recordings] = lambda recordings: recordings  # noqa: E731
CASES: Mapping[str, Case] = {
    MAIN: (_SAME, lambda scene: {"field_strength_t": scene.earth_T}),
    "jig, magnet known": (_SAME, lambda scene: {"magnet": {"strength_t_mm3": scene.strength_t_mm3}}),
    "poses unknown, field and magnet known": (
        without_poses,
        lambda scene: {"field_strength_t": scene.earth_T, "magnet": {"strength_t_mm3": scene.strength_t_mm3, "strength_sigma": 0.003}},
    ),
    "rotation and warm-up alone": (
        lambda recordings: replace(recordings, magnet=None, background=None),
        lambda scene: {"field_strength_t": scene.earth_T},
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Of all seeds of one case: RMS field errors (seeds,), T; position errors (seeds * S,), the same without the array's common motion,

    and predicted radii, mm; squared errors over their variances.
    """

    before_T: Array
    after_T: Array
    position_mm: Array
    aligned_mm: Array
    radius_mm: Array


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Draw arrays, calibrate each in every way, and try recordings that must be refused. Raises InputError for bad settings."""
    config = settings_of(protocol, ArrayCalibrationConfig)
    seeds = [protocol["seed"] + k for k in range(config.seeds)]
    scores: dict[str, list[tuple[Array, ...]]] = {case: [] for case in CASES}
    refusals: list[tuple[str, str]] = []
    for index, seed in enumerate(seeds):
        drawn = draw(config, seed)
        for case in CASES:
            scores[case].append(_scored(drawn, _calibrated(drawn, case), config, seed))
        if index == 0:
            refusals = [(name, _refusal(drawn, name)) for name in BAD]
        tell(progress, (index + 1) / len(seeds), f"{index + 1} arrays")
    found = {case: Scores(*(np.concatenate(parts) for parts in zip(*values, strict=True))) for case, values in scores.items()}
    rows = [row for case, score in found.items() for row in _rows(case, score, protocol["seed"], drawn.scene.array.count)]
    rows += [_refusal_row(name, text) for name, text in refusals]
    table = Table("refusals", "What was said of bad recordings", ("recording", "refusal"), tuple(refusals))
    return conclude(protocol, inputs, rows, [table], _pictures(found, out), NOTES)


NOTES = (
    "before: counts times 10 nT, axes as drawn, no bias. after: calibrated. Both without noise, in uniform fields of 20 to 800 uT.",
    "aligned_rms: after the best common shift and turn of all sensors. With a jig these come from its holes' errors; with unknown poses "
    "nothing but the drawing says where the array's frame lies.",
    "Without a magnet places stay as drawn, and the array as a whole is turned as drawn: its error is the mean turn of all sensors.",
    "accepted: 1 when a recording that must be refused was calibrated, or refused without naming what is wrong.",
)


def _calibrated(drawn: Drawn, case: str) -> CalibratedArray | None:
    prepare, settings = CASES[case]
    try:
        return calibrate_array(prepare(drawn.recordings), load_config(CalibrationConfig, settings(drawn.scene)))
    except InputError:
        return None


def _scored(drawn: Drawn, found: CalibratedArray | None, config: ArrayCalibrationConfig, seed: int) -> tuple[Array, ...]:
    """(1,), (1,), (S,), (S,), (S,) as in Scores; infinite where there is no calibration."""
    rng = np.random.default_rng([seed, 1])
    S = drawn.scene.array.count
    strengths = rng.uniform(config.weakest_t, config.strongest_t, config.fields)
    directions = rng.standard_normal((config.fields, 3))
    fields = strengths[:, None] * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    before, after = [], []
    calibrator = None if found is None else Calibrator(found.calibration)
    for field, temperature in zip(fields, np.resize(config.temperatures_degc, config.fields), strict=True):
        truth = np.tile(field, (S, 1))
        shown = drawn.scene.shown(truth, float(temperature))
        before.append(shown - truth)
        if calibrator is not None:
            after.append(calibrator.field_T(shown / _T_PER_COUNT, np.full(S, temperature)) - truth)
    first = np.array([metrics.root_mean_square(np.ravel(before))])
    if found is None:
        lost = np.full(S, np.inf)
        return first, np.array([np.inf]), lost, lost, np.zeros(S)
    error = found.calibration.position_mm - drawn.scene.array.position_mm
    radius = expected_radius_95(_blocks(found.position_covariance))
    aligned = _aligned(found.calibration.position_mm, drawn.scene.array.position_mm)
    return first, np.array([metrics.root_mean_square(np.ravel(after))]), np.linalg.norm(error, axis=1), aligned, radius


def _blocks(C: Array) -> Array:
    S = len(C) // 3
    return np.array([C[3 * s : 3 * s + 3, 3 * s : 3 * s + 3] for s in range(S)])


def _aligned(found: Array, truth: Array) -> Array:
    """Distances (S,) after the best rigid motion."""
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    U, _, Vt = np.linalg.svd(b.T @ a)
    R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    return np.asarray(np.linalg.norm(a @ R.T - b, axis=1))


def _rows(case: str, s: Scores, seed: int, sensors: int) -> list[Row]:
    n = len(s.after_T)
    ratio = s.after_T / s.before_T
    pooled = float(metrics.root_mean_square(s.after_T) / metrics.root_mean_square(s.before_T))
    rows = [
        Row(METHOD, case, "field_error_ratio", pooled, "1", n),
        Row(METHOD, case, "field_error_ratio_worst", float(ratio.max()), "1", n),
        Row(METHOD, case, "field_error_before", float(metrics.root_mean_square(s.before_T)) * 1e6, "uT", n),
        Row(METHOD, case, "field_error_after", float(metrics.root_mean_square(s.after_T)) * 1e6, "uT", n),
        row_of(metrics.rmse(s.position_mm, "mm", seed, sensors).named("position_rms"), METHOD, case),
        row_of(metrics.rmse(s.aligned_mm, "mm", seed, sensors).named("aligned_rms"), METHOD, case),
        row_of(metrics.coverage(s.position_mm, s.radius_mm, seed, sensors).named("coverage_95"), METHOD, case),
        row_of(metrics.radius_ratio(s.position_mm, s.radius_mm), METHOD, case),
    ]
    return rows


def _refusal(drawn: Drawn, name: str) -> str:
    """What is said of a bad recording; empty when it was taken for a good one."""
    spoil, _ = BAD[name]
    config = load_config(CalibrationConfig, {"field_strength_t": drawn.scene.earth_T})
    try:
        calibrate_array(spoil(drawn.recordings), config)
    except InputError as error:
        return str(error)
    return ""


def _refusal_row(name: str, text: str) -> Row:
    return Row(METHOD, name, "accepted", float(BAD[name][1] not in text), "1", 1)


def _pictures(found: Mapping[str, Scores], out: Path) -> list[Picture]:
    shown = {case: s.position_mm for case, s in found.items() if case.startswith("jig") and np.isfinite(s.position_mm).all()}
    if not shown:
        return []
    caption = "Position error of every sensor of every array: histogram, and share of the sensors below an error."
    return [pictures.error_distribution(out / "positions.png", shown, caption)]
