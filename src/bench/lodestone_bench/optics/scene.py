"""The guidewire platform's cameras out of the world's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lodestone_bench.magnetics.config import WireConfig
from lodestone_bench.magnetics.wire_shape import WireShape
from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.live import LiveCamera
from lodestone_bench.optics.pinhole import pinhole
from lodestone_bench.world.sections import section_of

SIDES = ("left", "right")
_SEED = {"left": 0xCA0, "right": 0xCA1}


def live_camera(world: Mapping[str, Any], side: str, seed: int = 0) -> LiveCamera:
    """The `left` or `right` camera of a world, looking at its wire; takes two or three seconds to prepare.

    The wire is that of the section `wire` and the seed, the same as in magnetics.field.
    `frame(number, world_s)` gives the image. Raises InputError for a wrong key in the sections `cameras` and `wire`.
    """
    config = section_of(world, "cameras", CamerasConfig)
    return LiveCamera(pinhole(config, side), wire_of(world, seed), seed * 1000 + _SEED[side])


def wire_of(world: Mapping[str, Any], seed: int = 0) -> WireShape | None:
    """The wire of a world; None where it has none. Raises InputError for a wrong key in the section `wire`."""
    config = section_of(world, "wire", WireConfig)
    return WireShape(config, seed) if config.present else None
