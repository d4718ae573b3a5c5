"""Triangles between landmarks, sampled by a uniform barycentric grid (section 4.1 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.types import Array

Corners = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """One triangle: indices of its landmarks, its grid points (N, 3) in mm, and which of them lie inside, on no side (N,)."""

    corners: Corners
    points_mm: Array
    inner: npt.NDArray[np.bool_]

    @property
    def name(self) -> str:
        """Its landmarks, counted from 1: "1-3-5"."""
        return "-".join(str(i + 1) for i in self.corners)


def surfaces(landmarks_mm: Array, subdivisions: int) -> list[Surface]:
    """Every triangle of three landmarks (L, 3), in lexical order: 20 of six."""
    weights = barycentric_grid(subdivisions)
    inner: npt.NDArray[np.bool_] = np.asarray(np.all(weights > 0.0, axis=1))
    corners: list[Corners] = [(a, b, c) for a, b, c in combinations(range(len(landmarks_mm)), 3)]
    return [Surface(c, weights @ landmarks_mm[list(c)], inner) for c in corners]


def barycentric_grid(subdivisions: int) -> Array:
    """Weights (N, 3) of the corners at the points of a grid that cuts each side in `subdivisions` parts; N = (s + 1)(s + 2) / 2."""
    s = subdivisions
    return np.array([(i, j, s - i - j) for i in range(s + 1) for j in range(s + 1 - i)], dtype=np.float64) / s


def split(everything: Sequence[Surface], held_out: Sequence[str]) -> tuple[list[Surface], list[Surface]]:
    """Triangles to train on, and those held out, named as "1-3-5". Raises InputError for a name that is none, or nothing left."""
    names = [surface.name for surface in everything]
    for name in held_out:
        if name not in names:
            raise InputError("held_out", expected=f"one of {', '.join(names)}", got=repr(name), remedy="name landmarks in rising order")
    training = [surface for surface in everything if surface.name not in held_out]
    if not training or not held_out:
        got = f"{len(held_out)} of {len(names)}"
        raise InputError("held_out", expected="some triangles, not all", got=got, remedy="hold out about a fifth")
    return training, [surface for surface in everything if surface.name in held_out]


def distinct(points: Array) -> Array:
    """Points (N, 3) without repetitions (sides belong to several triangles), to a micrometre."""
    _, first = np.unique(np.round(points, 3), axis=0, return_index=True)
    return points[np.sort(first)]
