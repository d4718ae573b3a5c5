"""Plain values into a configuration's own, and the sentence for one that does not fit; config.py is the public door."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from lodestone_core.config_option import REQUIRED, Option, plain
from lodestone_core.errors import InputError

_ACCEPTED: dict[type, type] = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}
_ONE: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_MANY: dict[type, str] = {bool: "true or false values", int: "whole numbers", float: "numbers", str: "texts"}
_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}
_SHOWN = 60


def convert(option: Option, value: Any, where: str) -> Any:
    """The field's Python value of a plain one; whole numbers pass for numbers. Raises InputError."""
    if value is None and option.nullable:
        return None
    if not option.sequence:
        return _element(option, value, value, where)
    # array.array is what rclpy hands out for numeric arrays; a text is a sequence, but not one that anybody means.
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise wrong_value(option, value, where)
    if option.length is not None and len(value) != option.length:
        raise wrong_value(option, value, where)
    return option.container(_element(option, item, value, where) for item in value)


def unknown_key(key: str, known: Sequence[str], prefix: str, where: str) -> InputError:
    """The error for a key that a configuration does not have, with the nearest that it has."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    remedy = f"did you mean {prefix}{near[0]}?" if near else "remove it"
    return InputError(f"{where}: unknown key", expected="one of " + ", ".join(known), got=prefix + key, remedy=remedy)


def missing_value(option: Option, where: str) -> InputError:
    """The error for a required value that was not given."""
    remedy = f"give it ({option.doc})" if option.doc else "give it"
    return InputError(f"{where}: {option.name}", expected=_expected(option), got="nothing", remedy=remedy)


def wrong_value(option: Option, value: Any, where: str, near: Sequence[str] = ()) -> InputError:
    """The error for a value of a wrong type or out of bounds; `near` holds the nearest allowed one if there is one."""
    if near:
        remedy = f"did you mean {near[0]}?"
    elif option.type is str and isinstance(value, (bool, int, float)):
        remedy = f'put it in quotes: "{yaml_text(value)}"'
    elif option.default is REQUIRED:
        remedy = "correct it"
    else:
        remedy = f"correct it, or remove the line for the default ({yaml_text(option.default)})"
    return InputError(f"{where}: {option.name}", expected=_expected(option), got=shown(value), remedy=remedy)


def allowed_text(option: Option) -> str:
    """Bounds or choices in words; empty when anything goes."""
    if option.choices:
        return "one of " + ", ".join(map(str, option.choices))
    if option.minimum is not None and option.maximum is not None:
        return f"between {option.minimum:g} and {option.maximum:g}"
    if option.minimum is not None:
        return f"of at least {option.minimum:g}"
    return "" if option.maximum is None else f"of at most {option.maximum:g}"


def yaml_text(value: Any) -> str:
    """A plain value as it stands in a YAML file, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml_text(item) for item in value) + "]"
    return '""' if value == "" else str(value)


def shown(value: Any) -> str:
    """A value that came, shortened, with its kind."""
    text = "{" + ", ".join(map(str, value)) + "}" if isinstance(value, Mapping) else yaml_text(value)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return text if value is None else f"{text} ({_KINDS.get(type(value), type(value).__name__)})"


def _element(option: Option, item: Any, whole: Any, where: str) -> Any:
    """`item` as the field's element type; `whole` is the value as given, for the error."""
    if isinstance(item, (Enum, Path)):
        item = plain(item)
    if not isinstance(item, _ACCEPTED[option.type]) or (isinstance(item, bool) and option.type is not bool):
        raise wrong_value(option, whole, where)
    make: Callable[[Any], Any] = option.type
    item = make(item)
    if option.choices and item not in option.choices:
        near = difflib.get_close_matches(str(item), map(str, option.choices), n=1)
        raise wrong_value(option, whole, where, near)
    too_small = option.minimum is not None and item < option.minimum
    too_large = option.maximum is not None and item > option.maximum
    if too_small or too_large or (option.type is float and math.isnan(item)):
        raise wrong_value(option, whole, where)
    if isinstance(option.element, type) and issubclass(option.element, Enum):
        return next(member for member in option.element if plain(member) == item)
    return Path(item) if option.element is Path else item


def _expected(option: Option) -> str:
    unit = f" in {option.unit}" if option.unit else ""
    allowed = allowed_text(option)
    if not option.sequence:
        text = f"{_ONE[option.type]}{unit}" + (f" {allowed}" if allowed else "")
    else:
        count = "" if option.length is None else f"{option.length} "
        text = f"a list of {count}{_MANY[option.type]}{unit}" + (f", each {allowed}" if allowed else "")
    return text + (" or null" if option.nullable else "")
