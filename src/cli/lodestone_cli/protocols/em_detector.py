"""Protocol `em_detector`: metal of kinds and speeds that no limit was set on comes into a simulated tracker's field; who notices, and when.

The detector learns the clean field in the first seconds of every run, as it does live. Its own limit is the shipped one. The limits of the
single features, which are compared at the same share of false alarms, come from calibration runs of another seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_cli.protocols.detector_config import EmDetectorConfig
from lodestone_cli.protocols.detector_figures import detection_rows, false_alarm_rows, harmful, limit_at, outcome
from lodestone_cli.protocols.detector_pictures import draw
from lodestone_cli.protocols.detector_runs import FEATURES, Tell, Watched, clean_runs, intrusions
from lodestone_core.results import Progress, Result, Row, Table, conclude, settings_of, tell

IN_TIME_S = 0.5
SHIPPED, ALL = "detector", "all intrusions"


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Draw, watch, score. Raises InputError for settings that test on what was calibrated on."""
    config = settings_of(protocol, EmDetectorConfig)
    dirty_count = len(config.kinds) * config.runs_a_kind
    total = config.calibration_runs + config.clean_runs + dirty_count

    def telling(before: int, what: str) -> Tell:
        return lambda number: tell(progress, 0.95 * (before + number) / total, f"{number} {what}")

    calibration = clean_runs(config, config.calibration_seed, config.calibration_runs, telling(0, "calibration runs"))
    clean = clean_runs(config, config.test_seed, config.clean_runs, telling(config.calibration_runs, "clean runs"))
    dirty = intrusions(config, telling(total - dirty_count, "intrusions"))
    limits = {name: limit_at(calibration, i, config.false_alarm_share) for i, name in enumerate(FEATURES)}
    moved = harmful(dirty, config.error_mm)
    rows = [*shipped_rows(config, clean, dirty, moved), *feature_rows(config, clean, moved, limits)]
    pictures = draw(config, clean, moved, IN_TIME_S, out)
    return conclude(protocol, inputs, rows, [runs_table(config, dirty)], pictures, notes(config, limits))


def shipped_rows(config: EmDetectorConfig, clean: Sequence[Watched], dirty: Sequence[Watched], moved: Sequence[Watched]) -> list[Row]:
    """The detector as it is shipped: over all intrusions, by kind and by speed, its false alarms, and when it says INVALID."""
    limit = config.detector.threshold
    rows = [*_detected(config, SHIPPED, ALL, moved, 0, limit), *false_alarm_rows(SHIPPED, clean, 0, limit, config.detector)]
    cases = {kind: [run for run in moved if run.kind == kind] for kind in config.kinds}
    cases["slow"] = [run for run in moved if run.speed_mm_s <= config.slow_mm_s[1]]
    cases["fast"] = [run for run in moved if run.speed_mm_s > config.slow_mm_s[1]]
    for case, runs in cases.items():
        rows += _detected(config, SHIPPED, case, runs, 0, limit)
    harmless = [run for run in dirty if run.error_mm.max() <= config.error_mm]
    noticed = [outcome(run, 0, limit, 0.0).found for run in harmless]
    rows.append(Row(SHIPPED, f"intrusions below {config.error_mm:g} mm", "noticed", 100.0 * float(np.mean(noticed)), "%", len(noticed)))
    return rows + _detected(config, "detector, INVALID", ALL, moved, 0, config.detector.invalid_threshold)


def feature_rows(config: EmDetectorConfig, clean: Sequence[Watched], moved: Sequence[Watched], limits: Mapping[str, float]) -> list[Row]:
    """Everything at the limit that the calibration runs give at the stated share of false alarms."""
    rows = []
    for i, name in enumerate(FEATURES):
        method = f"{name}, calibrated"
        rows.append(Row(method, "calibration runs", "limit", limits[name], "", config.calibration_runs))
        rows += _detected(config, method, ALL, moved, i, limits[name])
        rows += false_alarm_rows(method, clean, i, limits[name], config.detector)
    return rows


def _detected(config: EmDetectorConfig, method: str, case: str, runs: Sequence[Watched], feature: int, limit: float) -> list[Row]:
    if not runs:
        return []
    return detection_rows(method, case, [outcome(run, feature, limit, config.error_mm) for run in runs], IN_TIME_S)


def runs_table(config: EmDetectorConfig, dirty: Sequence[Watched]) -> Table:
    """Every intrusion."""
    cells = []
    for run in dirty:
        error = float(run.error_mm.max())
        came = outcome(run, 0, config.detector.threshold, min(config.error_mm, 0.999 * error))
        counted = error > config.error_mm
        highest = float(run.statistic[run.moves :, 0].max())
        cells.append((run.kind, run.speed_mm_s, error, int(counted), int(came.found), came.delay_s if counted else float("nan"), highest))
    columns = ("kind", "speed (mm/s)", "largest error (mm)", "counts", "found", "delay (s)", "highest statistic")
    return Table("intrusions", "Every intrusion at the shipped limit", columns, tuple(cells))


def notes(config: EmDetectorConfig, limits: Mapping[str, float]) -> list[str]:
    """What a reader must know."""
    found = ", ".join(f"{name} {limit:.2f}" for name, limit in limits.items())
    return [
        f"An intrusion counts when it moves the pose of one of the tool's two sensors by more than {config.error_mm:g} mm from where the "
        "static background alone would put it. The delay runs from that moment to the alarm; a negative one is an alarm before it. The "
        "limit is on the 95th percentile, a missed intrusion is infinitely late, and an alarm before the metal moved is a miss.",
        f"The shipped limit is {config.detector.threshold:g}; {config.false_alarm_share:.0%} of the calibration runs go beyond: {found}. "
        "What is learnt while a run goes on hangs on the whole detector's limit, for the single features too.",
        "In half of the runs other metal stands beside the body all the time and is learnt as part of the clean field.",
    ]
