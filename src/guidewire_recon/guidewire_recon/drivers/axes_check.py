"""Axes of a sensor that are exchanged or point backward: found by trying all 48 ways against the field that should be there.

What should be there is the calibration's background, measured when all was in order, and what most sensors show beside it; without one,
the field that most sensors agree on, which holds in a uniform field only. A sensor is named when its own axes do not fit and another way
does, and when it stands alone: a magnet or a wire beside the array changes the field at the sensors around it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Final

import numpy as np
import numpy.typing as npt

from guidewire_recon.drivers.ak09940a import T_PER_COUNT
from guidewire_recon.drivers.calibrated import ArrayCalibration, Calibrator
from guidewire_recon.types import Counts, Flags
from lodestone_core.types import Array

_WAYS: Final[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = tuple(
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
)
TURNS: Final[Array] = np.array([np.diag(signs) @ np.eye(3)[list(order)] for order, signs in _WAYS])
"""Of every way (48, 3, 3): what takes the axes that are shown to those that should be shown. The first one changes nothing."""
_SHARE, _LEAST_T, _NEAR_T, _QUIET_T = 0.1, 3e-6, 1e-6, 0.5e-6
_BETTER, _UNIQUE, _RIGHT = 4.0, 2.0, 0.5
_ALONE: Final = 16.0
"""A dipole 20 mm above a sensor is 11 times as strong there as 40 mm beside it, 23 times at 15 mm."""
_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Way:
    """How the axes of a sensor come: an index into TURNS, never 0. `unique`: no other way fits as well."""

    index: int
    unique: bool

    def __str__(self) -> str:
        """In words."""
        if not self.unique:
            return "more than one way fits"
        # The turn takes what is shown to what should be shown: place `order[k]` of the sensor holds axis k.
        shown = [""] * 3
        for axis, (place, sign) in enumerate(zip(*_WAYS[self.index], strict=True)):
            shown[place] = ("-" if sign < 0 else "") + "xyz"[axis]
        return f"its x, y, z come as {', '.join(shown)}"


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """`exchanged`: by its index, each sensor whose axes come another way; `fitting` (n,): those whose own way fits.

    `residual_T` (n, 48) is how far each sensor is from the field that should be there, in each way; NaN where that is not known.
    `astray_T`: what most sensors are within of it.
    """

    exchanged: Mapping[int, Way]
    fitting: Flags
    residual_T: Array
    astray_T: float

    def right(self, sensor: int, way: Way) -> bool:
        """Whether a sensor is as it should be, and not as in this way, which it was thought to be."""
        own_T, other_T = self.residual_T[sensor, [0, way.index]]
        fits = self.fitting[sensor] or (own_T < max(_LEAST_T, self.astray_T) and other_T > _alone_T(self.astray_T))
        return bool(fits and own_T < _RIGHT * other_T)


class TurnedField:
    """The field that sensors measure if their axes come in each of the 48 ways."""

    def __init__(self, calibrator: Calibrator) -> None:
        self.calibrator = calibrator
        self._gain = T_PER_COUNT * np.einsum("nij,wjk->nwik", calibrator.gain, TURNS)

    def __call__(self, raw: Counts | Array, temperature_degc: Array, sensors: npt.NDArray[np.intp] | slice = slice(None)) -> Array:
        """Fields (k, 48, 3) in the array's frame of some of the sensors, from counts (n, 3) and temperatures (n,) of all."""
        fixed_T = (self.calibrator.gain[sensors] @ self.calibrator.offset_T(temperature_degc)[sensors, :, None])[:, None, :, 0]
        turned: Array = (self._gain[sensors] @ raw[sensors][:, None, :, None])[..., 0] - fixed_T
        return turned


def judge_axes(counts: Array, temperature_degc: Array, calibration: ArrayCalibration, turned: TurnedField) -> Judgement:
    """Judge all sensors by counts (n, 3), NaN for a sensor without data. `turned` is of a calibrator that takes no background off."""
    turned_T = turned(counts, temperature_degc)
    expected_T = _expected_T(turned_T[:, 0], calibration.background_T)
    residual_T = np.linalg.norm(turned_T - expected_T[:, None], axis=2)
    judged = np.isfinite(residual_T).all(axis=1)
    deviation_T, best_T = residual_T[:, 0], residual_T.min(axis=1)
    fitting = deviation_T < _limits_T(expected_T)
    suspect = judged & (deviation_T > np.maximum(_LEAST_T, _BETTER * best_T))
    # What the others deviate by is what is there beside the background. One of them may have a fault of its own.
    others_T = np.sort(deviation_T[judged & ~suspect])[-2:]
    astray_T = float(others_T[0]) if len(others_T) == 2 else 0.0
    suspect &= (deviation_T > _alone_T(astray_T)) & (best_T < max(_NEAR_T, astray_T))
    # Where most sensors fit in no way, another field is there than was expected, and one that fits does so by chance.
    if 2 * np.count_nonzero(fitting | suspect) <= np.count_nonzero(judged):
        return Judgement({}, np.zeros_like(fitting), residual_T, astray_T)
    found = {int(sensor): best_way(residual_T[sensor]) for sensor in np.flatnonzero(suspect)}
    return Judgement(found, fitting & ~suspect, residual_T, astray_T)


def exchanged_axes(counts: Array, temperature_degc: Array, calibration: ArrayCalibration) -> dict[int, str]:
    """For each sensor whose axes are exchanged or inverted: how. `counts` (n, 3), NaN for a sensor without data."""
    judgement = judge_axes(counts, temperature_degc, calibration, TurnedField(Calibrator(calibration)))
    return {sensor: str(way) for sensor, way in judgement.exchanged.items()}


def best_way(residual_T: Array) -> Way:
    """The way with the smallest of these residuals (48,)."""
    best, second = np.argsort(residual_T)[:2]
    return Way(int(best), bool(residual_T[second] > _UNIQUE * residual_T[best]))


def _alone_T(astray_T: float) -> float:
    """What a sensor must deviate by that is thought to be exchanged, where others go astray by this much."""
    return _ALONE * (astray_T - _QUIET_T)


def _limits_T(expected_T: Array) -> Array:
    """Within how much of what is expected (n, 3) a sensor fits (n,)."""
    return np.asarray(np.maximum(_LEAST_T, _SHARE * np.linalg.norm(expected_T, axis=1)))


def _expected_T(measured_T: Array, background_T: Array) -> Array:
    """The field that should be at each sensor (n, 3), NaN where nobody can tell.

    That is the background, and one field that is added to it everywhere if most fit then, and better: the array was turned in the Earth's,
    or a magnet is far away. Without a background it is what most agree on.
    """
    base_T = background_T if np.isfinite(background_T).any() else np.zeros_like(background_T)
    judged = np.isfinite(measured_T + base_T).all(axis=1)
    if np.count_nonzero(judged) < _FEWEST:
        return background_T
    shifted_T = base_T + np.median((measured_T - base_T)[judged], axis=0)
    off_T, off_shifted_T = (np.linalg.norm((measured_T - T)[judged], axis=1) for T in (background_T, shifted_T))
    most_fit = 2 * np.count_nonzero(off_shifted_T < _limits_T(shifted_T)[judged]) > np.count_nonzero(judged)
    better = not np.median(off_T) <= np.median(off_shifted_T)  # also where nothing is known of the background
    return np.asarray(shifted_T if most_fit and better else background_T)
