"""A closed ring of round wire: one current, exact loop field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_bench.em_physics.coils import Generator
from lodestone_bench.em_physics.conduction import Complex, wire_impedance
from lodestone_bench.em_physics.element import Element, from_body, to_body, turned
from lodestone_bench.em_physics.loops import MU0, loop_field, loop_potential
from lodestone_core.types import Array

_NODES = 48
_ANGLES = 2.0 * np.pi * np.arange(_NODES) / _NODES
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES), np.zeros(_NODES)], axis=-1)
_TANGENTS = np.stack([-np.sin(_ANGLES), np.cos(_ANGLES), np.zeros(_NODES)], axis=-1)
OHM = 1e6
"""1 ohm in T mm^2 / (A s)."""


@dataclass(frozen=True, slots=True, eq=False)
class Ring(Element):
    """Rings in S placements: T_field_body (S, 4, 4), axis z; radius and wire radius in mm and conductivity in S/m, each (S,)."""

    radius_mm: Array
    wire_mm: Array
    conductivity: Array

    @property
    def unknowns(self) -> int:
        """The current."""
        return 1

    def self_term(self, omega: Array) -> Complex:
        """Self-inductance of a ring whose current flows on its surface, a mu0 (ln(8 a / b) - 2), and the wire's impedance."""
        a, b = self.radius_mm[:, None], self.wire_mm[:, None]
        inside: Complex = OHM * wire_impedance(omega, 2.0 * np.pi * a, b, self.conductivity[:, None])
        term: Complex = inside / (1.0j * omega) + (MU0 * a * (np.log(8.0 * a / b) - 2.0)).astype(np.complex128)
        return term[..., None, None]

    def received(self, generator: Generator) -> Array:
        """Flux of each transmitter: its vector potential along the ring, equally spaced nodes (exact to rounding when smooth)."""
        along = self._tangents()[..., None, :]
        of_coils: Array = (generator.potential(self._circle()) * along).sum(axis=(1, 3)) * self._step()[:, None]
        return of_coils[:, None, :]

    def mutual(self, other: Element) -> Array:
        """Flux of another body's amplitudes: for rings Neumann's integral, else by reciprocity."""
        if not isinstance(other, Ring):
            return np.swapaxes(other.mutual(self), 1, 2)
        flux: Array = (other.potential(self._circle()) * self._tangents()).sum(axis=(1, 2)) * self._step()
        return flux[:, None, None]

    def potential(self, points: Array) -> Array:
        """Vector potential (S, P, 3) of 1 A at points (S, P, 3)."""
        x = to_body(self.T_field_body, points)
        value = loop_potential(x[..., 0] ** 2 + x[..., 1] ** 2, x[..., 2], self.radius_mm[:, None])
        around = np.stack([-x[..., 1], x[..., 0], np.zeros(x.shape[:-1])], axis=-1)
        return turned(self.T_field_body, (value[..., None] * around)[:, :, None])[:, :, 0]

    def basis_field(self, points: Array) -> Array:
        """Field (S, P, 3, 1) of 1 A."""
        return self._field_of_one(points)[..., None]

    def field(self, points: Array, amplitudes: Array) -> Array:
        """Field (S, P, F, 3) of real currents (S, 1, F)."""
        one: Array = self._field_of_one(points)[:, :, None] * amplitudes[:, :, :, None]
        return one

    def outline(self) -> Array:
        """Points (S, 48, 3) on the wire."""
        return self._circle()

    def girth_mm(self) -> Array:
        """As far as the outline is from the surface (S,)."""
        return self.wire_mm

    def distance(self, points: Array) -> Array:
        """Distances (S, P) from the wire's surface."""
        x = to_body(self.T_field_body, points)
        across = np.hypot(x[..., 0], x[..., 1]) - self.radius_mm[:, None]
        return np.hypot(across, x[..., 2]) - self.wire_mm[:, None]

    def _field_of_one(self, points: Array) -> Array:
        x = to_body(self.T_field_body, points)
        axial, radial = loop_field(x[..., 0] ** 2 + x[..., 1] ** 2, x[..., 2], self.radius_mm[:, None])
        x[..., :2] *= radial[..., None]
        x[..., 2] = axial
        return turned(self.T_field_body, x[:, :, None])[:, :, 0]

    def _circle(self) -> Array:
        return from_body(self.T_field_body, self.radius_mm[:, None, None] * _CIRCLE)

    def _tangents(self) -> Array:
        tangents: Array = _TANGENTS @ np.swapaxes(self.T_field_body[:, :3, :3], 1, 2)
        return tangents

    def _step(self) -> Array:
        return 2.0 * np.pi / _NODES * self.radius_mm
