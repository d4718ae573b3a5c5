"""Every other method on the paper's experiment, fitted to points without orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from em_registration.field.pose_field import fit_pose_field
from em_registration.methods.interface import Method, Model, correspondences, poses_at
from em_registration.methods.registry import METHODS
from lodestone_core.errors import InputError
from lodestone_core.types import Array

BETTER = "pose_field"


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """A fitted method."""

    model: Model

    def points(self, tracker_mm: Array) -> Array:
        """Where points (N, 3) of the tracker's frame are in the image."""
        return self.model(poses_at(tracker_mm)).mean_mm


def rivals(tracker_mm: Array, image_mm: Array) -> tuple[dict[str, Rival], dict[str, str]]:
    """Methods by name, fitted to points (N, 3) in both frames; and why those that do not apply to them do not."""
    found, refused = {}, {}
    known = correspondences(poses_at(tracker_mm), image_mm)
    methods: dict[str, Method] = {**METHODS, BETTER: cast(Method, fit_pose_field)}
    for name, method in methods.items():
        try:
            found[name] = Rival(method(known))
        except InputError as error:
            refused[name] = str(error)
    return found, refused
