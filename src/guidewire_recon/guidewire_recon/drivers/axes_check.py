"""Axes of a sensor that are exchanged or point backward: found by trying all 48 ways against the field that should be there.

What should be there is the calibration's background, measured when all was in order; without one, the field that most sensors
agree on, which holds in a uniform field only. A sensor is named when its own axes do not fit and exactly one other way does.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import Final

import numpy as np

from guidewire_recon.drivers.calibrated import ArrayCalibration, Calibrator
from lodestone_core.types import Array

_WAYS: Final[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = tuple(
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
)
_TURNS: Final[Array] = np.array([np.diag(signs) @ np.eye(3)[list(order)] for order, signs in _WAYS])
_SHARE, _LEAST_T = 0.1, 3e-6
_BETTER, _UNIQUE = 4.0, 2.0


def exchanged_axes(mean_counts: Array, temperature_degc: Array, calibration: ArrayCalibration) -> dict[int, str]:
    """For each sensor whose axes are exchanged or inverted: how. `mean_counts` (n, 3), NaN for a sensor without data."""
    calibrator = Calibrator(calibration)
    measured_T = calibrator.field_T(mean_counts, temperature_degc)
    expected_T = np.where(np.isfinite(calibration.background_T), calibration.background_T, _agreed_T(measured_T))
    # Of every way, the residual of every sensor: (48, n).
    turned = np.stack([calibrator.field_T(mean_counts @ turn.T, temperature_degc) for turn in _TURNS])
    residual_T = np.linalg.norm(turned - expected_T, axis=2)
    judged = np.flatnonzero(np.isfinite(residual_T).all(axis=0))
    limits_T = np.maximum(_LEAST_T, _SHARE * np.linalg.norm(expected_T, axis=1))
    fitting = [index for index in judged if residual_T[0, index] < limits_T[index]]
    found = {int(i): text for i in judged if (text := _other_way(residual_T[:, i], float(limits_T[i])))}
    # Where most sensors fit in no way, another field is there than was expected, and one that fits does so by chance.
    return found if 2 * (len(fitting) + len(found)) > len(judged) else {}


def _other_way(residual_T: Array, limit_T: float) -> str:
    """How a sensor with these residuals (48,) is turned; empty when it is as it should be, or fits in no way."""
    best, second = np.argsort(residual_T)[:2]
    if best == 0 or residual_T[0] < max(limit_T, _BETTER * residual_T[best]) or residual_T[best] > limit_T:
        return ""
    return _text(_WAYS[best], bool(residual_T[second] > _UNIQUE * residual_T[best]))


def _agreed_T(measured_T: Array) -> Array:
    """The field that most sensors agree on (3,); NaN when they do not."""
    known = measured_T[np.isfinite(measured_T).all(axis=1)]
    if len(known) < 3:
        return np.full(3, np.nan)
    middle = np.median(known, axis=0)
    limit_T = max(_LEAST_T, _SHARE * float(np.linalg.norm(middle)))
    agreeing = np.linalg.norm(known - middle, axis=1) < limit_T
    return middle if 2 * int(agreeing.sum()) > len(known) else np.full(3, np.nan)


def _text(way: tuple[tuple[int, ...], tuple[int, ...]], unique: bool) -> str:
    order, signs = way
    # The turn takes what is shown to what should be shown: place `order[k]` of the sensor holds axis k.
    shown = [""] * 3
    for axis, (place, sign) in enumerate(zip(order, signs, strict=True)):
        shown[place] = ("-" if sign < 0 else "") + "xyz"[axis]
    return f"its x, y, z come as {', '.join(shown)}" if unique else "more than one way fits"
