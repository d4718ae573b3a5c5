"""The published attention network on the published experiment, its ablations, and every other method beside it.

The truth is a thin-plate spline through six landmarks, as in the paper: it says how well a network copies that spline,
and nothing of a tracker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from em_registration.attention.config import TrainingConfig
from em_registration.attention.experiment import Experiment, ExperimentConfig, PointMap, prepare
from em_registration.attention.landmark_file import read_landmarks
from em_registration.attention.metrics import UNITS, Figures
from em_registration.attention.model import AttentionModel
from em_registration.attention.train import memory
from em_registration.attention.workers import Job, train_all
from em_registration.protocols.em_paper_pictures import draw
from em_registration.protocols.em_paper_rivals import rivals
from lodestone_core.config import option, section
from lodestone_core.results import Progress, Result, Row, Table, conclude, methods_of, settings_of, tell

ATTENTION = "attention"
HELD_OUT, TRAINED, FROM_GRID = "held_out", "trained_triangles", "held_out_fitted_to_grid"
# What the paper prints; its unit and its test points are not given.
REPORTED = Figures(rmse=0.6075, chamfer=0.5205, lfpr=96.08, epma=92.74)


@dataclass(frozen=True, slots=True)
class EmPaperConfig(ExperimentConfig):
    """Settings of the protocol: the experiment's, and what is trained on it."""

    training: TrainingConfig = section(TrainingConfig, doc="network and training")
    seeds: tuple[int, ...] = option((0, 1, 2, 3, 4), doc="seeds of the trainings of each variant", minimum=0)
    grid: int = option(6, doc="parts a side of the grid on the training triangles that the other methods are fitted to as well", minimum=1)
    processes: int = option(0, doc="trainings at a time, each in its own process; 0: one a core, 1: in this process", minimum=0)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Train every variant with every seed, score it and its rivals on the triangles held out. Raises InputError for bad input."""
    config = settings_of(protocol, EmPaperConfig)
    if "landmarks" in inputs:
        config = replace(config, landmarks=read_landmarks(inputs["landmarks"]))
    variants = {name: VARIANTS[name](config.training) for name in methods_of(protocol, tuple(VARIANTS))}
    experiment = prepare(config)
    models = _train(experiment, variants, config, progress)
    tell(progress, 0.93, "networks trained")
    beside, refused = rivals(experiment.tracker_mm, experiment.image_mm)
    tell(progress, 0.95, f"{len(beside)} other methods fitted to the landmarks")
    coarse = memory(experiment.training_set(), config.grid)
    from_grid, _ = rivals(coarse, experiment.labels(coarse))
    tell(progress, 0.98, f"{len(from_grid)} other methods fitted to {len(coarse)} grid points")
    found = {name: [experiment.figures(model) for model in trained] for name, trained in models.items()}
    rows = [row for name in models for row in _mean_rows(name, HELD_OUT, found[name])]
    main = next(iter(models))
    rows += _mean_rows(main, TRAINED, [experiment.figures(model, experiment.training) for model in models[main]])
    rows += [row for name, rival in beside.items() for row in _rows(name, HELD_OUT, experiment, rival.points)]
    rows += [row for name, rival in from_grid.items() for row in _rows(name, FROM_GRID, experiment, rival.points)]
    rows += _reported_rows()
    tables = [_seed_table(config.seeds, found), _point_table(experiment, models[main][0])]
    shown = draw(experiment, models, beside, out)
    return conclude(protocol, inputs, rows, tables, shown, _notes(refused, len(coarse)))


def _attention_off(training: TrainingConfig) -> TrainingConfig:
    return replace(training, network=replace(training.network, attention=False))


def _static_weights(training: TrainingConfig) -> TrainingConfig:
    return replace(training, loss=replace(training.loss, dynamic=False))


def _contrastive_off(training: TrainingConfig) -> TrainingConfig:
    return replace(training, loss=replace(training.loss, contrastive=False))


VARIANTS: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    ATTENTION: lambda training: training,
    "attention_off": _attention_off,
    "static_weights": _static_weights,
    "contrastive_off": _contrastive_off,
}


def _train(
    experiment: Experiment, variants: Mapping[str, TrainingConfig], config: EmPaperConfig, progress: Progress | None
) -> dict[str, list[AttentionModel]]:
    """Models of each variant, in the order of the seeds."""
    jobs = [Job(name, training, seed) for name, training in variants.items() for seed in config.seeds]

    def listen(share: float, what: str) -> None:
        tell(progress, 0.93 * share, what)

    models = train_all(experiment.training_set(), jobs, config.processes, listen)
    return {name: [model for job, model in zip(jobs, models, strict=True) if job.variant == name] for name in variants}


def _mean_rows(name: str, case: str, found: list[Figures]) -> list[Row]:
    """Mean over the seeds, with its 95 % interval by Student's t where there are several."""
    rows = []
    for metric, unit in UNITS.items():
        values = np.array([getattr(figures, metric) for figures in found])
        ci95 = None
        if len(values) > 1:
            half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
            highest = 100.0 if unit == "%" else np.inf
            ci95 = max(0.0, float(values.mean()) - half), min(highest, float(values.mean()) + half)
        rows.append(Row(name, case, metric, float(values.mean()), unit, len(values), ci95))
    return rows


def _rows(name: str, case: str, experiment: Experiment, mapped: PointMap) -> list[Row]:
    count = sum(int(surface.inner.sum()) for surface in experiment.held_out)
    return [Row(name, case, metric, value, UNITS[metric], count) for metric, value in asdict(experiment.figures(mapped)).items()]


def _reported_rows() -> list[Row]:
    """The paper's own figures, as context."""
    units = {name: "%" if unit == "%" else "not given" for name, unit in UNITS.items()}
    return [Row("as_reported", "its_own_test_set", name, value, units[name], 0) for name, value in asdict(REPORTED).items()]


def _seed_table(seeds: tuple[int, ...], found: Mapping[str, list[Figures]]) -> Table:
    columns = ("variant", "seed", "rmse_mm", "chamfer_mm", "lfpr_percent", "epma_percent")
    rows = [(name, seed, *asdict(f).values()) for name, every in found.items() for seed, f in zip(seeds, every, strict=True)]
    return Table("seeds", "Every training on the triangles held out", columns, tuple(rows))


def _point_table(experiment: Experiment, model: AttentionModel) -> Table:
    columns = ("triangle", "x_mm", "y_mm", "z_mm", "predicted_x_mm", "predicted_y_mm", "predicted_z_mm", "error_mm")
    rows = []
    for surface, points, truth in zip(experiment.held_out, *experiment.scored(experiment.held_out), strict=True):
        predicted = model(points)
        errors = np.linalg.norm(predicted - truth, axis=1)
        rows += [(surface.name, *t.tolist(), *p.tolist(), float(error)) for t, p, error in zip(truth, predicted, errors, strict=True)]
    return Table("points", "Every scored point in the image, as the network of the first seed maps it", columns, tuple(rows))


def _notes(refused: Mapping[str, str], points: int) -> list[str]:
    return [
        "The labels are a thin-plate spline through the six landmarks, so the row tps, which fits that spline to the same six, is zero by "
        "construction and no achievement; every figure of a network is how far it is from copying it.",
        "as_reported is what the paper prints. It gives neither unit nor test points, so the limits taken from it are read as mm here.",
        "Scored are the inner points of the triangles held out. They lie between training triangles, none outside of them.",
        f"The network sees the labels of all grid points of the other triangles; held_out fits other methods to the six landmarks alone, "
        f"{FROM_GRID} to {points} of those grid points, orientation unknown.",
        *(f"{name} does not apply to the landmarks: {reason}" for name, reason in refused.items()),
    ]
