"""The paper's experiment made ready: what is trained on, what is held out, and how a map does on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from em_registration.attention.config import LandmarkConfig
from em_registration.attention.labels import SplineLabels, spline_labels
from em_registration.attention.metrics import Figures, figures
from em_registration.attention.triangles import Corners, Surface, split, surfaces
from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import correspondences, poses_at
from lodestone_core.config import option, section
from lodestone_core.types import Array

PointMap = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """What is fixed before any training."""

    landmarks: LandmarkConfig = section(LandmarkConfig, doc="landmarks in the tracker's frame and in the image")
    subdivisions: int = option(16, doc="parts into which the grid cuts each side of a triangle", minimum=4)
    held_out: tuple[str, ...] = option((), doc='triangles that are scored and not trained on, as "1-3-5"')
    neighbours: int = option(8, doc="k of the local feature preservation rate", minimum=1)
    tolerance_mm: float = option(1.0, unit="mm", doc="tau of the end-to-end point mapping accuracy", minimum=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Grid points of T triangles in the tracker's frame and in the image, both (T, N, 3) in mm; `landmarks_mm` (L, 3), tracker."""

    landmarks_mm: Array
    corners: tuple[Corners, ...]
    source_mm: Array
    target_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """Landmarks (L, 3) in both frames, the truth between them, and the triangles on either side of the split."""

    config: ExperimentConfig
    tracker_mm: Array
    image_mm: Array
    labels: SplineLabels
    training: tuple[Surface, ...]
    held_out: tuple[Surface, ...]

    def training_set(self) -> TrainingSet:
        """All grid points of the triangles to train on."""
        source = np.stack([surface.points_mm for surface in self.training])
        target = self.labels(source.reshape(-1, 3)).reshape(source.shape)
        return TrainingSet(self.tracker_mm, tuple(surface.corners for surface in self.training), source, target)

    def scored(self, triangles: Sequence[Surface]) -> tuple[list[Array], list[Array]]:
        """Inner points (N, 3) of each triangle in the tracker's frame and in the image; a side belongs to other triangles too."""
        points = [surface.points_mm[surface.inner] for surface in triangles]
        return points, [self.labels(p) for p in points]

    def figures(self, mapped: PointMap, triangles: Sequence[Surface] | None = None) -> Figures:
        """How a map from the tracker (N, 3) to the image (N, 3) does on triangles, by default on those held out."""
        points, truth = self.scored(self.held_out if triangles is None else triangles)
        return figures([mapped(p) for p in points], truth, self.config.neighbours, self.config.tolerance_mm)


def prepare(config: ExperimentConfig) -> Experiment:
    """The experiment of a configuration. Raises InputError, by name, for landmarks or triangles that make none."""
    tracker, image = config.landmarks.points()
    check_correspondences(correspondences(poses_at(tracker), image, names=config.landmarks.names), at_least=5, volume=True)
    training, held_out = split(surfaces(tracker, config.subdivisions), config.held_out)
    return Experiment(config, tracker, image, spline_labels(tracker, image), tuple(training), tuple(held_out))
