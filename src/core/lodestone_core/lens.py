"""Lens distortion on the plane z = 1: the two models of sensor_msgs/CameraInfo, with derivatives and inverse.

`plumb_bob` (D. C. Brown, "Close-range camera calibration", Photogrammetric Engineering 37, 1971): k1 k2 p1 p2 k3.
`rational_polynomial` (D. Claus and A. W. Fitzgibbon, CVPR 2005, as OpenCV and ROS order it): k1 k2 p1 p2 k3 k4 k5 k6.
Coordinates (..., 2) are x / z and y / z of a point in the optical frame: x right, y down, z forward.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

COEFFICIENTS = {"plumb_bob": 5, "rational_polynomial": 8}
_STEPS = 50
_SMALL = 1e-14


def distort(ideal: Array, D: Array) -> Array:
    """Where the lens shows the ideal point (..., 2)."""
    x, y = ideal[..., 0], ideal[..., 1]
    k = _eight(D)
    r2 = x * x + y * y
    upper, lower = _polynomials(r2, k)
    ratio = upper / lower
    dx = x * ratio + 2.0 * k[2] * x * y + k[3] * (r2 + 2.0 * x * x)
    dy = y * ratio + k[2] * (r2 + 2.0 * y * y) + 2.0 * k[3] * x * y
    return np.stack([dx, dy], axis=-1)


def distort_derivative(ideal: Array, D: Array) -> Array:
    """d distort / d ideal, (..., 2, 2)."""
    x, y = ideal[..., 0], ideal[..., 1]
    k = _eight(D)
    r2 = x * x + y * y
    upper, lower = _polynomials(r2, k)
    ratio = upper / lower
    slope = (k[0] + r2 * (2.0 * k[1] + 3.0 * k[4] * r2) - ratio * (k[5] + r2 * (2.0 * k[6] + 3.0 * k[7] * r2))) / lower
    mixed = 2.0 * x * y * slope + 2.0 * k[2] * x + 2.0 * k[3] * y
    xx = ratio + 2.0 * x * x * slope + 2.0 * k[2] * y + 6.0 * k[3] * x
    yy = ratio + 2.0 * y * y * slope + 6.0 * k[2] * y + 2.0 * k[3] * x
    return np.stack([np.stack([xx, mixed], axis=-1), np.stack([mixed, yy], axis=-1)], axis=-2)


def coefficient_derivative(ideal: Array, D: Array) -> Array:
    """d distort / d D, (..., 2, 5 or 8)."""
    x, y = ideal[..., 0], ideal[..., 1]
    r2 = x * x + y * y
    upper, lower = _polynomials(r2, _eight(D))
    powers = np.stack([r2, r2**2, r2**3], axis=-1) / lower[..., None]
    radial = np.concatenate([powers, -powers * (upper / lower)[..., None]], axis=-1)
    rows = []
    for own, p1, p2 in ((x, 2.0 * x * y, r2 + 2.0 * x * x), (y, r2 + 2.0 * y * y, 2.0 * x * y)):
        k = own[..., None] * radial
        row = np.concatenate([k[..., :2], p1[..., None], p2[..., None], k[..., 2:]], axis=-1)
        rows.append(row[..., : len(D)])
    return np.stack(rows, axis=-2)


def undistort(shown: Array, D: Array) -> Array:
    """The ideal point that the lens shows at `shown` (..., 2); NaN where the model has none on its outgoing branch.

    Newton's method from `shown` itself. Beyond the radius at which a model of negative k1 turns back no point of the
    image has an inverse, and no number is invented for it.
    """
    shown = np.asarray(shown, dtype=np.float64)
    if not np.any(D):
        return shown.copy()
    flat = shown.reshape(-1, 2)
    ideal = flat.copy()
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            step = _solve2(distort_derivative(ideal, D), distort(ideal, D) - flat)
            ideal = ideal - step
            if not np.any(np.abs(step) > _SMALL * (1.0 + np.abs(ideal))):
                break
        wrong = np.abs(distort(ideal, D) - flat).max(axis=-1) > 1e-9 * (1.0 + np.abs(flat).max(axis=-1))
        wrong |= ~outgoing(ideal, D)
    ideal[wrong | ~np.isfinite(ideal).all(axis=-1)] = np.nan
    return ideal.reshape(shown.shape)


def outgoing(ideal: Array, D: Array) -> npt.NDArray[np.bool_]:
    """Whether (..., 2) lies where the model still goes outwards along its own ray, from the middle up to the point."""
    with np.errstate(all="ignore"):
        share = np.linspace(0.0, 1.0, 9)[1:, None]
        along = ideal.reshape(1, -1, 2) * share[..., None]
        J = distort_derivative(along, D)
        good = (J[..., 0, 0] * J[..., 1, 1] - J[..., 0, 1] * J[..., 1, 0] > 0.0) & (J[..., 0, 0] + J[..., 1, 1] > 0.0)
    return np.asarray(good.all(axis=0)).reshape(ideal.shape[:-1])


def _eight(D: Array) -> Array:
    return np.concatenate([D, np.zeros(8 - len(D))])


def _polynomials(r2: Array, k: Array) -> tuple[Array, Array]:
    """The radial polynomial above and below the line."""
    return 1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[4])), 1.0 + r2 * (k[5] + r2 * (k[6] + r2 * k[7]))


def _solve2(J: Array, r: Array) -> Array:
    """J^-1 r of (N, 2, 2) and (N, 2), without an exception for a singular one."""
    a, b, c, d = J[:, 0, 0], J[:, 0, 1], J[:, 1, 0], J[:, 1, 1]
    determinant = a * d - b * c
    return np.stack([d * r[:, 0] - b * r[:, 1], a * r[:, 1] - c * r[:, 0]], axis=-1) / determinant[:, None]
