"""The C-arm's pictures: 8 bits for the video, 12 bits for files, and the truth that belongs to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.c_arm.config import CArmConfig
from lodestone_bench.c_arm.detector import Detector
from lodestone_bench.c_arm.rays import Image
from lodestone_bench.c_arm.scene import Scene
from lodestone_bench.patient.patient import Patient


class CArm:
    """Pictures at any world time; live ones cost milliseconds once `prepare` has been called."""

    def __init__(self, config: CArmConfig | None = None, patient: Patient | None = None, seed: int = 0) -> None:
        self.config = config or CArmConfig()
        self.scene = Scene(self.config, patient or Patient(seed=seed))
        self.detector = Detector(self.config, seed)
        self._scatter: dict[int, Image] = {}

    @property
    def width(self) -> int:
        """Columns."""
        return self.config.size_px[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.config.size_px[1]

    def prepare(self) -> None:
        """Everything that a live picture needs; seconds."""
        self.scene.prepare()
        for number in range(len(self.scene.views)):
            self._scatter_of(number, self.scene.live(number * self.config.dwell_s))

    def frame(self, number: int, world_s: float) -> npt.NDArray[np.uint8]:
        """A live picture for the video, (rows, columns)."""
        return self.detector.video(self.grey(number, world_s))

    def grey(self, number: int, world_s: float) -> npt.NDArray[np.uint16]:
        """A live picture of 12 bits."""
        return self._exposed(self.scene.live(world_s), number, world_s)

    def full_grey(self, number: int, world_s: float) -> npt.NDArray[np.uint16]:
        """As grey, with nothing simplified; seconds."""
        return self._exposed(self.scene.full(world_s), number, world_s)

    def truth(self, world_s: float) -> dict[str, Any]:
        """Ground truth of one moment in plain values, mm and degrees."""
        number = self.config.view(world_s)
        now, wire = self.scene.views[number], self.scene.wire_bench(world_s)
        return {
            "world_s": world_s,
            "primary_deg": self.config.primary_deg[number],
            "secondary_deg": self.config.secondary_deg[number],
            "T_bench_source": now.T_bench_source().tolist(),
            "source_to_detector_mm": now.distance_mm,
            "wire_bench_mm": wire.tolist(),
            "wire_px": now.pixels(wire)[0].tolist(),
            **{key: value for key, value in self.scene.patient.truth(world_s).items() if key != "world_s"},
        }

    def _exposed(self, integral: Image, number: int, world_s: float) -> npt.NDArray[np.uint16]:
        scatter = self._scatter_of(self.config.view(world_s), integral)
        return self.detector.grey(self.detector.expected(self.detector.blurred(integral), scatter), number)

    def _scatter_of(self, view: int, integral: Image) -> Image:
        """The glow hardly changes with what moves: it is that of the view's first picture."""
        if view not in self._scatter:
            self._scatter[view] = self.detector.scatter(integral)
        return self._scatter[view]
