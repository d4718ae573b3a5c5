"""Many registrations of one size at once: for evaluations over thousands of scenes, with the arithmetic of the single one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field import kernel, kriging
from em_registration.field.calibration import groups, inflation
from em_registration.field.config import Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.data import FieldData
from em_registration.field.mixture import Mixture, posterior
from em_registration.field.rigid_frame import rigid_frames
from em_registration.methods.interface import Prediction, tips
from lodestone_core.covariance import expected_radius_95
from lodestone_core.types import Array

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Scenes:
    """What one hypothesis needs of B scenes."""

    data: FieldData
    queries: kernel.Places
    queries_mm: Array

    def take(self, kept: Indices) -> _Scenes:
        return _Scenes(self.data.take(kept), self.queries.take(kept), self.queries_mm[kept])

    def answer(self, one: Hypotheses, found: kriging.Fit, L_inverse: Array) -> tuple[Array, Array]:
        """Corrections (B, M, 3) and covariances (B, M, 3, 3) at the queries, in the image."""
        frame = self.data.frame
        axes = frame.axes(kernel.axes(self.queries, one))
        rows = kriging.design(frame.about_centroid(self.queries_mm), axes)
        V = L_inverse @ kernel.covariance(self.data.places, self.queries, one)
        own = kernel.variance(self.queries, one) + kernel.noise(self.queries, one)
        return kriging.along(axes, *kriging.answer(found, V, own, rows))


@dataclass(frozen=True, slots=True, eq=False)
class SceneAnswers:
    """Predictions (B, M, ...) at the queries, and the posterior probability (B,) that there is a distortion at all."""

    prediction: Prediction
    evidence_non_rigid: Array


def predict_scenes(T_data: Array, image_mm: Array, T_query: Array, tip_tool_mm: Array, config: PoseFieldConfig) -> SceneAnswers:
    """Fit B scenes (B, n, 4, 4), (B, n, 3) and answer queries (B, M, 4, 4): means (B, M, 3), covariances (B, M, 3, 3).

    The covariance is that of a pose measured like the data, its own noise included.
    """
    h = hypotheses(config)
    tracker = tips(T_data, tip_tool_mm)
    frame = rigid_frames(tracker, image_mm)
    mapped, q = frame.mapped(tracker), frame.mapped(tips(T_query, tip_tool_mm))
    scale = kernel.rms_distance(T_data)
    data = FieldData(frame, kernel.places(T_data, scale), mapped, image_mm - mapped, np.ones(T_data.shape[1]))
    scenes = _Scenes(data, kernel.places(T_query, scale), q)
    every = [h.take(slice(p, p + 1)) for p in range(len(h))]
    evidence = np.stack([data.fit(one, config).log_evidence for one in every])
    weights = posterior((evidence + h.log_prior[:, None]) / config.temperature, config.kept)
    left_together = groups(T_data.shape[1], config.seed)
    answers, left_out = Mixture(q.shape), Mixture(mapped.shape)
    for p, one in enumerate(every):
        kept = np.flatnonzero(weights[p] > NEGLIGIBLE)
        if len(kept):
            some = scenes.take(kept)
            found = some.data.fit(one, config)
            L_inverse = kriging.inverse_of(found.L)
            answers.add(kept, weights[p, kept, None], *some.answer(one, found, L_inverse))
            others = kriging.leave_out(found, L_inverse, left_together)
            # Without them this hypothesis would have been weighed differently, too.
            change = others.log_evidence - evidence[:, kept].max(axis=0)[:, None]
            weight = np.exp(np.clip((change + h.log_prior[p]) / config.temperature, -_WIDEST, _WIDEST))
            left_out.add(kept, weight, *kriging.along(some.data.axes(one), others.errors, others.covariance))
    mean, spread = answers.moments()
    error, expected = left_out.moments()
    distorted = posterior(evidence + h.log_prior[:, None], len(h))[h.ratio > 0.0].sum(axis=0)
    factor = inflation(np.linalg.norm(error, axis=-1), expected_radius_95(expected), distorted, config.caution)
    return SceneAnswers(Prediction(q + mean, spread * factor[:, None, None, None]), distorted)


_WIDEST = 50.0
"""Logarithms of weights beyond this differ no more: where the others are in a line they say nothing, however it is weighed."""
NEGLIGIBLE = 0.003
"""Probability below which a hypothesis is dropped: it could not move a prediction by more than the noise."""
