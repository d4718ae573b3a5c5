"""Correspondences from which no map follows, each refused by name before any method fits them.

Too few, duplicate, collinear, mirrored, in other units and wrongly paired: `lodestone_core.paired_points_checks`, by how
well a rigid motion fits. Distortion of a few millimetres hides an exchange of neighbours from that, but no distortion
folds space: where two landed points lie the other way round than their partners, their names are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from em_registration.methods.interface import Correspondences
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.paired_points_checks import (
    Order,
    PairedPointsConfig,
    check_pairing,
    check_shape,
    check_size,
    extent,
    rigid_fit,
)
from lodestone_core.types import Array

_ASSIGNMENTS = 5


@dataclass(frozen=True, slots=True)
class CorrespondenceConfig:
    """When correspondences are refused."""

    points: PairedPointsConfig = section(PairedPointsConfig, doc="what paired points may not be")
    min_volume_ratio: float = option(
        0.02, doc="points whose third extent is less than this share of the first lie in a plane", minimum=0.0, maximum=1.0
    )
    min_exchange_mm: float = option(5.0, unit="mm", doc="an exchange of points nearer than this is not looked for", minimum=0.0)
    exchange_factor: float = option(3.0, doc="exchanged points must fit so many times better to be named", minimum=1.0)
    stray_share: float = option(0.8, doc="share of the points' extent by which a pair must miss the others to be refused", minimum=0.0)
    stray_factor: float = option(10.0, doc="and how many times farther than they miss each other", minimum=1.0)


_DEFAULTS = CorrespondenceConfig()


def check_correspondences(
    correspondences: Correspondences, at_least: int = 3, *, volume: bool = False, config: CorrespondenceConfig = _DEFAULTS
) -> None:
    """Refuse correspondences of which a method cannot make a map.

    `at_least`: how many pairs the method needs. `volume`: whether it needs points that are not all in one plane.
    Raises InputError that names what is wrong and, where single pairs are to blame, which.
    """
    source, target, names = correspondences.tracker_mm, correspondences.image_mm, correspondences.names
    if len(correspondences) < at_least:
        remedy = "collect more, spread around the target, or take a method that needs fewer"
        raise InputError("correspondences", expected=f"at least {at_least} for this method", got=len(correspondences), remedy=remedy)
    check_size(source, target, config.points)
    for label, points in (("tracker", source), ("image", target)):
        check_shape(label, points, names, config.points)
        if volume:
            _check_volume(label, points, config)
    R, fre_mm = rigid_fit(source, target)
    check_pairing(source, target, fre_mm, names, config.points)
    _check_exchange(source, target, R, names, config)
    _check_stray(source, target, names, config)


def _check_volume(label: str, points: Array, config: CorrespondenceConfig) -> None:
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if singular[2] < config.min_volume_ratio * singular[0]:
        raise InputError(
            f"{label} points",
            expected="points that span a volume",
            got=f"{len(points)} coplanar points (third extent {singular[2] / singular[0]:.1%} of the first)",
            remedy="add a point away from their plane, or take a method that needs no volume",
        )


def _check_exchange(source: Array, target: Array, R: Array, names: Sequence[str], config: CorrespondenceConfig) -> None:
    """Refuse names whose exchange brings the points named far nearer to their partners."""
    order, distance = _nearest_pairing(source, target, R)
    moved = np.flatnonzero(order != np.arange(len(order))).tolist()
    if not moved:
        return
    given, better = _rms(distance[moved, moved]), _rms(distance[moved, order[moved]])
    apart = float(np.min(np.linalg.norm(target[moved] - target[order[moved]], axis=1)))
    if apart < config.min_exchange_mm or given < config.exchange_factor * better:
        return
    pairs = ", ".join(f"tracker {names[int(order[i])]} with image {names[i]}" for i in moved)
    raise InputError(
        "pairing of the correspondences",
        expected="each tracker point paired with its own image point",
        got=f"{len(moved)} points that miss by {given:.3g} mm, but by {better:.3g} mm with {pairs}",
        remedy="put the names right",
    )


def _nearest_pairing(source: Array, target: Array, R: Array) -> tuple[Order, Array]:
    """For each target point the source point that lands with it, and distances (N, N) of targets from landed sources."""
    order = np.arange(len(source), dtype=np.intp)
    for _ in range(_ASSIGNMENTS):
        landed = (source - source[order].mean(axis=0)) @ R.T + target.mean(axis=0)
        distance = np.asarray(np.linalg.norm(target[:, None] - landed, axis=2))
        if np.array_equal(np.argmin(distance, axis=1), order):
            break
        last, order = order, np.asarray(linear_sum_assignment(distance**2)[1], dtype=np.intp)
        if np.array_equal(order, last):
            break
        R, _ = rigid_fit(source[order], target)
    return order, distance


def _check_stray(source: Array, target: Array, names: Sequence[str], config: CorrespondenceConfig) -> None:
    """Refuse a pair that lies far off where all others agree: named after a point that is not among them."""
    if len(source) < 5:
        return
    _, fre_mm = rigid_fit(source, target)
    # The fit bends towards a stray pair, which keeps more than a third of its miss as residual.
    if fre_mm * np.sqrt(len(source)) < config.stray_share * extent(target) / 3.0:
        return
    misses = [_miss(source, target, i) for i in range(len(source))]
    worst = int(np.argmax([miss / max(fre, 1e-9) for miss, fre in misses]))
    miss, fre = misses[worst]
    if miss > config.stray_share * extent(target) and miss > config.stray_factor * fre:
        raise InputError(
            f"correspondence {names[worst]}",
            expected="tracker and image point of the same place",
            got=f"{miss:.3g} mm between them, where the others agree to {fre:.3g} mm",
            remedy="put its name right, or collect it again",
        )


def _miss(source: Array, target: Array, left_out: int) -> tuple[float, float]:
    """How far a pair (mm) is off under the rigid fit of the others, and their residual RMS (mm)."""
    kept = np.arange(len(source)) != left_out
    R, fre = rigid_fit(source[kept], target[kept])
    landed = R @ (source[left_out] - source[kept].mean(axis=0)) + target[kept].mean(axis=0)
    return float(np.linalg.norm(landed - target[left_out])), fre


def _rms(lengths: Array) -> float:
    return float(np.sqrt(np.mean(lengths**2)))
