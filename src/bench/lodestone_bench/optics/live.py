"""A camera in real time: prepared noisy tiles of the backdrop, and only the wire's own pixels computed for each frame.

The noise of a tile comes out of a few prepared patterns; which one each tile shows is drawn anew for each frame. Blur is Gaussian
and motion blur acts across the wire only; the full picture (full.py) has neither short cut.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.band import BandPainter
from lodestone_bench.optics.bar import hidden_by
from lodestone_bench.optics.pinhole import Pinhole
from lodestone_bench.optics.sensor import Image, backdrop, expose, light_field, noise_sigma
from lodestone_bench.optics.strand import Curve, strand

TILES = (4, 4)
_NORMALS = 1 << 18


class LiveCamera:
    """One camera that looks at a wire, if there is one. A frame depends on its number, the world's time and the seed only."""

    def __init__(self, camera: Pinhole, wire: Curve | None, seed: int) -> None:
        config = camera.config
        self.camera = camera
        self._wire, self._seed = wire, seed
        rng = np.random.default_rng([seed, 0])
        self._light = light_field(camera)
        scene = backdrop(camera, rng)
        self._hidden = hidden_by(camera, config.bar)
        if self._hidden is not None:
            share = self._hidden.share
            scene = scene * (1.0 - share) + config.bar.grey * self._light * share
        self._scene = scene.ravel()
        self._patterns = np.stack([expose(config, scene, rng) for _ in range(config.noise_tiles)])
        self._normals = rng.standard_normal(_NORMALS).astype(np.float32)
        self._painter = BandPainter(config.width, config.height)
        self._light = self._light.ravel()

    def frame(self, number: int, world_s: float) -> Image:
        """The image (height, width) of that number whose exposure has its middle at `world_s`; a new array each time."""
        rng = np.random.default_rng([self._seed, 1, number])
        image = self._backdrop(rng)
        if self._wire is not None:
            self._draw_wire(image.reshape(-1), self._wire, world_s, rng)
        return image

    def _backdrop(self, rng: np.random.Generator) -> Image:
        config = self.camera.config
        image = np.empty((config.height, config.width), dtype=np.uint8)
        chosen = rng.integers(0, len(self._patterns), TILES)
        rows = np.linspace(0, config.height, TILES[0] + 1).astype(int)
        columns = np.linspace(0, config.width, TILES[1] + 1).astype(int)
        for i in range(TILES[0]):
            for j in range(TILES[1]):
                part = np.s_[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
                image[part] = self._patterns[(chosen[i, j], *part)]
        return image

    def _draw_wire(self, image: npt.NDArray[np.uint8], wire: Curve, world_s: float, rng: np.random.Generator) -> None:
        config = self.camera.config
        half_s = config.exposure_ms * 5e-4
        early, late = (wire.points_mm(world_s + shift, config.wire_points) for shift in (-half_s, half_s))
        seen = strand(self.camera, early, late, wire.radius_mm)
        if seen is None:
            return
        band = self._painter.paint(seen)
        where, cover = band.where, band.cover
        if self._hidden is not None:
            before = band.depth_mm > self._hidden.depth_mm
            cover = cover * (1.0 - self._hidden.share.reshape(-1)[where] * before)
        light = self._scene[where] * (1.0 - cover) + band.light * self._light[where] * cover
        start = int(rng.integers(0, _NORMALS))
        noise = np.take(self._normals, np.arange(start, start + len(where)), mode="wrap")
        image[where] = np.clip(np.rint(light + noise * noise_sigma(config, light)), 0.0, 255.0).astype(np.uint8)
