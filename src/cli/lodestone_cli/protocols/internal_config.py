"""Settings of `em_internal`, and the cells that they span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from em_registration.field.config import PoseFieldConfig
from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class EmInternalConfig:
    """Which scenes are drawn and how they are counted."""

    scenes: int = option(2000, doc="scenes of each distortion; every noise and number of landmarks sees the same ones", minimum=1)
    chunk: int = option(125, doc="scenes that one job draws and scores", minimum=1)
    workers: int = option(2, doc="processes", minimum=1)
    distortion_mm: tuple[float, ...] = option(
        (0.0, 1.0, 2.0, 5.0, 10.0, 15.0),
        unit="mm",
        doc="cells: noise-free mean TRE that the best rigid map leaves at the targets, within 20 %",
    )
    noise_mm: tuple[float, ...] = option((0.1, 0.3, 0.7), unit="mm", doc="cells: RMS 3-D noise of a measured position over a scene")
    landmarks: tuple[int, ...] = option((4, 6, 12, 24, 60), doc="cells: landmarks on the body's surface")
    free_scenes: int = option(250, doc="scenes of each distortion with a tool in any orientation, reported without a limit", minimum=0)
    allowed_share: float = option(0.02, doc="by how much, of rigid's mean TRE, a cell may be worse than rigid", minimum=0.0)
    allowed_mm: float = option(0.03, unit="mm", doc="the same in mm; the larger of the two counts", minimum=0.0)
    resamples: int = option(2000, doc="of the paired bootstrap over scenes", minimum=100)
    field: PoseFieldConfig = section(PoseFieldConfig, doc="the method for a bench")

    def cells(self) -> Iterator[Cell]:
        """All of them."""
        for distortion in self.distortion_mm:
            for noise in self.noise_mm:
                for landmarks in self.landmarks:
                    yield Cell(distortion, noise, landmarks)


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination."""

    distortion_mm: float
    noise_mm: float
    landmarks: int

    def __str__(self) -> str:
        return f"{self.landmarks} landmarks, noise {self.noise_mm:g} mm, distortion {self.distortion_mm:g} mm"
