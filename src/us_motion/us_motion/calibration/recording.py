"""Images with the probe's poses, and the spots in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.calibration.config import DetectionConfig
from us_motion.calibration.observations import Observations, as_observations
from us_motion.calibration.wire_detection import Image, Mask, Spots, find_spots

_BEST_PERCENT = 90


@dataclass(frozen=True, slots=True, eq=False)
class TrackedImages:
    """One sweep: images with T_ref_probe (4, 4; mm) of each, size of a pixel (2,) along x and y, and where the fan is.

    `images` may be read only once: a recording is larger than its spots.
    """

    name: str
    images: Iterable[tuple[Image, Array]]
    spacing_mm: Array
    mask: Mask | None = None


def spots_of(sweep: TrackedImages, point: bool, config: DetectionConfig, told: Callable[[int], None] = lambda _: None) -> Observations:
    """Spots of all images; of a point target the brightest one of each. `told` hears of every image. Raises InputError for none."""
    poses, found = [], []
    for number, (pixels, T) in enumerate(sweep.images):
        found.append(find_spots(pixels, sweep.spacing_mm, sweep.mask, config))
        poses.append(T)
        told(number)
    if not poses:
        remedy = "record images and poses at the same time"
        raise InputError(sweep.name, expected="images that have a pose of the probe", got="none", remedy=remedy)
    px = _of_the_point(found, config) if point else [spots.px for spots in found]
    image = np.repeat(np.arange(len(px)), [len(spots) for spots in px])
    return as_observations(np.stack(poses), image, np.concatenate(px), sweep.spacing_mm, np.full(len(image), 0 if point else -1))


def _of_the_point(found: list[Spots], config: DetectionConfig) -> list[Array]:
    """The brightest spot of each image, where it is about as bright as in the best images: a fainter one is beside the slice."""
    contrast = np.array([spots.contrast[0] if len(spots.contrast) else 0.0 for spots in found])
    least = np.percentile(contrast, _BEST_PERCENT) - config.point_levels
    return [spots.px[: int(bright >= least)] for spots, bright in zip(found, contrast, strict=True)]
