"""Recordings for the calibration of the array, as its hands would make them: turned in the Earth's field, at rest on the platform while it
warms up, without and with a magnet in the holes of a jig. Counts as the sensors send them, with noise, rounding and the ends of the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.magnetics.config import MagnetConfig
from lodestone_bench.magnetics.sources import Magnet, Surroundings, surroundings_of
from lodestone_bench.world.sections import section_of
from lodestone_core.config import option
from lodestone_core.types import Array

_T_PER_COUNT, _LEAST, _MOST = 1e-8, -131072, 131071
_STREAM = 7103
_KELVIN_PER_STEP = 1.0 / 1.7


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """What is done with array and magnet."""

    turns: int = option(600, doc="samples while the array is turned", minimum=1)
    turned_share: float = option(
        1.0, doc="share of the sphere that is turned through; below 1 a cap is left out", minimum=0.05, maximum=1.0
    )
    uniformity: float = option(2e-4, doc="how far the Earth's field differs from sensor to sensor indoors, as a share", minimum=0.0)
    holes: int = option(7, doc="holes of the jig along x and along y", minimum=1)
    reach_mm: float = option(75.0, unit="mm", doc="the outermost holes", minimum=1.0)
    heights_mm: tuple[float, ...] = option((55.0, 75.0), unit="mm", doc="heights of the jig's plates")
    dwell: int = option(20, doc="samples in each hole", minimum=1)
    jig_sigma_mm: float = option(0.05, unit="mm", doc="error of a hole, each axis", minimum=0.0)
    jig_sigma_deg: float = option(0.3, unit="deg", doc="how the magnet tilts in a hole, each axis", minimum=0.0)
    magnet_radius_mm: float = option(5.0, unit="mm", doc="of the magnet, a cylinder", minimum=0.1)
    magnet_length_mm: float = option(10.0, unit="mm", doc="of the magnet", minimum=0.1)
    magnet_polarisation_t: float = option(1.2, unit="T", doc="of the magnet", minimum=0.01)
    still: int = option(200, doc="samples without the magnet", minimum=1)
    warm_up: int = option(400, doc="samples while it warms up", minimum=2)
    warming_k: float = option(12.0, unit="K", doc="by how much it does", minimum=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One recording: counts (N, S, 3); temperature (N, S) as the sensors say it; where the jig says the magnet is (N, 4, 4), or None."""

    counts: Array
    temperature_degc: Array
    T_array_magnet: Array | None = None


class CalibrationScene:
    """One array of a world, and the recordings of it."""

    def __init__(self, world: Mapping[str, Any], config: SceneConfig, seed: int) -> None:
        self.config = config
        self.array = ArrayTruth(section_of(world, "array", ArrayConfig), seed)
        self.around: Surroundings = surroundings_of(world.get("magnets"), seed)
        self._rng = np.random.default_rng([seed, _STREAM])

    @property
    def earth_T(self) -> float:
        """Strength of the Earth's field."""
        return float(np.linalg.norm(self.around.earth_T))

    @property
    def strength_t_mm3(self) -> float:
        """Of the calibration magnet: remanence times volume."""
        c = self.config
        return c.magnet_polarisation_t * np.pi * c.magnet_radius_mm**2 * c.magnet_length_mm

    def rotation(self) -> Taken:
        """The array in the hand, far from the platform, turned about all axes."""
        c = self.config
        # A low-discrepancy walk over orientations, so that one recording is as good as another.
        turns = Rotation.random(c.turns, random_state=np.random.RandomState(int(self._rng.integers(2**31)))).as_matrix()
        fields = np.einsum("nij,j->ni", turns, self.around.earth_T)
        keep = fields[:, 2] <= self.earth_T * (2.0 * c.turned_share - 1.0) if c.turned_share < 1.0 else np.ones(len(fields), dtype=np.bool_)
        fields = fields[keep]
        unevenness = c.uniformity * self.earth_T * self._rng.standard_normal((self.array.count, 3))
        at = np.full(len(fields), self.array.config.temperature_degc)
        return self._taken(fields[:, None] + unevenness, at)

    def background(self) -> Taken:
        """On the platform, nothing else there."""
        field = self.around.field_T(self.array.points_mm)
        at = np.full(self.config.still, self.array.config.temperature_degc)
        return self._taken(np.tile(field, (self.config.still, 1, 1)), at)

    def warm_up(self) -> Taken:
        """The same from a cold start."""
        c = self.config
        field = self.around.field_T(self.array.points_mm)
        at = self.array.config.temperature_degc + c.warming_k * (1.0 - np.exp(-np.linspace(0.0, 4.0, c.warm_up)))
        return self._taken(np.tile(field, (c.warm_up, 1, 1)), at)

    def magnet(self) -> Taken:
        """A magnet in every hole of the jig's plates, upright in one and lying in the next."""
        c = self.config
        said = self._holes()
        tilt = Rotation.from_rotvec(np.deg2rad(c.jig_sigma_deg) * self._rng.standard_normal((len(said), 3))).as_matrix()
        config = MagnetConfig(shape="cylinder", radius_mm=c.magnet_radius_mm, length_mm=c.magnet_length_mm)
        field = []
        R_bench_array = self.array.rotation_bench @ np.swapaxes(self.array.rotation, 1, 2)
        R, origin = R_bench_array[0], np.array(self.array.config.position_mm)
        still = self.around.field_T(self.array.points_mm)
        for pose, turn in zip(said, tilt, strict=True):
            center = pose[:3, 3] + c.jig_sigma_mm * self._rng.standard_normal(3)
            magnet = Magnet(config, R @ turn @ pose[:3, :3], R @ center + origin, c.magnet_polarisation_t)
            field.append(still + magnet.field_T(self.array.points_mm))
        at = np.full(len(said) * c.dwell, self.array.config.temperature_degc)
        taken = self._taken(np.repeat(np.array(field), c.dwell, axis=0), at)
        return Taken(taken.counts, taken.temperature_degc, np.repeat(said, c.dwell, axis=0))

    def shown(self, field_T: Array, temperature_degc: float) -> Array:
        """What the sensors would show (S, 3) in T of a field (S, 3) in bench, without noise and rounding."""
        return self.array.shown_T(field_T, temperature_degc)

    def _holes(self) -> Array:
        c = self.config
        line = np.linspace(-c.reach_mm, c.reach_mm, c.holes)
        poses = []
        for k, height in enumerate(c.heights_mm):
            for i, y in enumerate(line):
                for j, x in enumerate(line):
                    upright = np.eye(3)
                    lying = Rotation.from_euler("zy", [37.0 * (i + 3 * j), 90.0], degrees=True).as_matrix()
                    T = np.eye(4)
                    T[:3, :3], T[:3, 3] = (upright, lying)[(i + j + k) % 2], (x, y, height)
                    poses.append(T)
        return np.array(poses)

    def _taken(self, field_bench_T: Array, temperature_degc: Array) -> Taken:
        """Counts of fields (N, S, 3) at temperatures (N,)."""
        shown = np.array([self.array.shown_T(field, float(t)) for field, t in zip(field_bench_T, temperature_degc, strict=True)])
        noisy = shown + self.array.config.noise_T * self._rng.standard_normal(shown.shape)
        counts = np.clip(np.rint(noisy / _T_PER_COUNT), _LEAST, _MOST)
        said = 30.0 - np.rint((30.0 - temperature_degc) / _KELVIN_PER_STEP) * _KELVIN_PER_STEP
        return Taken(counts, np.tile(said[:, None], (1, shown.shape[1])))
