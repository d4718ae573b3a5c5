"""Values of a DICOM data set, one at a time and checked: a damaged element is an InputError with its tag, never its text."""

from __future__ import annotations

import math
from typing import Any

from pydicom.datadict import tag_for_keyword

from lodestone_core.errors import InputError

_REMEDY = "write the file again; if that does not help, the device writes this element wrongly"
_MOST = 100_000


def text(dataset: Any, keyword: str) -> str:
    """A text, upper case without blanks; empty where there is none. For comparing only."""
    value = element(dataset, keyword)
    return "" if value is None else str(value).strip().upper()


def integer(dataset: Any, keyword: str, default: int) -> int:
    """A whole number, or the default where there is none. Raises InputError for anything else."""
    value = element(dataset, keyword)
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise _bad(keyword, "a whole number") from None


def number(dataset: Any, keyword: str) -> float | None:
    """A finite number; None where there is none. Raises InputError for anything else."""
    found = numbers(dataset, keyword)
    if found is None:
        return None
    if len(found) != 1:
        raise _bad(keyword, "one number")
    return found[0]


def numbers(dataset: Any, keyword: str) -> list[float] | None:
    """Finite numbers; None where there are none. Raises InputError for anything else."""
    value = element(dataset, keyword)
    if value is None or value == "":
        return None
    entries = [value] if isinstance(value, (str, bytes, int, float)) or not hasattr(value, "__iter__") else list(value)
    try:
        found = [float(entry) for entry in entries[:_MOST]]
    except (TypeError, ValueError, OverflowError):
        raise _bad(keyword, "numbers") from None
    if not all(map(math.isfinite, found)):
        raise _bad(keyword, "finite numbers")
    return found or None


def words(dataset: Any, keyword: str) -> list[str]:
    """The parts of a text of several values, upper case; for comparing only."""
    value = element(dataset, keyword)
    if value is None:
        return []
    entries = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return [str(entry).strip().upper() for entry in entries[:_MOST]]


def name_of(keyword: str) -> str:
    """`keyword (gggg,eeee)`."""
    tag = tag_for_keyword(keyword) or 0
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def element(dataset: Any, keyword: str) -> Any:
    """The element's value as pydicom has it, None where there is none. Raises InputError for one that cannot be decoded."""
    try:
        return dataset.get(keyword)
    except Exception:
        # An element is decoded when it is asked for, and a damaged one raises whatever it leads pydicom into.
        raise _bad(keyword, "an element that can be decoded") from None


def _bad(keyword: str, expected: str) -> InputError:
    return InputError(name_of(keyword), expected=expected, got="something else", remedy=_REMEDY)
