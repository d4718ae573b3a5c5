"""The magnetic field of the world in `bench`: Earth, magnets and wire together, or one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lodestone_bench.magnetics.config import WireConfig
from lodestone_bench.magnetics.sources import Surroundings, surroundings_of
from lodestone_bench.magnetics.wire_field import WireField
from lodestone_bench.magnetics.wire_shape import WireShape
from lodestone_bench.world.sections import section_of
from lodestone_core.types import Array


class FieldSource:
    """The field at any point and time. `wire` is None in a world without one."""

    def __init__(self, around: Surroundings, wire: WireField | None) -> None:
        self.around = around
        self.wire_field = wire
        self._points: Array | None = None
        self._still = np.zeros((0, 3))

    @property
    def wire(self) -> WireShape | None:
        """Where the wire is."""
        return None if self.wire_field is None else self.wire_field.shape

    def field_T(self, points_mm: Array, world_s: float) -> Array:
        """B (N, 3) in T at points (N, 3) in mm, both in bench; points lie outside of magnets and wire."""
        still = self.still_T(points_mm)
        return still if self.wire_field is None else still + self.wire_field.field_T(points_mm, world_s)

    def prepare(self, world_s: float) -> None:
        """Do the long part of what `field_T` at that time needs, in the spare time before it."""
        if self.wire_field is not None:
            self.wire_field.prepare(world_s)

    def still_T(self, points_mm: Array) -> Array:
        """The part (N, 3) that does not change with time. The last points are remembered: sensors stand still."""
        points = np.asarray(points_mm, dtype=np.float64)
        if self._points is None or not np.array_equal(points, self._points):
            self._points, self._still = points.copy(), self.around.field_T(points)
        return self._still.copy()


def world_field(world: Mapping[str, Any], seed: int = 0) -> FieldSource:
    """The field of the sections `magnets` and `wire` of a world. Raises InputError with the key that is wrong."""
    around = surroundings_of(world.get("magnets"), seed)
    config = section_of(world, "wire", WireConfig)
    return FieldSource(around, WireField(WireShape(config, seed), around) if config.present else None)
