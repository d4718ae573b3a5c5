"""Protocol `em_internal`: registration inside a body near metal, on a simulated tracker that no method knows.

The tracker is simulated down to the fields of its coils and of the currents that they induce (`lodestone_bench.em_physics`); its own pose
solver knows free space only, and what metal does to it comes out over pose. Landmarks lie on the surface of a body, targets inside. A
target's pose is as noisy as a landmark's: what counts is where a measured tool is said to be.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from lodestone_cli.protocols.internal_config import EmInternalConfig
from lodestone_cli.protocols.internal_figures import RIGID, cell_table, pictures_of, rows_of
from lodestone_cli.protocols.internal_scoring import COMBINED, FIELD, NETWORK, OTHERS, Job, Scores, score
from lodestone_core.results import Progress, Result, conclude, methods_of, settings_of, tell

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Draw the scenes, score all methods, set them against rigid. Raises InputError for bad settings."""
    config = settings_of(protocol, EmInternalConfig)
    methods = methods_of(protocol, (RIGID, FIELD, NETWORK, COMBINED, *(name for name in OTHERS if name != RIGID)))
    methods = tuple(dict.fromkeys((RIGID, *methods)))
    held, free = _scores(list(_jobs(config, methods, protocol["seed"])), config.workers, progress)
    judged = [FIELD] if FIELD in methods else []
    rows = rows_of(held, config, judged, protocol["seed"])
    tables = [cell_table(held, config, "cells", "Every method in every cell")]
    if free:
        tables.append(cell_table(free, config, "any_orientation", "The same with a tool in any orientation: reported without a limit"))
    return conclude(protocol, inputs, rows, tables, pictures_of(held, config, out) if judged else [], NOTES)


NOTES = (
    "A distortion in a cell's name is the noise-free mean TRE that the best rigid map leaves at the targets, within 20 %.",
    "beyond_allowed_harm: upper 95 % bound (paired bootstrap over scenes) of how much more than rigid the method errs, less the allowance.",
    "The tool is held about one orientation a scene (tilt 30, roll 30 degrees). In any orientation the distortion is another one at every "
    "pose, and no method here learns much of it from so few: see the table any_orientation.",
    "pose_field is what a bench runs at the tracker's rate; in_context and combined are reported beside it, without a limit.",
    "Targets are as noisy as landmarks: no map can be better than the noise of one pose.",
)


def _jobs(config: EmInternalConfig, methods: tuple[str, ...], seed: int) -> Iterator[Job]:
    for free, scenes in ((False, config.scenes), (True, config.free_scenes)):
        for index, distortion_mm in enumerate(config.distortion_mm):
            for start in range(0, scenes, config.chunk):
                # A seed for each chunk: results do not depend on how many processes share them.
                own = seed * 1_000_003 + free * 500_000 + index * 10_000 + start // config.chunk
                count = min(config.chunk, scenes - start)
                yield Job(distortion_mm, count, own, free, config.noise_mm, config.landmarks, methods, config.field)


def _scores(jobs: list[Job], workers: int, progress: Progress | None) -> tuple[Scores, Scores]:
    """Of the scenes with a held tool, and of those with a free one."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    done: dict[int, Scores] = {}
    for index, scores in _done(jobs, workers):
        done[index] = scores
        tell(progress, 0.98 * len(done) / len(jobs), f"{sum(jobs[i].count for i in done)} scenes")
    totals: tuple[Scores, Scores] = ({}, {})
    for index, job in enumerate(jobs):
        for key, found in done[index].items():
            total = totals[job.free]
            total[key] = total[key].joined(found) if key in total else found
    return totals


def _done(jobs: list[Job], workers: int) -> Iterator[tuple[int, Scores]]:
    """Jobs as they are finished, by their numbers; one worker is this process."""
    if workers == 1:
        yield from ((index, score(job)) for index, job in enumerate(jobs))
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(score, job): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
