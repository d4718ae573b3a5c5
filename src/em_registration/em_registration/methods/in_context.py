"""The in-context network as a method: correspondences in, mean and covariance of any pose out, nothing fitted but the rigid map.

Weights and what they were trained on: `models/in_context.md`. On the CPU, in single precision after an alignment in double.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from em_registration.methods.interface import Correspondences, Model, Prediction, tips
from em_registration.models.in_context_net import Aligned, InContextNet, align
from lodestone_core.checks import as_array, as_se3_stack
from lodestone_core.errors import InputError
from lodestone_core.paired_points_checks import PairedPointsConfig, check_shape, check_size
from lodestone_core.types import Array

WEIGHTS = Path(__file__).parents[1] / "models" / "in_context.safetensors"
FEWEST = 3
# Principal axes are known but for their signs; the answer is the mean over all right-handed choices.
_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
# Tokens of one pass, so that what is computed stays in the processor's cache.
_TOKENS = 4096
_CHECKS = PairedPointsConfig()


@dataclass(frozen=True, slots=True, eq=False)
class InContextModel:
    """A set of correspondences, as the network looks at it with every question."""

    correspondences: Correspondences

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image."""
        known = self.correspondences
        queries = at_tip(as_se3_stack("T_tracker_tool", T_tracker_tool), known.tip_tool_mm)
        context = at_tip(known.T_tracker_tool, known.tip_tool_mm)
        mean, C = predict_batch(context[None], known.image_mm[None], queries[None])
        return Prediction(mean[0], C[0])


def fit_in_context(correspondences: Correspondences) -> Model:
    """The map that the network reads out of correspondences. Raises InputError for fewer than 3, for duplicates and for points in a line."""
    names = list(correspondences.names)
    check_size(correspondences.tracker_mm, correspondences.image_mm, _CHECKS)
    check_shape("tracker points", correspondences.tracker_mm, names, _CHECKS)
    check_shape("image points", correspondences.image_mm, names, _CHECKS)
    return InContextModel(correspondences)


def at_tip(T_tracker_tool: Array, tip_tool_mm: Array) -> Array:
    """The same poses (N, 4, 4) with the tip for an origin."""
    T = np.array(T_tracker_tool)
    T[..., :3, 3] = tips(T_tracker_tool, tip_tool_mm)
    return T


def predict_batch(T_context: npt.ArrayLike, image_mm: npt.ArrayLike, T_query: npt.ArrayLike) -> tuple[Array, Array]:
    """Means (B, M, 3) in mm and covariances (B, M, 3, 3) in mm^2 for B scenes at once.

    `T_context` (B, n, 4, 4): poses whose origin is the tip, as the tracker measured them; `image_mm` (B, n, 3): where the tips are in
    the image; `T_query` (B, M, 4, 4). Raises InputError for other shapes and fewer than 3 correspondences; nothing else is checked.
    """
    context = as_array("T_context", T_context, (None, None, 4, 4))
    count, n = context.shape[:2]
    image, queries = as_array("image_mm", image_mm, (count, n, 3)), as_array("T_query", T_query, (count, None, 4, 4))
    if n < FEWEST:
        raise InputError("correspondences", expected=f"at least {FEWEST}", got=n, remedy="touch more landmarks")
    mean, C = np.empty((*queries.shape[:2], 3)), np.empty((*queries.shape[:2], 3, 3))
    size = max(1, _TOKENS // (n + queries.shape[1]))
    for first in range(0, count, size):
        part = slice(first, first + size)
        mean[part], C[part] = _predict(*(torch.from_numpy(x[part]) for x in (context, image, queries)))
    return mean, C


def _predict(context: torch.Tensor, image: torch.Tensor, queries: torch.Tensor) -> tuple[Array, Array]:
    """Mean over the signs of the axes; what they disagree on is added to the covariance."""
    with torch.inference_mode():
        each = [_seen_with(torch.tensor([signs] * len(image), dtype=image.dtype), context, image, queries) for signs in _SIGNS]
        means, covariances = torch.stack([mean for mean, _ in each]), torch.stack([C for _, C in each])
        mean = means.mean(0)
        apart = means - mean
        C = covariances.mean(0) + (apart[..., :, None] * apart[..., None, :]).mean(0)
    return mean.numpy(), C.numpy()


def _seen_with(signs: torch.Tensor, context: torch.Tensor, image: torch.Tensor, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scene = align(context[:, :, :3], image, queries[:, :, :3], signs)
    mean, factor = network()(_single(scene))
    mm = scene.scale_mm[:, None, None]
    C_t = scene.C.transpose(1, 2)[:, None]
    mean_mm = scene.rigid_mm + mm * (C_t @ mean.double()[..., None])[..., 0]
    turned = mm[..., None] * (C_t @ factor.double())
    return mean_mm, turned @ turned.transpose(-1, -2)


def _single(scene: Aligned) -> Aligned:
    return Aligned(**{field.name: getattr(scene, field.name).float() for field in fields(scene)})


@cache
def network() -> InContextNet:
    """The network with its weights. Raises InputError where they are missing."""
    if not WEIGHTS.is_file():
        raise InputError("weights", expected=WEIGHTS.name, got="no such file", remedy="install em_registration with its models")
    net = InContextNet()
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)
