"""Magnetisation of a thin soft wire in a given field, all pieces on one another, with saturation and remanence.

The wire is cut into short cylinders, each uniformly magnetised along the wire: a charged disc at each joint. The field that a piece feels,
averaged over it, is the difference of the mean potentials on its two discs; two discs on one axis have a closed form (from the
inductance of a current sheet, L. Lorenz 1879; see E. B. Rosa, F. W. Grover, Bull. Bur. Stand. 8, 1912), which is taken at the distance
of their middles since bends are wide. A single piece then has its exact magnetometric demagnetising factor. Across the wire a piece is a
long cylinder (factor 1/2). The law of the material is Froehlich's about a bias that stands for the remanence:
J = chi b / (1 + chi |b| / J_s), with b = mu0 H inside. J is then the minimum of a convex energy, found by Newton's method.
Lengths in mm; polarisations J and fields in T; moments in T mm^3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ellipe, ellipkm1

from lodestone_core.types import Array

_FAR = 25.0
_STEPS, _TOLERANCE_T = 60, 1e-13


@dataclass(frozen=True, slots=True)
class Material:
    """Froehlich's law: initial susceptibility, saturation polarisation, and what is left without a field."""

    susceptibility: float
    saturation_t: float
    remanence_t: float = 0.0

    @property
    def bias_t(self) -> float:
        """Field that holds the remanence."""
        return float(self.field_of(np.array(self.remanence_t)))

    def polarisation_of(self, field_t: Array) -> Array:
        """J of an internal field, T, without the bias."""
        driven = self.susceptibility * field_t
        return np.asarray(driven / (1.0 + np.abs(driven) / self.saturation_t))

    def field_of(self, polarisation_t: Array) -> Array:
        """Internal field that gives J; |J| below the saturation."""
        return np.asarray(polarisation_t / (self.susceptibility * (1.0 - np.abs(polarisation_t) / self.saturation_t)))

    def slope_of(self, polarisation_t: Array) -> Array:
        """Derivative of field_of."""
        return np.asarray(1.0 / (self.susceptibility * np.square(1.0 - np.abs(polarisation_t) / self.saturation_t)))


def disc_potential(distance: Array) -> Array:
    """4 pi r times the mean potential on one disc of unit charge on another on the same axis; distance in radii r.

    The integral of (2 J1(k) / k)^2 exp(-k x) over k from 0 on; 1 / x for large x.
    """
    x = np.asarray(distance, dtype=np.float64)
    near = np.minimum(x, _FAR)
    m1 = near * near / (4.0 + near * near)
    m = 1.0 - m1
    closed = -2.0 * near + 16.0 / (3.0 * np.pi) * ((2.0 * m - 1.0) * ellipe(m) + _times_k(m1)) / (m * np.sqrt(m))
    far = np.maximum(x, _FAR)
    inverse2 = 1.0 / (far * far)
    series = (1.0 + inverse2 * (-0.5 + inverse2 * (0.625 - inverse2 * 175.0 / 160.0))) / far
    return np.where(x < _FAR, closed, series)


def coupling(joints: Array, radius_mm: float) -> Array:
    """Demagnetising factors (K, K), symmetric: field on piece i of polarisation 1 of piece j, sign turned; joints (K + 1, 3)."""
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1)
    squares = np.einsum("ni,ni->n", joints, joints)
    d2 = np.maximum(squares[:, None] + squares - 2.0 * joints @ joints.T, 0.0)
    np.fill_diagonal(d2, 0.0)
    G = _tabled(d2 / radius_mm**2)
    by_start = G[:-1] - G[1:]
    share = np.sqrt(0.25 * radius_mm / lengths)
    return np.asarray((by_start[:, :-1] - by_start[:, 1:]) * (share[:, None] * share))


def solve_axial(applied_t: Array, factors: Array, material: Material, start: Array | None = None) -> Array:
    """J (K,) along the wire for the applied field (K,) along it. `start` near the solution saves steps.

    For pieces of one length. Raises ArithmeticError where no solution is found, which the convexity of the energy rules out.
    """
    if material.susceptibility == 0.0:
        return np.zeros_like(applied_t)
    drive = applied_t + material.bias_t
    bound = material.saturation_t * (1.0 - 1e-12)
    J = material.polarisation_of(drive) if start is None else np.clip(start, -bound, bound)
    for _ in range(_STEPS):
        gradient = material.field_of(J) + factors @ J - drive
        hessian = factors.copy()
        hessian.flat[:: len(J) + 1] += material.slope_of(J)
        step = cho_solve(cho_factor(hessian, overwrite_a=True, check_finite=False), gradient, check_finite=False)
        # A step may go nine tenths of the way to saturation: the law has a pole there.
        room = 0.9 * np.where(step < 0.0, bound - J, bound + J)
        share = min(1.0, float(np.min(room / np.maximum(np.abs(step), 1e-300))))
        J = J - share * step
        if share == 1.0 and np.max(np.abs(step)) < _TOLERANCE_T * (1.0 + np.max(np.abs(J)) * 1e3):
            return J
    raise ArithmeticError("the magnetisation of the wire was not found")


def charges(J: Array, radius_mm: float) -> Array:
    """Charge (K + 1,) of each joint, T mm^2; their sum is 0."""
    area = np.pi * radius_mm * radius_mm
    return np.asarray(-area * np.diff(J, prepend=0.0, append=0.0))


def charge_field(points: Array, joints: Array, q: Array) -> Array:
    """B (N, 3) at points (N, 3) of charges (T mm^2) at joints."""
    r = points[:, None] - joints
    r2 = np.einsum("npi,npi->np", r, r)
    field: Array = np.einsum("np,npi->ni", q / (4.0 * np.pi * r2 * np.sqrt(r2)), r)
    return field


def dipoles_field(points: Array, places: Array, moments: Array) -> Array:
    """B (N, 3) at points (N, 3) of point dipoles (K, 3), moments in T mm^3."""
    r = points[:, None] - places
    r2 = np.einsum("nki,nki->nk", r, r)
    inverse3 = 1.0 / (4.0 * np.pi * r2 * np.sqrt(r2))
    along = 3.0 * np.einsum("nki,ki->nk", r, moments) * inverse3 / r2
    field: Array = np.einsum("nk,nki->ni", along, r) - inverse3 @ moments
    return field


def _times_k(m1: Array) -> Array:
    """m1 K(1 - m1), 0 at m1 = 0."""
    safe = np.maximum(m1, 1e-300)
    return np.asarray(safe * ellipkm1(safe))


_TABLE_END = 10.0
_TABLE = disc_potential(np.linspace(0.0, _TABLE_END, 40001))


def _tabled(x2: Array) -> Array:
    """disc_potential of squared distances to 1e-8, at a tenth of the time."""
    inverse2 = 1.0 / np.maximum(x2, _TABLE_END**2)
    out = inverse2 * -1.09375
    for term in (0.625, -0.5, 1.0):
        out += term
        out *= inverse2 if term < 1.0 else np.sqrt(inverse2)
    near = np.nonzero(x2 < _TABLE_END**2)
    at = np.sqrt(x2[near]) * ((len(_TABLE) - 1) / _TABLE_END)
    low = np.minimum(at.astype(np.intp), len(_TABLE) - 2)
    out[near] = _TABLE[low] + (_TABLE[low + 1] - _TABLE[low]) * (at - low)
    return np.asarray(out)
