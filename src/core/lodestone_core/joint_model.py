"""The model of two trackers on one rigid tool: T_ref_marker = T_ref_em @ T_em_sensor @ T_sensor_marker.

`E` are the poses T_em_sensor and `Q` the poses T_ref_marker, (N, 4, 4) in mm; X is T_ref_em, B is T_sensor_marker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lodestone_core import se3
from lodestone_core.paired_points_checks import rigid_fit
from lodestone_core.types import Array

_TRIMS = 3
_CLUSTERS_PER_UNKNOWN = 3


def residuals(X: Array, B: Array, E: Array, Q: Array) -> Array:
    """Position and rotation (N, 6) of the predicted marker against the measured one: mm along ref, rad along the marker."""
    predicted = X @ E @ B
    return np.concatenate([predicted[:, :3, 3] - Q[:, :3, 3], _turn(predicted, Q)], axis=1)


def jacobians(X: Array, B: Array, E: Array, Q: Array) -> tuple[Array, Array]:
    """Derivatives (N, 6, 6) of `residuals` by the left tangents of X and of B."""
    XE = X @ E
    predicted = XE @ B
    to_turn = se3.left_jacobian_inverse(_turn(predicted, Q)) @ np.swapaxes(Q[:, :3, :3], 1, 2)
    by_X, by_B = np.zeros((len(E), 6, 6)), np.zeros((len(E), 6, 6))
    by_X[:, :3, :3] = np.eye(3)
    by_X[:, :3, 3:] = -se3.hat(predicted[:, :3, 3])
    by_X[:, 3:, 3:] = to_turn
    by_B[:, :3, :3] = XE[:, :3, :3]
    by_B[:, :3, 3:] = -XE[:, :3, :3] @ se3.hat(B[:3, 3])
    by_B[:, 3:, 3:] = to_turn @ XE[:, :3, :3]
    return by_X, by_B


def closed_form(pairs: Mapping[str, tuple[Array, Array]], lever_mm: float) -> tuple[Array, dict[str, Array], float]:
    """Start for pairs name -> (E, Q): X, B per name, and the median residual in mm (rotations at `lever_mm`).

    The relative rotations of the two trackers have one axis seen in two frames (R. Y. Tsai and R. K. Lenz, IEEE Trans.
    Robot. Autom. 5(3), 1989); where the tool hardly turned, its positions tell the rotation better. Both are tried on
    every sensor, with the worse half of the data left out, and the start that fits best is kept.
    """
    best: tuple[Array, dict[str, Array], float] | None = None
    for E, Q in pairs.values():
        for X in _candidates(E, Q):
            offsets = {name: _offset(X, *pair) for name, pair in pairs.items()}
            misfit = np.concatenate([residuals(X, offsets[name], *pair) for name, pair in pairs.items()])
            median = float(np.median(np.linalg.norm(misfit * ([1.0] * 3 + [lever_mm] * 3), axis=1)))
            if best is None or median < best[2]:
                best = (X, offsets, median)
    assert best is not None, "no pairs"
    return best


def cluster_size(correlated_poses: int, poses: int, unknowns: int) -> int:
    """Residuals of so many consecutive poses as still leave clusters enough for a sandwich covariance; 0 for none."""
    affordable = min(correlated_poses, poses // (_CLUSTERS_PER_UNKNOWN * unknowns))
    return 6 * affordable


def _turn(predicted: Array, Q: Array) -> Array:
    """Rotation vector (N, 3) from the measured to the predicted marker, along the marker's axes."""
    relative = np.swapaxes(Q[:, :3, :3], 1, 2) @ predicted[:, :3, :3]
    return np.asarray(se3.log(se3.make(relative, np.zeros(3)))[:, 3:])


def _candidates(E: Array, Q: Array) -> Iterator[Array]:
    """X from relative rotations, and X from positions as if the marker sat in the sensor."""
    a, b = _relative_turns(E), _relative_turns(Q)
    R = _trimmed_rotation(np.concatenate([a, -a]), np.concatenate([b, -b]))
    yield _with_translation(R, E, Q)
    R = _trimmed_rotation(E[:, :3, 3], Q[:, :3, 3])
    yield se3.make(R, np.median(Q[:, :3, 3] - E[:, :3, 3] @ R.T, axis=0))


def _relative_turns(T: Array) -> Array:
    """Rotation vectors (2 N, 3), parent frame, between poses a third and half of the recording apart."""
    R = T[:, :3, :3]
    turns = [R @ np.swapaxes(np.roll(R, len(R) // part, axis=0), 1, 2) for part in (2, 3)]
    return np.asarray(se3.log(se3.make(np.concatenate(turns), np.zeros(3)))[:, 3:])


def _trimmed_rotation(a: Array, b: Array) -> Array:
    """Rotation of b = R a about centroids, fitted again without the half that fits worst."""
    kept = np.arange(len(a))
    for _ in range(_TRIMS):
        R, _ = rigid_fit(a[kept], b[kept])
        apart = (b - b[kept].mean(axis=0)) - (a - a[kept].mean(axis=0)) @ R.T
        kept = np.argsort(np.linalg.norm(apart, axis=1), kind="stable")[: (len(a) + 1) // 2 + 1]
    return R


def _with_translation(R: Array, E: Array, Q: Array) -> Array:
    """X with the translation that goes with its rotation: Q_t - R E_t = R E_R b + x, linear in b and x."""
    A = np.concatenate([R @ E[:, :3, :3], np.broadcast_to(np.eye(3), (len(E), 3, 3))], axis=2).reshape(-1, 6)
    y = Q[:, :3, 3] - E[:, :3, 3] @ R.T
    return se3.make(R, np.linalg.lstsq(A, y.ravel(), rcond=1e-6)[0][3:])


def _offset(X: Array, E: Array, Q: Array) -> Array:
    """B by X: median translation and mean rotation of the half nearest to the first estimate."""
    B = se3.inverse(X @ E) @ Q
    mean = _mean_rotation(B[:, :3, :3])
    near = np.argsort(se3.geodesic(se3.make(mean, np.zeros(3)), B), kind="stable")[: (len(B) + 1) // 2]
    return se3.make(_mean_rotation(B[near, :3, :3]), np.median(B[:, :3, 3], axis=0))


def _mean_rotation(R: Array) -> Array:
    """Rotation nearest to the arithmetic mean of rotations (N, 3, 3)."""
    U, _, Vt = np.linalg.svd(R.mean(axis=0))
    return np.asarray(U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt)
