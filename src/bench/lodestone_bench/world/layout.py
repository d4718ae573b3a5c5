"""Where the devices of the simulated bench stand, as rigs/simulated/frames.yaml has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.config import option

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LayoutConfig:
    """Section `layout` of the world. A world that changes it wants the same change in the rig's frames."""

    field_generator_mm: Vector = option((0.0, -300.0, 100.0), unit="mm", doc="the EM field generator on the bench")
    field_generator_deg: Vector = option((0.0, 0.0, 90.0), unit="deg", doc="its orientation there as a rotation vector")

    def T_bench_field(self) -> npt.NDArray[np.float64]:
        """Pose (4, 4; mm) of the field generator."""
        turn = Rotation.from_rotvec(np.deg2rad(self.field_generator_deg)).as_matrix()
        return se3.make(turn, np.array(self.field_generator_mm))
