"""A trained network as a map from millimetres to millimetres, and as a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from em_registration.models.attention_net import AttentionNet
from lodestone_core.checks import as_points
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Coordinates about `centre_mm` (3,) in units of `scale_mm`."""

    centre_mm: Array
    scale_mm: float

    @classmethod
    def of(cls, points: Array, spread: float) -> Normalisation:
        """The one that makes the RMS per axis of training points (N, 3) in mm about their mean `spread`."""
        return cls(points.mean(axis=0), float(np.sqrt(np.mean(points.var(axis=0)))) / spread)

    def apply(self, points: Tensor) -> Tensor:
        """Points (..., 3) in mm without unit, single precision."""
        return ((points - torch.from_numpy(self.centre_mm)) / self.scale_mm).float()

    def undo(self, points: Tensor) -> Array:
        """Points (..., 3) without unit in mm."""
        return np.asarray(points.double().numpy() * self.scale_mm + self.centre_mm)


@dataclass(frozen=True, slots=True, eq=False)
class AttentionModel:
    """The trained network between its normalisations."""

    net: AttentionNet
    source: Normalisation
    target: Normalisation

    def __call__(self, tracker_mm: npt.ArrayLike) -> Array:
        """Where points (N, 3) of the tracker's frame are in the image. Raises InputError for other shapes."""
        points = torch.from_numpy(as_points("points", tracker_mm))
        with torch.inference_mode():
            return self.target.undo(self.net(self.source.apply(points)))
