"""Protocol `stereo_calibration`: two simulated cameras at a right angle, calibrated from pictures, against the bench's truth.

The cameras' lenses and places, the light and the noise are the bench's own (`lodestone_bench.optics`), with a lens term that no model has.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from guidewire_recon.calibration.stereo_quality import figure
from lodestone_cli.protocols.stereo_config import StereoProtocolConfig
from lodestone_cli.protocols.stereo_pictures import draw
from lodestone_cli.protocols.stereo_scenes import CASES, TWO_FACES
from lodestone_cli.protocols.stereo_scoring import JOINT, OPENCV, Job, Scored, score
from lodestone_core.metrics import Metric
from lodestone_core.results import Progress, Result, Row, Table, conclude, row_of, settings_of, tell
from lodestone_core.types import Array

NOTES = (
    "Errors are of the true pixels of points in bench, triangulated; bench's frame comes from one of the 20 views, in which the target "
    "lay in its seat. point_error_centre: 27 points within 10 mm of the middle; point_error_volume: the whole working volume, as far as "
    "both cameras see it. The seat is at the middle, and where the frame comes from a place, errors at that place are least: so ...",
    "point_error_registered: the same 27 points with bench's frame from eight fiducials that lie about the middle, 56 mm from it, seen "
    "with 0.1 px of noise; nothing is known of the middle then.",
    "offset_in_left_frame: the same points in the left camera's optical frame, without a limit. That frame itself is uncertain: to turn a "
    "camera by a few hundredths of a degree and to move its principal point back looks the same in every view, and a tilted sensor (which "
    "the bench has) moves it by pixels. It is one shift common to all points, and a rig takes its frame from a seat, where it drops out.",
    "coverage_95: share of errors within the 95 % region that the covariance predicts, on corners drawn with known noise.",
    "opencv: calibrateCamera for each camera, stereoCalibrate for the pair, on OpenCV's own corners. It needs a board that both cameras "
    f"see: with {TWO_FACES} it has no answer.",
)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Draw, render, calibrate, compare. Raises InputError for bad settings."""
    config = settings_of(protocol, StereoProtocolConfig)
    jobs = list(_jobs(config, protocol["seed"]))
    done = []
    for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(key, "1")
    with ProcessPoolExecutor(config.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(score, jobs):
            done.append(found)
            tell(progress, 0.97 * len(done) / len(jobs), f"{len(done)} of {len(jobs)} calibrations")
    rows = [row for case in CASES for row in rows_of([one for one in done if one.job.case == case], case, protocol["seed"])]
    return conclude(protocol, inputs, rows, tables_of(done), draw(done, out), NOTES)


def _jobs(config: StereoProtocolConfig, seed: int) -> list[Job]:
    made = [Job(case, seed + i, config.views, True, 0.0) for case in CASES for i in range(config.seeds)]
    return made + [
        Job(case, seed + 1000 + i, config.views, False, config.drawn_noise_px) for case in CASES for i in range(config.drawn_seeds)
    ]


def rows_of(done: Sequence[Scored], case: str, seed: int) -> list[Row]:
    """The figures of one case."""
    rows = []
    for method in (JOINT, OPENCV):
        scores = [s for one in done if one.job.rendered for s in one.scores if s.method == method]
        if not scores:
            continue
        for name, parts in (
            ("point_error_centre", [s.centre_mm for s in scores]),
            ("point_error_volume", [s.volume_mm for s in scores]),
            ("point_error_registered", [s.registered_mm for s in scores]),
            ("offset_in_left_frame", [s.in_left_mm for s in scores]),
        ):
            rows.append(row_of(_rms(parts, name, all(s.problem == "" for s in scores)), method, case))
    held = [h for one in done for h in one.held]
    for name, values, unit in (
        ("held_out_reprojection", [h.reprojection_px for h in held], "px"),
        ("held_out_across_cameras", [h.across_px for h in held], "px"),
        ("held_out_board_geometry", [h.geometry_mm for h in held], "mm"),
    ):
        found = figure(values, 1000, seed)
        if found.n:
            rows.append(Row(JOINT, case, name, found.value, unit, found.n, (found.low, found.high)))
    return rows + _coverage([one for one in done if not one.job.rendered], case)


def _rms(parts: Sequence[Array], name: str, complete: bool) -> Metric:
    """RMS distance over points and seeds, with the interval of a bootstrap over seeds; infinite when a calibration is missing."""
    if not complete:
        return Metric(name, float("inf"), "mm", len(parts))
    each = [float(np.nanmean((part**2).sum(axis=1))) for part in parts]
    drawn = np.sqrt(np.array(each)[np.random.default_rng(0).integers(0, len(each), (2000, len(each)))].mean(axis=1))
    low, high = np.percentile(drawn, [2.5, 97.5])
    count = sum(int(np.isfinite(part).all(axis=1).sum()) for part in parts)
    return Metric(name, float(np.sqrt(np.mean(each))), "mm", count, (float(low), float(high)))


def _coverage(drawn: Sequence[Scored], case: str) -> list[Row]:
    squares = np.concatenate([one.squares if one.squares.size else [np.inf] for one in drawn]) if drawn else np.zeros(0)
    if not squares.size:
        return []
    share, n = float(np.mean(squares < 7.815)), int(squares.size)
    radius = float(np.median(np.concatenate([one.radius_mm for one in drawn])))
    return [
        Row(JOINT, case, "coverage_95", share, "1", n),
        Row(JOINT, case, "coverage_95_top", share, "1", n),
        Row(JOINT, case, "predicted_radius_95", radius, "mm", n),
    ]


def tables_of(done: Sequence[Scored]) -> list[Table]:
    """Errors of single numbers, and what was not found or dropped."""
    parameters = [
        (s.case, s.seed, s.method, name, round(value, 4))
        for one in done
        if one.job.rendered
        for s in one.scores
        for name, value in s.parameters.items()
    ]
    losses = [(one.job.case, one.job.seed, name, why) for one in done for name, why in one.lost.items()]
    losses += [(one.job.case, one.job.seed, name, why) for one in done if one.found for name, why in one.found.dropped.items()]
    losses += [(s.case, s.seed, s.method, s.problem) for one in done for s in one.scores if s.problem]
    tables = [Table("parameters", "Errors of single numbers", ("case", "seed", "method", "number", "error"), tuple(parameters))]
    if losses:
        tables.append(
            Table("lost", "Images without a board, views dropped, no calibration", ("case", "seed", "what", "why"), tuple(losses))
        )
    return tables
