"""The one interface of every method: correspondences in, a model out that answers mean and covariance for any pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_point, as_points, as_se3_stack
from lodestone_core.covariance import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.types import Array

ORIGIN = np.zeros(3)


@dataclass(frozen=True, slots=True, eq=False)
class Correspondences:
    """N poses of a tool as the tracker measured them, and where the tool's tip then was in the image.

    `T_tracker_tool` (N, 4, 4) in mm, `image_mm` (N, 3), `tip_tool_mm` (3,) in the tool's frame; `names` (N,) for messages.
    """

    T_tracker_tool: Array
    image_mm: Array
    tip_tool_mm: Array
    names: tuple[str, ...]

    @property
    def tracker_mm(self) -> Array:
        """Measured tips (N, 3) in the tracker's frame."""
        return tips(self.T_tracker_tool, self.tip_tool_mm)

    def __len__(self) -> int:
        return len(self.image_mm)

    def take(self, kept: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Correspondences:
        """Those with these indices, or where a mask is true."""
        kept = np.flatnonzero(kept) if kept.dtype == np.bool_ else kept
        names = tuple(self.names[int(i)] for i in kept)
        return Correspondences(self.T_tracker_tool[kept], self.image_mm[kept], self.tip_tool_mm, names)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Where M tips are in the image: `mean_mm` (M, 3) and `covariance` (M, 3, 3) in mm^2 of the error of that mean."""

    mean_mm: Array
    covariance: Array

    @property
    def radius_95_mm(self) -> Array:
        """Radii (M,) that hold the errors with 95 % probability."""
        return expected_radius_95(self.covariance)


class Model(Protocol):
    """A fitted map. Poses (M, 4, 4) of the tool it was fitted to, as the tracker measures them, in mm."""

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where their tips are in the image."""
        ...


class Method(Protocol):
    """A way to fit a map. Raises InputError, by name, for correspondences from which no map follows."""

    def __call__(self, correspondences: Correspondences) -> Model:
        """The map that these correspondences give."""
        ...


def correspondences(
    T_tracker_tool: npt.ArrayLike, image_mm: npt.ArrayLike, tip_tool_mm: npt.ArrayLike = ORIGIN, names: tuple[str, ...] = ()
) -> Correspondences:
    """Checked correspondences. Raises InputError for poses that are not rigid, wrong shapes or different counts."""
    T = as_se3_stack("T_tracker_tool", T_tracker_tool)
    points = as_points("image points", image_mm)
    if len(T) != len(points):
        got = f"{len(T)} poses and {len(points)} points"
        raise InputError("correspondences", expected="as many poses as points", got=got, remedy="pair them by name")
    labels = names or tuple(f"point {i + 1}" for i in range(len(T)))
    if len(labels) != len(T):
        raise InputError("names of the correspondences", expected=len(T), got=len(labels), remedy="give one name a pair")
    return Correspondences(T, points, as_point("tip_tool_mm", tip_tool_mm), labels)


def poses_at(points_mm: npt.ArrayLike) -> Array:
    """Poses (N, 4, 4) of a tool at points (N, 3) whose orientation is not known and does not matter: the tracker's axes."""
    points = as_points("points", points_mm)
    T: Array = np.tile(np.eye(4), (len(points), 1, 1))
    T[:, :3, 3] = points
    return T


def tips(T_tracker_tool: Array, tip_tool_mm: Array) -> Array:
    """Tips (..., 3) of poses (..., 4, 4)."""
    return se3.transform(T_tracker_tool, tip_tool_mm)
