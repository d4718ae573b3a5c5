"""The calibration of an array: how counts become a field in the array's frame, its file, and whether it fits the array at hand.

    B_array = R_i A_i (raw_i * 1e-8 T - b_i - s_i (T_i - T_ref))   [- background_i]

`A_i` 3x3 (gain, skew), `b_i` bias (T), `s_i` its slope with temperature (T/K), `R_i` from the sensor's axes to the array's. The
background is the field that is always there (platform, Earth), measured without what is to be located; it is stored apart, in the
array's frame, and taken off only where that is asked for.

The file is of kind `magnetometers` (lodestone_core/calibration_file.py); its `values`:

    array_id: 1
    reference_degc: 25.0
    sensors:                     # in the order of their index; null for one without calibration
    - matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
      bias_T: [0.0, 0.0, 0.0]
      slope_T_per_K: [0.0, 0.0, 0.0]
      rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]   # R_array_sensor
      position_mm: [0.0, 0.0, 0.0]                                    # in the array's frame
      background_T: null         # or three numbers
      noise_T: null              # standard deviation of one axis, where it was measured
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from guidewire_recon.drivers.ak09940a import T_PER_COUNT
from guidewire_recon.types import ArraySample, CalibratedSample, Counts, Flags, SensorStatus, Words, usable
from lodestone_core import se3
from lodestone_core.calibration_file import CalibrationFile, load_calibration
from lodestone_core.checks import as_array, as_se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

KIND: Final = "magnetometers"
_SHAPES: Final[dict[str, tuple[int | None, ...]]] = {
    "matrix": (3, 3),
    "bias_T": (3,),
    "slope_T_per_K": (3,),
    "rotation": (3, 3),
    "position_mm": (3,),
}
_OPTIONAL: Final[dict[str, tuple[int | None, ...]]] = {"background_T": (3,), "noise_T": ()}
_REMEDY: Final = f"make the calibration again with `lodestone calibrate {KIND}`"
_SMALLEST_DETERMINANT, _LARGEST_DETERMINANT = 0.2, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class ArrayCalibration:
    """All sensors of one array, n of them; see the head of this file. What is not known is NaN, the whole sensor where it has none."""

    array_id: int
    reference_degc: float
    matrix: Array
    bias_T: Array
    slope_T_per_K: Array
    rotation: Array
    position_mm: Array
    background_T: Array
    noise_T: Array

    @property
    def count(self) -> int:
        """Sensors, with and without calibration."""
        return len(self.matrix)

    @property
    def known(self) -> Flags:
        """Which sensors have a calibration (n,)."""
        return np.asarray(np.isfinite(self.matrix).all(axis=(1, 2)))

    def T_array_sensor(self, index: int) -> Array:
        """Pose of a sensor in the array (4x4, mm)."""
        return se3.make(self.rotation[index], self.position_mm[index])

    def values(self) -> dict[str, Any]:
        """For CalibrationFile.values."""
        sensors = [self._entry(index) if known else None for index, known in enumerate(self.known)]
        return {"array_id": self.array_id, "reference_degc": self.reference_degc, "sensors": sensors}

    def _entry(self, index: int) -> dict[str, Any]:
        entry = {name: getattr(self, name)[index].tolist() for name in (*_SHAPES, *_OPTIONAL)}
        return {name: value if name in _SHAPES or np.isfinite(value).all() else None for name, value in entry.items()}


def calibration_of(values: Mapping[str, Any], where: str) -> ArrayCalibration:
    """The calibration in a file's `values`. Raises InputError that names the sensor and the key."""
    if set(values) != {"array_id", "reference_degc", "sensors"} or not isinstance(values["sensors"], list) or not values["sensors"]:
        raise InputError(where, expected="array_id, reference_degc and a list of sensors", got=", ".join(values), remedy=_REMEDY)
    array_id = values["array_id"]
    if not isinstance(array_id, int) or not 0 <= array_id <= 255:
        raise InputError(f"{where}, array_id", expected="a number from 0 to 255", got=array_id, remedy=_REMEDY)
    reference = float(as_array(f"{where}, reference_degc", values["reference_degc"], ()))
    sensors = [_sensor(entry, f"{where}, s{index:02d}") for index, entry in enumerate(values["sensors"])]
    columns = {name: np.array([sensor[name] for sensor in sensors]) for name in (*_SHAPES, *_OPTIONAL)}
    return ArrayCalibration(array_id, reference, **columns)


def read_calibration(path: Path, rig: str = "") -> tuple[CalibrationFile, ArrayCalibration]:
    """A calibration file of this kind, and what is in it. Raises InputError; `rig` as in load_calibration."""
    file = load_calibration(path, KIND, rig)
    return file, calibration_of(file.values, str(path))


def check_fit(calibration: ArrayCalibration, array_id: int, count: int, where: str) -> None:
    """Raises InputError when the calibration is of another array than the one that says so of itself."""
    remedy = "give the calibration that was made for this array: gains and positions of another one do not hold here"
    if calibration.count != count:
        raise InputError(where, expected=f"a calibration of {count} sensors", got=f"one of {calibration.count}", remedy=remedy)
    if calibration.array_id != array_id:
        raise InputError(where, expected=f"the calibration of array {array_id}", got=f"that of array {calibration.array_id}", remedy=remedy)


class Calibrator:
    """Applies a calibration to samples; all sensors in one pass."""

    def __init__(self, calibration: ArrayCalibration, subtract_background: bool = False) -> None:
        """Raises InputError when a background is to be taken off that the calibration does not have."""
        self.calibration = calibration
        known = calibration.known
        if subtract_background and not np.isfinite(calibration.background_T[known]).all():
            lacking = [f"s{i:02d}" for i in np.flatnonzero(known & ~np.isfinite(calibration.background_T).all(axis=1))]
            remedy = "measure it, or set `subtract_background` to false"
            raise InputError(
                "subtract_background", expected="a background of each sensor", got="none of " + ", ".join(lacking), remedy=remedy
            )
        self.gain: Array = calibration.rotation @ calibration.matrix
        """From a sensor's own axes to the array's (n, 3, 3)."""
        self._background_T = calibration.background_T if subtract_background else np.zeros_like(calibration.bias_T)
        # A slope of zero holds at any temperature, also at one that was not measured.
        self._sloped = (calibration.slope_T_per_K != 0.0).any(axis=1)
        self.withhold(())

    def withhold(self, sensors: Iterable[int]) -> None:
        """From now on these sensors count as having no calibration: theirs was found not to hold. Any thread may say so."""
        known = self.calibration.known.copy()
        known[list(sensors)] = False
        self._uncalibrated = np.where(known, 0, int(SensorStatus.UNCALIBRATED)).astype(np.uint16)

    def field_T(self, raw: Counts | Array, temperature_degc: Array) -> Array:
        """Field (n, 3) in the array's frame, of counts (n, 3) and temperatures (n,)."""
        field: Array = (self.gain @ (raw * T_PER_COUNT - self.offset_T(temperature_degc))[:, :, None])[:, :, 0] - self._background_T
        return field

    def offset_T(self, temperature_degc: Array) -> Array:
        """What each sensor shows without a field (n, 3), along its own axes, at temperatures (n,)."""
        warmth = np.where(self._sloped, temperature_degc - self.calibration.reference_degc, 0.0)
        offset: Array = self.calibration.bias_T + self.calibration.slope_T_per_K * warmth[:, None]
        return offset

    def apply(self, sample: ArraySample) -> CalibratedSample:
        """The sample's field; NaN, and the reason in its status, for a sensor that may not be used."""
        field_T = self.field_T(sample.raw, sample.temperature_degc)
        status: Words = sample.status | self._uncalibrated
        if not status.any() and np.isfinite(field_T).all():
            return CalibratedSample(sample, field_T, status)
        usable_now = usable(status)
        unmeasured = usable_now & ~np.isfinite(field_T).all(axis=1)
        if unmeasured.any():  # the bias moves with a temperature that was not measured
            status = status | np.where(unmeasured, np.uint16(SensorStatus.UNCALIBRATED), np.uint16(0))
            usable_now &= ~unmeasured
        field_T[~usable_now] = np.nan
        return CalibratedSample(sample, field_T, status)


def _sensor(entry: Any, where: str) -> dict[str, Array]:
    if entry is None:
        return {name: np.full([n or 0 for n in shape], np.nan) for name, shape in (*_SHAPES.items(), *_OPTIONAL.items())}
    if not isinstance(entry, Mapping) or set(entry) != {*_SHAPES, *_OPTIONAL}:
        got = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else type(entry).__name__
        raise InputError(where, expected=", ".join((*_SHAPES, *_OPTIONAL)), got=got, remedy=_REMEDY)
    found = {name: as_array(f"{where}, {name}", entry[name], shape) for name, shape in _SHAPES.items()}
    for name, shape in _OPTIONAL.items():
        value = entry[name]
        found[name] = np.full([n or 0 for n in shape], np.nan) if value is None else as_array(f"{where}, {name}", value, shape)
    as_se3(f"{where}, rotation", se3.make(found["rotation"], found["position_mm"]))
    determinant = float(np.linalg.det(found["matrix"]))
    if not _SMALLEST_DETERMINANT <= determinant <= _LARGEST_DETERMINANT:
        expected = f"a determinant of {_SMALLEST_DETERMINANT} to {_LARGEST_DETERMINANT}: a gain near one, no mirrored axes"
        raise InputError(f"{where}, matrix", expected=expected, got=f"{determinant:.3g}", remedy=_REMEDY)
    return found
