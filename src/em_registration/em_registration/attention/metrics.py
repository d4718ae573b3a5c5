"""RMSE, Chamfer distance, local feature preservation rate and end-to-end point mapping accuracy (equation 11).

Where the print leaves a choice it is stated: distances are not squared in CD, and LFPR is the share of common members of the two sets of k
nearest neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from lodestone_core.checks import as_points
from lodestone_core.errors import InputError
from lodestone_core.metrics import distances, root_mean_square
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class Figures:
    """The four figures of one set of predictions: mm, mm, %, %."""

    rmse: float
    chamfer: float
    lfpr: float
    epma: float


UNITS = {"rmse": "mm", "chamfer": "mm", "lfpr": "%", "epma": "%"}


def chamfer(predicted: Array, truth: Array) -> float:
    """Mean distance in mm from each predicted point (N, 3) to the nearest true one (M, 3), plus the mean the other way round."""
    there, _ = cKDTree(truth).query(predicted)
    back, _ = cKDTree(predicted).query(truth)
    return float(np.mean(there) + np.mean(back))


def local_feature_preservation(predicted: Array, truth: Array, neighbours: int) -> float:
    """Mean share in % of the k nearest neighbours of a true point (N, 3) that are also nearest neighbours of its prediction (N, 3).

    Raises InputError for fewer than k + 2 points, where there is nothing to choose.
    """
    as_points("points of a surface", truth, at_least=neighbours + 2)
    near, kept = _neighbours(predicted, neighbours), _neighbours(truth, neighbours)
    common = (near[:, :, None] == kept[:, None, :]).any(axis=2)
    return 100.0 * float(np.mean(common))


def mapping_accuracy(predicted: Array, truth: Array, tolerance_mm: float) -> float:
    """Share in % of the predicted points (N, 3) that are less than the tolerance from their true ones (N, 3)."""
    return 100.0 * float(np.mean(distances(predicted, truth) < tolerance_mm))


def figures(predicted: list[Array], truth: list[Array], neighbours: int, tolerance_mm: float) -> Figures:
    """The four figures over surfaces, each a set of points (N, 3) in mm: RMSE, CD and EPMA over the points of all surfaces together.

    Neighbours are looked for on the point's own surface: the grid of a triangle is the local structure that is to be kept.
    """
    if not predicted or [len(p) for p in predicted] != [len(t) for t in truth]:
        got = f"{[len(p) for p in predicted]} and {[len(t) for t in truth]} points"
        raise InputError("surfaces", expected="as many predicted as true points on each", got=got, remedy="predict every point once")
    rates = [local_feature_preservation(p, t, neighbours) for p, t in zip(predicted, truth, strict=True)]
    every, true = np.concatenate(predicted), np.concatenate(truth)
    return Figures(
        rmse=float(root_mean_square(distances(every, true))),
        chamfer=chamfer(every, true),
        lfpr=float(np.average(rates, weights=[len(t) for t in truth])),
        epma=mapping_accuracy(every, true, tolerance_mm),
    )


def _neighbours(points: Array, count: int) -> Array:
    """Indices (N, k) of the k nearest other points of each point (N, 3)."""
    _, nearest = cKDTree(points).query(points, k=count + 1)
    found = np.asarray(nearest)
    own = found == np.arange(len(points))[:, None]
    # Where points coincide a point may not be the first of its own neighbours, or not among them at all.
    own[~own.any(axis=1), -1] = True
    return np.asarray(found[~own].reshape(len(points), count))
