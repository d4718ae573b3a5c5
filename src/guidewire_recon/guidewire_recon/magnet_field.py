"""Field of a magnet that is round about its axis, outside of it: dipole and the next term that its size gives, with all derivatives.

    Phi = strength / (4 pi) [ c / r^3 + octupole (5 c^3 - 3 c r^2) / (2 r^7) ],   c = u . r,   B = -grad Phi

`strength` is mu0 times the moment in field units times mm^3 (T mm^3). For a cylinder of length L and radius a, magnetised along its axis,
octupole = (L^2 - 3 a^2) / 4 (its two charged discs; the term between, of even order, vanishes by symmetry). A sphere has 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class Magnet:
    """Strength (T mm^3) and octupole (mm^2); see the head of this file."""

    strength: float
    octupole_mm2: float = 0.0


def cylinder_octupole_mm2(length_mm: float, radius_mm: float) -> float:
    """Octupole of a cylinder."""
    return 0.25 * (length_mm * length_mm - 3.0 * radius_mm * radius_mm)


def magnet_field(r: Array, u: Array, magnet: Magnet) -> Array:
    """B (..., 3) at r (..., 3) mm from the magnet's middle; u (..., 3) of length 1 along its moment."""
    by_c, by_r2, *_ = _potential(r, u, magnet)
    return np.asarray(-(by_c[..., None] * u + 2.0 * by_r2[..., None] * r))


def field_and_derivatives(r: Array, u: Array, magnet: Magnet) -> tuple[Array, Array, Array]:
    """B (..., 3), dB/dr and dB/du (..., 3, 3); u may turn but keeps its length."""
    by_c, by_r2, cc, cr, rr = _potential(r, u, magnet)
    field = -(by_c[..., None] * u + 2.0 * by_r2[..., None] * r)
    along = cc[..., None] * u + 2.0 * cr[..., None] * r
    outward = 2.0 * cr[..., None] * u + 4.0 * rr[..., None] * r
    eye = np.eye(3)
    by_place = -(along[..., :, None] * u[..., None, :] + outward[..., :, None] * r[..., None, :] + 2.0 * by_r2[..., None, None] * eye)
    by_axis = -(along[..., :, None] * r[..., None, :] + by_c[..., None, None] * eye)
    return field, by_place, by_axis


def _potential(r: Array, u: Array, magnet: Magnet) -> tuple[Array, Array, Array, Array, Array]:
    """Derivatives of Phi by c and by r^2: first ones, and cc, c r^2, r^2 r^2."""
    c, r2 = np.sum(r * u, axis=-1), np.sum(r * r, axis=-1)
    inverse2 = 1.0 / r2
    k = magnet.strength / (4.0 * np.pi)
    p3 = k * inverse2 * np.sqrt(inverse2)
    p5 = p3 * inverse2
    p7 = p5 * inverse2
    by_c, by_r2, cc, cr, rr = p3, -1.5 * c * p5, np.zeros_like(c), -1.5 * p5, 3.75 * c * p7
    q = 0.5 * magnet.octupole_mm2
    if q == 0.0:
        return by_c, by_r2, cc, cr, rr
    p9, c2 = p7 * inverse2, c * c
    p11 = p9 * inverse2
    return (
        by_c + q * (15.0 * c2 * p7 - 3.0 * p5),
        by_r2 + q * c * (-17.5 * c2 * p9 + 7.5 * p7),
        cc + q * 30.0 * c * p7,
        cr + q * (-52.5 * c2 * p9 + 7.5 * p7),
        rr + q * c * (78.75 * c2 * p11 - 26.25 * p9),
    )
