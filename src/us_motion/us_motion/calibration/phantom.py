"""Phantoms of wires: layers of three, left, slanting and right, like the letter N, known in the phantom's own frame.

    layers:
    - {left: [[-20, 0, 0], [-20, 60, 0]], middle: [[-20, 0, 0], [20, 60, 0]], right: [[20, 0, 0], [20, 60, 0]]}    # mm

Layers go from the one nearest to the probe downward. Where the slanting wire is met between its neighbours says where along them the image
lies (R. M. Comeau, A. Fenster, T. M. Peters, Proc. SPIE 3031, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_core.checks import as_array
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.yaml_file import read_yaml

ROLES = ("left", "middle", "right")
_PARALLEL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class WirePhantom:
    """`ends_mm` (layers, 3, 2, 3): both ends of the left, the slanting and the right wire of each layer, phantom frame."""

    ends_mm: Array

    @property
    def points_mm(self) -> Array:
        """A point (wires, 3) on each wire, the wires of a layer one after the other."""
        points: Array = self.ends_mm.reshape(-1, 2, 3)[:, 0]
        return points

    @property
    def directions(self) -> Array:
        """Unit vector (wires, 3) along each wire."""
        ends = self.ends_mm.reshape(-1, 2, 3)
        along = ends[:, 1] - ends[:, 0]
        directions: Array = along / np.linalg.norm(along, axis=1, keepdims=True)
        return directions

    @property
    def width_mm(self) -> Array:
        """Distance (layers,) of the two outer wires."""
        return np.array([_distance(layer[0], layer[2]) for layer in self.ends_mm])

    def crossing(self, layer: int, share: float) -> Array:
        """Point (3,) at which the slanting wire is met at that share of the way from the left wire to the right one."""
        left, middle, right = self.ends_mm[layer]
        # Shares at the slanting wire's own ends: 0 and 1 where it reaches from one outer wire to the other.
        first, last = (_share(point, left, right) for point in middle)
        return np.asarray(middle[0] + (share - first) / (last - first) * (middle[1] - middle[0]))


def load_phantom(path: Path) -> WirePhantom:
    """Read a phantom's file. Raises InputError that names the wire."""
    tree = read_yaml(path)
    expected = "layers, each with the wires left, middle and right from end to end in mm"
    if not isinstance(tree, dict) or not isinstance(tree.get("layers"), list) or len(tree["layers"]) < 2:
        raise InputError(str(path), expected=f"at least two {expected}", got=type(tree).__name__, remedy="see docs/us_motion.md")
    return as_phantom(
        [_layer(layer, f"{path}, layer {number}", expected) for number, layer in enumerate(tree["layers"], start=1)], str(path)
    )


def as_phantom(ends_mm: Any, where: str = "phantom") -> WirePhantom:
    """A phantom from wire ends (layers, 3, 2, 3). Raises InputError for outer wires that are not parallel or one that does not slant."""
    ends = as_array(where, ends_mm, (None, 3, 2, 3))
    for number, (left, middle, right) in enumerate(ends, start=1):
        a, b = (_unit(wire) for wire in (left, right))
        if min(np.linalg.norm(a - b), np.linalg.norm(a + b)) > _PARALLEL:
            raise _wrong(
                where, number, "outer wires that are parallel", f"{np.degrees(np.arccos(min(abs(float(a @ b)), 1.0))):.1f} degrees"
            )
        if _distance(left, right) < 1.0:
            raise _wrong(where, number, "outer wires apart from one another", f"{_distance(left, right):.2f} mm")
        first, last = (_share(point, left, right) for point in middle)
        if abs(last - first) < 0.2:
            raise _wrong(where, number, "a middle wire that slants from side to side", f"{100.0 * abs(last - first):.0f} % of the width")
    return WirePhantom(ends)


def _layer(layer: Any, where: str, expected: str) -> list[Array]:
    if not isinstance(layer, dict) or set(layer) != set(ROLES):
        got = ", ".join(map(str, layer)) if isinstance(layer, dict) else type(layer).__name__
        raise InputError(where, expected=expected, got=got, remedy="see docs/us_motion.md")
    return [as_array(f"{where}, {role}", layer[role], (2, 3)) for role in ROLES]


def _wrong(where: str, layer: int, expected: str, got: str) -> InputError:
    return InputError(f"{where}, layer {layer}", expected=expected, got=got, remedy="correct the phantom's wires")


def _unit(wire: Array) -> Array:
    along = wire[1] - wire[0]
    return np.asarray(along / max(float(np.linalg.norm(along)), 1e-12))


def _share(point: Array, left: Array, right: Array) -> float:
    """How far a point is on the way from the left wire to the right one."""
    across = _across(left, right)
    return float((point - left[0]) @ across / (across @ across))


def _across(left: Array, right: Array) -> Array:
    apart, along = right[0] - left[0], _unit(left)
    return np.asarray(apart - along * (apart @ along))


def _distance(left: Array, right: Array) -> float:
    return float(np.linalg.norm(_across(left, right)))
