"""The method for a bench: rigid registration and distortion field over pose, with the covariance of every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.field import kernel, kriging
from em_registration.field.calibration import groups, inflation
from em_registration.field.config import FIELDS, Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.mixture import moments, posterior
from em_registration.field.rigid_frame import Frame, rigid_frames
from em_registration.field.scenes import NEGLIGIBLE
from em_registration.methods.interface import Correspondences, Prediction, correspondences, tips
from lodestone_core import se3
from lodestone_core.checks import as_array
from lodestone_core.config import load_config, to_mapping
from lodestone_core.covariance import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_CONFIG = PoseFieldConfig()


@dataclass(frozen=True, slots=True, eq=False)
class PoseField:
    """A fitted field: the data, the first rigid fit, and the hypotheses that are probable after the data (P of them).

    `weights` (P,): their probabilities. `inverse_weights` (n,): what each correspondence's noise variance is multiplied with (1, or more
    for one that the others contradict). `L_inverse` (P, n, n): so that an answer is a few products of matrices. `inflation`: factor of the
    covariance that the leave-one-out errors ask for.
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

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image, averaged over the hypotheses."""
        queries = kernel.places(T_tracker_tool, np.array(self.scale_mm))
        q = self.frame.mapped(tips(T_tracker_tool, self.data.tip_tool_mm)[None])
        V = self.L_inverse @ kernel.covariance(self.places, queries, self.chosen)
        means, spreads = kriging.answer(self.fits, V, kernel.variance(queries, self.chosen), self.frame.columns(q))
        mean, spread = moments(self.weights, means, spreads)
        return Prediction(q[0] + mean, self.inflation * spread)

    @property
    def evidence_non_rigid(self) -> float:
        """Probability, after the data, that there is a distortion that a rigid registration leaves."""
        return float(self.weights[self.chosen.ratio > 0.0].sum())

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
    def rigid_covariance(self) -> Array:
        """Covariance (6, 6) of `T_image_tracker` as messages have it: about the image's axes at the tracker's origin, mm and rad."""
        off = self.fits.xi - self.weights @ self.fits.xi
        C = np.einsum("p,p,pij->ij", self.weights, self.fits.s2, self.fits.A_inverse) + np.einsum("p,pi,pj->ij", self.weights, off, off)
        J = np.eye(6)
        J[:3, 3:] = -se3.hat(self.T_image_tracker[:3, 3] - self.frame.centroid_mm[0])
        return np.asarray(self.inflation * J @ C @ J.T)

    @property
    def leave_one_out_mm(self) -> Array:
        """Distance (n,) of each correspondence from what all the others say of it."""
        errors, _ = _left_out(self.fits, self.L_inverse, self.chosen, self.config, np.arange(len(self.data)))
        return np.asarray(np.linalg.norm(errors, axis=1))

    def domain_ratio(self, T_tracker_tool: Array) -> Array:
        """Share (M,) of the distortion's variance that the data leave open at poses (M, 4, 4): 0 beside the data, 1 where they say nothing.

        Without a distortion to speak of it is 0: a rigid map holds everywhere.
        """
        queries = kernel.places(T_tracker_tool, np.array(self.scale_mm))
        known = np.sum((self.L_inverse @ kernel.covariance(self.places, queries, self.chosen)) ** 2, axis=1)
        variance = kernel.variance(queries, self.chosen)
        by_hypothesis = self.weights * self.fits.s2
        open_mm2, total_mm2 = by_hypothesis @ np.maximum(variance - known, 0.0), by_hypothesis @ variance
        return np.asarray(np.divide(open_mm2, total_mm2, out=np.zeros(len(total_mm2)), where=total_mm2 > 0.0))

    def updated(self, more: Correspondences) -> PoseField:
        """With further correspondences of the same tool and no new search of hyper-parameters: for a touch of a known point."""
        data = joined(self.data, more)
        inverse_weights = np.concatenate([self.inverse_weights, np.ones(len(more))])
        return _fitted(data, self.config, self.chosen, inverse_weights, kept=len(self.chosen))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values from which `pose_field_from` makes the same field again, to the last bit."""
        return {
            "tip_tool_mm": self.data.tip_tool_mm.tolist(),
            "names": list(self.data.names),
            "T_tracker_tool": self.data.T_tracker_tool[:, :3].reshape(-1, 12).tolist(),
            "image_mm": self.data.image_mm.tolist(),
            "inverse_weights": self.inverse_weights.tolist(),
            "hypotheses": {name: getattr(self.chosen, name).tolist() for name in FIELDS},
            "config": to_mapping(self.config),
        }


def fit_pose_field(data: Correspondences, config: PoseFieldConfig = _CONFIG) -> PoseField:
    """Weigh all hypotheses on the data and keep those that are probable.

    Raises InputError for what no rigid registration can be computed from (too few, collinear, duplicate, mirrored, other units).
    """
    inverse_weights = np.ones(len(data))
    return _fitted(data, config, hypotheses(config), inverse_weights, config.kept)


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
    except (KeyError, TypeError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(where, expected="a field that Lodestone saved", got=got, remedy="give the registration's own file") from error
    return _fitted(data, config, h, inverse_weights, kept=len(h))


def joined(first: Correspondences, second: Correspondences) -> Correspondences:
    """Both, of one tool."""
    T = np.concatenate([first.T_tracker_tool, second.T_tracker_tool])
    return Correspondences(T, np.concatenate([first.image_mm, second.image_mm]), first.tip_tool_mm, first.names + second.names)


def _fitted(data: Correspondences, config: PoseFieldConfig, h: Hypotheses, inverse_weights: Array, kept: int) -> PoseField:
    tracker = data.tracker_mm
    frame = rigid_frames(tracker[None], data.image_mm[None], 1.0 / inverse_weights[None])
    mapped = frame.mapped(tracker[None])
    scale_mm = kernel.rms_distance(data.T_tracker_tool)
    places = kernel.places(data.T_tracker_tool, scale_mm)
    scene = (inverse_weights[None], frame.columns(mapped), data.image_mm[None] - mapped)

    def fits(some: Hypotheses) -> kriging.Fit:
        inverse, columns, residuals = (np.broadcast_to(values, (len(some), *values.shape[1:])) for values in scene)
        return kriging.fit(kernel.covariance(places, places, some), inverse, columns, residuals, (config.noise_weight, config.noise_mm))

    probabilities = posterior((fits(h).log_evidence + h.log_prior) / config.temperature, kept)
    probable = np.flatnonzero(probabilities > NEGLIGIBLE)
    chosen, weights = h.take(probable), probabilities[probable] / probabilities[probable].sum()
    found = fits(chosen)
    L_inverse = kriging.inverse_of(found.L)
    errors, expected = _left_out(found, L_inverse, chosen, config, groups(len(data), config.seed))
    scale = float(inflation(np.linalg.norm(errors, axis=1), expected_radius_95(expected)))
    return PoseField(data, config, frame, places, float(scale_mm), chosen, weights, inverse_weights, found, L_inverse, scale)


def _left_out(
    fits: kriging.Fit, L_inverse: Array, chosen: Hypotheses, config: PoseFieldConfig, together: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Errors (n, 3) of what is left out, with expected covariances (n, 3, 3); hypotheses are weighed by the others alone."""
    others = kriging.leave_out(fits, L_inverse, together)
    weights = posterior((others.log_evidence + chosen.log_prior[:, None]) / config.temperature, len(chosen))
    return moments(weights, others.errors, others.covariance)
