"""Which tools are compared with which: rows of the watch and the bodies that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lodestone_core.types import Array

GENERATOR = -1
"""In place of a tool: the field generator itself."""
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is watched: the indicator of tool `a` (`b` None), or where tool `b` is seen from `a` (a tool or GENERATOR)."""

    body: int
    a: int
    b: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Rows and bodies of a watch over `tools` tools. Rows and bodies are only ever appended, so that what was learnt keeps its place."""

    tools: int
    bodies: int
    rows: tuple[Row, ...]
    relation: npt.NDArray[np.bool_] = field(init=False)
    place: Indices = field(init=False)
    first: Indices = field(init=False)
    second: Indices = field(init=False)
    members: Array = field(init=False)

    def __post_init__(self) -> None:
        """Index arrays: `place` is the tool whose pose says where a row is looked at, `members` (bodies, rows) is 1 where a row belongs."""
        second = np.array([GENERATOR if row.b is None else row.b for row in self.rows], dtype=np.intp)
        first = np.array([row.a for row in self.rows], dtype=np.intp)
        members = np.zeros((self.bodies, len(self.rows)))
        members[[row.body for row in self.rows], np.arange(len(self.rows))] = 1.0
        object.__setattr__(self, "relation", np.array([row.b is not None for row in self.rows], dtype=bool))
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "second", second)
        object.__setattr__(self, "place", np.where(first == GENERATOR, second, first))
        object.__setattr__(self, "members", members)

    def with_body(self, tools: Sequence[int], *, fixed: bool = False) -> Layout:
        """The layout with one more body on these tools: an indicator each, and the place of each seen from the first (or the generator)."""
        pairs = [(GENERATOR, tool) for tool in tools] if fixed else [(tools[0], tool) for tool in tools[1:]]
        rows = [Row(self.bodies, tool) for tool in tools] + [Row(self.bodies, a, b) for a, b in pairs]
        return Layout(max(self.tools, *(tool + 1 for tool in tools)), self.bodies + 1, (*self.rows, *rows))


NOBODY = Layout(0, 0, ())
