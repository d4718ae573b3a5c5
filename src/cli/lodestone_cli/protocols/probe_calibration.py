"""Protocol `probe_calibration`: a probe calibrated in the simulated tank, against where its image truly is.

Images are rendered with speckle, specks that are no wire, and a slice that is millimetres thick; poses come from encoders that count in
whole numbers and from an arm, and in most cases a phantom, that are not quite as drawn. Detection is part of what is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_cli.protocols.probe_config import CASES, ProbeProtocolConfig
from lodestone_cli.protocols.probe_trials import BASELINE, METHOD, Trial, run_trial
from lodestone_core.metrics import coverage, percentile, radius_ratio, rmse
from lodestone_core.results import Picture, Progress, Result, Row, Table, conclude, settings_of, tell
from lodestone_core.results.pictures import error_by_case, error_distribution
from lodestone_core.results.result import row_of
from lodestone_core.types import Array

NOTES = (
    "held_out: distance in the image between a spot and where the wire (or the point) should be, by a calibration of the other sweeps.",
    "true_error: distance between where the found and the true pose put the middle and the corners of what was seen; fan_error: all over "
    "the fan, most of which no wire was in.",
    "As built: each axis of the arm, and each end of a wire, is off its drawing by what the settings say; the same in all sweeps of a "
    "trial, so that no sweep tells of it. Predicted radii are about what sweeps tell.",
    "Slow water: depths appear 1 % too large, which is too little to be refused; the refinement is told nothing of it.",
    "A refused trial counts with infinite errors.",
)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Record, calibrate, judge. Raises InputError for bad settings."""
    config = settings_of(protocol, ProbeProtocolConfig)
    trials: dict[str, list[Trial]] = {case.name: [] for case in CASES}
    for index, case in enumerate(CASES):
        for number in range(config.trials):
            trials[case.name].append(run_trial(config, case, protocol["seed"] * 1_000_003 + 1000 * index + number))
            tell(progress, (index + (number + 1) / config.trials) / len(CASES), f"{case.name}: trial {number + 1}")
    rows = [row for name, found in trials.items() for row in _rows(name, found, protocol["seed"])]
    return conclude(protocol, inputs, rows, [_table(trials)], _pictures(trials, out), NOTES)


def _rows(case: str, trials: list[Trial], seed: int) -> list[Row]:
    rows = []
    for method in (METHOD, BASELINE):
        for name in ("held_out", "seen", "fan"):
            errors = _all(trials, f"{name}_mm", method)
            label = {"held_out": "held_out_rms", "seen": "true_error_rms", "fan": "fan_error_rms"}[name]
            rows.append(row_of(rmse(errors, "mm", seed, block=len(errors) // max(len(trials), 1)).named(label), method, case))
        rows.append(row_of(percentile(_all(trials, "seen_mm", method), 95, "mm", seed).named("true_error_p95"), method, case))
    errors, radii = _all(trials, "seen_mm", METHOD), np.concatenate([trial.radius_mm for trial in trials])
    rows.append(row_of(coverage(errors, radii, seed, block=5).named("coverage_95"), METHOD, case))
    rows.append(row_of(radius_ratio(errors, radii).named("radius_ratio"), METHOD, case))
    refused = [trial for trial in trials if trial.refusal]
    rows.append(Row(METHOD, case, "refused", float(len(refused)), "1", len(trials)))
    return rows


def _table(trials: Mapping[str, list[Trial]]) -> Table:
    columns = ("case", "trial", "method", "held_out_rms_mm", "true_error_rms_mm", "fan_error_max_mm", "predicted_95_mm", "refusal")
    rows = []
    for case, found in trials.items():
        for number, trial in enumerate(found):
            for method in (METHOD, BASELINE):
                held, seen = (float(np.sqrt(np.mean(part[method] ** 2))) for part in (trial.held_out_mm, trial.seen_mm))
                fan, radius = float(trial.fan_mm[method].max()), float(np.median(trial.radius_mm)) if method == METHOD else float("nan")
                rows.append((case, number, method, held, seen, fan, radius, trial.refusal))
    return Table("trials", "Every trial", columns, tuple(rows))


def _pictures(trials: Mapping[str, list[Trial]], out: Path) -> list[Picture]:
    finite = {case: [trial for trial in found if not trial.refusal] for case, found in trials.items()}
    rms = {
        method: {case: float(np.sqrt(np.mean(_all(found, "held_out_mm", method) ** 2))) for case, found in finite.items() if found}
        for method in (METHOD, BASELINE)
    }
    errors = {case: _all(found, "seen_mm", METHOD) for case, found in finite.items() if found}
    pictures = [error_by_case(out / "held_out.png", rms, "Held-out distance in the image (RMS) by case.", 0.5)] if any(rms.values()) else []
    if errors:
        pictures.append(
            error_distribution(out / "true_error.png", errors, "True error of the refinement where wires or the point were seen.")
        )
    return pictures


def _all(trials: list[Trial], what: str, method: str) -> Array:
    return np.concatenate([getattr(trial, what)[method] for trial in trials])
