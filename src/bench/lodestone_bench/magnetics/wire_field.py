"""The wire's field at any time: its magnetisation is solved at knots in time and interpolated, its place is exact."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from lodestone_bench.magnetics.sources import Surroundings
from lodestone_bench.magnetics.wire_magnetisation import (
    Material,
    charge_field,
    charges,
    coupling,
    dipoles_field,
    solve_axial,
)
from lodestone_bench.magnetics.wire_shape import WireShape
from lodestone_core.types import Array

_KEPT = 64
_ACROSS_GROUP = 8
_COARSER = 4


@dataclass(frozen=True, slots=True, eq=False)
class Magnetised:
    """The wire at one time: joints (K + 1, 3) mm, J (K,) along it and (K, 3) across it in T."""

    joints_mm: Array
    axial_T: Array
    across_T: Array
    radius_mm: float

    def field_T(self, points_mm: Array) -> Array:
        """B (N, 3) at points (N, 3) outside of the wire."""
        along = charge_field(points_mm, self.joints_mm, charges(self.axial_T, self.radius_mm))
        lengths = np.linalg.norm(np.diff(self.joints_mm, axis=0), axis=1)
        moments = self.across_T * (np.pi * self.radius_mm**2 * lengths)[:, None]
        places = 0.5 * (self.joints_mm[:-1] + self.joints_mm[1:])
        # Across the wire it is hardly magnetised: groups of pieces are far enough from any sensor.
        starts = np.arange(0, len(places), _ACROSS_GROUP)
        sizes = np.diff(np.append(starts, len(places)))[:, None]
        grouped = np.add.reduceat(places, starts, axis=0) / sizes
        return along + dipoles_field(points_mm, grouped, np.add.reduceat(moments, starts, axis=0))


class WireField:
    """Solves, keeps and interpolates the magnetisation of one wire in what stands still around it."""

    def __init__(self, shape: WireShape, around: Surroundings) -> None:
        c = shape.config
        self.shape = shape
        self._around = around
        self._material = Material(c.susceptibility, c.saturation_t, c.remanence_t)
        self._kept: OrderedDict[int, tuple[Array, Array]] = OrderedDict()
        self._solving = threading.Lock()

    def field_T(self, points_mm: Array, world_s: float) -> Array:
        """B (N, 3) of the wire at points (N, 3) outside of it."""
        return self.at(world_s).field_T(points_mm)

    def at(self, world_s: float) -> Magnetised:
        """Its magnetisation, cubic between the knots."""
        c = self.shape.config
        at = world_s * c.knots_hz
        first = int(np.floor(at))
        weights = _cubic(at - first)
        found = [self._knot(first + k) for k in (-1, 0, 1, 2)]
        axial = sum(w * J for w, (J, _) in zip(weights, found, strict=True))
        across = sum(w * across for w, (_, across) in zip(weights, found, strict=True))
        return Magnetised(self.shape.points_mm(world_s, c.elements + 1), np.asarray(axial), np.asarray(across), c.radius_mm)

    def prepare(self, world_s: float) -> None:
        """Solve what `at(world_s)` will need, in the spare time before it."""
        first = int(np.floor(world_s * self.shape.config.knots_hz))
        for k in (-1, 0, 1, 2):
            self._knot(first + k)

    def solved(self, world_s: float) -> Magnetised:
        """Its magnetisation, solved at that very time."""
        c = self.shape.config
        joints = self.shape.points_mm(world_s, c.elements + 1)
        middles, tangents = 0.5 * (joints[1:] + joints[:-1]), self.shape.tangents(world_s, c.elements)
        applied = self._around.field_T(middles)
        along = np.einsum("ki,ki->k", applied, tangents)
        start = self._coarse(joints, along)
        J = solve_axial(along, coupling(joints, c.radius_mm), self._material, start)
        # A long cylinder across a field: factor 1/2, far below saturation.
        across = (applied - along[:, None] * tangents) * (c.susceptibility / (1.0 + 0.5 * c.susceptibility))
        return Magnetised(joints, J, across, c.radius_mm)

    def _coarse(self, joints: Array, along: Array) -> Array | None:
        """A start from a quarter of the pieces; None where there are too few for it to pay."""
        if len(along) % _COARSER or len(along) < 8 * _COARSER:
            return None
        applied = along.reshape(-1, _COARSER).mean(axis=1)
        J = solve_axial(applied, coupling(joints[::_COARSER], self.shape.radius_mm), self._material)
        places = np.arange(len(along))
        return np.interp(places, _COARSER * np.arange(len(J)) + 0.5 * (_COARSER - 1), J)

    def _knot(self, index: int) -> tuple[Array, Array]:
        known = self._kept.get(index)
        if known is not None:
            return known
        with self._solving:  # who needs what another thread is solving waits for it
            if index not in self._kept:
                # Not warm-started from another knot: the same to the last bit whichever time was asked for first.
                found = self.solved(index / self.shape.config.knots_hz)
                self._kept[index] = (found.axial_T, found.across_T)
            knot = self._kept[index]
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return knot


def _cubic(t: float) -> tuple[float, float, float, float]:
    """Weights of Lagrange's cubic through knots at -1, 0, 1, 2."""
    return (
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )
