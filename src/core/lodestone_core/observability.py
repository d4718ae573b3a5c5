"""Which directions of a least-squares problem the data do not hold, said in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core.parameter_blocks import Layout, Values
from lodestone_core.types import Array

# A part below this share of a direction (in comparable units) is left out of the words; below this slant an axis is named.
_SHARE = 0.15
_ALIGNED = 0.995


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A direction that the data do not hold.

    `vector` (n,) lies in the changes of all blocks (message convention, mm and rad), of length 1 in comparable units;
    `text` says it in words; `blocks` are the blocks that it moves.
    """

    text: str
    vector: Array
    blocks: tuple[str, ...]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Eigen-decomposition of a normal matrix in comparable units: `vectors` (n, n) in columns, observed ones marked."""

    values: Array
    vectors: Array
    observed: npt.NDArray[np.bool_]

    def inverse(self) -> Array:
        """Inverse over the observed directions, zero elsewhere."""
        V = self.vectors[:, self.observed]
        return np.asarray((V / self.values[self.observed]) @ V.T)


def spectrum(normal: Array, ratio: float) -> Spectrum:
    """Decomposition of a scaled normal matrix (n, n); observed are eigenvalues above `ratio` times the largest."""
    values, vectors = np.linalg.eigh(normal)
    largest = float(values[-1]) if values.size else 0.0
    return Spectrum(values, vectors, values > max(ratio * largest, np.finfo(np.float64).tiny))


def unobserved_directions(found: Spectrum, layout: Layout, values: Values, units: Array) -> tuple[Direction, ...]:
    """The unobserved directions of a decomposition, each named in words of the blocks."""
    return tuple(
        Direction(_text(row, layout, values), row * units, _blocks(row, layout))
        for row in _sparse_basis(found.vectors[:, ~found.observed].T)
    )


def _sparse_basis(rows: Array) -> Array:
    """The same space by rows that have as few entries as elimination can give: eigenvectors of one value are arbitrary."""
    basis = rows.copy()
    for i in range(len(basis)):
        k, column = divmod(int(np.argmax(np.abs(basis[i:]))), basis.shape[1])
        basis[[i, i + k]] = basis[[i + k, i]]
        basis[i] /= basis[i, column]
        others = np.arange(len(basis)) != i
        basis[others] -= np.outer(basis[others, column], basis[i])
    return np.asarray(basis / np.linalg.norm(basis, axis=1, keepdims=True))


def _blocks(direction: Array, layout: Layout) -> tuple[str, ...]:
    return tuple(name for name, part in layout.parts.items() if np.linalg.norm(direction[part]) > _SHARE)


def _text(direction: Array, layout: Layout, values: Values) -> str:
    words = []
    for name in _blocks(direction, layout):
        part = direction[layout.parts[name]]
        if name not in layout.rigid:
            words.append(f"{_along(part, None)} of {name}" if part.size > 1 else name)
            continue
        R = values[name][:3, :3]
        if np.linalg.norm(part[3:]) > _SHARE:
            words.append(f"rotation about {_along(part[3:], R)} of {name}")
        if np.linalg.norm(part[:3]) > _SHARE:
            words.append(f"translation along {_along(part[:3], R)} of {name}")
    return " together with ".join(words)


def _along(vector: Array, R_parent_child: Array | None) -> str:
    """An axis in words: of the parent, else of the child, else its coordinates in the parent."""
    unit = vector / np.linalg.norm(vector)
    labels = "xyz" if unit.size == 3 else [f"element {i}" for i in range(unit.size)]
    if np.max(np.abs(unit)) > _ALIGNED:
        return labels[int(np.argmax(np.abs(unit)))]
    if R_parent_child is not None:
        own = R_parent_child.T @ unit
        if np.max(np.abs(own)) > _ALIGNED:
            return f"the child's {labels[int(np.argmax(np.abs(own)))]}"
    unit = unit * np.sign(unit[np.argmax(np.abs(unit))])
    return "(" + ", ".join(f"{c:.2f}" for c in unit) + ")"
