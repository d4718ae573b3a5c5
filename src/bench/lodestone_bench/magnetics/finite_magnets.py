"""Exact fields of uniformly magnetised bodies, in T, in the body's own axes; lengths in mm.

Cylinder: N. Derby, S. Olbert, "Cylindrical magnets and ideal solenoids", Am. J. Phys. 78 (2010); their generalised complete
elliptic integral by Carlson's symmetric forms (NIST DLMF 19.2.11, 19.25.2). Cuboid: Z. J. Yang, T. H. Johansen, H. Bratsberg,
G. Helgesen, A. T. Skjeltorp, Supercond. Sci. Technol. 3 (1990). Inside a body the flux density B is given, not H.
"""

from __future__ import annotations

import numpy as np
from scipy.special import elliprf, elliprj

from lodestone_core.types import Array

_ON_AXIS = 1e-9
_ON_EDGE = 1e-12


def cylinder_field(points: Array, radius_mm: float, length_mm: float, polarisation_t: float) -> Array:
    """B (N, 3) at points (N, 3) of a cylinder about z, middle at the origin, magnetised along +z."""
    rho = np.hypot(points[:, 0], points[:, 1])
    # On the surface itself the field is two-valued; a hair outside of it is taken.
    rho = np.where(np.abs(rho - radius_mm) < _ON_EDGE * radius_mm, radius_mm * (1.0 + _ON_EDGE), rho)
    upper = _end(rho, points[:, 2] + 0.5 * length_mm, radius_mm)
    lower = _end(rho, points[:, 2] - 0.5 * length_mm, radius_mm)
    radial, axial = (polarisation_t / np.pi * (a - b) for a, b in zip(upper, lower, strict=True))
    outward = points[:, :2] / np.maximum(rho, _ON_AXIS * radius_mm)[:, None]
    return np.column_stack([radial[:, None] * outward, axial])


def cuboid_field(points: Array, size_mm: Array, polarisation_t: float) -> Array:
    """B (N, 3) at points (N, 3) of a cuboid with edges size_mm (3,), middle at the origin, magnetised along +z."""
    half = 0.5 * np.asarray(size_mm, dtype=np.float64)
    total = np.zeros((len(points), 3))
    for i in (-1.0, 1.0):
        for j in (-1.0, 1.0):
            for k in (-1.0, 1.0):
                x, y, z = (points + half * (i, j, k)).T
                r = np.sqrt(x * x + y * y + z * z)
                # The branch of arctan2 makes it B inside; outside its jumps cancel.
                corner = np.column_stack([_log(y, x, z, r), _log(x, y, z, r), np.arctan2(x * y, z * r)])
                total -= i * j * k * corner
    field: Array = polarisation_t / (4.0 * np.pi) * total
    return field


def dipole_field(points: Array, moment: Array) -> Array:
    """B (N, 3) of a point dipole at the origin; moment (3,) = polarisation times volume, T mm^3."""
    r2 = np.einsum("ni,ni->n", points, points)
    along = 3.0 * (points @ moment) / r2
    field: Array = (along[:, None] * points - moment) / (4.0 * np.pi * r2 * np.sqrt(r2))[:, None]
    return field


def _end(rho: Array, z: Array, a: float) -> tuple[Array, Array]:
    """Radial and axial part that one end of the cylinder gives."""
    outer = np.sqrt(z * z + np.square(rho + a))
    kc2 = (z * z + np.square(a - rho)) / np.square(outer)
    gamma = (a - rho) / (a + rho)
    radial = a / outer * _cel(kc2, np.ones_like(rho), 1.0, -1.0)
    axial = a / (a + rho) * z / outer * _cel(kc2, gamma * gamma, 1.0, gamma)
    return radial, axial


def _cel(kc2: Array, p: Array, c: float, s: Array | float) -> Array:
    zero, one = np.zeros_like(kc2), np.ones_like(kc2)
    value: Array = c * elliprf(zero, kc2, one) + (s - p * c) / 3.0 * elliprj(zero, kc2, one, p)
    return value


def _log(first: Array, second: Array, third: Array, r: Array) -> Array:
    """-log(first + r), which needs care where first is -r: then first + r = (second^2 + third^2) / (r - first)."""
    beside = second * second + third * third
    safe = np.where(first < 0.0, beside / np.maximum(r - first, np.finfo(np.float64).tiny), first + r)
    return np.asarray(-np.log(np.maximum(safe, np.finfo(np.float64).tiny)))
