"""The only place where units change: millimetres inside, SI on messages and in TF."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

M_PER_MM = 1e-3
MM_PER_M = 1000.0

Length = TypeVar("Length", float, npt.NDArray[np.float64])


def mm_from_m(length_m: Length) -> Length:
    """Millimetres of a length in metres (scalar or array)."""
    return length_m * MM_PER_M


def m_from_mm(length_mm: Length) -> Length:
    """Metres of a length in millimetres (scalar or array)."""
    # Division rounds correctly where a multiplication by 0.001 does not: 1000 mm come out as 1 m, 3 mm as 0.003 m.
    return length_mm / MM_PER_M
