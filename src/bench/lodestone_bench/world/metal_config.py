"""What a script may say about metal near the tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.element import Element
from lodestone_bench.em_physics.kits import clear_of_generator
from lodestone_bench.em_physics.ring import Ring
from lodestone_bench.em_physics.rod import Rod
from lodestone_bench.em_physics.sheet import Sheet
from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.types import Array

Vector = tuple[float, float, float]
MATERIALS: Mapping[str, tuple[float, float]] = {
    "aluminium": (3.5e7, 1.0),
    "copper": (5.8e7, 1.0),
    "stainless_steel": (1.4e6, 1.0),
    "magnetic_steel": (5.0e6, 100.0),
}
"""Conductivity in S/m and relative permeability."""


@dataclass(frozen=True, slots=True)
class MetalConfig:
    """A piece of metal: where it stands when it is in, how it goes out, and when. Of sheets and rings only the conductivity counts."""

    shape: Literal["sheet", "ring", "rod"] = option("sheet", doc="sheet in its x, y plane; ring about its z axis; rod along its z axis")
    material: Literal["aluminium", "copper", "stainless_steel", "magnetic_steel"] = option("aluminium", doc="what it is made of")
    length_mm: float = option(300.0, unit="mm", doc="of a sheet along x, of a rod", minimum=1.0)
    width_mm: float = option(300.0, unit="mm", doc="of a sheet along y", minimum=1.0)
    thickness_mm: float = option(2.0, unit="mm", doc="of a sheet", minimum=0.01)
    radius_mm: float = option(10.0, unit="mm", doc="of a ring, or of a rod in its middle", minimum=0.1)
    wire_mm: float = option(4.0, unit="mm", doc="radius of a ring's round wire", minimum=0.1)
    position_mm: Vector = option((0.0, 0.0, -500.0), unit="mm", doc="its middle when it is in, in the field generator's frame")
    rotation_deg: Vector = option((0.0, 0.0, 0.0), unit="deg", doc="its orientation there as a rotation vector")
    away_mm: Vector = option((0.0, 600.0, 0.0), unit="mm", doc="shift when it is out; once there it is out of the field altogether")
    speed_mm_s: float = option(200.0, unit="mm/s", doc="how fast it moves in and out", minimum=0.1)
    starts_in: bool = option(False, doc="whether it is in from the beginning")
    in_s: tuple[float, ...] = option((), unit="s", doc="times since the first TSTART: it starts in, starts out, in, out ...")

    def __post_init__(self) -> None:
        """Refuse times that do not rise, a body that is no rod or ring, and metal inside the field generator."""
        if any(b <= a for a, b in pairwise(self.in_s)):
            raise InputError("in_s", expected="rising times", got=list(self.in_s), remedy="correct it")
        if self.shape == "rod" and 2.0 * self.radius_mm > self.length_mm:
            raise InputError(
                "radius_mm", expected=f"at most half the rod's length, {self.length_mm / 2.0:g}", got=self.radius_mm, remedy="correct it"
            )
        if self.shape == "ring" and self.wire_mm > 0.5 * self.radius_mm:
            raise InputError(
                "wire_mm", expected=f"at most half the ring's radius, {self.radius_mm / 2.0:g}", got=self.wire_mm, remedy="correct it"
            )
        if not clear_of_generator((self.bodies(np.zeros(1)),)).all():
            expected = "metal outside the field generator, which lies at z > 0 within 130 mm of the origin"
            raise InputError("position_mm", expected=expected, got=list(self.position_mm), remedy="move it away")

    def bodies(self, out: Array) -> Element:
        """The body in len(out) placements, at these shares of its way out (0 in, 1 out)."""
        R = Rotation.from_rotvec(np.deg2rad(self.rotation_deg)).as_matrix()
        return _MAKE[self.shape](self, se3.make(R, np.array(self.position_mm) + out[:, None] * np.array(self.away_mm)))


def default_metal() -> dict[str, MetalConfig]:
    """A detector and a C-arm's ring beside the volume of the default world, both out until they are asked for."""
    detector = MetalConfig(length_mm=320.0, width_mm=280.0, position_mm=(0.0, 190.0, -230.0), rotation_deg=(90.0, 0.0, 0.0))
    ring = MetalConfig(shape="ring", radius_mm=170.0, wire_mm=8.0, position_mm=(0.0, 175.0, -230.0), rotation_deg=(90.0, 0.0, 0.0))
    return {"detector": detector, "c_arm": ring}


def _sheet(c: MetalConfig, T: Array) -> Element:
    width, thickness, conductivity = (np.full(len(T), value) for value in (c.width_mm, c.thickness_mm, MATERIALS[c.material][0]))
    return Sheet(T, width, thickness, conductivity, aspect=c.length_mm / c.width_mm, meshes_across=8, patterns_across=4)


def _ring(c: MetalConfig, T: Array) -> Element:
    return Ring(T, *(np.full(len(T), value) for value in (c.radius_mm, c.wire_mm, MATERIALS[c.material][0])))


def _rod(c: MetalConfig, T: Array) -> Element:
    conductivity, mu_r = MATERIALS[c.material]
    return Rod(T, *(np.full(len(T), value) for value in (0.5 * c.length_mm, c.radius_mm, mu_r * (1.0 + 1e-6), conductivity)))


_MAKE: Mapping[str, Callable[[MetalConfig, Array], Element]] = {"sheet": _sheet, "ring": _ring, "rod": _rod}
