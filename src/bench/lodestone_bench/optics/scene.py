"""The guidewire platform's cameras out of the world's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.live import LiveCamera
from lodestone_bench.optics.pinhole import pinhole
from lodestone_bench.optics.strand import Curve
from lodestone_bench.world.sections import section_of, seed_of

SIDES = ("left", "right")
_SEED = {"left": 0xCA0, "right": 0xCA1}


def live_camera(world: Mapping[str, Any], side: str, wire: Curve) -> LiveCamera:
    """The `left` or `right` camera of a world, looking at its wire; takes two or three seconds to prepare.

    `frame(number, world_s)` gives the image. Raises InputError for a wrong key in the section `cameras`.
    """
    config = section_of(world, "cameras", CamerasConfig)
    return LiveCamera(pinhole(config, side), wire, seed_of(world) * 1000 + _SEED[side])
