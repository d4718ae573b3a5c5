"""How alike the distortion of two poses is: by the distance of the places, and by the turn between the orientations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.field.config import Hypotheses
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """How far N poses are from M others: squared distance in mm^2 and 1 - cos of the angle between them, both (..., N, M)."""

    squared_mm2: Array
    turn: Array


def apart(T_a: Array, T_b: Array, points_a: Array, points_b: Array) -> Apart:
    """Between poses (..., N, 4, 4) with tips (..., N, 3) and poses (..., M, 4, 4) with tips (..., M, 3)."""
    squared = np.sum(points_a**2, axis=-1)[..., :, None] + np.sum(points_b**2, axis=-1)[..., None, :]
    squared = squared - 2.0 * points_a @ np.swapaxes(points_b, -1, -2)
    Ra = T_a[..., :3, :3].reshape(*T_a.shape[:-2], 9)
    Rb = T_b[..., :3, :3].reshape(*T_b.shape[:-2], 9)
    cosine = 0.5 * (Ra @ np.swapaxes(Rb, -1, -2) - 1.0)
    return Apart(np.maximum(squared, 0.0), np.maximum(1.0 - cosine, 0.0))


def covariance(between: Apart, h: Hypotheses) -> Array:
    """r^2 k in units of the noise variance: (N, M) for each hypothesis (P,) gives (P, N, M); leading axes of `between` broadcast with P.

    Squared exponential in the place; a share of it also in the orientation, as exp(-(1 - cos theta) / turn^2), which is positive definite
    on rotations since 1 - cos theta is a quarter of their squared Frobenius distance.
    """
    length, turn, share, ratio = (values[:, None, None] for values in (h.length_mm, h.turn_rad, h.turned_share, h.ratio))
    by_turn = 1.0 - share + share * np.exp(-between.turn / turn**2)
    return np.asarray(ratio**2 * by_turn * np.exp(-0.5 * between.squared_mm2 / length**2))
