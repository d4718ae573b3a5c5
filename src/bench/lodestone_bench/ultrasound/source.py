"""Live frames: the image at any world time, one depth at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.patient import Patient
from lodestone_bench.ultrasound.beam import Beam
from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.display import Display
from lodestone_bench.ultrasound.echoes import PatientEchoes
from lodestone_bench.ultrasound.fan import Fan
from lodestone_core.errors import InputError
from lodestone_core.types import Array

ProbePose = Callable[[float], Array]
"""T_bench_probe (4, 4; mm) at a world time."""
_LIVE = 1


class UltrasoundSource:
    """The ultrasound machine: patient and moving probe in, frames out. Same seed, time and number: same frame to the last bit."""

    def __init__(self, patient: Patient, T_bench_probe: ProbePose, config: UltrasoundConfig | None = None, seed: int = 0) -> None:
        self.config = UltrasoundConfig() if config is None else config
        self.patient = patient
        self._pose = T_bench_probe
        self._seed = seed
        self.set_depth(self.config.depth_mm[0])

    @property
    def fan(self) -> Fan:
        """Geometry of the depth in use."""
        return self._fan

    def set_depth(self, depth_mm: float) -> None:
        """Choose another depth. Raises InputError for one that the machine does not have."""
        if depth_mm not in self.config.depth_mm:
            expected = "one of " + ", ".join(f"{depth:g}" for depth in self.config.depth_mm)
            raise InputError("ultrasound depth_mm", expected=expected, got=depth_mm, remedy="choose one of those")
        self._fan = Fan(self.config, depth_mm)
        # The live scatterers are others than those of the volume: in a body nothing repeats to the last speckle either.
        self._echoes = PatientEchoes(self.patient, Beam(self.config.beam, self._fan), 10 * self._seed + _LIVE)
        self._display = Display(self._fan, self._seed)

    def T_bench_image(self, world_s: float) -> Array:
        """True pose (4, 4) of us_image at a world time."""
        T: Array = self._pose(world_s) @ self._fan.T_probe_image
        return T

    def frame(self, number: int, world_s: float) -> npt.NDArray[np.uint8]:
        """Image (rows, columns), mono8, of what is under the probe at that time; `number` chooses the electronic noise."""
        received, loss_db = self._echoes.received(self.T_bench_image(world_s), world_s)
        return self._display.pixels(self._display.levels_db(received, loss_db, number))

    def geometry(self) -> dict[str, Any]:
        """Truth of the image's geometry in plain values, mm and rad, as an UltrasoundGeometry message orders them."""
        fan = self._fan
        return {
            "depth_mm": fan.depth_mm,
            "pixel_spacing_mm": [fan.spacing_mm, fan.spacing_mm],
            "apex_px": fan.apex_px.tolist(),
            "radius_min_mm": fan.radius_min_mm,
            "radius_max_mm": fan.radius_max_mm,
            "angle_min_rad": -fan.half_angle_rad,
            "angle_max_rad": fan.half_angle_rad,
        }
