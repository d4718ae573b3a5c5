"""Pictures of `em_detector`: detection against false alarms, and some runs as the detector saw them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lodestone_cli.protocols.detector_config import EmDetectorConfig
from lodestone_cli.protocols.detector_figures import outcome, roc
from lodestone_cli.protocols.detector_runs import FEATURES, Watched
from lodestone_core.results import Picture, pictures


def draw(config: EmDetectorConfig, clean: Sequence[Watched], moved: Sequence[Watched], in_time_s: float, out: Path) -> list[Picture]:
    """All pictures; none of the runs when no intrusion moved a pose."""
    if not moved:
        return []
    return [_roc(config, clean, moved, in_time_s, out / "roc.png"), _runs(config, clean, moved, out / "runs.png")]


def _roc(config: EmDetectorConfig, clean: Sequence[Watched], moved: Sequence[Watched], in_time_s: float, path: Path) -> Picture:
    with pictures.figure_file(path, 9.0, 4.2) as figure:
        axes = figure.subplots()
        lowest = 100.0
        for index, (name, colour) in enumerate(zip(FEATURES, pictures.colours(len(FEATURES)), strict=True)):
            false_share, found = roc(clean, moved, index, config.error_mm, in_time_s)
            lowest = min(lowest, 100.0 * float(found.min()))
            axes.step(100.0 * false_share, 100.0 * found, where="post", color=colour, label=name)
        axes.axvline(100.0 * config.false_alarm_share, color="#5b6675", linestyle=":", linewidth=1.0)
        axes.set(xlabel="clean runs with an alarm (%)", ylabel=f"intrusions found within {in_time_s:g} s (%)", xlim=(0.0, 10.0))
        axes.set_ylim(max(0.0, lowest - 5.0), 101.0)
        pictures.legend_above(axes, len(FEATURES))
    return Picture(path.name, f"Intrusions of more than {config.error_mm:g} mm found in time, against false alarms, over all limits.")


def _runs(config: EmDetectorConfig, clean: Sequence[Watched], moved: Sequence[Watched], path: Path) -> Picture:
    """One clean run, a quick and a slow intrusion, and the one that was found last."""
    delays = np.array([outcome(run, 0, config.detector.threshold, config.error_mm).delay_s for run in moved])
    speeds = np.array([run.speed_mm_s for run in moved])
    chosen = {
        "clean": clean[0],
        "fast": moved[int(np.argmax(speeds))],
        "slow": moved[int(np.argmin(speeds))],
        "last": moved[int(np.argmax(delays))],
    }
    with pictures.figure_file(path, 9.0, 8.0) as figure:
        for axes, (name, run) in zip(figure.subplots(len(chosen), 1), chosen.items(), strict=True):
            seen = slice(run.watched, None)
            axes.plot(run.times_s[seen], run.statistic[seen, 0], color=pictures.COLOURS[0], linewidth=1.0, label="statistic")
            axes.axhline(config.detector.threshold, color=pictures.COLOURS[0], linestyle="--", linewidth=1.0, label="limit")
            axes.plot(run.times_s, run.error_mm, color=pictures.COLOURS[1], linewidth=1.4, label="true change of a pose (mm)")
            axes.axhline(config.error_mm, color=pictures.COLOURS[1], linestyle=":", linewidth=1.0)
            axes.set_ylim(-1.0, 20.0)
            title = name if run.kind == "none" else f"{name}: {run.kind} at {run.speed_mm_s:.0f} mm/s"
            axes.set_title(title, loc="left", fontsize=10)
        pictures.legend_above(figure.axes[0], 3)
        figure.axes[-1].set_xlabel("time (s)")
    return Picture(
        path.name, "The statistic of four runs (from the end of learning on) beside what the metal did to the pose, which it does not know."
    )
