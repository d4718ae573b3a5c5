"""The method for a bench: rigid registration and distortion field over pose, with the covariance of every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.field import kernel, kriging
from em_registration.field.calibration import few_points, groups, inflation
from em_registration.field.config import FIELDS, Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.data import FieldData
from em_registration.field.domain import Domain, domain_of
from em_registration.field.mixture import moments, posterior
from em_registration.field.rigid_frame import Frame, rigid_frames
from em_registration.field.scenes import NEGLIGIBLE
from em_registration.methods.checks import CorrespondenceConfig, check_correspondences
from em_registration.methods.interface import Correspondences, Prediction, correspondences, tips
from lodestone_core import se3
from lodestone_core.checks import as_array
from lodestone_core.config import load_config, to_mapping
from lodestone_core.covariance import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.paired_points_checks import PairedPointsConfig
from lodestone_core.types import Array

_CONFIG = PoseFieldConfig()
_CHECKS = CorrespondenceConfig(points=PairedPointsConfig(min_separation_mm=0.0))
LEAST = 3
AT_ONCE = 1_000_000
"""Entries of covariance matrices that are worked on together."""
STRAY_FROM, STRAY_ROUNDS, LEAST_FOR_STRAY = 50.0, 3, 7
"""Squared error over its expectation (chi-square of 3) from which a correspondence is a stray one: one in 10^10 honest ones."""
LEAST_TO_LEAVE_OUT = 4
"""With one of fewer left out, no rigid map is left."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseField:
    """A fitted field: the data, the first rigid fit, and the hypotheses that are probable after the data (P of them).

    `weights` (P,): their probabilities. `inverse_weights` (n,): what each correspondence's noise variance is multiplied with (1, or more
    for one that the others contradict). `L_inverse` (P, n, n): so that an answer is a few products of matrices. `inflation`: factor of the
    covariance that the left-out errors ask for. `evidence_non_rigid`: probability, after the data, that there is a distortion that a rigid
    registration leaves.
    """

    data: Correspondences
    config: PoseFieldConfig
    frame: Frame
    places: kernel.Places
    scale_mm: float
    chosen: Hypotheses
    weights: Array
    inverse_weights: Array
    fits: kriging.Fit
    L_inverse: Array
    inflation: float
    evidence_non_rigid: float
    domain: Domain

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image, averaged over the hypotheses; poses are as noisy as the data were."""
        return self._predict(T_tracker_tool, noisy=True)

    def of_map(self, T_tracker_tool: Array) -> Prediction:
        """The same with the error of the map alone, to which a caller adds what it knows of these poses' noise."""
        return self._predict(T_tracker_tool, noisy=False)

    def _predict(self, T_tracker_tool: Array, noisy: bool) -> Prediction:
        queries = kernel.places(T_tracker_tool, np.array(self.scale_mm))
        q = self.frame.mapped(tips(T_tracker_tool, self.data.tip_tool_mm)[None])
        axes = self.frame.axes(kernel.axes(queries, self.chosen))
        rows = kriging.design(self.frame.about_centroid(q), axes)
        V = self.L_inverse @ kernel.covariance(self.places, queries, self.chosen)
        own = kernel.variance(queries, self.chosen) + (kernel.noise(queries, self.chosen) if noisy else 0.0)
        mean, spread = moments(self.weights, *kriging.along(axes, *kriging.answer(self.fits, V, own, rows)))
        return Prediction(q[0] + mean, self.inflation * spread)

    @property
    def noise_mm(self) -> float:
        """Standard deviation of a coordinate's noise, as the data have it."""
        return float(np.sqrt(self.weights @ self.fits.s2))

    @property
    def T_image_tracker(self) -> Array:
        """The rigid part (4, 4): the first fit with the correction that the hypotheses agree on."""
        c = self.frame.centroid_mm[0]
        about_centroid = se3.make(np.eye(3), c) @ se3.exp(self.weights @ self.fits.xi) @ se3.make(np.eye(3), -c)
        return np.asarray(about_centroid @ self.frame.T_image_tracker[0])

    @property
    def leave_one_out_mm(self) -> Array:
        """Distance (n,) of each correspondence from what all the others say of it."""
        axes = self.frame.axes(kernel.axes(self.places, self.chosen))
        errors, _ = _left_out(self.fits, self.L_inverse, self.chosen, self.config.temperature, axes, np.arange(len(self.data)))
        return np.asarray(np.linalg.norm(errors, axis=1))

    def domain_ratio(self, T_tracker_tool: Array) -> Array:
        """How far (M,) poses (M, 4, 4) are from all that was measured: 0 beside the data, 1 where they say nothing of a distortion.

        The hypotheses cannot tell: one that was right where there were data may claim any distance. Without a distortion to speak of it is
        0: a rigid map holds everywhere.
        """
        return np.asarray(self.evidence_non_rigid * self.domain.beyond(T_tracker_tool))

    def updated(self, more: Correspondences) -> PoseField:
        """With further correspondences of the same tool and no new search of hyper-parameters: for a touch of a known point."""
        data = joined(self.data, more)
        inverse_weights = np.concatenate([self.inverse_weights, np.ones(len(more))])
        return _weighed(_prepared(data, inverse_weights), self.config, self.chosen, self.evidence_non_rigid)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values from which `pose_field_from` makes the same field again, to the last bit."""
        return {
            "tip_tool_mm": self.data.tip_tool_mm.tolist(),
            "names": list(self.data.names),
            "T_tracker_tool": self.data.T_tracker_tool[:, :3].reshape(-1, 12).tolist(),
            "image_mm": self.data.image_mm.tolist(),
            "inverse_weights": self.inverse_weights.tolist(),
            "hypotheses": {name: getattr(self.chosen, name).tolist() for name in FIELDS},
            "weights": self.weights.tolist(),
            "inflation": self.inflation,
            "evidence_non_rigid": self.evidence_non_rigid,
            "config": to_mapping(self.config),
        }


def fit_pose_field(data: Correspondences, config: PoseFieldConfig = _CONFIG) -> PoseField:
    """Weigh all hypotheses on the data and keep those that are probable.

    Correspondences that the others contradict are mistrusted, as `inverse_weights` says. A place may be touched more than once, held
    another way. Raises InputError for what no registration follows from: too few, collinear, mirrored, exchanged or stray ones, units.
    """
    check_correspondences(data, LEAST, config=_CHECKS)
    field = _searched(_prepared(data, np.ones(len(data))), config)
    for _ in range(STRAY_ROUNDS):
        inverse_weights = _stray(field)
        if np.array_equal(inverse_weights, field.inverse_weights):
            break
        field = _searched(_prepared(data, inverse_weights), config)
    return field


def _searched(prepared: _Prepared, config: PoseFieldConfig) -> PoseField:
    """The field of the hypotheses that are probable."""
    h = hypotheses(config)
    # Some at a time: all of them at once would want fresh memory by the hundred megabytes, which takes longer than the arithmetic.
    some = max(1, AT_ONCE // len(prepared.data) ** 2)
    parts = [prepared.about.fit(h.take(slice(i, i + some)), config).log_evidence for i in range(0, len(h), some)]
    evidence = np.concatenate(parts) + h.log_prior
    probabilities = posterior(evidence / config.temperature, config.kept)
    distorted = min(1.0, float(posterior(evidence, len(h))[h.ratio > 0.0].sum()))
    return _weighed(prepared, config, h.take(np.flatnonzero(probabilities > NEGLIGIBLE)), distorted)


def _stray(field: PoseField) -> Array:
    """Factors (n,) of the noise variances: 1, or more for a correspondence whose error, told by all the others, no noise explains.

    At most one in five is mistrusted; where more seem wrong, it is the field that is.
    """
    if len(field.data) < LEAST_FOR_STRAY:
        return field.inverse_weights
    axes = field.frame.axes(kernel.axes(field.places, field.chosen))
    alone = np.arange(len(field.data))
    errors, expected = _left_out(field.fits, field.L_inverse, field.chosen, field.config.temperature, axes, alone)
    squared = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(expected), errors)
    factor = np.where(squared > STRAY_FROM, squared / 3.0, 1.0)
    mistrusted = factor > 1.0
    return field.inverse_weights if mistrusted.sum() > len(factor) / 5 else np.maximum(field.inverse_weights, factor)


def pose_field_from(mapping: Any, where: str) -> PoseField:
    """The field that `PoseField.to_mapping` described. Raises InputError that names the key."""
    try:
        T = np.tile(np.eye(4), (len(mapping["T_tracker_tool"]), 1, 1))
        T[:, :3] = np.array(mapping["T_tracker_tool"], dtype=np.float64).reshape(-1, 3, 4)
        names = tuple(str(name) for name in mapping["names"])
        data = correspondences(T, mapping["image_mm"], mapping["tip_tool_mm"], names)
        inverse_weights = as_array("inverse_weights", mapping["inverse_weights"], (len(data),))
        h = Hypotheses(**{name: as_array(f"hypotheses.{name}", mapping["hypotheses"][name], (None,)) for name in FIELDS})
        config = load_config(PoseFieldConfig, mapping["config"], where)
        weights = as_array("weights", mapping["weights"], (len(h),))
        scale, distorted = float(mapping["inflation"]), float(mapping["evidence_non_rigid"])
    except (KeyError, TypeError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(where, expected="a field that Lodestone saved", got=got, remedy="give the registration's own file") from error
    prepared = _prepared(data, inverse_weights)
    fits = prepared.about.fit(h, config)
    return prepared.field(config, h, fits, kriging.inverse_of(fits.L), Belief(weights, scale, distorted))


def joined(first: Correspondences, second: Correspondences) -> Correspondences:
    """Both, of one tool."""
    T = np.concatenate([first.T_tracker_tool, second.T_tracker_tool])
    return Correspondences(T, np.concatenate([first.image_mm, second.image_mm]), first.tip_tool_mm, first.names + second.names)


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What was concluded from the data: probabilities (P,) of the hypotheses, factor of the covariance, probability of a distortion."""

    weights: Array
    inflation: float
    evidence_non_rigid: float


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """Correspondences with what every hypothesis needs of them."""

    data: Correspondences
    scale_mm: float
    about: FieldData

    def field(self, config: PoseFieldConfig, chosen: Hypotheses, fits: kriging.Fit, L_inverse: Array, belief: Belief) -> PoseField:
        """The field of hypotheses whose probabilities are known."""
        f, weights = self.about.frame, self.about.inverse_weights
        about = (self.data, config, f, self.about.places, self.scale_mm, chosen, belief.weights, weights)
        return PoseField(*about, fits, L_inverse, belief.inflation, belief.evidence_non_rigid, domain_of(self.data))


def _prepared(data: Correspondences, inverse_weights: Array) -> _Prepared:
    tracker = data.tracker_mm
    frame = rigid_frames(tracker[None], data.image_mm[None], 1.0 / inverse_weights[None])
    scale_mm = kernel.rms_distance(data.T_tracker_tool)
    places = kernel.places(data.T_tracker_tool, scale_mm)
    mapped = frame.mapped(tracker[None])
    return _Prepared(data, float(scale_mm), FieldData(frame, places, mapped, data.image_mm[None] - mapped, inverse_weights))


def _weighed(prepared: _Prepared, config: PoseFieldConfig, chosen: Hypotheses, distorted: float) -> PoseField:
    """The field of the chosen hypotheses, weighed by their evidence and by what they say of correspondences that are left out."""
    found = prepared.about.fit(chosen, config)
    L_inverse = kriging.inverse_of(found.L)
    weights = posterior((found.log_evidence + chosen.log_prior) / config.temperature, len(chosen))
    scale = float(few_points(len(prepared.data), np.array(distorted), config.caution))
    if len(prepared.data) >= LEAST_TO_LEAVE_OUT:
        together = groups(len(prepared.data), config.seed)
        errors, expected = _left_out(found, L_inverse, chosen, config.temperature, prepared.about.axes(chosen), together)
        scale = float(inflation(np.linalg.norm(errors, axis=1), expected_radius_95(expected), np.array(distorted), config.caution))
    return prepared.field(config, chosen, found, L_inverse, Belief(weights, scale, distorted))


def _left_out(
    fits: kriging.Fit, L_inverse: Array, chosen: Hypotheses, temperature: float, axes: Array, together: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Errors (n, 3) of what is left out, with expected covariances (n, 3, 3); hypotheses are weighed by the others alone."""
    others = kriging.leave_out(fits, L_inverse, together)
    weights = posterior((others.log_evidence + chosen.log_prior[:, None]) / temperature, len(chosen))
    return moments(weights, *kriging.along(axes, others.errors, others.covariance))
