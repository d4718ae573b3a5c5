"""The method for a bench: rigid registration and distortion field over pose, with the covariance of every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from em_registration.field import kriging
from em_registration.field.config import Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.kernel import apart, covariance
from em_registration.field.scenes import Frame, posterior, rigid_frames
from em_registration.methods.interface import Correspondences, Prediction, correspondences, tips
from lodestone_core import se3
from lodestone_core.checks import as_array
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_CONFIG = PoseFieldConfig()


@dataclass(frozen=True, slots=True, eq=False)
class PoseField:
    """A fitted field: the data, the first rigid fit, and the hypotheses that are probable after the data (P of them).

    `weights` (P,): their probabilities. `inverse_weights` (n,): what each correspondence's noise variance is multiplied with (1, or more
    for one that the others contradict). `L_inverse` (P, n, n): so that an answer is a few products of matrices.
    """

    data: Correspondences
    config: PoseFieldConfig
    frame: Frame
    chosen: Hypotheses
    weights: Array
    inverse_weights: Array
    fits: kriging.Fit
    L_inverse: Array

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image, averaged over the hypotheses."""
        tracker = tips(T_tracker_tool, self.data.tip_tool_mm)
        q = self.frame.mapped(tracker[None])
        K = covariance(apart(self.data.T_tracker_tool, T_tracker_tool, self.data.tracker_mm, tracker), self.chosen)
        means, spreads = kriging.answer(self.fits, self.L_inverse @ K, self.chosen.ratio**2, self.frame.columns(q))
        mean = np.einsum("p,pmi->mi", self.weights, means)
        off = means - mean
        spread = np.einsum("p,pmij->mij", self.weights, spreads + off[..., :, None] * off[..., None, :])
        return Prediction(q[0] + mean, 0.5 * (spread + np.swapaxes(spread, 1, 2)))

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
        xi = self.weights @ self.fits.xi
        c = self.frame.centroid_mm[0]
        about_centroid = se3.make(np.eye(3), c) @ se3.exp(xi) @ se3.make(np.eye(3), -c)
        return np.asarray(about_centroid @ self.frame.T_image_tracker[0])

    @property
    def rigid_covariance(self) -> Array:
        """Covariance (6, 6) of `T_image_tracker` as messages have it: about the image's axes at the tracker's origin, mm and rad."""
        off = self.fits.xi - self.weights @ self.fits.xi
        C = np.einsum("p,p,pij->ij", self.weights, self.fits.s2, self.fits.A_inverse) + np.einsum("p,pi,pj->ij", self.weights, off, off)
        J = np.eye(6)
        J[:3, 3:] = -se3.hat(self.T_image_tracker[:3, 3] - self.frame.centroid_mm[0])
        return np.asarray(J @ C @ J.T)

    @property
    def leave_one_out_mm(self) -> Array:
        """Distance (n,) of each correspondence from what all the others say of it, hyper-parameters kept."""
        _, errors, _ = leave_one_out(self)
        return np.asarray(np.linalg.norm(errors, axis=1))

    def domain_ratio(self, T_tracker_tool: Array) -> Array:
        """Share (M,) of the distortion's variance that the data leave open at poses (M, 4, 4): 0 beside the data, 1 where they say nothing.

        Without a distortion to speak of it is 0: a rigid map holds everywhere.
        """
        tracker = tips(T_tracker_tool, self.data.tip_tool_mm)
        K = covariance(apart(self.data.T_tracker_tool, T_tracker_tool, self.data.tracker_mm, tracker), self.chosen)
        variance = self.chosen.ratio**2
        known = np.sum((self.L_inverse @ K) ** 2, axis=1)
        open_mm2 = (self.weights * self.fits.s2) @ np.maximum(variance[:, None] - known, 0.0)
        total_mm2 = float((self.weights * self.fits.s2) @ variance)
        return np.asarray(open_mm2 / total_mm2 if total_mm2 > 0.0 else np.zeros(len(tracker)))

    def updated(self, more: Correspondences) -> PoseField:
        """With further correspondences of the same tool, hyper-parameters and their probabilities kept: for a touch of a known point."""
        data = joined(self.data, more)
        inverse_weights = np.concatenate([self.inverse_weights, np.ones(len(more))])
        return _fitted(data, self.config, self.chosen, inverse_weights, kept=len(self.chosen))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values from which `pose_field_from` makes the same field again, to the last bit."""
        h = self.chosen
        return {
            "tip_tool_mm": self.data.tip_tool_mm.tolist(),
            "names": list(self.data.names),
            "T_tracker_tool": self.data.T_tracker_tool[:, :3].reshape(-1, 12).tolist(),
            "image_mm": self.data.image_mm.tolist(),
            "inverse_weights": self.inverse_weights.tolist(),
            "hypotheses": {name: getattr(h, name).tolist() for name in _FIELDS},
            "noise_prior": [self.config.noise_weight, self.config.noise_mm],
        }


_FIELDS = ("ratio", "length_mm", "turn_rad", "turned_share", "log_prior")


def fit_pose_field(data: Correspondences, config: PoseFieldConfig = _CONFIG) -> PoseField:
    """Weigh all hypotheses on the data and keep those that are probable.

    Raises InputError for what no rigid registration can be computed from (too few, collinear, duplicate, mirrored, other units).
    """
    inverse_weights = np.ones(len(data))
    return _fitted(data, config, hypotheses(config), inverse_weights, config.kept)


def joined(first: Correspondences, second: Correspondences) -> Correspondences:
    """Both, of one tool."""
    T = np.concatenate([first.T_tracker_tool, second.T_tracker_tool])
    return Correspondences(T, np.concatenate([first.image_mm, second.image_mm]), first.tip_tool_mm, first.names + second.names)


def leave_one_out(field: PoseField) -> tuple[Array, Array, Array]:
    """Of every correspondence by all the others: prediction (n, 3), its error (n, 3), and the covariance (n, 3, 3) expected of it.

    Closed form for kriging with a flat mean (O. Dubrule, "Cross validation of kriging in a unique neighborhood", Math. Geology 15(6),
    1983): with P = C^-1 - C^-1 H A^-1 H^T C^-1 the error at i is P_ii^-1 (P r)_i and its covariance P_ii^-1.
    """
    n = len(field.data)
    mapped = field.frame.mapped(field.data.tracker_mm[None])
    rows = kriging.design(field.frame.columns(mapped))[0].reshape(3 * n, 6)
    r = (field.data.image_mm - mapped[0]).ravel()
    errors, spreads = [], []
    for p in range(len(field.chosen)):
        C_inverse = np.kron(field.L_inverse[p].T @ field.L_inverse[p], np.eye(3))
        side = C_inverse @ rows
        P = C_inverse - side @ field.fits.A_inverse[p] @ side.T
        blocks = np.linalg.inv(P.reshape(n, 3, n, 3)[np.arange(n), :, np.arange(n), :])
        errors.append((blocks @ (P @ r).reshape(n, 3, 1))[..., 0])
        spreads.append(field.fits.s2[p] * blocks)
    error = np.einsum("p,pni->ni", field.weights, np.array(errors))
    off = np.array(errors) - error
    spread = np.einsum("p,pnij->nij", field.weights, np.array(spreads) + off[..., :, None] * off[..., None, :])
    return field.data.image_mm - error, error, spread


def _fitted(data: Correspondences, config: PoseFieldConfig, h: Hypotheses, inverse_weights: Array, kept: int) -> PoseField:
    tracker = data.tracker_mm
    frame = rigid_frames(tracker[None], data.image_mm[None], 1.0 / inverse_weights[None])
    mapped = frame.mapped(tracker[None])
    between = apart(data.T_tracker_tool, data.T_tracker_tool, tracker, tracker)
    scene = (frame.columns(mapped), data.image_mm[None] - mapped, inverse_weights[None])
    prior = (config.noise_weight, config.noise_mm)

    def fits(some: Hypotheses) -> kriging.Fit:
        columns, residuals, inverse = (np.broadcast_to(values, (len(some), *values.shape[1:])) for values in scene)
        return kriging.fit(covariance(between, some), inverse, columns, residuals, prior)

    weights = posterior((fits(h).log_evidence + h.log_prior)[:, None], kept)[:, 0]
    probable = np.flatnonzero(weights > _NEGLIGIBLE)
    chosen = Hypotheses(*(getattr(h, name)[probable] for name in _FIELDS))
    found = fits(chosen)
    L_inverse = kriging.lower_solve(found.L, np.broadcast_to(np.eye(len(data)), found.L.shape))
    return PoseField(data, config, frame, chosen, weights[probable] / weights[probable].sum(), inverse_weights, found, L_inverse)


_NEGLIGIBLE = 0.003
"""Probability below which a hypothesis is dropped: it could not move a prediction by more than the noise."""


def pose_field_from(mapping: Any, where: str) -> PoseField:
    """The field that `PoseField.to_mapping` described. Raises InputError that names the key."""
    try:
        T = np.tile(np.eye(4), (len(mapping["T_tracker_tool"]), 1, 1))
        T[:, :3] = np.array(mapping["T_tracker_tool"], dtype=np.float64).reshape(-1, 3, 4)
        names = tuple(str(name) for name in mapping["names"])
        data = correspondences(T, mapping["image_mm"], mapping["tip_tool_mm"], names)
        inverse_weights = as_array("inverse_weights", mapping["inverse_weights"], (len(data),))
        h = Hypotheses(*(as_array(f"hypotheses.{name}", mapping["hypotheses"][name], (None,)) for name in _FIELDS))
        weight, noise_mm = (float(value) for value in mapping["noise_prior"])
    except (KeyError, TypeError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(where, expected="a field that Lodestone saved", got=got, remedy="give the registration's own file") from error
    return _fitted(data, PoseFieldConfig(noise_weight=weight, noise_mm=noise_mm), h, inverse_weights, kept=len(h))
