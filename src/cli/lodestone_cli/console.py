"""The terminal: one console for tables and text; the only place of this package that decides how output looks."""

from __future__ import annotations

from functools import cache

from rich.console import Console

DISCLAIMER = "Lodestone: research use only, not a medical device."


@cache
def console(*, markup: bool = False) -> Console:
    """Standard output; as wide as the terminal, or wide enough for tables where there is none. `markup`: read [style] tags."""
    found = Console(highlight=False, markup=markup)
    return found if found.is_terminal else Console(highlight=False, markup=markup, width=160)
