"""What the tests of the methods share: landmarks on a body in the tracker's frame, and targets inside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lodestone_core.types import Array

CENTRE_MM, AXES_MM = np.array([20.0, -10.0, 200.0]), np.array([130.0, 90.0, 75.0])


@pytest.fixture(scope="session")
def landmarks() -> Callable[[int], Array]:
    """landmarks(count): points (count, 3) spread over an uneven ellipsoid, each as far from those before as can be."""

    def spread(count: int) -> Array:
        rng = np.random.default_rng(0)
        u = rng.normal(size=(2000, 3))
        # Uneven, since the points of an exact ellipsoid leave a polynomial of degree 2 open.
        points = rng.uniform(0.8, 1.2, size=(2000, 1)) * u / np.linalg.norm(u, axis=1, keepdims=True) * AXES_MM
        chosen, apart = [0], np.linalg.norm(points - points[0], axis=1)
        while len(chosen) < count:
            chosen.append(int(np.argmax(apart)))
            apart = np.minimum(apart, np.linalg.norm(points - points[chosen[-1]], axis=1))
        return np.asarray(points[chosen] + CENTRE_MM)

    return spread


@pytest.fixture(scope="session")
def targets() -> Array:
    """Points (16, 3) inside the body."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, size=(16, 3)) * AXES_MM + CENTRE_MM
