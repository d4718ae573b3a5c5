"""One declaration of a configuration, read by YAML, by ROS parameters and by the docs.

A configuration is a frozen, slotted dataclass; each field says its default, unit, bounds and meaning::

    @dataclass(frozen=True, slots=True)
    class PivotConfig:
        max_residual_mm: float = option(1.0, unit="mm", doc="samples further off are outliers", minimum=0.0)

    @dataclass(frozen=True, slots=True)
    class NodeConfig:
        port: str = option("/dev/ttyUSB0", doc="serial port of the tracker")
        pivot: PivotConfig = section(PivotConfig)

Types of a field: bool, int, float, str, Path, Enum, Literal, each also as `X | None`, `tuple[X, ...]`, `tuple[X, X, X]`
or `list[X]`, and nested configurations.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lodestone_core.config_option import REQUIRED, Option, default_of, is_section, leaf_of, options, plain
from lodestone_core.config_value import allowed_text, convert, missing_value, shown, unknown_key, yaml_text
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import parse_yaml, read_yaml

__all__ = [
    "REQUIRED",
    "Option",
    "load_config",
    "load_flat",
    "markdown_table",
    "option",
    "options",
    "parse_config",
    "section",
    "to_flat",
    "to_mapping",
]

C = TypeVar("C")


def option(
    default: Any,
    unit: str = "",
    doc: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[Any] | None = None,
) -> Any:
    """A field of a configuration.

    `unit` is "" for a value without one. `minimum`, `maximum` (both inclusive) and `choices` hold for each element of a
    sequence. `default` is REQUIRED for a value that must be given. Raises TypeError when the line of doc is missing.
    """
    if not doc:
        raise TypeError("option() wants doc: one line that says what the value means")
    allowed = None if choices is None else tuple(choices)
    metadata = {"unit": unit, "doc": doc, "minimum": minimum, "maximum": maximum, "choices": allowed}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type[C], doc: str = "", **defaults: Any) -> C:
    """A field that holds a nested configuration with that class's defaults, or with `defaults` in their place."""
    return dataclasses.field(default_factory=lambda: cls(**defaults), metadata={"doc": doc})


def load_config(cls: type[C], source: Mapping[str, Any] | str | Path | None = None, where: str = "configuration") -> C:
    """The configuration in `source` (a mapping, or the path of a YAML file); what it leaves out keeps its default.

    A ROS parameter file (`/**: ros__parameters:`) is read as well. Raises InputError, which names key, expected, got
    and remedy, for an unknown key, a wrong type, a value out of bounds or a missing required one.
    """
    if isinstance(source, (str, Path)):
        return _build(cls, _without_ros_wrapping(read_yaml(source)), "", str(source))
    return _build(cls, source, "", where)


def parse_config(cls: type[C], text: str, where: str = "configuration") -> C:
    """As load_config, from YAML text (for instance the parameters in a recorded lodestone_msgs/Config)."""
    return _build(cls, _without_ros_wrapping(parse_yaml(text, where)), "", where)


def load_flat(cls: type[C], values: Mapping[str, Any], where: str = "parameters") -> C:
    """As load_config, from flat dotted names (`pivot.max_residual_mm`), as ROS parameters have them."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, leaf = name.split(".")
        inner = tree
        for part in sections:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                expected, remedy = "a section or a value, not both", "remove one of the two"
                raise InputError(f"{where}: {name}", expected=expected, got=f"also {part} itself", remedy=remedy)
        inner[leaf] = value
    return _build(cls, tree, "", where)


def to_mapping(config: Any) -> dict[str, Any]:
    """The nested plain mapping (for YAML) that load_config turns back into an equal configuration."""
    return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def to_flat(config: Any) -> dict[str, Any]:
    """As to_mapping, with flat dotted names."""
    found: dict[str, Any] = {}
    for leaf in options(type(config)):
        value = config
        for part in leaf.name.split("."):
            value = getattr(value, part)
        found[leaf.name] = plain(value)
    return found


def markdown_table(cls: type[Any]) -> str:
    """The table of a configuration's parameters for the docs."""
    lines = ["| parameter | type | default | unit | allowed | meaning |", "|---|---|---|---|---|---|"]
    for leaf in options(cls):
        default = "required" if leaf.default is REQUIRED else f"`{yaml_text(leaf.default)}`"
        cells = (f"`{leaf.name}`", _type_text(leaf), default, leaf.unit, allowed_text(leaf), leaf.doc)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _build(cls: type[C], values: Any, prefix: str, where: str, base: Any = None) -> C:
    """The configuration of plain `values`; `base` holds the defaults where the section has its own."""
    if values is None:
        values = {}
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    if not isinstance(values, Mapping):
        place = f"{where}: {prefix[:-1]}" if prefix else where
        expected = "a mapping with keys out of " + ", ".join(fields)
        raise InputError(place, expected=expected, got=shown(values), remedy="write `key: value` lines")
    for key in values:
        if key not in fields:
            raise unknown_key(str(key), list(fields), prefix, where)
    hints = typing.get_type_hints(cls)
    arguments = {}
    for key, field in fields.items():
        given = key in values
        if is_section(hints[key]):
            inner = default_of(field, base)
            inner = None if inner is REQUIRED else inner
            arguments[key] = _build(hints[key], values.get(key), f"{prefix}{key}.", where, inner)
            continue
        leaf = leaf_of(field, prefix + key, hints[key], base)
        if not given and leaf.default is REQUIRED:
            raise missing_value(leaf, where)
        arguments[key] = convert(leaf, values[key], where) if given else default_of(field, base)
    return cls(**arguments)


def _type_text(leaf: Option) -> str:
    count = "" if leaf.length is None else str(leaf.length)
    return leaf.type.__name__ + (f"[{count}]" if leaf.sequence else "") + (" or null" if leaf.nullable else "")


def _without_ros_wrapping(tree: Any) -> Any:
    """The parameters of a ROS parameter file for one node; any other tree unchanged."""
    if isinstance(tree, Mapping) and len(tree) == 1:
        inner = next(iter(tree.values()))
        if isinstance(inner, Mapping) and set(inner) == {"ros__parameters"}:
            return inner["ros__parameters"]
    return tree
