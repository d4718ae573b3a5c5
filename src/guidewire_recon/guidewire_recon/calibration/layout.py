"""The array as it was drawn, and the names of axes that were swapped."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from guidewire_recon.calibration.config import LayoutConfig
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def drawn_positions(config: LayoutConfig) -> Array:
    """Places (S, 3) in mm, index rising along x first; the middle of the grid is the origin."""
    x = (np.arange(config.columns) - 0.5 * (config.columns - 1)) * config.pitch_mm
    y = (np.arange(config.rows) - 0.5 * (config.rows - 1)) * config.pitch_mm
    return np.array([(a, b, 0.0) for b in y for a in x])


def drawn_rotations(config: LayoutConfig) -> Array:
    """R_array_sensor (S, 3, 3). Raises InputError for axes that are none, or left-handed."""
    count = config.columns * config.rows
    if not config.axes:
        return np.tile(np.eye(3), (count, 1, 1))
    if len(config.axes) != count:
        raise InputError("layout.axes", expected=f"{count} entries, one for each sensor", got=len(config.axes), remedy="name all of them")
    return np.array([_rotation(text) for text in config.axes])


def nearest_axes(R: Array, mirrored: bool = False) -> str:
    """The signed axes, such as '-y x z', that come next to a rotation (3, 3) or, with `mirrored`, to a reflection."""
    best, text = -np.inf, ""
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            P = np.zeros((3, 3))
            P[list(order), range(3)] = signs
            if (np.linalg.det(P) < 0) == mirrored and float(np.sum(P * R)) > best:
                best = float(np.sum(P * R))
                text = " ".join(("-" if s < 0 else "") + "xyz"[i] for i, s in zip(order, signs, strict=True))
    return text


def _rotation(text: str) -> Array:
    words = text.split()
    R = np.zeros((3, 3))
    for column, word in enumerate(words[:3]):
        name = word.removeprefix("-")
        if len(words) == 3 and name in ("x", "y", "z"):
            R["xyz".index(name), column] = -1.0 if word.startswith("-") else 1.0
    if abs(np.linalg.det(R) - 1.0) > 1e-9:
        raise InputError("layout.axes", expected="three right-handed axes such as '-y x z'", got=f"'{text}'", remedy="see the drawing")
    return R
