"""A calibration that was loaded, and the array that turned up: applied only while the two fit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from guidewire_recon.drivers.ak09940a import Drive
from guidewire_recon.drivers.array_frames import Hello
from guidewire_recon.drivers.array_health import Health
from guidewire_recon.drivers.axes_check import judge_axes
from guidewire_recon.drivers.axes_watch import AxesWatch
from guidewire_recon.drivers.calibrated import Calibrator, check_fit, read_calibration
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.types import ArraySample, CalibratedSample
from lodestone_core.errors import InputError
from lodestone_core.types import Array


class LoadedCalibration:
    """`misfit` says why it is not that of the array whose samples come; empty while it fits. `applied`: whether it ever was."""

    def __init__(self, config: MagnetometersConfig, path: Path, content: bytes) -> None:
        """Raises InputError for a file that is none, of another rig or of another array than the parameters name."""
        _, self.calibration = read_calibration(path, config.rig)
        expected_id = self.calibration.array_id if config.array_id < 0 else config.array_id
        check_fit(self.calibration, expected_id, config.sensors, str(path))
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.misfit = ""
        self.applied = False
        self._config = config
        self._path = path
        self._calibrator = Calibrator(self.calibration, config.subtract_background)
        self._axes = AxesWatch(self.calibration)
        self._array: tuple[int, int] | None = None

    def apply(self, sample: ArraySample) -> CalibratedSample | None:
        """The sample's field; None while the calibration is of another array."""
        array = (sample.array_id, len(sample.raw))
        if array != self._array:
            self._array, self.misfit = array, self._check(*array)
        if self.misfit:
            return None
        self.applied = True
        if self._axes.update(sample):
            self._calibrator.withhold(self._axes.exchanged)
        return self._calibrator.apply(sample)

    def check_axes(self, health: Health) -> dict[int, str]:
        """Judge the axes by a second's mean. How those of a sensor are exchanged or inverted, by its index.

        Its field is withheld for as long as they are, unless most are: an array that was turned as a whole measures as it should.
        """
        if not self.applied or self.misfit or len(health.latest) != self.calibration.count:
            return {}
        judgement = judge_axes(health.mean_counts, health.temperature_degc, self.calibration, self._axes.turned)
        ways = {**judgement.exchanged, **self._axes.judge(judgement)}
        return {sensor: str(way) for sensor, way in ways.items()}

    @property
    def axes_jumps(self) -> int:
        """How often the axes of a sensor were exchanged, or came right again, from one sample to the next."""
        return self._axes.jumps

    def noise_T(self, hello: Hello | None) -> Array:
        """Standard deviation of one axis of each sensor (n,): the configuration's, else measured, else that of the drive."""
        drive = Drive.LOW_NOISE_2 if hello is None else hello.drive
        measured = self.calibration.noise_T
        known = np.where(np.isfinite(measured), measured, drive.noise_T)
        return np.full_like(known, self._config.noise_T) if self._config.noise_T else known

    def _check(self, array_id: int, count: int) -> str:
        try:
            check_fit(self.calibration, array_id, count, str(self._path))
        except InputError as error:
            return str(error)
        return ""
