"""What paired points may not be: too few, on a line, twice the same, in other units, mirrored, or wrongly paired.

Scale and shape need no registration. A mirror or a wrong pairing is claimed only when the points as given fit badly
*and* the alternative fits far better, so that noise alone never triggers it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.types import Array

Order = npt.NDArray[np.intp]

# Up to 7 points all pairings are tried (5040); beyond, exchanges of two (to 12 points also three) until none helps.
_EXHAUSTIVE, _TRIPLES, _SEARCHED = 7, 12, 60
_KNOWN_RATIOS = ((1000.0, "metres"), (25.4, "inches"), (10.0, "centimetres"))


@dataclass(frozen=True, slots=True)
class PairedPointsConfig:
    """When paired points are refused."""

    min_separation_mm: float = option(0.5, unit="mm", doc="two points of one set nearer than this are the same point", minimum=0.0)
    min_spread_ratio: float = option(
        0.02, doc="points whose second extent is less than this share of the first lie on a line", minimum=0.0, maximum=1.0
    )
    max_size_ratio: float = option(1.5, doc="factor by which the two sets may differ in size", minimum=1.0)
    suspicious_fre_share: float = option(
        0.02, doc="residual, as a share of the points' extent, from which a mirror or a wrong pairing is looked for", minimum=0.0
    )
    better_factor: float = option(5.0, doc="a mirror or another pairing must fit so many times better to be named", minimum=1.0)


def extent(points: Array) -> float:
    """RMS distance (mm) of points (N, 3) from their centroid."""
    return float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))


def check_shape(label: str, points: Array, names: Sequence[str], config: PairedPointsConfig) -> None:
    """Refuse points (N, 3) that are on a line or twice the same."""
    apart = _distances(points) + np.diag(np.full(len(points), np.inf))
    i, j = divmod(int(np.argmin(apart)), len(points))
    if apart[i, j] < config.min_separation_mm:
        raise InputError(
            f"{label} points",
            expected=f"points at least {config.min_separation_mm:g} mm apart",
            got=f"{names[i]} and {names[j]} {apart[i, j]:.3g} mm apart",
            remedy="remove the duplicate, or give millimetres if these are metres",
        )
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if singular[1] < config.min_spread_ratio * singular[0]:
        raise InputError(
            f"{label} points",
            expected="points that span a plane",
            got=f"{len(points)} collinear points (second extent {singular[1] / singular[0]:.1%} of the first)",
            remedy="add a point away from their line",
        )


def check_size(source: Array, target: Array, config: PairedPointsConfig) -> None:
    """Refuse sets of different size: other units, or not the same object."""
    ratio = extent(target) / extent(source)
    if 1.0 / config.max_size_ratio <= ratio <= config.max_size_ratio:
        return
    small, factor = ("source", ratio) if ratio > 1.0 else ("target", 1.0 / ratio)
    unit = next((name for known, name in _KNOWN_RATIOS if 0.7 < factor / known < 1.4), None)
    remedy = f"the {small} points look like {unit}: convert them to millimetres" if unit else "check units and pairing"
    raise InputError(
        "sizes of the point sets",
        expected="the same in source and target, in millimetres",
        got=f"{extent(source):.4g} and {extent(target):.4g} (factor {factor:.4g})",
        remedy=remedy,
    )


def check_pairing(source: Array, target: Array, fre_mm: float, names: Sequence[str], config: PairedPointsConfig) -> None:
    """Refuse sets that a mirror or another pairing brings together far better than the pairing given."""
    if fre_mm < config.suspicious_fre_share * extent(target):
        return
    order = better_pairing(source, target)
    _, repaired = rigid_fit(source[order], target)
    _, mirrored = rigid_fit(source * (1.0, 1.0, -1.0), target)
    limit = fre_mm / config.better_factor
    if mirrored <= min(limit, repaired):
        raise InputError(
            "point sets",
            expected="source and target of the same handedness",
            got=f"mirrored sets (residual {fre_mm:.3g} mm, {mirrored:.3g} mm after a reflection)",
            remedy="flip one axis of one set: LPS against RAS, or a left-handed export",
        )
    if repaired < limit:
        moved = [f"source {names[k]} with target {names[i]}" for i, k in enumerate(order) if i != k]
        raise InputError(
            "pairing of the points",
            expected="each source point paired with its own target point",
            got=f"a residual of {fre_mm:.3g} mm, but {repaired:.3g} mm with " + ", ".join(moved),
            remedy="put the names right",
        )


def rigid_fit(source: Array, target: Array, weights: Array | None = None) -> tuple[Array, float]:
    """Rotation (3, 3) of the weighted least-squares fit of centred sets, and its residual RMS (weighted, mm).

    Arun's SVD with the determinant set right: K. S. Arun et al., IEEE PAMI 9(5), 1987; S. Umeyama, IEEE PAMI 13(4), 1991.
    """
    w = np.ones(len(source)) if weights is None else weights
    a = source - np.average(source, axis=0, weights=w)
    b = target - np.average(target, axis=0, weights=w)
    U, _, Vt = np.linalg.svd((w[:, None] * b).T @ a)
    R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    return R, float(np.sqrt(np.average(np.sum((a @ R.T - b) ** 2, axis=1), weights=w)))


def better_pairing(source: Array, target: Array) -> Order:
    """Order of the source points whose mutual distances agree best with those of the target, rigid motions left out."""
    D_source, D_target = _distances(source), _distances(target)
    count = len(source)
    order = np.arange(count, dtype=np.intp)
    if count <= _EXHAUSTIVE:
        return _least(_all_orders(count), D_source, D_target)
    while count <= _SEARCHED:
        best = _least(order[_exchanges(count)], D_source, D_target) if count <= _TRIPLES else _exchanged(order, D_source, D_target)
        if np.array_equal(best, order):
            break
        order = best
    return order


def _least(orders: Order, D_source: Array, D_target: Array) -> Order:
    """Of orders (K, N) the one of least misfit; the given one, which comes first, wins a tie."""
    i, j = np.triu_indices(len(D_target), k=1)
    misfit = np.sum((D_source[orders[:, i], orders[:, j]] - D_target[i, j]) ** 2, axis=1)
    return np.asarray(orders[int(np.flatnonzero(misfit <= misfit.min() * (1.0 + 1e-9))[0])])


def _exchanged(order: Order, D_source: Array, D_target: Array) -> Order:
    """This order with the two exchanged that lower the misfit most, or as it is where no exchange does."""
    D = D_source[np.ix_(order, order)]
    # The misfit is a constant less twice the sum of D * D_target; an exchange of a and b changes that sum by
    # 2 (G_ab + G_ba - G_aa - G_bb + 2 D_ab D_target_ab) with G = D D_target.
    G = D @ D_target
    own = np.diag(G)
    gain = G + G.T - own[:, None] - own + 2.0 * D * D_target
    a, b = divmod(int(np.argmax(gain)), len(order))
    if gain[a, b] <= 1e-9 * np.sum(D_target**2):
        return order
    changed = order.copy()
    changed[[a, b]] = order[[b, a]]
    return changed


@cache
def _all_orders(count: int) -> Order:
    return np.array(list(itertools.permutations(range(count))), dtype=np.intp)


@cache
def _exchanges(count: int) -> Order:
    """The order as it is (first), with every two exchanged, and with every three turned round, either way (K, N)."""
    threes = list(itertools.combinations(range(count), 3))
    places = [(), *itertools.combinations(range(count), 2), *threes, *(three[::-1] for three in threes)]
    orders = np.tile(np.arange(count, dtype=np.intp), (len(places), 1))
    for order, moved in zip(orders, places, strict=True):
        order[list(moved)] = np.roll(moved, 1)
    return orders


def _distances(points: Array) -> Array:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=-1))
