"""What a camera sees of a thin shining cylinder along a curve: place, width, blur, shade and highlight at points along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lodestone_bench.optics.pinhole import Pinhole

Array = npt.NDArray[np.float64]
# Mean over the visible half of a cylinder of the cosine of its normal.
_MEAN_COSINE = 0.785
AMBIENT = 0.35
"""Share of the light that comes from everywhere."""


class Curve(Protocol):
    """A round wire that moves with the world's time."""

    @property
    def radius_mm(self) -> float:
        """Its radius."""
        ...

    def points_mm(self, world_s: float, n: int) -> Array:
        """n points (n, 3) along it in bench, evenly spaced from its base to its tip."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Strand:
    """The visible curve in one exposure, at N points in order.

    `pixels` (N, 2) and `depth_mm` at its middle; `arc_px` along the image from the base; `normal` (N, 2) unit vectors across it in
    the image, `bend` its curvature towards the normal (1/px). `half_px`: half its width; `blur_px`: standard deviation of all that
    smears it across. Grey across it is shade + slant * d / half_px, and a highlight of `shine` grey at `shine_at` (px along the
    normal), `shine_px` wide.
    """

    pixels: Array
    depth_mm: Array
    arc_px: Array
    normal: Array
    bend: Array
    half_px: Array
    blur_px: Array
    shade: Array
    slant: Array
    shine: Array
    shine_at: Array
    shine_px: Array

    def columns(self) -> Array:
        """All of it as (N, 14), to be interpolated at once."""
        return np.column_stack([getattr(self, name) for name in self.__slots__])


def strand(camera: Pinhole, early_mm: Array, late_mm: Array, radius_mm: float) -> Strand | None:
    """The strand of a wire that moves from `early_mm` (N, 3) to `late_mm` during the exposure; None when no part is in front."""
    middle = 0.5 * (early_mm + late_mm)
    pixels, depth = camera.see(middle)
    seen = np.isfinite(pixels).all(axis=1)
    if np.count_nonzero(seen) < 3:
        return None
    middle, pixels, depth = middle[seen], pixels[seen], depth[seen]
    step = np.gradient(pixels, axis=0)
    length = np.maximum(np.linalg.norm(step, axis=1), 1e-9)
    along = step / length[:, None]
    normal = np.column_stack([along[:, 1], -along[:, 0]])
    moved = ((camera.see(late_mm[seen])[0] - camera.see(early_mm[seen])[0]) * normal).sum(axis=1)
    blur = camera.config.lens_blur_px**2 + 1.0 / 12.0 + (camera.defocus_px(depth) / 4.0) ** 2 + moved**2 / 12.0
    half = radius_mm * camera.px_per_mm(depth)
    bend = (np.gradient(along, axis=0) * normal).sum(axis=1) / length
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(pixels, axis=0), axis=1))])
    return Strand(pixels, depth, arc, normal, bend, half, np.sqrt(blur), *_shading(camera, middle, pixels, normal, half))


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """How camera and lamp stand to the wire at N of its points, as unit vectors (N, 3) in bench.

    Away from the wire towards the camera (`front`), to the `side`, to the `lamp`, and `half_way` between lamp and camera. `sign` (N,)
    is +1 where the side points along the strand's normal in the image.
    """

    front: Array
    side: Array
    half_way: Array
    lamp: Array
    sign: Array


def lit(camera: Pinhole, middle: Array, pixels: Array, normal: Array) -> Lit:
    """How lamp and camera stand to the wire at its points (N, 3) in bench, seen at `pixels` with `normal` across it."""
    tangent = unit(np.gradient(middle, axis=0))
    view, lamp = unit(camera.centre_mm - middle), unit(np.array(camera.config.light_mm) - middle)
    side = unit(np.cross(tangent, view))
    shift = camera.see(middle + side * 0.01)[0] - pixels
    return Lit(np.cross(side, tangent), side, unit(view + lamp), lamp, np.sign((shift * normal).sum(axis=1)))


def _shading(camera: Pinhole, middle: Array, pixels: Array, normal: Array, half: Array) -> tuple[Array, Array, Array, Array, Array]:
    """shade, slant, shine, shine_at, shine_px of a cylinder in the light of a lamp (Lambert and Blinn-Phong)."""
    config = camera.config
    at = lit(camera, middle, pixels, normal)
    to_front, to_side = (at.lamp * at.front).sum(axis=1), (at.lamp * at.side).sum(axis=1) * at.sign
    shade = config.wire_grey * (AMBIENT + (1.0 - AMBIENT) * _MEAN_COSINE * np.maximum(to_front, 0.0))
    slant = config.wire_grey * (1.0 - AMBIENT) * to_side
    a, b = (at.half_way * at.front).sum(axis=1), (at.half_way * at.side).sum(axis=1) * at.sign
    reach = np.hypot(a, b)
    shine = config.highlight_grey * reach**config.shininess * (a > 0.0)
    return shade, slant, shine, half * b / reach, half * np.maximum(a, 0.05) / reach / np.sqrt(config.shininess)


def unit(v: Array) -> Array:
    """Vectors (..., 3) of length 1."""
    made: Array = v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
    return made
