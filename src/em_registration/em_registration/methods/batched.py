"""The cheap maps for many scenes of the same count at once: B scenes of N pairs and M queries in one pass of numpy.

The same code as the single ones, which take leading axes, without the checks: refuse bad pairs before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from em_registration.methods.interface import Prediction
from em_registration.methods.regression import affine_basis, linear_map
from em_registration.methods.rigid import rigid_map
from em_registration.methods.thin_plate_spline import spline_map
from lodestone_core.types import Array

# Tracker points (B, N, 3), image points (B, N, 3), queries (B, M, 3), all in mm -> means (B, M, 3), covariances (B, M, 3, 3).
BatchedMethod = Callable[[Array, Array, Array], Prediction]


def rigid(tracker_mm: Array, image_mm: Array, queries_mm: Array) -> Prediction:
    """As METHODS["rigid"]; N >= 3."""
    return rigid_map(tracker_mm, image_mm)(queries_mm)


def similarity(tracker_mm: Array, image_mm: Array, queries_mm: Array) -> Prediction:
    """As METHODS["similarity"]; N >= 3."""
    return rigid_map(tracker_mm, image_mm, with_scale=True)(queries_mm)


def affine(tracker_mm: Array, image_mm: Array, queries_mm: Array) -> Prediction:
    """As METHODS["affine"]; N >= 5."""
    return linear_map(affine_basis(tracker_mm), tracker_mm, image_mm)(queries_mm)


def tps(tracker_mm: Array, image_mm: Array, queries_mm: Array) -> Prediction:
    """As METHODS["tps"]; N >= 5."""
    return spline_map(tracker_mm, image_mm)(queries_mm)


BATCHED: Mapping[str, BatchedMethod] = MappingProxyType({"rigid": rigid, "similarity": similarity, "affine": affine, "tps": tps})
