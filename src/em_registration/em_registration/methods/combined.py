"""Field and network together: two answers from the same correspondences by other assumptions, weighed by their own precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.field.config import PoseFieldConfig
from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.methods.in_context import fit_in_context
from em_registration.methods.interface import Correspondences, Model, Prediction
from lodestone_core.types import Array

_CONFIG = PoseFieldConfig()


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Both models of one set of correspondences."""

    field: PoseField
    network: Model

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image."""
        return combine(self.field(T_tracker_tool), self.network(T_tracker_tool))


def fit_combined(correspondences: Correspondences, config: PoseFieldConfig = _CONFIG) -> Combined:
    """Fit the field, and give the network the same correspondences. Raises InputError as both do."""
    return Combined(fit_pose_field(correspondences, config), fit_in_context(correspondences))


def combine(one: Prediction, other: Prediction) -> Prediction:
    """Means weighed by precision, (..., 3) and (..., 3, 3).

    Both know the same data and err together, so the covariance is not that of independent answers, which would be half as large: it is
    their harmonic mean, what either alone would claim if they agreed.
    """
    P, Q = np.linalg.inv(one.covariance), np.linalg.inv(other.covariance)
    together = np.linalg.inv(P + Q)
    mean = (together @ (P @ one.mean_mm[..., None] + Q @ other.mean_mm[..., None]))[..., 0]
    return Prediction(mean, together + np.swapaxes(together, -1, -2))
