"""Which directions a rotation recording has seen, from the sensor's own axes."""

from __future__ import annotations

import numpy as np

from lodestone_core.types import Array

DIRECTIONS = 60
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


def sphere(count: int = DIRECTIONS) -> Array:
    """Directions (count, 3), spread evenly (Fibonacci's lattice)."""
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle = _GOLDEN * np.arange(count)
    rho = np.sqrt(1.0 - z * z)
    return np.column_stack([rho * np.cos(angle), rho * np.sin(angle), z])


def covered(fields: Array, near_deg: float) -> Array:
    """Which of the directions of `sphere()` have a field (N, 3) within that angle (1.0 or 0.0)."""
    usable = fields[np.isfinite(fields).all(axis=1)]
    if not len(usable):
        return np.zeros(DIRECTIONS)
    u = usable / np.linalg.norm(usable, axis=1, keepdims=True)
    return np.asarray((sphere() @ u.T).max(axis=1) >= np.cos(np.radians(near_deg)), dtype=np.float64)


def in_words(seen: Array) -> str:
    """Where the largest gap is: the mean direction of what was not seen."""
    missing = sphere()[seen == 0.0]
    if not len(missing):
        return "all directions seen"
    mean = missing.mean(axis=0)
    axis = int(np.argmax(np.abs(mean)))
    sign = "+" if mean[axis] > 0 else "-"
    return f"{len(missing)} of {len(seen)} directions not seen, most of them about {sign}{'xyz'[axis]}"
