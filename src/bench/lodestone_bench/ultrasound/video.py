"""The ultrasound machine's screen as a frame grabber sees it: the image, and letters beside it that tell the depth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.patient import Patient
from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.source import ProbePose, UltrasoundSource
from lodestone_core.errors import InputError

_GREY = 200


class UltrasoundScreen:
    """A FrameSource for the emulated frame grabber. All depths are prepared, so that turning the knob costs no image."""

    def __init__(
        self, patient: Patient, T_bench_probe: ProbePose, config: UltrasoundConfig | None = None, seed: int = 0, letters: bool = True
    ) -> None:
        config = config or UltrasoundConfig()
        self.width, self.height = config.columns, config.rows
        self._letters = letters
        self._machines = {
            depth: UltrasoundSource(patient, T_bench_probe, replace(config, depth_mm=(depth,)), seed) for depth in config.depth_mm
        }
        self.set_depth(config.depth_mm[0])

    @property
    def machine(self) -> UltrasoundSource:
        """The machine at the depth in use."""
        return self._machine

    def set_depth(self, depth_mm: float) -> None:
        """Turn the knob. Raises InputError for a depth that the machine does not have."""
        machine = self._machines.get(depth_mm)
        if machine is None:
            expected = "one of " + ", ".join(f"{depth:g}" for depth in self._machines)
            raise InputError("ultrasound depth_mm", expected=expected, got=depth_mm, remedy="choose one of those")
        self._machine = machine
        self._screen = np.zeros((self.height, self.width), np.uint8)
        if self._letters:
            place = (self.width - 72, 16)
            cv2.putText(self._screen, f"{0.1 * depth_mm:.1f} cm", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _GREY, 1)

    def frame(self, number: int, world_s: float) -> npt.NDArray[np.uint8]:
        """The screen (rows, columns) at that time."""
        image = self._machine.frame(number, world_s)
        return np.asarray(np.maximum(image, self._screen)) if self._letters else image
