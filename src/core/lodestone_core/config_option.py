"""What one field of a configuration allows, read off its declaration; config.py is the public door."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union

REQUIRED: Any = MISSING
"""As a default: the value must be given."""

PlainType = type[bool] | type[int] | type[float] | type[str]


@dataclass(frozen=True, slots=True)
class Option:
    """One leaf of a configuration under its flat, dotted name, in the plain form that YAML and ROS parameters hold.

    `type` is bool, int, float or str (an Enum, Literal or Path is a str); with `sequence` a list of it, of `length`
    where that is fixed. `default` is plain too, or REQUIRED. `nullable`: None is allowed. `choices` is () when anything
    goes. Bounds are inclusive; they and the choices hold for each element of a sequence.
    """

    name: str
    type: PlainType
    default: Any
    unit: str = ""
    doc: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    sequence: bool = False
    length: int | None = None
    nullable: bool = False
    element: Any = str
    container: Callable[[Iterable[Any]], Any] = tuple


def options(cls: type[Any]) -> Iterator[Option]:
    """All leaves of a configuration class in the order of declaration, nested ones as `section.field`."""
    yield from _leaves(cls, "", None)


def is_section(hint: Any) -> bool:
    """Whether a field's type is a nested configuration."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def leaf_of(field: dataclasses.Field[Any], name: str, hint: Any, base: Any) -> Option:
    """The option that a field declares; `base` holds the defaults where a section overrides those of its class."""
    nullable, hint = _without_none(hint)
    container, element, length = _elements(hint, name)
    kind, choices = _plain_type(element, name)
    default = default_of(field, base)
    return Option(
        name=name,
        type=kind,
        default=REQUIRED if default is REQUIRED else plain(default),
        unit=field.metadata.get("unit", ""),
        doc=field.metadata.get("doc", ""),
        minimum=field.metadata.get("minimum"),
        maximum=field.metadata.get("maximum"),
        choices=choices or tuple(plain(choice) for choice in field.metadata.get("choices") or ()),
        sequence=container is not None,
        length=length,
        nullable=nullable,
        element=element,
        container=container or tuple,
    )


def default_of(field: dataclasses.Field[Any], base: Any) -> Any:
    """The default of a field: that of `base` if there is one, else the declared one, REQUIRED when there is none."""
    if base is not None:
        return getattr(base, field.name)
    if field.default_factory is MISSING:
        return field.default
    try:
        return field.default_factory()
    except TypeError:  # a section whose class has required values of its own: they are asked for by name
        return REQUIRED


def plain(value: Any) -> Any:
    """A value in the form that YAML and ROS parameters hold."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def _leaves(cls: type[Any], prefix: str, base: Any) -> Iterator[Option]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name, hint = prefix + field.name, hints[field.name]
        if is_section(hint):
            inner = default_of(field, base)
            yield from _leaves(hint, name + ".", None if inner is REQUIRED else inner)
        else:
            yield leaf_of(field, name, hint, base)


def _without_none(hint: Any) -> tuple[bool, Any]:
    if typing.get_origin(hint) not in (Union, types.UnionType):
        return False, hint
    rest = [part for part in typing.get_args(hint) if part is not type(None)]
    return True, rest[0] if len(rest) == 1 else hint


def _elements(hint: Any, name: str) -> tuple[type[Any] | None, Any, int | None]:
    """Container (None for a scalar), element type and fixed length of a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and parts:
        return list, parts[0], None
    if origin is tuple and parts:
        if parts[-1] is Ellipsis:
            return tuple, parts[0], None
        if len(set(parts)) == 1:
            return tuple, parts[0], len(parts)
        raise TypeError(f"{name}: all elements of a tuple must have one type, this is {hint}")
    return None, hint, None


def _plain_type(element: Any, name: str) -> tuple[PlainType, tuple[Any, ...]]:
    """The plain type and the choices that an element's type stands for."""
    if typing.get_origin(element) is Literal:
        choices = typing.get_args(element)
        return type(choices[0]), choices
    if isinstance(element, type) and issubclass(element, Enum):
        return str, tuple(plain(member) for member in element)
    if element is Path:
        return str, ()
    if element in (bool, int, float, str):
        return typing.cast(PlainType, element), ()
    raise TypeError(f"{name}: {element} cannot be a field of a configuration")
