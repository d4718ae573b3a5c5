"""What the correspondences collected so far are worth: the error predicted at the targets, and the place where one more helps most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.space import STRAIGHT, TURNS, Space
from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.methods.interface import Correspondences, correspondences
from lodestone_core import se3
from lodestone_core.covariance import expected_radius_95
from lodestone_core.types import Array

_LOOKS = 50


class Verdict(Enum):
    """Whether to go on."""

    COLLECT = "go on"
    ENOUGH = "enough: the predicted error at the targets is below the limit"
    LEVEL = "enough: the predicted error at the targets no longer falls"
    FULL = "enough: as many as are collected at most"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where to go next: `T_image_tip` (4, 4); `turn` as in Space; `gain_mm`: what the mean predicted error at the targets would lose."""

    T_image_tip: Array
    turn: int
    gain_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """State of a walk. `error_mm`: predicted radius (95 %) that the configured share of the targets keeps; `target_errors_mm` (M,): each.

    `covered`: as Space counts. `noise_mm`: of a coordinate, as the data have it.
    """

    count: int
    error_mm: float
    target_errors_mm: Array
    evidence_non_rigid: float
    noise_mm: float
    covered: npt.NDArray[np.int64]
    next: Place

    @property
    def covered_share(self) -> float:
        """Share of the cells with at least one correspondence."""
        return float((self.covered.sum(axis=1) > 0).mean())


def assess(data: Correspondences, space: Space, targets_mm: Array, places_mm: Array, config: CalibrationConfig) -> Assessment:
    """Fit the field and ask it. `targets_mm` (M, 3): where the error matters; `places_mm` (P, 3): where the tip could be put; in the image.

    Raises InputError as `fit_pose_field` does.
    """
    field = fit_pose_field(data, config.field)
    targets = _T_tracker_tool(field, space.poses_at(targets_mm)[STRAIGHT::TURNS])
    errors = predicted_errors_mm(field, targets)
    return Assessment(
        count=len(data),
        error_mm=float(np.quantile(errors, config.share)),
        target_errors_mm=errors,
        evidence_non_rigid=field.evidence_non_rigid,
        noise_mm=float(np.sqrt(field.inflation) * field.noise_mm),
        covered=space.covered(T_image_tip(field, data.T_tracker_tool)),
        next=_most_helpful(field, targets, space.poses_at(places_mm), config),
    )


def predicted_errors_mm(field: PoseField, T_tracker_tool: Array) -> Array:
    """Radius (M,) that holds the error of a corrected tip with 95 % probability, the noise of its measurement included."""
    return field(T_tracker_tool).radius_95_mm


def T_image_tip(field: PoseField, T_tracker_tool: Array) -> Array:
    """Poses (N, 4, 4) of the tip in the image, rigidly: good enough to tell cells apart."""
    return np.asarray(field.T_image_tracker @ T_tracker_tool @ se3.make(np.eye(3), field.data.tip_tool_mm))


def verdict(history: Sequence[tuple[int, float]], covered_share: float, config: CalibrationConfig) -> Verdict:
    """Whether to go on, from counts and predicted errors so far, in order, and the share of the volume's cells with a correspondence."""
    if not history or history[-1][0] < config.at_least:
        return Verdict.COLLECT
    count, error_mm = history[-1]
    if covered_share < config.least_covered:
        return Verdict.FULL if count >= config.most else Verdict.COLLECT
    if error_mm <= config.limit_mm:
        return Verdict.ENOUGH
    if count >= config.most:
        return Verdict.FULL
    now = _mean_error(history, count - config.patience, count)
    before = _mean_error(history, max(config.at_least - 1, count - 2 * config.patience), count - config.patience)
    # A prediction that rises has learnt of a distortion that it did not know of: that is no reason to stop.
    level = (1.0 - config.least_gain) * before < now < (1.0 + config.least_gain) * before
    return Verdict.LEVEL if level else Verdict.COLLECT


def _mean_error(history: Sequence[tuple[int, float]], after: int, until: int) -> float:
    """Mean predicted error while there were more than `after` and up to `until` correspondences; NaN when there is none."""
    errors = [error_mm for count, error_mm in history if after < count <= until]
    return float(np.mean(errors)) if errors else float("nan")


def farthest(points_mm: Array, from_mm: Array) -> int:
    """The point (of N, 3) that is farthest from all of `from_mm` (M, 3), or from the points' middle where there is none yet."""
    others = from_mm if len(from_mm) else points_mm.mean(axis=0)[None]
    return int(np.argmax(np.linalg.norm(points_mm[:, None] - others[None], axis=2).min(axis=1)))


def _most_helpful(field: PoseField, targets: Array, T_image_tips: Array, config: CalibrationConfig) -> Place:
    """The place that lowers the mean predicted variance at the targets most, among those where least is known.

    What a Gaussian process is told of a place does not depend on what is found there: the predicted value stands for it.
    """
    poses = _T_tracker_tool(field, T_image_tips)
    # Each look costs as much as a fit.
    looks = min(config.looked_at, max(3, _LOOKS * config.looked_at // len(field.data)))
    candidates = np.argsort(-predicted_errors_mm(field, poses), kind="stable")[:looks]
    now_mm = _mean_radius(field, targets, field)
    gains = [now_mm - _mean_radius(_with(field, poses[i]), targets, field) for i in candidates]
    best = int(np.argmax(gains))
    chosen = int(candidates[best])
    return Place(T_image_tips[chosen], chosen % TURNS, float(gains[best]))


def _with(field: PoseField, T_tracker_tool: Array) -> PoseField:
    expected = field(T_tracker_tool[None]).mean_mm
    return field.updated(correspondences(T_tracker_tool[None], expected, field.data.tip_tool_mm))


def _mean_radius(field: PoseField, targets: Array, scale: PoseField) -> float:
    """Mean radius at the targets, with the factor of another field: that of this one knows of a point that was made up."""
    return float(expected_radius_95(scale.inflation / field.inflation * field.of_map(targets).covariance).mean())


def _T_tracker_tool(field: PoseField, T_image_tips: Array) -> Array:
    return np.asarray(se3.inverse(field.T_image_tracker) @ T_image_tips @ se3.make(np.eye(3), -field.data.tip_tool_mm))
