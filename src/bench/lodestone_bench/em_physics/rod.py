"""A conducting, permeable rod as a prolate spheroid: exact demagnetising factors and the exact field of uniform magnetisation.

The field of a uniformly magnetised prolate spheroid outside it is that of dipoles on its focal segment with a density that falls as
1 - (x / c)^2; a field from outside, averaged over its volume, is the average on that segment with the same weight, so what the rod
receives and what it sends are reciprocal. Eddy currents enter as the complex permeability of a round rod of the spheroid's middle, which
is exact for long rods, and for any shape without or with perfect conduction; an approximation between.
Source: J. A. Stratton, "Electromagnetic Theory", 4.18; J. A. Osborn, Phys. Rev. 67, 351 (1945).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_bench.em_physics.coils import Generator
from lodestone_bench.em_physics.conduction import Complex, effective_permeability
from lodestone_bench.em_physics.element import Element, from_body, to_body
from lodestone_bench.em_physics.loops import MU0
from lodestone_bench.em_physics.sheet import Sheet
from lodestone_core.types import Array

_NODES, _GAUSS = np.polynomial.legendre.leggauss(12)
_WEIGHTS = 0.75 * (1.0 - _NODES**2) * _GAUSS
# Below this eccentricity the closed form loses digits to cancellation.
_NEARLY_ROUND = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Rod(Element):
    """Rods in S placements: T_field_body (S, 4, 4), axis z; half length and radius in mm, relative permeability, S/m, each (S,)."""

    half_length_mm: Array
    radius_mm: Array
    mu_r: Array
    conductivity: Array

    @property
    def unknowns(self) -> int:
        """The moment, in the tracker's axes."""
        return 3

    def polarisability(self, omega: Array) -> Complex:
        """Moment over field strength (S, F, 3), mm^3, across, across and along the axis."""
        a, b = self.half_length_mm[:, None], self.radius_mm[:, None]
        along, across = effective_permeability(omega, b, self.mu_r[:, None], self.conductivity[:, None])
        n_along = demagnetising_factor(a, b)
        volume = 4.0 / 3.0 * np.pi * a * b * b
        on_axis = volume * (along - 1.0) / (1.0 + n_along * (along - 1.0))
        off_axis = volume * (across - 1.0) / (1.0 + 0.5 * (1.0 - n_along) * (across - 1.0))
        return np.stack([off_axis, off_axis, on_axis], axis=-1)

    def self_term(self, omega: Array) -> Complex:
        """Minus mu0 over the polarisability, in the tracker's axes."""
        R = self.T_field_body[:, None, :3, :3]
        term: Complex = (R * (-MU0 / self.polarisability(omega))[..., None, :]) @ np.swapaxes(R, -1, -2)
        return term

    def received(self, generator: Generator) -> Array:
        """Field of each transmitter averaged over the rod (S, 3, F)."""
        field: Array = np.einsum("q,sqfi->sif", _WEIGHTS, generator.field(self._nodes()))
        return field

    def mutual(self, other: Element) -> Array:
        """Field of another body's amplitudes averaged over the rod (S, 3, other.unknowns)."""
        if isinstance(other, Sheet):
            return np.swapaxes(other.mutual(self), 1, 2)
        field: Array = np.einsum("q,sqiu->siu", _WEIGHTS, other.basis_field(self._nodes()))
        return field

    def basis_field(self, points: Array) -> Array:
        """Field (S, P, 3, 3) of a unit moment along each of the tracker's axes."""
        r = points[:, :, None] - self._nodes()[:, None]
        inverse2 = 1.0 / np.einsum("spqi,spqi->spq", r, r)
        weight = MU0 / (4.0 * np.pi) * _WEIGHTS * inverse2 * np.sqrt(inverse2)
        tensor: Array = np.swapaxes(r * (3.0 * weight * inverse2)[..., None], -1, -2) @ r
        tensor -= weight.sum(axis=-1)[..., None, None] * np.eye(3)
        return tensor

    def field(self, points: Array, amplitudes: Array) -> Array:
        """Field (S, P, F, 3) of real moments (S, 3, F)."""
        return np.swapaxes(self.basis_field(points) @ amplitudes[:, None], -1, -2)

    def outline(self) -> Array:
        """Points (S, 9, 3) on the axis."""
        local = np.zeros((len(self.radius_mm), 9, 3))
        local[..., 2] = self.half_length_mm[:, None] * np.linspace(-1.0, 1.0, 9)
        return from_body(self.T_field_body, local)

    def girth_mm(self) -> Array:
        """As far as the outline is from the surface (S,)."""
        return self.radius_mm

    def distance(self, points: Array) -> Array:
        """Distances (S, P) from the round-ended cylinder about the spheroid."""
        x = to_body(self.T_field_body, points)
        straight = (self.half_length_mm - self.radius_mm)[:, None]
        beyond = x[..., 2] - np.clip(x[..., 2], -straight, straight)
        return np.sqrt(x[..., 0] ** 2 + x[..., 1] ** 2 + beyond**2) - self.radius_mm[:, None]

    def _nodes(self) -> Array:
        focus = np.sqrt(np.maximum(self.half_length_mm**2 - self.radius_mm**2, 0.0))
        local = np.zeros((len(focus), len(_NODES), 3))
        local[..., 2] = focus[:, None] * _NODES
        return from_body(self.T_field_body, local)


def demagnetising_factor(half_length: Array, radius: Array) -> Array:
    """Factor along the axis of a prolate spheroid; the two others share what is left of 1."""
    e2 = 1.0 - np.square(radius / half_length)
    e = np.sqrt(np.maximum(e2, 0.0))
    safe = np.where(e < _NEARLY_ROUND, 0.5, e)
    closed = (1.0 - safe**2) / safe**3 * (np.arctanh(safe) - safe)
    return np.where(e < _NEARLY_ROUND, 1.0 / 3.0 - 2.0 / 15.0 * e2 - 2.0 / 35.0 * e2**2, closed)
