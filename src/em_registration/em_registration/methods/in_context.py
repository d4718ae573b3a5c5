"""The in-context network as a method: correspondences in, mean and covariance of any pose out, nothing fitted but the rigid map.

Weights and what they were trained on: `models/in_context.md`. On the CPU, in single precision after an alignment in double.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, Model, Prediction, tips
from em_registration.models.in_context_net import Asked, InContextNet, Known, Memory, align, ask
from lodestone_core.checks import as_array, as_se3_stack
from lodestone_core.errors import InputError
from lodestone_core.types import Array

WEIGHTS = Path(__file__).parents[1] / "models" / "in_context.safetensors"
FEWEST = 3
# Principal axes are known but for their signs: these are all right-handed choices.
_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
# Tokens of one pass, so that what is computed stays in the processor's cache.
_TOKENS = 4096

Answer = tuple[torch.Tensor, torch.Tensor]
Aligned = TypeVar("Aligned", Known, Asked)


@dataclass(frozen=True, slots=True, eq=False)
class InContextModel:
    """Correspondences as the network remembers them: a question does not go through them again."""

    correspondences: Correspondences
    known: Known
    memories: list[Memory]

    def __call__(self, T_tracker_tool: Array) -> Prediction:
        """Where the tips of poses (M, 4, 4) are in the image."""
        queries = at_tip(as_se3_stack("T_tracker_tool", T_tracker_tool), self.correspondences.tip_tool_mm)
        with torch.inference_mode():
            mean, C = _answer(self.known, self.memories, torch.from_numpy(queries[None]))
        return Prediction(mean[0].numpy(), C[0].numpy())


def fit_in_context(correspondences: Correspondences) -> Model:
    """The map that the network reads out of correspondences. Raises InputError for those that no map follows from, by name."""
    check_correspondences(correspondences, FEWEST)
    context = at_tip(correspondences.T_tracker_tool, correspondences.tip_tool_mm)
    with torch.inference_mode():
        known = align(torch.from_numpy(context[None, :, :3]), torch.from_numpy(correspondences.image_mm[None]))
        return InContextModel(correspondences, known, network().remember(_single(known)))


def at_tip(T_tracker_tool: Array, tip_tool_mm: Array) -> Array:
    """The same poses (N, 4, 4) with the tip for an origin."""
    T = np.array(T_tracker_tool)
    T[..., :3, 3] = tips(T_tracker_tool, tip_tool_mm)
    return T


def predict_batch(
    T_context: npt.ArrayLike, image_mm: npt.ArrayLike, T_query: npt.ArrayLike, all_signs: bool = False
) -> tuple[Array, Array]:
    """Means (B, M, 3) in mm and covariances (B, M, 3, 3) in mm^2 for B scenes at once.

    `T_context` (B, n, 4, 4): poses whose origin is the tip, as the tracker measured them; `image_mm` (B, n, 3): where the tips are in
    the image; `T_query` (B, M, 4, 4). `all_signs` answers with the mean over all signs of the principal axes instead of the ones that
    the third moment gives: four times the work for less than 1 % of the error. Raises InputError for other shapes and fewer than 3
    correspondences; nothing else is checked.
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
        scene = torch.from_numpy(context[part]), torch.from_numpy(image[part]), torch.from_numpy(queries[part])
        mean[part], C[part] = _predict(*scene, all_signs)
    return mean, C


def _predict(context: torch.Tensor, image: torch.Tensor, queries: torch.Tensor, all_signs: bool) -> tuple[Array, Array]:
    """Mean over the signs of the axes, if so wished; what they disagree on is added to the covariance."""
    chosen = [image.new_tensor([signs] * len(image)) for signs in _SIGNS] if all_signs else [None]
    with torch.inference_mode():
        each = [_seen_with(signs, context, image, queries) for signs in chosen]
        means, covariances = torch.stack([mean for mean, _ in each]), torch.stack([C for _, C in each])
        mean = means.mean(0)
        apart = means - mean
        C = covariances.mean(0) + (apart[..., :, None] * apart[..., None, :]).mean(0)
    return mean.numpy(), C.numpy()


def _seen_with(signs: torch.Tensor | None, context: torch.Tensor, image: torch.Tensor, queries: torch.Tensor) -> Answer:
    known = align(context[:, :, :3], image, signs)
    return _answer(known, network().remember(_single(known)), queries)


def _answer(known: Known, memories: list[Memory], queries: torch.Tensor) -> Answer:
    """Means (B, M, 3) and covariances (B, M, 3, 3) in mm along the image's axes, of queries (B, M, 4, 4)."""
    asked = ask(known, queries[:, :, :3])
    mean, factor = network().answer(_single(known), memories, _single(asked))
    mm, C_t = known.scale_mm[:, None, None], known.C.transpose(1, 2)[:, None]
    turned = mm[..., None] * (C_t @ factor.double())
    return asked.rigid_mm + mm * (C_t @ mean.double()[..., None])[..., 0], turned @ turned.transpose(-1, -2)


def _single(aligned: Aligned) -> Aligned:
    """Known or Asked in single precision: found in double, since images lie far from their origin."""
    return replace(aligned, **{field.name: getattr(aligned, field.name).float() for field in fields(aligned)})


@cache
def network() -> InContextNet:
    """The network with its weights. Raises InputError where they are missing."""
    if not WEIGHTS.is_file():
        raise InputError("weights", expected=WEIGHTS.name, got="no such file", remedy="install em_registration with its models")
    net = InContextNet()
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)
