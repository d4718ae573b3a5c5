"""Magnetics of the bench: Earth, finite magnets, a magnetisable wire. Lengths in mm, fields in T, frame `bench`.

field = world_field(read_world(path), seed)
field.field_T(points_mm, world_s)
"""

from lodestone_bench.magnetics.field import FieldSource, world_field
from lodestone_bench.magnetics.wire_shape import WireShape

__all__ = ["FieldSource", "WireShape", "world_field"]
