"""Does each camera see what it saw when it was calibrated? Tells swapped cables, and a camera that was turned. Pure.

Two cameras that look at one place from two sides of a right angle are mirror images of each other: an epipolar constraint holds just as
well with the two swapped, and no moving point tells which is which. Their backdrops do: light, vignetting and fixed parts of a bench differ
and stay. A view is the order of brightness of the parts of an image (Spearman's correlation tells how alike two are), so that exposure,
noise, and things that move through a few parts do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guidewire_recon.drivers.stereo_config import ViewsConfig
from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.checks import as_array
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.version import package_version

KIND: Final = "stereo_views"
ROWS, COLUMNS = 12, 16
_STEP: Final = 16
SIDES: Final = ("left", "right")


class Verdict(Enum):
    """What the views say."""

    UNKNOWN = "no view to compare with"
    AS_BEFORE = "each camera sees what it saw when it was calibrated"
    SWAPPED = "left and right are swapped: each camera sees what the other one saw"
    CHANGED = "a camera sees something else than when it was calibrated"


@dataclass(frozen=True, slots=True)
class Likeness:
    """Correlations of the views of now (first) with those of before (second): left, right."""

    left_left: float
    right_right: float
    left_right: float
    right_left: float

    def verdict(self, config: ViewsConfig) -> Verdict:
        """What that means."""
        own, other = self.left_left + self.right_right, self.left_right + self.right_left
        if other - own > config.margin:
            return Verdict.SWAPPED
        return Verdict.AS_BEFORE if min(self.left_left, self.right_right) >= config.least_likeness else Verdict.CHANGED


def view_of(image: NDArray[np.uint8]) -> Array:
    """The view (12, 16) of an image of at least that size: medians of its parts. Raises InputError for a smaller one."""
    step = max(1, min(_STEP, image.shape[0] // ROWS, image.shape[1] // COLUMNS))
    few = image[::step, ::step]
    height, width = few.shape[0] // ROWS, few.shape[1] // COLUMNS
    if not height or not width:
        expected = f"at least {COLUMNS}x{ROWS} px"
        raise InputError("image", expected=expected, got=f"{image.shape[1]}x{image.shape[0]}", remedy="set the camera to a larger size")
    parts = few[: ROWS * height, : COLUMNS * width].reshape(ROWS, height, COLUMNS, width)
    return np.asarray(np.median(parts.transpose(0, 2, 1, 3).reshape(ROWS, COLUMNS, -1), axis=2), dtype=np.float64)


def compare(now: tuple[Array, Array], before: tuple[Array, Array]) -> Likeness:
    """Views (left, right) of now with those of before."""
    (left, right), (left_before, right_before) = now, before
    pairs = ((left, left_before), (right, right_before), (left, right_before), (right, left_before))
    return Likeness(*(float((_ranked(one) * _ranked(other)).sum()) for one, other in pairs))


def views_to_file(left: Array, right: Array, rig: str, cameras: tuple[str, str]) -> CalibrationFile:
    """The views as a calibration file of a rig."""
    values = {"left": _plain(left), "right": _plain(right)}
    return CalibrationFile(KIND, rig, cameras, now_text(), "medians of the parts of an image", package_version("guidewire_recon"), values)


def load_views(path: Path, rig: str = "") -> tuple[Array, Array]:
    """The views (left, right) in a file. Raises InputError for another file, another rig, or numbers that are no views."""
    values = load_calibration(path, KIND, rig).values
    missing = [side for side in SIDES if side not in values]
    if missing:
        remedy = "make it again with the service ~/save_views"
        raise InputError(str(path), expected="the views left and right", got="none of " + ", ".join(missing), remedy=remedy)
    left, right = (as_array(f"{path}, {side}", values[side], (ROWS, COLUMNS)) for side in SIDES)
    return left, right


def _ranked(view: Array) -> Array:
    """Ranks of the parts, equal ones sharing theirs, with mean 0 and length 1; zeros for an even grey."""
    _, place, count = np.unique(view, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2.0)[place].reshape(view.shape)
    ranks = ranks - ranks.mean()
    length = np.linalg.norm(ranks)
    return np.asarray(ranks / length if length > 0.0 else ranks)


def _plain(view: Array) -> list[list[Any]]:
    return [[round(float(value), 1) for value in row] for row in view]
