"""A rectangular conducting sheet: meshes of coupled filaments, driven in a few smooth patterns of circulating current.

The stream function (current that circulates round each mesh) is a sum of products of sines that vanish at the rim. Filaments on the meshes'
borders carry the differences; their partial inductances are Neumann's integral in closed form, with the mean geometric distances of the
tapes that the filaments stand for. The matrices depend on the sheet's shape only, not on its size.
Source: F. W. Grover, "Inductance Calculations", 1946, chapters 2, 3 and 7; E. B. Rosa, Bull. Bureau of Standards 4, 301 (1908).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import xlogy

from lodestone_bench.em_physics.coils import Generator
from lodestone_bench.em_physics.conduction import Complex, sheet_impedance
from lodestone_bench.em_physics.element import Element, from_body, to_body, turned
from lodestone_bench.em_physics.loops import MU0
from lodestone_bench.em_physics.ring import OHM
from lodestone_core.types import Array

_AT_ONCE = 400
"""Points that are worked on in one pass."""


@dataclass(frozen=True, slots=True, eq=False)
class Meshes:
    """A sheet of width 1 (along y) and length `aspect` (along x), in M meshes and U patterns.

    `x` (nx + 1,) and `y` (ny + 1,) are the borders, `centers` (M, 3), `patterns` (M, U) currents round the meshes; `along_x`
    (nx (ny + 1), U) and `along_y` ((nx + 1) ny, U) the currents of the filaments; `inductance` in mu0 mm per mm of width and
    `resistance` in squares, both (U, U); `area` that of a mesh.
    """

    x: Array
    y: Array
    centers: Array
    patterns: Array
    along_x: Array
    along_y: Array
    inductance: Array
    resistance: Array
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class Sheet(Element):
    """Sheets of one shape in S placements: T_field_body (S, 4, 4), normal z; width (along y) and thickness in mm, S/m, each (S,)."""

    width_mm: Array
    thickness_mm: Array
    conductivity: Array
    aspect: float = 1.0
    meshes_across: int = 10
    patterns_across: int = 5

    @property
    def meshes(self) -> Meshes:
        """Its shape's meshes."""
        return make_meshes(self.aspect, self.meshes_across, self.patterns_across)

    @property
    def unknowns(self) -> int:
        """The strength of each pattern."""
        return int(self.meshes.patterns.shape[1])

    def self_term(self, omega: Array) -> Complex:
        """Resistance over j omega, and inductance, of the patterns."""
        square: Complex = OHM * sheet_impedance(omega, self.thickness_mm[:, None], self.conductivity[:, None]) / (1.0j * omega)
        inductance = MU0 * self.width_mm[:, None, None, None] * self.meshes.inductance
        term: Complex = square[..., None, None] * self.meshes.resistance + inductance
        return term

    def received(self, generator: Generator) -> Array:
        """Flux of each transmitter through the meshes, weighted with the patterns (S, U, F)."""
        return self._flux(np.swapaxes(generator.field(self._centers()), -1, -2))

    def mutual(self, other: Element) -> Array:
        """Flux of another body's amplitudes (S, U, other.unknowns)."""
        return self._flux(other.basis_field(self._centers()))

    def basis_field(self, points: Array) -> Array:
        """Field (S, P, 3, U) of each pattern at strength 1 A."""
        return np.swapaxes(self.field(points, np.tile(np.eye(self.unknowns), (len(points), 1, 1))), -1, -2)

    def field(self, points: Array, amplitudes: Array) -> Array:
        """Field (S, P, F, 3) of real strengths (S, U, F), by Biot and Savart for each filament."""
        local = to_body(self.T_field_body, points) / self.width_mm[:, None, None]
        # A few placements at a time: what one pass works on then stays in the cache.
        few = max(1, _AT_ONCE // local.shape[1])
        parts = [self._local_field(local[i : i + few], amplitudes[i : i + few]) for i in range(0, len(local), few)]
        B = np.concatenate(parts) * (MU0 / (4.0 * np.pi) / self.width_mm)[:, None, None, None]
        return turned(self.T_field_body, B)

    def _local_field(self, p: Array, amplitudes: Array) -> Array:
        """The same in units of mu0 / (4 pi width), in the sheet's axes, at points (S, P, 3) in widths."""
        mesh = self.meshes
        dx, dy, z = p[..., :1] - mesh.x, p[..., 1:2] - mesh.y, p[..., 2:]
        x2, y2, z2 = dx * dx, dy * dy, z * z
        inverse_r = 1.0 / np.sqrt((x2 + z2)[..., :, None] + y2[..., None, :])
        # Integral of a filament from x1 to x2 at distance d: ((p - x1) / r1 - (p - x2) / r2) / d^2.
        of_x, of_y = dx[..., :, None] * inverse_r, dy[..., None, :] * inverse_r
        per_x = (of_x[..., :-1, :] - of_x[..., 1:, :]) / (y2 + z2)[..., None, :]
        per_y = (of_y[..., :, :-1] - of_y[..., :, 1:]) / (x2 + z2)[..., :, None]
        flat = (*p.shape[:2], -1)
        x_currents, y_currents = mesh.along_x @ amplitudes, mesh.along_y @ amplitudes
        from_x, from_y = per_x.reshape(flat) @ x_currents, per_y.reshape(flat) @ y_currents
        # B = mu0 I / (4 pi) l x r / d^2 (...): x-filaments give (0, -z, y), y-filaments (z, 0, -x).
        axial = (per_x * dy[..., None, :]).reshape(flat) @ x_currents - (per_y * dx[..., :, None]).reshape(flat) @ y_currents
        return np.stack([z * from_y, -z * from_x, axial], axis=-1)

    def outline(self) -> Array:
        """Points (S, 35, 3) on the whole of it."""
        x, y = np.meshgrid(0.5 * self.aspect * np.linspace(-1.0, 1.0, 7), np.linspace(-0.5, 0.5, 5))
        local = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
        return from_body(self.T_field_body, self.width_mm[:, None, None] * local)

    def girth_mm(self) -> Array:
        """As far as the outline is from the surface (S,)."""
        return 0.5 * self.thickness_mm

    def distance(self, points: Array) -> Array:
        """Distances (S, P) from the sheet."""
        x = np.abs(to_body(self.T_field_body, points))
        half = 0.5 * self.width_mm[:, None]
        beyond_x, beyond_y = np.maximum(0.0, x[..., 0] - self.aspect * half), np.maximum(0.0, x[..., 1] - half)
        away: Array = np.sqrt(beyond_x**2 + beyond_y**2 + x[..., 2] ** 2) - 0.5 * self.thickness_mm[:, None]
        return away

    def _centers(self) -> Array:
        return from_body(self.T_field_body, self.width_mm[:, None, None] * self.meshes.centers)

    def _flux(self, field: Array) -> Array:
        """Weighted flux (S, U, K) of a field (S, M, 3, K) at the centres."""
        normal = np.einsum("sqik,si->sqk", field, self.T_field_body[:, :3, 2])
        flux: Array = (self.meshes.patterns.T * self.meshes.area) @ normal
        return flux * np.square(self.width_mm)[:, None, None]


@lru_cache(maxsize=32)
def make_meshes(aspect: float, across: int, patterns_across: int) -> Meshes:
    """The meshes of a shape; `patterns_across` half waves across, in proportion along; as many as meshes: no smoothing at all."""
    ny, nx = across, max(2, round(across * aspect))
    # Every filament stands for a tape as wide as the meshes, those along the rim too: the outer ones lie half a width inside it.
    dx, dy = aspect / (nx + 1), 1.0 / (ny + 1)
    x: Array = dx * (np.arange(nx + 1.0) - 0.5 * nx)
    y: Array = dy * (np.arange(ny + 1.0) - 0.5 * ny)
    patterns_along = min(nx, max(1, round(patterns_across * aspect))) if patterns_across < ny else nx
    streams = np.einsum("ik,jl->ijkl", _sines(nx, patterns_along), _sines(ny, patterns_across)).reshape(nx, ny, -1)
    along_x = np.diff(np.pad(streams, [(0, 0), (1, 1), (0, 0)]), axis=1)
    along_y = -np.diff(np.pad(streams, [(1, 1), (0, 0), (0, 0)]), axis=0)
    inductance = _quadratic(along_x, _partial_inductances(nx, ny + 1, dx, dy))
    inductance += _quadratic(np.swapaxes(along_y, 0, 1), _partial_inductances(ny, nx + 1, dy, dx))
    flat_x, flat_y = along_x.reshape(-1, streams.shape[2]), along_y.reshape(-1, streams.shape[2])
    resistance = dx / dy * flat_x.T @ flat_x + dy / dx * flat_y.T @ flat_y
    mid_x, mid_y = 0.5 * (x[1:] + x[:-1]), 0.5 * (y[1:] + y[:-1])
    centers = np.stack([*np.meshgrid(mid_x, mid_y, indexing="ij"), np.zeros((nx, ny))], axis=-1).reshape(-1, 3)
    return Meshes(x, y, centers, streams.reshape(nx * ny, -1), flat_x, flat_y, inductance, resistance, dx * dy)


def _sines(meshes: int, waves: int) -> Array:
    """Half waves (meshes, waves) that vanish half a mesh beyond the outer borders; as many as meshes are a basis of all currents."""
    share = np.arange(1, meshes + 1) / (meshes + 1)
    return np.sin(np.pi * share[:, None] * np.arange(1, waves + 1))


def _partial_inductances(n: int, rows: int, length: float, spacing: float) -> Array:
    """In mu0: (n rows, n rows) of parallel filaments, n in line in each of so many rows."""
    offset = length * np.arange(-n, n + 1)
    distance = spacing * _tape_distances(rows)[:, None]
    f = offset * np.arcsinh(offset / distance) - np.hypot(offset, distance)
    table = (f[:, 2:] - 2.0 * f[:, 1:-1] + f[:, :-2]) / (4.0 * np.pi)
    i, j = np.arange(n), np.arange(rows)
    steps, gaps = i[:, None] - i + n - 1, np.abs(j[:, None] - j)
    blocks: Array = table[gaps[None, :, None, :], steps[:, None, :, None]]
    return blocks.reshape(n * rows, n * rows)


def _tape_distances(rows: int) -> Array:
    """Mean geometric distances (rows,) of coplanar tapes side by side from the first, itself included, in their widths."""
    n = np.arange(rows)
    terms = [xlogy(k * k, np.abs(k)) for k in (n + 1, n, n - 1)]
    distances: Array = np.exp(0.5 * (terms[0] - 2.0 * terms[1] + terms[2]) - 1.5)
    return distances


def _quadratic(currents: Array, inductances: Array) -> Array:
    flat = currents.reshape(len(inductances), -1)
    product: Array = flat.T @ inductances @ flat
    return product
