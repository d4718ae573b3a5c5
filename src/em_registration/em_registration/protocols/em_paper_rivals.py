"""Every other method on the paper's experiment, fitted to points without orientation."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from em_registration.methods.interface import Method, Model, correspondences, poses_at
from lodestone_core.errors import InputError
from lodestone_core.types import Array

# Looked up by name, so that this protocol runs on an installation without them.
_REGISTRY = "em_registration.methods.registry", "METHODS"
_BETTER = "em_registration.field.pose_field", "fit_pose_field"
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
    for name, method in _methods().items():
        try:
            found[name] = Rival(method(known))
        except InputError as error:
            refused[name] = str(error)
    return found, refused


def _methods() -> dict[str, Method]:
    methods: dict[str, Method] = {}
    if _present(_REGISTRY[0]):
        methods |= cast(Mapping[str, Method], getattr(importlib.import_module(_REGISTRY[0]), _REGISTRY[1]))
    if _present(_BETTER[0]):
        methods[BETTER] = cast(Method, getattr(importlib.import_module(_BETTER[0]), _BETTER[1]))
    return methods


def _present(module: str) -> bool:
    package, _, name = module.rpartition(".")
    return importlib.util.find_spec(package) is not None and importlib.util.find_spec(f"{package}.{name}") is not None
