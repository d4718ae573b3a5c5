"""The one exception for bad input: what was expected, what came, what to do."""

from __future__ import annotations

from functools import partial


class InputError(ValueError):
    """Input that a person can put right.

    The text is one sentence: `what`: expected `expected`, got `got`; `remedy`.
    """

    def __init__(self, what: str, *, expected: object, got: object, remedy: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}; {remedy}")
        self.what = what
        self.expected = str(expected)
        self.got = str(got)
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """So that an error of another process comes back as it was."""
        return partial(InputError, expected=self.expected, got=self.got, remedy=self.remedy), (self.what,)
