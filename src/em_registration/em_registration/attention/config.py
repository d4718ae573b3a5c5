"""What the paper's experiment needs: landmarks in both frames, the network, its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class LandmarkConfig:
    """Landmarks by name, their coordinates one after the other."""

    names: tuple[str, ...] = option((), doc="a name a landmark")
    tracker_mm: tuple[float, ...] = option((), unit="mm", doc="x, y, z of each landmark in the tracker's frame")
    image_mm: tuple[float, ...] = option((), unit="mm", doc="x, y, z of each landmark in the image")

    def points(self) -> tuple[Array, Array]:
        """Landmarks (L, 3) in the tracker's frame and in the image. Raises InputError where counts differ or fewer than 5 are given."""
        count = len(self.names)
        if count < 5 or {len(self.tracker_mm), len(self.image_mm)} != {3 * count}:
            got = f"{count} names, {len(self.tracker_mm)} and {len(self.image_mm)} numbers"
            remedy = "give x, y, z of each landmark in both frames; a spline with a bend needs 5"
            raise InputError("landmarks", expected="at least 5 names, three times as many numbers", got=got, remedy=remedy)
        return np.array(self.tracker_mm).reshape(-1, 3), np.array(self.image_mm).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The network. The paper gives none of these numbers."""

    width: int = option(64, doc="d: length of every feature vector", minimum=4)
    attention: bool = option(True, doc="false: the ablation, every source point weighs the same and the query is added")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the two losses, equation 10; the constants are the paper's."""

    contrastive_max: float = option(0.9, doc="lambda_1 at the start", minimum=0.0)
    position_min: float = option(0.1, doc="lambda_2 at the start", minimum=0.0)
    position_max: float = option(0.9, doc="lambda_2 that it tends to", minimum=0.0)
    decay: float = option(2.0, doc="alpha, rate of lambda_1", minimum=0.0)
    growth: float = option(3.0, doc="beta, rate of lambda_2", minimum=0.0)
    dynamic: bool = option(True, doc="false: the ablation, both weights stay at their mean over the training")
    contrastive: bool = option(True, doc="false: the ablation, lambda_1 is zero")
    temperature: float = option(0.1, doc="tau of the contrastive loss; not given in the paper", minimum=1e-3)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The training: batch, epochs and rates are the paper's, the sizes of the sets are not given there."""

    epochs: int = option(300, doc="passes over the training sets", minimum=1)
    batch: int = option(16, doc="N: pairs of point sets in a batch", minimum=2)
    sets: int = option(960, doc="pairs of point sets an epoch, as many from every triangle", minimum=2)
    points: int = option(16, doc="points of a set, drawn anew each time; each is also a point to be registered", minimum=4)
    memory: int = option(2, doc="source set of the attention: a grid with so many parts a side on the training triangles", minimum=1)
    spread: float = option(1.5, doc="RMS per axis of the normalised training points, on either side", minimum=0.1)
    rate_max: float = option(1e-3, doc="learning rate of Adam at the start", minimum=1e-7)
    rate_min: float = option(1e-5, doc="learning rate at the end of its cosine", minimum=0.0)
    network: NetworkConfig = section(NetworkConfig, doc="the network")
    loss: LossConfig = section(LossConfig, doc="the loss")
