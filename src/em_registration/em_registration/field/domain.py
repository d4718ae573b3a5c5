"""Where the data are: how much of anything that varies over pose as widely as they do themselves they would leave open elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.field import kriging
from em_registration.methods.interface import Correspondences
from lodestone_core.types import Array

SHORTEST_MM = 50.0
TURN_RAD, TURNED_SHARE = 1.0, 0.5
_NUGGET = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Poses (n, 4, 4) of the data, the length in mm over which they spread, and L^-1 (n, n) of their covariance."""

    T: Array
    length_mm: float
    L_inverse: Array

    def beyond(self, T: Array) -> Array:
        """Share (M,) of a unit variance that is left open at poses (M, 4, 4)."""
        left: Array = 1.0 - np.sum((self.L_inverse @ _alike(self.T, T, self.length_mm)) ** 2, axis=0)
        return np.clip(left, 0.0, 1.0)


def domain_of(data: Correspondences) -> Domain:
    """Of correspondences: places count by their RMS distance from the centroid, turns by the radian."""
    points = data.T_tracker_tool[:, :3, 3]
    spread_mm = float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1))))
    length_mm = max(spread_mm, SHORTEST_MM)
    K = _alike(data.T_tracker_tool, data.T_tracker_tool, length_mm) + _NUGGET * np.eye(len(data))
    return Domain(data.T_tracker_tool, length_mm, kriging.inverse_of(np.asarray(np.linalg.cholesky(K), dtype=np.float64)[None])[0])


def _alike(A: Array, B: Array, length_mm: float) -> Array:
    """Squared exponential in the place, half of it also in the turn, (N, M)."""
    squared = np.sum((A[:, None, :3, 3] - B[None, :, :3, 3]) ** 2, axis=-1)
    turned = np.maximum(1.5 - 0.5 * A[:, :3, :3].reshape(-1, 9) @ B[:, :3, :3].reshape(-1, 9).T, 0.0)
    by_turn = 1.0 - TURNED_SHARE + TURNED_SHARE * np.exp(-turned / TURN_RAD**2)
    return np.asarray(by_turn * np.exp(-0.5 * squared / length_mm**2))
