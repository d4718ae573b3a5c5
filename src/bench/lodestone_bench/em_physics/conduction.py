"""What skin effect makes of wires, sheets and rods: impedances and effective permeabilities at angular frequencies.

Time runs as exp(+j omega t). Sizes in mm, conductivities in S/m, results SI (ohm) or relative (permeability).
Source: L. D. Landau, E. M. Lifshitz, "Electrodynamics of Continuous Media", paragraphs 59 to 61.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import jve

from lodestone_core.types import Array

Complex = npt.NDArray[np.complex128]
_MU0_SI = 4e-7 * np.pi


def wavenumber(omega: Array, conductivity: Array, mu_r: Array | float = 1.0) -> Complex:
    """k = (1 - j) / skin depth, in 1/mm."""
    k: Complex = (1.0 - 1.0j) * np.sqrt(0.5 * omega * conductivity * mu_r * _MU0_SI) * 1e-3
    return k


def wire_impedance(omega: Array, length: Array, radius: Array, conductivity: Array) -> Complex:
    """Internal impedance of a round wire, ohm: resistance and internal inductance."""
    k = wavenumber(omega, conductivity)
    x = k * radius
    per_mm: Complex = k * 1e3 / (2.0 * np.pi * radius * conductivity) * jve(0, x) / jve(1, x)
    return per_mm * length


def sheet_impedance(omega: Array, thickness: Array, conductivity: Array) -> Complex:
    """Impedance of a square of sheet, ohm; 1 / (conductivity thickness) where the sheet is thin for its skin depth."""
    q = 1.0j * wavenumber(omega, conductivity)
    z: Complex = 0.5e3 * q / conductivity / np.tanh(0.5 * q * thickness)
    return z


def effective_permeability(omega: Array, radius: Array, mu_r: Array, conductivity: Array) -> tuple[Complex, Complex]:
    """Permeabilities, along and across, of the lossless rod that answers a uniform field as a conducting round rod does."""
    x = wavenumber(omega, conductivity, mu_r) * radius
    j0, j1 = jve(0, x), jve(1, x)
    along: Complex = mu_r * 2.0 * j1 / (x * j0)
    across: Complex = mu_r * j1 / (x * j0 - j1)
    return along, across
