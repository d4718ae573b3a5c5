"""Figures, tables and pictures of `em_internal`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from lodestone_cli.protocols.internal_config import Cell, EmInternalConfig
from lodestone_cli.protocols.internal_scoring import FIELD, Floats, Scores
from lodestone_core.metrics import radius_ratio
from lodestone_core.results import Picture, Row, Table
from lodestone_core.results.maps import curves, heat_maps
from lodestone_core.types import Array

RIGID = "rigid"
ALL = "all cells"


def rows_of(scores: Scores, config: EmInternalConfig, judged: Sequence[str], seed: int) -> list[Row]:
    """What the limits are about: each judged method against rigid in every cell, and over groups of cells."""
    cells = list(config.cells())
    rows = [row for method in judged for cell in cells for row in _cell_rows(scores, method, cell, config, seed)]
    rows += [row for method in judged for row in _overall(scores, method, cells)]
    methods = sorted({method for method, _ in scores if method != RIGID}, key=lambda name: (name not in judged, name))
    for method in methods:
        for landmarks in config.landmarks:
            for noises in (tuple(n for n in config.noise_mm if n <= 0.3), tuple(n for n in config.noise_mm if n > 0.3)):
                group = [c for c in cells if c.landmarks == landmarks and c.noise_mm in noises and c.distortion_mm >= 2.0]
                rows += _group_rows(scores, method, group)
    return rows


def cell_table(scores: Scores, config: EmInternalConfig, name: str, caption: str) -> Table:
    """Every method in every cell."""
    columns = ("landmarks", "noise_mm", "distortion_mm", "method", "mean_tre_mm", "p95_mm", "over_rigid", "coverage_95", "median_radius_mm")
    rows = []
    for (method, cell), found in sorted(scores.items(), key=lambda item: (item[0][1].landmarks, str(item[0][1]), item[0][0])):
        ratio = float(found.error_mm.mean() / scores[RIGID, cell].error_mm.mean())
        inside = float((found.error_mm <= found.radius_mm).mean())
        figures = (float(found.error_mm.mean()), float(np.percentile(found.error_mm, 95)), ratio, inside, float(np.median(found.radius_mm)))
        rows.append((cell.landmarks, cell.noise_mm, cell.distortion_mm, method, *figures))
    return Table(name, caption, columns, tuple(rows))


def pictures_of(scores: Scores, config: EmInternalConfig, out: Path) -> list[Picture]:
    """Ratio to rigid and coverage by cell, and the error by number of landmarks."""
    rows = [f"{n} landmarks" for n in config.landmarks]
    columns = [f"{d:g} mm" for d in config.distortion_mm]
    ratio = {f"noise {noise:g} mm": _map(scores, config, noise, _ratio) for noise in config.noise_mm}
    inside = {f"noise {noise:g} mm": _map(scores, config, noise, _coverage) for noise in config.noise_mm}
    labels = ("landmarks", "mean TRE (mm)")
    x, by_method, told = _by_landmarks(scores, config)
    return [
        heat_maps(out / "over_rigid.png", rows, columns, ratio, "Mean TRE of pose_field over that of rigid, by distortion (across)."),
        heat_maps(out / "coverage.png", rows, columns, inside, "Errors within the predicted 95 % radius, by distortion (across)."),
        curves(out / "by_landmarks.png", x, by_method, f"Mean TRE of every method, {told}.", labels),
    ]


def harm_mm(candidate: Floats, rigid: Floats, config: EmInternalConfig, seed: int) -> float:
    """Upper 95 % bound (paired bootstrap over scenes) of how much the mean TRE is above rigid's, less what is allowed; (S, 16) each."""
    difference, reference = (np.asarray(error, dtype=np.float64).mean(axis=1) for error in (candidate, rigid))
    difference = difference - reference
    picked = np.random.default_rng(seed).integers(0, len(difference), (config.resamples, len(difference)))
    allowed = np.maximum(config.allowed_share * reference[picked].mean(axis=1), config.allowed_mm)
    return float(np.quantile(difference[picked].mean(axis=1) - allowed, 0.95))


def _cell_rows(scores: Scores, method: str, cell: Cell, config: EmInternalConfig, seed: int) -> Iterable[Row]:
    found, rigid = scores[method, cell], scores[RIGID, cell]
    n, case = found.error_mm.size, str(cell)
    inside = float((found.error_mm <= found.radius_mm).mean())
    ratio = radius_ratio(found.error_mm.ravel(), found.radius_mm.ravel()).value
    yield Row(method, case, "beyond_allowed_harm", harm_mm(found.error_mm, rigid.error_mm, config, seed), "mm", n)
    yield Row(method, case, "coverage_95", inside, "1", n)
    yield Row(method, case, "coverage_95_top", inside, "1", n)
    yield Row(method, case, "radius_ratio", ratio, "1", n)


def _overall(scores: Scores, method: str, cells: Sequence[Cell]) -> Iterable[Row]:
    inside = np.concatenate([(scores[method, cell].error_mm <= scores[method, cell].radius_mm).ravel() for cell in cells])
    for name in ("coverage_95_overall", "coverage_95_overall_top"):
        yield Row(method, ALL, name, float(inside.mean()), "1", len(inside))


def _group_rows(scores: Scores, method: str, group: Sequence[Cell]) -> list[Row]:
    group = [cell for cell in group if (method, cell) in scores]
    if not group:
        return []
    noises = sorted({cell.noise_mm for cell in group})
    case = f"{group[0].landmarks} landmarks, noise {' / '.join(f'{n:g}' for n in noises)} mm, distortion >= 2 mm"
    ratios = [_ratio(scores, cell, method) for cell in group]
    means = [float(np.mean([scores[name, cell].error_mm.mean() for cell in group])) for name in (method, RIGID)]
    n = sum(scores[method, cell].error_mm.size for cell in group)
    return [
        Row(method, case, "tre_over_rigid", means[0] / means[1], "1", n),
        Row(method, case, "tre_over_rigid_worst_cell", max(ratios), "1", n),
    ]


def _ratio(scores: Scores, cell: Cell, method: str = FIELD) -> float:
    return float(scores[method, cell].error_mm.mean() / scores[RIGID, cell].error_mm.mean())


def _coverage(scores: Scores, cell: Cell) -> float:
    found = scores[FIELD, cell]
    return float((found.error_mm <= found.radius_mm).mean())


def _map(scores: Scores, config: EmInternalConfig, noise_mm: float, figure: Callable[[Scores, Cell], float]) -> Array:
    return np.array([[figure(scores, Cell(d, noise_mm, n)) for d in config.distortion_mm] for n in config.landmarks])


def _by_landmarks(scores: Scores, config: EmInternalConfig) -> tuple[Array, dict[str, Array], str]:
    noise = config.noise_mm[len(config.noise_mm) // 2]
    distortion = min(config.distortion_mm, key=lambda d: abs(d - 5.0))
    found = {}
    for method in sorted({method for method, _ in scores}):
        keys = [(method, Cell(distortion, noise, n)) for n in config.landmarks]
        found[method] = np.array([scores[key].error_mm.mean() if key in scores else np.nan for key in keys])
    return np.array(config.landmarks, dtype=np.float64), found, f"noise {noise:g} mm, distortion {distortion:g} mm"
