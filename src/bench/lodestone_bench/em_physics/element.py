"""What every metal body is to the others: unknown amplitudes, a self term, the field of each amplitude, and what it receives.

With amplitudes c (loop currents in A, or moments in A mm^2), for each transmitter at its own frequency:  self c + mutual c = -received.
The system is complex and symmetric, which is reciprocity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lodestone_bench.em_physics.coils import Generator
from lodestone_bench.em_physics.conduction import Complex
from lodestone_core import se3
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Element(ABC):
    """A body in S placements: poses T_field_body (S, 4, 4) in the tracker's frame, mm; every array of it has S as its leading axis."""

    T_field_body: Array

    @property
    @abstractmethod
    def unknowns(self) -> int:
        """How many amplitudes it has."""

    @abstractmethod
    def self_term(self, omega: Array) -> Complex:
        """(S, F, unknowns, unknowns): impedance / (j omega) + inductance, or minus the inverse polarisability."""

    @abstractmethod
    def received(self, generator: Generator) -> Array:
        """What it receives of each transmitter (S, unknowns, F)."""

    @abstractmethod
    def mutual(self, other: Element) -> Array:
        """What it receives of each amplitude of another body (S, unknowns, other.unknowns)."""

    @abstractmethod
    def basis_field(self, points: Array) -> Array:
        """Field (S, P, 3, unknowns) of a unit of each amplitude at points (S, P, 3) of the tracker's frame."""

    @abstractmethod
    def field(self, points: Array, amplitudes: Array) -> Array:
        """Field (S, P, F, 3) of real amplitudes (S, unknowns, F) at points (S, P, 3)."""

    @abstractmethod
    def outline(self) -> Array:
        """Points (S, P, 3) on it in the tracker's frame."""

    @abstractmethod
    def distance(self, points: Array) -> Array:
        """Distances (S, P) of points (S, P, 3) from its surface, mm; not above 0 inside it."""

    @abstractmethod
    def girth_mm(self) -> Array:
        """How far its surface is from its outline at most (S,)."""

    def taken(self, rows: npt.NDArray[np.intp]) -> Self:
        """Some of its placements, each as often as it is named."""
        named: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value[rows] for name, value in named.items() if isinstance(value, np.ndarray)})

    def replaced(self, rows: npt.NDArray[np.intp], by: Self) -> Self:
        """With other values (len(rows) placements) in these rows."""
        named: dict[str, Any] = {field.name: np.array(getattr(self, field.name)) for field in fields(self)}
        for name, value in named.items():
            value[rows] = getattr(by, name)
        return replace(self, **named)

    def moved(self, by_mm: Array) -> Self:
        """Shifted by (S, 3) in the tracker's frame."""
        return replace(self, T_field_body=se3.make(np.eye(3), by_mm) @ self.T_field_body)


def to_body(T_field_body: Array, points: Array) -> Array:
    """Points (S, P, 3) of the tracker's frame in the frames of the bodies (S, 4, 4)."""
    local: Array = (points - T_field_body[:, None, :3, 3]) @ T_field_body[:, :3, :3]
    return local


def from_body(T_field_body: Array, points: Array) -> Array:
    """Points (S, P, 3), or (P, 3) the same in all, of the bodies' frames in the tracker's frame."""
    placed: Array = points @ np.swapaxes(T_field_body[:, :3, :3], 1, 2) + T_field_body[:, None, :3, 3]
    return placed


def turned(T_field_body: Array, vectors: Array) -> Array:
    """Vectors (S, P, K, 3) of the bodies' frames in the tracker's frame."""
    out: Array = vectors @ np.swapaxes(T_field_body[:, :3, :3], 1, 2)[:, None]
    return out
