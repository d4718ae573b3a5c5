"""The fan in a recording of ultrasound images: what moves is the image, what stands still is the screen around it.

The outline of what moves is fitted by two lines through one apex and two arcs around it, each point of it by the curve that is nearest,
with a loss that lets shadows and dark corners go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.frame_geometry import FanConfig

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the fan is found."""

    lit: int = option(12, doc="a pixel that is never brighter is not of the image", minimum=1, maximum=255)
    moving: float = option(2.0, doc="nor is one whose standard deviation over the recording is below this", minimum=0.0)
    outlier_px: float = option(2.0, unit="px", doc="a point of the outline further off than this counts little", minimum=0.2)
    max_rms_px: float = option(1.0, unit="px", doc="the points that count may be no further off than this (RMS)", minimum=0.1)
    min_share: float = option(0.6, doc="share of the outline that must fit", minimum=0.1, maximum=1.0)
    min_images: int = option(10, doc="fewest images", minimum=2)


@dataclass(frozen=True, slots=True)
class FanFit:
    """The fan in pixels: apex (column, row), radii from it, angles from straight down; rad. `rms_px` of the share of points that fit.

    `radius_min_px` is NaN where no near arc was seen: gel and air leave it dark.
    """

    apex_px: tuple[float, float]
    radius_min_px: float
    radius_max_px: float
    angle_min_rad: float
    angle_max_rad: float
    rms_px: float
    share: float

    def geometry(self, depth_mm: float, face_radius_mm: float = 0.0) -> FanConfig:
        """With the depth that the machine shows; where the radius of the transducer's face is given, the near arc is not needed.

        Pixels are taken as square. Raises InputError for a fan without depth.
        """
        if face_radius_mm > 0.0:
            spacing = (face_radius_mm + depth_mm) / self.radius_max_px
            radius = face_radius_mm
        else:
            reach = self.radius_max_px - self.radius_min_px
            if not reach > 10.0:
                remedy = "give the radius of the probe's face (its data sheet has it), or record with the probe coupled to a phantom"
                raise InputError("fan", expected="a near and a far arc", got="no near arc, it is dark", remedy=remedy)
            spacing = depth_mm / reach
            radius = spacing * self.radius_min_px
        return self._config(depth_mm, spacing, radius)

    def geometry_of_spacing(self, spacing_mm: float, face_radius_mm: float = 0.0) -> FanConfig:
        """As geometry, with the size of a pixel known (from targets) and the depth following from the arcs. Raises InputError likewise."""
        radius = face_radius_mm if face_radius_mm > 0.0 else spacing_mm * self.radius_min_px
        depth_mm = spacing_mm * self.radius_max_px - radius
        if not depth_mm > 1.0:
            remedy = "give the radius of the probe's face, or check the distance of the targets"
            raise InputError("fan", expected="a near arc above the far one", got=f"a depth of {depth_mm:.1f} mm", remedy=remedy)
        return self._config(depth_mm, spacing_mm, radius)

    def _config(self, depth_mm: float, spacing: float, radius: float) -> FanConfig:
        return FanConfig(
            depth_mm=depth_mm,
            spacing_mm=(spacing, spacing),
            apex_px=self.apex_px,
            radius_min_mm=radius,
            angle_min_rad=self.angle_min_rad,
            angle_max_rad=self.angle_max_rad,
        )


def fit_fan(images: Images, config: FitConfig | None = None) -> FanFit:
    """Find the fan in images (n, rows, columns). Raises InputError where there is none, or where it cannot be trusted."""
    config = config or FitConfig()
    if images.ndim != 3 or len(images) < config.min_images:
        got = f"shape {images.shape}"
        raise InputError("recording", expected=f"at least {config.min_images} images", got=got, remedy="record for longer")
    points, kinds = _outline(_moving_part(images, config))
    guess = _first_guess(points, kinds)
    for scale in (8.0, 4.0, 2.0, 1.0):
        guess = _refined(guess, points, scale * config.outlier_px)
    return _judged(guess, points, kinds, config)


def _moving_part(images: Images, config: FitConfig) -> npt.NDArray[np.uint8]:
    spread = images.std(axis=0)
    part = ((images.max(axis=0) >= config.lit) & (spread > config.moving)).astype(np.uint8)
    part = cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8)
    part = cv2.morphologyEx(part, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(part)
    if count < 2 or stats[1:, cv2.CC_STAT_AREA].max() < 0.02 * part.size:
        remedy = "move the probe on a phantom while recording, and check the crop"
        raise InputError("recording", expected="a part of the picture that moves", got="next to nothing that does", remedy=remedy)
    largest: npt.NDArray[np.uint8] = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    return largest


def _outline(part: npt.NDArray[np.uint8]) -> tuple[Array, npt.NDArray[np.intp]]:
    """Points (n, 2) half a pixel outside the outermost pixels: left 0 and right 1 of each row, top 2 and bottom 3 of each column."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    width, height = part.shape[1], part.shape[0]
    left, right = part[rows].argmax(axis=1) - 0.5, width - 0.5 - part[rows, ::-1].argmax(axis=1)
    top, bottom = part[:, columns].argmax(axis=0) - 0.5, height - 0.5 - part[::-1, columns].argmax(axis=0)
    sides = [np.stack([left, rows], 1), np.stack([right, rows], 1), np.stack([columns, top], 1), np.stack([columns, bottom], 1)]
    kinds = np.repeat(np.arange(4), [len(side) for side in sides])
    points = np.concatenate(sides).astype(float)
    # What is cut off by the picture's border says nothing of the fan.
    inner = (points > 0.0).all(axis=1) & (points[:, 0] < width - 1.0) & (points[:, 1] < height - 1.0)
    return points[inner], kinds[inner]


def _first_guess(points: Array, kinds: npt.NDArray[np.intp]) -> Array:
    """Lines by the median slope of pairs of rows (Theil and Sen), arcs by their distance from where the lines meet."""
    lines = []
    for kind in (0, 1):
        side = points[kinds == kind]
        side = side[: max(10, int(0.6 * len(side)))]
        if len(side) < 10:
            raise InputError("fan", expected="two edges", got="hardly any", remedy="check the crop of the video")
        first, second = np.triu_indices(len(side), 5)
        slope = float(np.median((side[second, 0] - side[first, 0]) / (side[second, 1] - side[first, 1])))
        lines.append((slope, float(np.median(side[:, 0] - slope * side[:, 1]))))
    (left, left_at), (right, right_at) = lines
    if right - left < 0.02:
        remedy = "a linear array needs its geometry configured by hand"
        raise InputError("fan", expected="edges that open downward", got="parallel ones", remedy=remedy)
    row = (left_at - right_at) / (right - left)
    apex = np.array([left * row + left_at, row])
    distance = np.linalg.norm(points - apex, axis=1)
    far = float(np.median(np.sort(distance[kinds == 3])[-max(5, int(0.5 * np.count_nonzero(kinds == 3))) :]))
    angle = np.arctan2(points[:, 0] - apex[0], points[:, 1] - apex[1])
    between = (
        (kinds == 2) & (angle > 0.8 * math.atan(left) + 0.2 * math.atan(right)) & (angle < 0.2 * math.atan(left) + 0.8 * math.atan(right))
    )
    near = float(np.median(distance[between])) if between.any() else 0.5 * far
    return np.array([*apex, math.atan(left), math.atan(right), near, far])


def _distances(values: Array, points: Array) -> Array:
    """Signed distance (n, 4) of points from left edge, right edge, near arc, far arc."""
    offset = points - values[:2]
    radius = np.linalg.norm(offset, axis=1)
    edges = [offset[:, 0] * math.cos(angle) - offset[:, 1] * math.sin(angle) for angle in values[2:4]]
    return np.stack([*edges, radius - values[4], radius - values[5]], axis=1)


def _refined(guess: Array, points: Array, scale_px: float) -> Array:
    nearest = np.argmin(np.abs(_distances(guess, points)), axis=1)
    every = np.arange(len(points))

    def residuals(values: Array) -> Array:
        return np.asarray(_distances(values, points)[every, nearest])

    found = least_squares(residuals, guess, loss="soft_l1", f_scale=scale_px / 4.0)
    return np.asarray(found.x)


def _judged(values: Array, points: Array, kinds: npt.NDArray[np.intp], config: FitConfig) -> FanFit:
    distance = np.abs(_distances(values, points)).min(axis=1)
    fits = distance <= config.outlier_px
    share = float(np.mean(fits))
    rms = float(np.sqrt(np.mean(distance[fits] ** 2))) if fits.any() else math.inf
    if share < config.min_share or rms > config.max_rms_px:
        got = f"{share:.0%} of it within {config.outlier_px:g} px, RMS {rms:.2f} px"
        remedy = "record with the probe moving on a phantom without shadows at the edges, and check the crop"
        raise InputError("outline of the image", expected="a fan", got=got, remedy=remedy)
    column, row, left, right, near, far = map(float, values)
    seen = _near_arc_is_seen(values, points[kinds == 2], config.outlier_px)
    return FanFit((column, row), near if seen else math.nan, far, left, right, rms, share)


def _near_arc_is_seen(values: Array, top: Array, outlier_px: float) -> bool:
    """Whether the upper border of most columns between the edges is the near arc."""
    offset = top - values[:2]
    angle = np.arctan2(offset[:, 0], offset[:, 1])
    middle, half = 0.5 * (values[2] + values[3]), 0.35 * (values[3] - values[2])
    between = np.abs(angle - middle) < half
    return bool(between.any()) and float(np.mean(np.abs(_distances(values, top[between])[:, 2]) <= outlier_px)) > 0.5
