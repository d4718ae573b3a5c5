"""Many registrations of one size at once: for evaluations over thousands of scenes, with the arithmetic of the single one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field import kernel, kriging
from em_registration.field.calibration import groups, inflation
from em_registration.field.config import Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.mixture import Mixture, posterior
from em_registration.field.rigid_frame import rigid_frames
from em_registration.methods.interface import Prediction, tips
from lodestone_core.covariance import expected_radius_95
from lodestone_core.types import Array

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Scenes:
    """What one hypothesis needs of B scenes."""

    data: kernel.Places
    queries: kernel.Places
    columns: Array
    residuals: Array
    query_columns: Array

    def take(self, kept: Indices) -> _Scenes:
        data, queries = (kernel.Places(p.points_mm[kept], p.rotations[kept], p.reach[kept]) for p in (self.data, self.queries))
        return _Scenes(data, queries, self.columns[kept], self.residuals[kept], self.query_columns[kept])


@dataclass(frozen=True, slots=True, eq=False)
class SceneAnswers:
    """Predictions (B, M, ...) at the queries, and the posterior probability (B,) that there is a distortion at all."""

    prediction: Prediction
    evidence_non_rigid: Array


def predict_scenes(T_data: Array, image_mm: Array, T_query: Array, tip_tool_mm: Array, config: PoseFieldConfig) -> SceneAnswers:
    """Fit B scenes (B, n, 4, 4), (B, n, 3) and answer queries (B, M, 4, 4): means (B, M, 3), covariances (B, M, 3, 3)."""
    h = hypotheses(config)
    tracker = tips(T_data, tip_tool_mm)
    frame = rigid_frames(tracker, image_mm)
    mapped, q = frame.mapped(tracker), frame.mapped(tips(T_query, tip_tool_mm))
    scale = kernel.rms_distance(T_data)
    scenes = _Scenes(
        kernel.places(T_data, scale), kernel.places(T_query, scale), frame.columns(mapped), image_mm - mapped, frame.columns(q)
    )
    evidence = np.stack([_fit(scenes, h.take(slice(p, p + 1)), config).log_evidence for p in range(len(h))])
    log_weights = (evidence + h.log_prior[:, None]) / config.temperature
    weights = posterior(log_weights, config.kept)
    left_together = groups(T_data.shape[1], config.seed)
    answers, left_out = Mixture(q.shape), Mixture(mapped.shape)
    for p in range(len(h)):
        kept = np.flatnonzero(weights[p] > NEGLIGIBLE)
        if len(kept):
            some, one = scenes.take(kept), h.take(slice(p, p + 1))
            found = _fit(some, one, config)
            L_inverse = kriging.inverse_of(found.L)
            V = L_inverse @ kernel.covariance(some.data, some.queries, one)
            variance = kernel.variance(some.queries, one)
            answers.add(kept, weights[p, kept, None], *kriging.answer(found, V, variance, some.query_columns))
            others = kriging.leave_out(found, L_inverse, left_together)
            # Without them this hypothesis would have been weighed differently, too.
            change = others.log_evidence - evidence[:, kept].max(axis=0)[:, None]
            left_out.add(kept, np.exp((change + h.log_prior[p]) / config.temperature), others.errors, others.covariance)
    mean, spread = answers.moments()
    error, expected = left_out.moments()
    factor = inflation(np.linalg.norm(error, axis=-1), expected_radius_95(expected))
    return SceneAnswers(Prediction(q + mean, spread * factor[:, None, None, None]), 1.0 - weights[0])


NEGLIGIBLE = 0.003
"""Probability below which a hypothesis is dropped: it could not move a prediction by more than the noise."""


def _fit(scenes: _Scenes, one: Hypotheses, config: PoseFieldConfig) -> kriging.Fit:
    K = kernel.covariance(scenes.data, scenes.data, one)
    prior = (config.noise_weight, config.noise_mm)
    return kriging.fit(K, np.ones(K.shape[:2]), scenes.columns, scenes.residuals, prior)
