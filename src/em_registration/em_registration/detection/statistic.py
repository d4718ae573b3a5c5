"""From squares to standard deviations of a quiet field: one scale for every group of channels."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from lodestone_core.types import Array


class Group(IntEnum):
    """What an alarm rests on; the place in arrays of statistics."""

    INDICATOR = 0
    PAIR = 1
    KNOWN_POINT = 2
    TOGETHER = 3


def normal_score(square: Array, freedom: Array) -> Array:
    """Standard normal deviate of a chi-square with so many degrees of freedom; -inf where there are none.

    Wilson and Hilferty's cube root, https://doi.org/10.1073/pnas.17.12.684: good to 0.13 up to 5 standard deviations
    from six degrees on, and lower by up to 0.3 below.
    """
    some = np.maximum(freedom, 1e-9)
    spread = 2.0 / (9.0 * some)
    return np.where(freedom > 0, (np.cbrt(square / some) - 1.0 + spread) / np.sqrt(spread), -np.inf)
