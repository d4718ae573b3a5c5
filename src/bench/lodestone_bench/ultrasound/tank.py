"""A water tank with wires or a single point: what a probe is calibrated on.

A wire is many small scatterers; those within the slice are seen at the place where they are projected to, so that a slanting wire is a
streak along its projection and a thick slice makes it longer, as on a machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from lodestone_bench.ultrasound.beam import Beam
from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.display import Display
from lodestone_bench.ultrasound.fan import Fan
from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.types import Array

_STEP_MM = 0.15
_ROUGH_MM = 0.5
_WIDTHS = 3.0


@dataclass(frozen=True, slots=True)
class TankConfig:
    """The water and what hangs in it."""

    echo: float = option(9.0, doc="strength of a wire's or the point's echo", minimum=0.0)
    roughness: float = option(0.6, doc="standard deviation of a wire's echo along it, over about a millimetre", minimum=0.0, maximum=2.0)
    water: float = option(0.02, doc="strength of what floats in the water", minimum=0.0)
    debris: float = option(0.3, doc="bright specks that are no wire: mean number in an image", minimum=0.0)
    face_echo: float = option(1.0, doc="strength of the echoes of the probe's own face in the first 4 mm", minimum=0.0)
    speed_error: float = option(
        0.0, doc="share by which depths appear too large: the machine assumes a faster sound", minimum=-0.2, maximum=0.2
    )


class Tank:
    """Frames of a phantom. Same seed and number: same frame to the last bit."""

    def __init__(
        self, config: UltrasoundConfig | None = None, tank: TankConfig | None = None, seed: int = 0, depth_mm: float | None = None
    ) -> None:
        machine = UltrasoundConfig() if config is None else config
        self.config = TankConfig() if tank is None else tank
        self.fan = Fan(machine, machine.depth_mm[0] if depth_mm is None else depth_mm)
        self._beam = Beam(machine.beam, self.fan)
        self._display = Display(self.fan, seed)
        self._seed = seed

    def frame(
        self, number: int, T_phantom_image: Array, wires_mm: Array | None = None, points_mm: Array | None = None
    ) -> npt.NDArray[np.uint8]:
        """Image (rows, columns), mono8, of wires (n, 2, 3; from end to end) and points (n, 3) in the phantom's frame."""
        rng = np.random.default_rng((self._seed, 91, number))
        T_image_phantom = se3.inverse(T_phantom_image)
        echoes = self._water(rng)
        for wire in np.zeros((0, 2, 3)) if wires_mm is None else wires_mm:
            spots, strength = self._wire(se3.transform(T_image_phantom, wire), rng)
            self._add(echoes, spots, strength)
        if points_mm is not None and len(points_mm):
            self._add(echoes, se3.transform(T_image_phantom, points_mm), np.full(len(points_mm), self.config.echo))
        self._add(echoes, *self._specks(rng))
        loss = np.zeros(echoes.shape, dtype=np.float32) + self._water_gain()
        return self._display.pixels(self._display.levels_db(self._beam.blurred(echoes), loss, number))

    def _water_gain(self) -> npt.NDArray[np.float32]:
        """Water takes next to nothing: whoever scans it turns the gain against depth off."""
        config = self.fan.config
        return np.asarray(config.tgc_db_cm * (self.fan.radii_mm - self.fan.radius_min_mm) / 10.0, dtype=np.float32)[:, None]

    def _water(self, rng: np.random.Generator) -> npt.NDArray[np.complex64]:
        config = self.fan.config
        drawn = rng.normal(scale=np.sqrt(0.5), size=(config.samples, config.beams, 2)).astype(np.float32).view(np.complex64)[..., 0]
        depth = (self.fan.radii_mm - self.fan.radius_min_mm)[:, None]
        level = self.config.water + self.config.face_echo * np.exp(-((depth / 2.0) ** 2))
        return np.asarray(drawn * level.astype(np.float32))

    def _wire(self, ends: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Scatterers (n, 3) of one wire near the slice, image frame, and their strengths."""
        along = ends[1] - ends[0]
        length = float(np.linalg.norm(along))
        slope = abs(along[2]) / length
        reach = min(_WIDTHS * float(self._beam.thickness_mm.max()) / max(slope, 1e-3), length)
        middle = np.clip(-ends[0, 2] / along[2] if slope > 1e-9 else 0.5, -10.0, 11.0) * length
        low, high = max(0.0, middle - reach), min(length, middle + reach)
        if high <= low:
            return np.zeros((0, 3)), np.zeros(0)
        at = np.arange(np.floor(low / _STEP_MM), np.ceil(high / _STEP_MM)) * _STEP_MM
        spots = ends[0] + np.outer(at / length, along)
        rough = gaussian_filter1d(rng.normal(size=len(at)), _ROUGH_MM / _STEP_MM) * np.sqrt(2.0 * np.sqrt(np.pi) * _ROUGH_MM / _STEP_MM)
        return spots, self.config.echo * _STEP_MM * (1.0 + self.config.roughness * rough)

    def _specks(self, rng: np.random.Generator) -> tuple[Array, Array]:
        count = rng.poisson(self.config.debris)
        angle = rng.uniform(-0.9, 0.9, count) * self.fan.half_angle_rad
        radius = rng.uniform(self.fan.radius_min_mm + 10.0, self.fan.radius_max_mm - 5.0, count)
        apex = self.fan.apex_px * self.fan.spacing_mm
        spots = np.stack([apex[0] + radius * np.sin(angle), apex[1] + radius * np.cos(angle), np.zeros(count)], axis=1)
        return spots, self.config.echo * rng.uniform(0.3, 1.0, count)

    def _add(self, echoes: npt.NDArray[np.complex64], spots: Array, strength: Array) -> None:
        """Put scatterers on the samples around them, by their distance, as much as the slice lets through."""
        fan = self.fan
        x, y = (spots[:, axis] - fan.apex_px[axis] * fan.spacing_mm for axis in (0, 1))
        depth = np.hypot(x, y) - fan.radius_min_mm
        sample = depth * (1.0 + self.config.speed_error) / fan.sample_mm
        beam = (np.arctan2(x, y) + fan.half_angle_rad) / (fan.angles_rad[1] - fan.angles_rad[0])
        rows, columns = echoes.shape
        seen = (sample >= 0) & (sample < rows - 1) & (beam >= 0) & (beam < columns - 1)
        sample, beam, strength, z = sample[seen], beam[seen], strength[seen], spots[seen, 2]
        i, j = sample.astype(np.intp), beam.astype(np.intp)
        strength = strength * self._beam.across(z, i)
        for di in (0, 1):
            for dj in (0, 1):
                share = np.abs(1 - di - (sample - i)) * np.abs(1 - dj - (beam - j))
                np.add.at(echoes, (i + di, j + dj), (strength * share).astype(np.complex64))


def n_wires(half_width_mm: float = 20.0, length_mm: float = 60.0, top_mm: float = 0.0, layer_mm: float = 18.0, layers: int = 3) -> Array:
    """Wires (3 a layer, 2, 3) of a phantom: left, slanting, right in each layer; slants alternate. They run along y, layers along z."""
    wires = []
    for k in range(layers):
        z = top_mm + k * layer_mm
        slant = 1.0 if k % 2 == 0 else -1.0
        for x0, x1 in ((-half_width_mm, -half_width_mm), (-slant * half_width_mm, slant * half_width_mm), (half_width_mm, half_width_mm)):
            wires.append([[x0, 0.0, z], [x1, length_mm, z]])
    return np.array(wires)
