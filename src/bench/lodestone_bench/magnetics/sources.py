"""What stands still: the Earth and the magnets below the platform, each a little off from where it is said to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_bench.magnetics.config import MagnetConfig, SurroundingsConfig
from lodestone_bench.magnetics.finite_magnets import cuboid_field, cylinder_field
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.types import Array

PLATFORM: Mapping[str, MagnetConfig] = {
    "east": MagnetConfig(position_mm=(205.0, 10.0, -45.0), rotation_deg=(0.0, 90.0, 0.0), size_mm=(30.0, 30.0, 14.0)),
    "west": MagnetConfig(position_mm=(-210.0, -15.0, -45.0), rotation_deg=(0.0, 84.0, 0.0), size_mm=(30.0, 30.0, 14.0)),
    "north": MagnetConfig(
        shape="cylinder", position_mm=(20.0, 170.0, -50.0), rotation_deg=(-25.0, 0.0, 0.0), radius_mm=12.0, length_mm=14.0
    ),
    "south": MagnetConfig(
        shape="cylinder", position_mm=(-25.0, -175.0, -50.0), rotation_deg=(160.0, 0.0, 0.0), radius_mm=12.0, length_mm=14.0
    ),
}
"""The magnets of a world that names none."""
_STREAM = 7102


@dataclass(frozen=True, slots=True, eq=False)
class Magnet:
    """A magnet where it really is: T_bench_magnet by its rotation (3, 3) and middle (3,), mm."""

    config: MagnetConfig
    R_bench_magnet: Array
    center_mm: Array
    polarisation_t: float

    def field_T(self, points_mm: Array) -> Array:
        """B (N, 3) in bench at points (N, 3) of bench."""
        local = (points_mm - self.center_mm) @ self.R_bench_magnet
        if self.config.shape == "cylinder":
            field = cylinder_field(local, self.config.radius_mm, self.config.length_mm, self.polarisation_t)
        else:
            field = cuboid_field(local, np.array(self.config.size_mm), self.polarisation_t)
        return np.asarray(field @ self.R_bench_magnet.T)


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """The Earth and all magnets."""

    earth_T: Array
    magnets: tuple[Magnet, ...]

    def field_T(self, points_mm: Array) -> Array:
        """B (N, 3) in bench at points (N, 3) of bench."""
        total = np.tile(self.earth_T, (len(points_mm), 1))
        for magnet in self.magnets:
            total += magnet.field_T(points_mm)
        return total


def surroundings_of(section: Any, seed: int) -> Surroundings:
    """What section `magnets` describes, with the deviations of the seed. Raises InputError with the key that is wrong.

    `pieces: {}` is a world without magnets; without `pieces` those of the simulated rig stand below the platform.
    """
    tree = {} if section is None else section
    if not isinstance(tree, Mapping):
        raise InputError("world: magnets", expected="a mapping", got=type(tree).__name__, remedy="write `key: value` lines")
    config = load_config(SurroundingsConfig, {k: v for k, v in tree.items() if k != "pieces"}, "world: magnets")
    rng = np.random.default_rng([seed, _STREAM])
    placed = tuple(_placed(piece, config, rng) for piece in _pieces(tree).values())
    return Surroundings(np.array(config.earth_t), placed)


def _pieces(tree: Mapping[str, Any]) -> Mapping[str, MagnetConfig]:
    if "pieces" not in tree:
        return PLATFORM
    pieces = tree["pieces"]
    if not isinstance(pieces, Mapping):
        remedy = "one of " + ", ".join(field.name for field in fields(MagnetConfig)) + " under the name of each magnet"
        raise InputError("world: magnets.pieces", expected="a mapping name: values", got=type(pieces).__name__, remedy=remedy)
    return {name: load_config(MagnetConfig, value, f"world: magnets.pieces.{name}") for name, value in pieces.items()}


def _placed(config: MagnetConfig, around: SurroundingsConfig, rng: np.random.Generator) -> Magnet:
    shift, turn, share = rng.standard_normal(3), rng.standard_normal(3), rng.standard_normal()
    said = Rotation.from_rotvec(np.deg2rad(config.rotation_deg))
    R = (Rotation.from_rotvec(np.deg2rad(around.rotation_sigma_deg) * turn) * said).as_matrix()
    center = np.array(config.position_mm) + around.position_sigma_mm * shift
    return Magnet(config, np.asarray(R), center, config.polarisation_t * (1.0 + around.strength_sigma * float(share)))
