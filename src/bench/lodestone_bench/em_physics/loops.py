"""Field, its gradient and vector potential of a circular current loop, exact in complete elliptic integrals.

Units here and in all of em_physics: mm, A, T, rad/s; so mu0 is 4 pi 1e-4 T mm/A, a flux is in T mm^2, an inductance in T mm^2/A.
Formulas in the loop's own cylinder coordinates, the squared distance from the axis `s` and the height `z`: W. R. Smythe, "Static and
Dynamic Electricity", 7.10; derivatives: J. Simpson, J. Lane, C. Immer, R. Youngquist, "Simple analytic expressions for the magnetic
field of a circular current loop", NASA 2001. What vanishes on the axis is divided by its power of the distance: nothing is singular there.
"""

from __future__ import annotations

import numpy as np
from scipy.special import comb, ellipe, ellipkm1

from lodestone_core.types import Array

MU0 = 4e-4 * np.pi
"""Permeability of free space, T mm / A."""
# Below this parameter m the closed combinations lose digits to cancellation and a series, cut at 1e-14, takes over.
_SERIES_BELOW = 0.02
_TERMS = 9
_NEAREST = 1e-5
"""Gradients nearer to the axis than this share of the radius are those at that distance."""


def _series() -> tuple[Array, Array]:
    n = np.arange(_TERMS + 2)
    k = (comb(2 * n, n) / 4.0**n) ** 2
    e = -k / (2 * n - 1)
    h = 0.5 * np.pi * (e[2:] - 0.5 * e[1:-1] - k[2:] + k[1:-1])
    g = 0.5 * np.pi * (k[2:] - 0.5 * k[1:-1] - e[2:])
    return h, g


_H_SERIES, _G_SERIES = _series()


def loop_field(s: Array, z: Array, radius: Array | float) -> tuple[Array, Array]:
    """Axial field, and radial field over distance from the axis, of 1 A: T and T/mm. Inputs broadcast."""
    outer2, inner2, m, K, E = _elliptic(s, z, radius)
    outer = np.sqrt(outer2)
    a2 = np.square(radius)
    axial = (MU0 / (2.0 * np.pi)) * ((a2 - s - z * z) / inner2 * E + K) / outer
    radial = (8.0 * MU0 / np.pi) * a2 * z * _h(m, K, E) / (inner2 * outer2 * outer)
    return axial, radial


def loop_gradient(s: Array, z: Array, radius: Array | float) -> tuple[Array, Array, Array, Array]:
    """As loop_field, and the derivatives of the axial field by z (T/mm) and by s (T/mm^2), which give all others."""
    s = np.maximum(s, np.square(_NEAREST * np.asarray(radius)))
    outer2, inner2, m, K, E = _elliptic(s, z, radius)
    outer = np.sqrt(outer2)
    a2, z2 = np.square(radius), z * z
    r2 = s + z2
    axial = (MU0 / (2.0 * np.pi)) * ((a2 - r2) / inner2 * E + K) / outer
    radial = (8.0 * MU0 / np.pi) * a2 * z * _h(m, K, E) / (inner2 * outer2 * outer)
    factor = (MU0 / (2.0 * np.pi)) / (inner2 * inner2 * outer2 * outer)
    by_z = factor * z * ((6.0 * a2 * (s - z2) - 7.0 * a2 * a2 + r2 * r2) * E + inner2 * (a2 - r2) * K)
    d2 = np.square(s - a2)
    on_e = d2 * (s + a2) + 2.0 * z2 * (a2 * a2 - 6.0 * a2 * s + s * s) + z2 * z2 * (a2 + s)
    by_s = 0.5 * factor / s * (on_e * E - inner2 * (d2 + z2 * (s + a2)) * K)
    return axial, radial, by_z, by_s


def loop_potential(s: Array, z: Array, radius: Array | float) -> Array:
    """Azimuthal vector potential over distance from the axis, of 1 A, in T. Inputs broadcast."""
    outer2, _, m, K, E = _elliptic(s, z, radius)
    small = m < _SERIES_BELOW
    safe = np.where(small, 1.0, m)
    g = np.where(small, np.polynomial.polynomial.polyval(np.where(small, m, 0.0), _G_SERIES), ((1.0 - 0.5 * m) * K - E) / (safe * safe))
    potential: Array = (8.0 * MU0 / np.pi) * np.square(radius) * g / (outer2 * np.sqrt(outer2))
    return potential


def _elliptic(s: Array, z: Array, radius: Array | float) -> tuple[Array, Array, Array, Array, Array]:
    """Squared greatest and least distance from the loop, parameter m, K(m), E(m)."""
    a = np.asarray(radius, dtype=np.float64)
    common, cross = a * a + s + z * z, 2.0 * a * np.sqrt(s)
    outer2, inner2 = common + cross, common - cross
    m = 2.0 * cross / outer2
    return outer2, inner2, m, ellipkm1(inner2 / outer2), ellipe(m)


def _h(m: Array, K: Array, E: Array) -> Array:
    """[(1 - m/2) E - (1 - m) K] / m^2."""
    small = m < _SERIES_BELOW
    safe = np.where(small, 1.0, m)
    closed: Array = ((1.0 - 0.5 * m) * E - (1.0 - m) * K) / (safe * safe)
    if not small.any():
        return closed
    return np.where(small, np.polynomial.polynomial.polyval(np.where(small, m, 0.0), _H_SERIES), closed)
