"""Many registrations of one size at once: for evaluations over thousands of scenes, with the arithmetic of the single one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field import kriging
from em_registration.field.config import Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.kernel import Apart, apart, covariance
from em_registration.methods.interface import Prediction, tips
from lodestone_core import se3
from lodestone_core.types import Array

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The first rigid fit of B scenes: T_image_tracker (B, 4, 4) and the centroid (B, 3) of the mapped data."""

    T_image_tracker: Array
    centroid_mm: Array

    def mapped(self, points_tracker_mm: Array) -> Array:
        """Points (B, N, 3) of the tracker in the image by the rigid fit."""
        return np.asarray(se3.transform(self.T_image_tracker[:, None], points_tracker_mm))

    def columns(self, mapped_mm: Array) -> Array:
        """(1, q_x, q_y, q_z) of mapped points (B, N, 3) about the centroid."""
        q = mapped_mm - self.centroid_mm[:, None]
        return np.concatenate([np.ones((*q.shape[:-1], 1)), q], axis=-1)


def rigid_frames(tracker_mm: Array, image_mm: Array, weights: Array | None = None) -> Frame:
    """Least-squares rigid fits of B sets of points (B, n, 3), optionally weighted (B, n) (Arun's SVD, determinant set right)."""
    w = np.ones(tracker_mm.shape[:2]) if weights is None else weights
    w = (w / w.sum(axis=1, keepdims=True))[..., None]
    a0, b0 = (w * tracker_mm).sum(axis=1), (w * image_mm).sum(axis=1)
    H = np.swapaxes(w * (image_mm - b0[:, None]), 1, 2) @ (tracker_mm - a0[:, None])
    U, _, Vt = np.linalg.svd(H)
    U = U * np.stack([np.ones(len(U)), np.ones(len(U)), np.linalg.det(U @ Vt)], axis=1)[:, None, :]
    R = U @ Vt
    return Frame(se3.make(R, b0 - (R @ a0[..., None])[..., 0]), b0)


def predict_scenes(T_data: Array, image_mm: Array, T_query: Array, tip_tool_mm: Array, config: PoseFieldConfig) -> tuple[Prediction, Array]:
    """Fit B scenes (B, n, 4, 4), (B, n, 3) and answer queries (B, M, 4, 4): means (B, M, 3), covariances (B, M, 3, 3).

    Also the posterior probability (B,) that there is a distortion at all.
    """
    h = hypotheses(config)
    tracker, query = tips(T_data, tip_tool_mm), tips(T_query, tip_tool_mm)
    frame = rigid_frames(tracker, image_mm)
    mapped, q = frame.mapped(tracker), frame.mapped(query)
    data = apart(T_data, T_data, tracker, tracker)
    across = apart(T_data, T_query, tracker, query)
    scene = (frame.columns(mapped), image_mm - mapped)
    prior = (config.noise_weight, config.noise_mm)
    evidence = np.stack([_fit(data, h, p, scene, prior, slice(None)).log_evidence for p in range(len(h))])
    weights = posterior(evidence + h.log_prior[:, None], config.kept)
    mixture = Mixture(q.shape)
    for p in range(len(h)):
        kept = np.flatnonzero(weights[p])
        if len(kept):
            found = _fit(data, h, p, scene, prior, kept)
            K = covariance(_taken(across, kept), _one(h, p))
            mean, spread = kriging.predict(found, K, np.full(len(kept), h.ratio[p] ** 2), frame.columns(q)[kept])
            mixture.add(kept, weights[p, kept], mean, spread)
    mean, spread = mixture.moments()
    return Prediction(q + mean, spread), 1.0 - weights[0]


class Mixture:
    """Mean and covariance of a weighted sum of predictions, collected one hypothesis at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean = np.zeros(shape)
        self._second = np.zeros((*shape, 3))

    def add(self, scenes: Indices, weights: Array, mean: Array, spread: Array) -> None:
        """Predictions (S, M, 3), (S, M, 3, 3) of the scenes with these indices (S,), with these weights (S,)."""
        w = weights[:, None, None]
        self._mean[scenes] += w * mean
        self._second[scenes] += w[..., None] * (spread + mean[..., :, None] * mean[..., None, :])

    def moments(self) -> tuple[Array, Array]:
        """Means (B, M, 3) and covariances (B, M, 3, 3), the disagreement between hypotheses included."""
        return self._mean, self._second - self._mean[..., :, None] * self._mean[..., None, :]


def posterior(log_weights: Array, kept: int) -> Array:
    """Probabilities (P, B) of log weights (P, B); all but the largest `kept` of each column are 0."""
    w = np.exp(log_weights - log_weights.max(axis=0))
    if kept < len(w):
        w[w < np.sort(w, axis=0)[-kept]] = 0.0
    return np.asarray(w / w.sum(axis=0))


def _fit(data: Apart, h: Hypotheses, p: int, scene: tuple[Array, Array], prior: tuple[float, float], kept: slice | Indices) -> kriging.Fit:
    columns, residuals = (values[kept] for values in scene)
    K = covariance(_taken(data, kept), _one(h, p))
    return kriging.fit(K, np.ones(columns.shape[:2]), columns, residuals, prior)


def _taken(between: Apart, kept: slice | Indices) -> Apart:
    return Apart(between.squared_mm2[kept], between.turn[kept])


def _one(h: Hypotheses, p: int) -> Hypotheses:
    one = slice(p, p + 1)
    return Hypotheses(h.ratio[one], h.length_mm[one], h.turn_rad[one], h.turned_share[one], h.log_prior[one])
