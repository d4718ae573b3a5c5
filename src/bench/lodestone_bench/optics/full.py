"""The full picture of a wire, offline.

A shaded cylinder on a fine grid, the disc of defocus where it lies, several instants of the exposure, Poisson noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from lodestone_bench.optics.bar import hidden_by
from lodestone_bench.optics.blur import blurred
from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.pinhole import Array, Pinhole
from lodestone_bench.optics.sensor import Image, Light, backdrop, expose, light_field
from lodestone_bench.optics.strand import AMBIENT, Curve, lit

FINE = 3
INSTANTS = 7
_BINS = 6
_SAMPLES = 6000
Corner = npt.NDArray[np.int_]


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """The wire on the fine grid: pixels (N, 2), depth, half width (fine px), normal in the image, light across it."""

    pixels: Array
    depth_mm: Array
    half: Array
    normal: Array
    toward_lamp: Array
    half_way: Array


def full_frame(camera: Pinhole, wire: Curve, world_s: float, seed: int, scene: Light | None = None) -> Image:
    """The image (height, width) of an exposure with its middle at `world_s`; a second or two. `scene` replaces the textured backdrop."""
    config = camera.config
    rng = np.random.default_rng([seed, round(world_s * 1e6)])
    behind = backdrop(camera, np.random.default_rng([seed, 0])) if scene is None else scene
    cover, light = np.zeros_like(behind), np.zeros_like(behind)
    shifts = (np.arange(INSTANTS) + 0.5) / INSTANTS - 0.5
    for shift in shifts:
        points = _points(camera, wire.points_mm(world_s + shift * config.exposure_ms * 1e-3, _SAMPLES), wire.radius_mm)
        if points is not None:
            _draw(camera, points, cover, light)
    lamp = light_field(camera)
    cover /= INSTANTS
    light *= lamp / INSTANTS
    hidden = hidden_by(camera, config.bar)
    if hidden is None:
        return expose(config, behind * (1.0 - cover) + light, rng)
    # The bar of the default scene stands in front of the whole wire in the camera that sees it.
    picture = (behind * (1.0 - cover) + light) * (1.0 - hidden.share) + config.bar.grey * lamp * hidden.share
    return expose(config, picture, rng)


def _points(camera: Pinhole, middle: Array, radius_mm: float) -> _Points | None:
    pixels, depth = camera.see(middle)
    seen = np.isfinite(pixels).all(axis=1)
    if np.count_nonzero(seen) < 3:
        return None
    middle, pixels, depth = middle[seen], pixels[seen], depth[seen]
    step = np.gradient(pixels, axis=0)
    along = step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
    normal = np.column_stack([along[:, 1], -along[:, 0]])
    at = lit(camera, middle, pixels, normal)
    lamp = np.column_stack([(at.lamp * at.front).sum(axis=1), (at.lamp * at.side).sum(axis=1) * at.sign])
    half_way = np.column_stack([(at.half_way * at.front).sum(axis=1), (at.half_way * at.side).sum(axis=1) * at.sign])
    half = radius_mm * camera.px_per_mm(depth) * FINE
    return _Points(pixels, depth, half, normal, lamp, half_way)


def _draw(camera: Pinhole, points: _Points, cover: Light, light: Light) -> None:
    """Add one instant: parts of like defocus together, each within its own rectangle."""
    spread = camera.defocus_px(points.depth_mm)
    edges = np.linspace(spread.min(), spread.max() + 1e-9, _BINS + 1)
    for i in range(_BINS):
        mine = (spread >= edges[i]) & (spread < edges[i + 1])
        if mine.any():
            _draw_part(camera, points, mine, float(edges[i : i + 2].mean()), cover, light)


def _draw_part(camera: Pinhole, points: _Points, mine: npt.NDArray[np.bool_], disc_px: float, cover: Light, light: Light) -> None:
    config = camera.config
    margin = int(np.ceil(disc_px + 5.0 * config.lens_blur_px + points.half.max() / FINE)) + 2
    low: Corner = np.maximum(np.floor(points.pixels[mine].min(axis=0)).astype(int) - margin, 0)
    high: Corner = np.minimum(np.ceil(points.pixels[mine].max(axis=0)).astype(int) + margin + 1, (config.width, config.height))
    if (high <= low).any():
        return
    shape = (high[1] - low[1], high[0] - low[0])
    sharp = _sharp(config, points, mine, low, shape)
    soft = blurred(sharp, disc_px * FINE, config.lens_blur_px * FINE)
    small = cv2.resize(soft, shape[::-1], interpolation=cv2.INTER_AREA)
    window = np.s_[low[1] : high[1], low[0] : high[0]]
    cover[window] += small[..., 0]
    light[window] += small[..., 1]


def _sharp(config: CamerasConfig, points: _Points, mine: npt.NDArray[np.bool_], low: Corner, shape: tuple[int, int]) -> Light:
    """Cover and light (fine height, fine width, 2) of a part of the wire, without blur."""
    sharp = np.zeros((shape[0] * FINE, shape[1] * FINE, 2), dtype=np.float32)
    fine = (points.pixels - low + 0.5) * FINE - 0.5
    near = np.zeros(sharp.shape[:2], dtype=np.uint8)
    line = np.rint(fine[mine]).astype(np.int32)
    for x, y in np.unique(line, axis=0):
        cv2.circle(near, (int(x), int(y)), int(np.ceil(points.half.max())) + 2, 1, -1)
    rows, columns = np.nonzero(near)
    nearest = np.asarray(cKDTree(fine).query(np.column_stack([columns, rows]))[1])
    offset = np.column_stack([columns, rows]) - fine[nearest]
    # Beyond the base or the tip the nearest point lies askew; the ends are cut square.
    askew = np.abs(offset[:, 1] * points.normal[nearest, 0] - offset[:, 0] * points.normal[nearest, 1])
    across = (offset * points.normal[nearest]).sum(axis=1) / points.half[nearest]
    # An edge between two fine pixels is a ramp of one, or a level wire would be wider and narrower by steps.
    share = np.clip(0.5 + (1.0 - np.abs(across)) * points.half[nearest], 0.0, 1.0)
    inside = mine[nearest] & (share > 0.0) & (askew < 1.0)
    rows, columns, nearest, across, share = rows[inside], columns[inside], nearest[inside], across[inside], share[inside]
    across = np.clip(across, -1.0, 1.0)
    face = np.column_stack([np.sqrt(1.0 - across**2), across])
    lambert = np.maximum((face * points.toward_lamp[nearest]).sum(axis=1), 0.0)
    mirror = np.maximum((face * points.half_way[nearest]).sum(axis=1), 0.0) ** config.shininess
    sharp[rows, columns, 0] = share
    sharp[rows, columns, 1] = share * (config.wire_grey * (AMBIENT + (1.0 - AMBIENT) * lambert) + config.highlight_grey * mirror)
    return sharp
