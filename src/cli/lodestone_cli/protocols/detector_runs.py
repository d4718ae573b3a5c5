"""Runs of `em_detector`: drawn from the simulated tracker, and what the detector makes of them, many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from em_registration.detection.config import DetectorConfig
from em_registration.detection.layout import NOBODY
from em_registration.detection.statistic import Group
from em_registration.detection.watch import Frame, Watch
from lodestone_bench.em_physics.intrusion import Intrusion, IntrusionConfig, draw_intrusion
from lodestone_cli.protocols.detector_config import EmDetectorConfig
from lodestone_core.types import Array

CLEAN = "none"
FEATURES = {
    "detector": (Group.INDICATOR, Group.PAIR, Group.TOGETHER),
    "indicator alone": (Group.INDICATOR,),
    "pair alone": (Group.PAIR,),
}
"""What is scored: all the detector has, and each of its features."""
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One run as the detector saw it: statistic (N, features) and disagreement (N,) at times (N,), beside the true errors (N,).

    `watched` is the first frame at which the field is known, `moves` the first at which the metal moves (N where there is none).
    """

    kind: str
    speed_mm_s: float
    times_s: Array
    statistic: Array
    disagreement_mm: Array
    error_mm: Array
    watched: int
    moves: int


def clean_runs(config: EmDetectorConfig, seed: int, count: int, tell: Tell) -> list[Watched]:
    """Runs without an intrusion."""
    drawn = (
        draw_intrusion(np.random.default_rng([seed, 0, i]), CLEAN, _drawing(config, config.fast_mm_s), config.clean_s) for i in range(count)
    )
    return list(_watched(drawn, config, tell))


def intrusions(config: EmDetectorConfig, tell: Tell) -> list[Watched]:
    """Runs with metal that comes in; every other one of a kind slow, the others fast."""
    speeds = (config.slow_mm_s, config.fast_mm_s)
    drawn = (
        draw_intrusion(np.random.default_rng([config.test_seed, 1 + number, i]), kind, _drawing(config, speeds[i % 2]))
        for number, kind in enumerate(config.kinds)
        for i in range(config.runs_a_kind)
    )
    return list(_watched(drawn, config, tell))


def _drawing(config: EmDetectorConfig, speed_mm_s: tuple[float, float]) -> IntrusionConfig:
    return IntrusionConfig(quiet_s=config.quiet_s, gap_mm=config.gap_mm, speed_mm_s=speed_mm_s)


def _watched(drawn: Iterator[Intrusion], config: EmDetectorConfig, tell: Tell) -> Iterator[Watched]:
    batch: list[Intrusion] = []
    for number, run in enumerate(drawn, 1):
        batch.append(run)
        tell(number)
        if len(batch) == config.batch:
            yield from watch(batch, config.detector)
            batch = []
    if batch:
        yield from watch(batch, config.detector)


def watch(runs: Sequence[Intrusion], config: DetectorConfig) -> list[Watched]:
    """The runs side by side through one watch, frame by frame as live; a run that is over has no poses any more."""
    layout = NOBODY
    for i in range(len(runs)):
        layout = layout.with_body([2 * i, 2 * i + 1])
    detector = Watch(layout, config)
    frames = max(len(run.times_s) for run in runs)
    statistic = np.full((frames, len(runs), len(FEATURES)), -np.inf)
    disagreement, learnt = np.zeros((frames, len(runs))), np.zeros((frames, len(runs)))
    times_s = max((run.times_s for run in runs), key=len)
    T, indicator = (_padded([getattr(run, name) for run in runs], frames) for name in ("T_measured", "indicator_mm"))
    nothing = np.full(layout.tools, np.nan), np.zeros(layout.tools, dtype=bool)
    for k in range(frames):
        reading = detector.step(Frame(float(times_s[k]), T[k].reshape(-1, 4, 4), indicator[k].reshape(-1), nothing[1], nothing[0]))
        for column, groups in enumerate(FEATURES.values()):
            statistic[k, :, column] = reading.statistic[:, list(groups)].max(axis=(0, 1))
        disagreement[k], learnt[k] = reading.disagreement_mm, reading.learnt
    return [_run(run, statistic[:, i], disagreement[:, i], learnt[:, i]) for i, run in enumerate(runs)]


def _run(run: Intrusion, statistic: Array, disagreement_mm: Array, learnt: Array) -> Watched:
    n = len(run.times_s)
    known = np.flatnonzero(learnt[:n] >= 1.0)
    moves = n if run.kind == CLEAN else int(np.searchsorted(run.times_s, run.moves_s))
    watched = int(known[0]) if len(known) else n
    return Watched(run.kind, run.speed_mm_s, run.times_s, statistic[:n], disagreement_mm[:n], run.error_mm.max(axis=1), watched, moves)


def _padded(arrays: Sequence[Array], frames: int) -> Array:
    """(frames, runs, ...), NaN after a run's end."""
    padded = np.full((frames, len(arrays), *arrays[0].shape[1:]), np.nan)
    for i, array in enumerate(arrays):
        padded[: len(array), i] = array
    return padded
