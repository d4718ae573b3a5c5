"""Products of SE(3) and R^n as a least-squares problem sees them: named blocks, one vector of changes.

A 4x4 array is a block on SE(3), a 1-D array one on R^n. Inside the solver a change of an SE(3) block is a translation
and a rotation about the parent's axes at the *child's* origin (the message convention): unlike the tangent at the
parent's origin it does not mix the two over a long lever, so damping and the naming of directions mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

Values = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each block lies in the vector of changes. `parts` maps a name to its slice, `rigid` holds the SE(3) ones."""

    parts: Mapping[str, slice]
    rigid: frozenset[str]

    @property
    def size(self) -> int:
        """Number of degrees of freedom."""
        return sum(part.stop - part.start for part in self.parts.values())

    def retract(self, values: Values, change: Array) -> dict[str, Array]:
        """Values after a change (message convention in SE(3) blocks, mm and rad)."""
        return {name: self._moved(name, values[name], change[part]) for name, part in self.parts.items()}

    def at_parent_origin(self, values: Values) -> Array:
        """Matrix (n, n) from a change in the message convention to the left tangent at the parent's origin."""
        M = np.eye(self.size)
        for name in self.rigid:
            start = self.parts[name].start
            M[start : start + 3, start + 3 : start + 6] = se3.hat(values[name][:3, 3])
        return M

    def units(self, rotation_length_mm: float, typical: Mapping[str, float]) -> Array:
        """Size (n,) of a comparable change in each coordinate: 1 mm, 1 mm of arc, the typical change of a vector."""
        sizes = np.ones(self.size)
        for name, part in self.parts.items():
            sizes[part] = typical.get(name, 1.0)
            if name in self.rigid:
                sizes[part] = (1.0, 1.0, 1.0, *(1.0 / rotation_length_mm,) * 3)
        return sizes

    def _moved(self, name: str, value: Array, change: Array) -> Array:
        if name not in self.rigid:
            return value + change
        turned = se3.exp(np.concatenate([np.zeros(3), change[3:]]))[:3, :3] @ value[:3, :3]
        return se3.make(turned, value[:3, 3] + change[:3])


def layout_of(values: Values) -> Layout:
    """Layout of named initial values. Raises InputError for a value that is neither 4x4 nor 1-D, or not finite."""
    parts: dict[str, slice] = {}
    rigid = set()
    start = 0
    for name, value in values.items():
        shape = np.shape(value)
        if (shape != (4, 4) and len(shape) != 1) or not np.all(np.isfinite(value)):
            raise InputError(
                f"initial value of {name}",
                expected="a finite 4x4 transform or a finite vector",
                got=f"shape {shape}" if np.all(np.isfinite(value)) else "NaN or infinity",
                remedy="start from a closed-form solution of valid data",
            )
        size = 6 if shape == (4, 4) else shape[0]
        if shape == (4, 4):
            rigid.add(name)
        parts[name] = slice(start, start + size)
        start += size
    return Layout(parts, frozenset(rigid))
