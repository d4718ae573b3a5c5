"""Where in a launch file something stands, and the error that says so."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class Place:
    """A line (from 1) of a launch file."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    def error(self, what: str, *, expected: object, got: object, remedy: str) -> InputError:
        """InputError about `what` that names file and line."""
        return InputError(f"{self}: {what}", expected=expected, got=got, remedy=remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as "did you mean 'node'?", else the list of everything known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names) or 'none'}"
