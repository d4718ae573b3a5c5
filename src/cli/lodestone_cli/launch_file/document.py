"""A YAML launch file as entities that know their line; values keep the type that YAML gives them, as in launch_yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lodestone_core.errors import InputError

from .place import Place


@dataclass(frozen=True, slots=True)
class Attribute:
    """One key of an entity: a plain value, or the entities of a list of mappings."""

    name: str
    place: Place
    value: Any
    items: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """An action of a launch file (`node`, `arg` ...), or one mapping of a list inside it (`param`, `remap` ...)."""

    kind: str
    place: Place
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    children: tuple[Entity, ...] | None = None


def read_launch_file(path: Path) -> tuple[Entity, ...]:
    """The actions under the root key `launch`, in order.

    Raises InputError with file and line when the file cannot be read, is not YAML or has not that shape.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
    except (OSError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        raise InputError(str(path), expected="a readable launch file", got=got, remedy="check the path") from error
    except yaml.YAMLError as error:
        raise _malformed(path, error) from error
    place = Place(path, 1)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    if len(pairs) != 1 or pairs[0][0].value != "launch":
        got = ", ".join(str(key.value) for key, _ in pairs) or "something else"
        raise place.error("root", expected="the one key 'launch'", got=got, remedy="start the file with 'launch:'")
    return _Reader(path, loader).entities(pairs[0][1])


def _malformed(path: Path, error: yaml.YAMLError) -> InputError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    remedy = "mend the indentation, quote or bracket on that line"
    return Place(path, mark.line + 1 if mark else 1).error("YAML", expected="well-formed YAML", got=problem, remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    loader: yaml.SafeLoader

    def place(self, node: yaml.Node) -> Place:
        return Place(self.path, node.start_mark.line + 1)

    def entities(self, node: yaml.Node) -> tuple[Entity, ...]:
        """Actions of a sequence; each item is a mapping with the action's name as its only key."""
        if not isinstance(node, yaml.SequenceNode):
            remedy = "write each action on its own line as '- node: ...'"
            raise self.place(node).error("actions", expected="a list", got=_shape(node), remedy=remedy)
        found = []
        for item in node.value:
            pairs = item.value if isinstance(item, yaml.MappingNode) else []
            if len(pairs) != 1:
                got = "keys " + ", ".join(str(key.value) for key, _ in pairs) if pairs else _shape(item)
                remedy = "indent the action's attributes further than its name, and start each action with '-'"
                raise self.place(item).error("action", expected="one key, its name", got=got, remedy=remedy)
            key, value = pairs[0]
            found.append(self.entity(str(key.value), key, value))
        return tuple(found)

    def entity(self, kind: str, key: yaml.Node, node: yaml.Node) -> Entity:
        if isinstance(node, yaml.SequenceNode):
            return Entity(kind, self.place(key), children=self.entities(node))
        if not isinstance(node, yaml.MappingNode):
            remedy = f"write '{kind}:' and indent its attributes below it"
            raise self.place(key).error(f"'{kind}'", expected="attributes", got=_shape(node), remedy=remedy)
        attributes: dict[str, Attribute] = {}
        children = None
        for name_node, value in node.value:
            name = str(name_node.value)
            if name in attributes:
                remedy = "keep one of the two"
                raise self.place(name_node).error(f"key '{name}'", expected="each key once", got="it twice", remedy=remedy)
            attributes[name] = self.attribute(name, name_node, value)
            if name == "children":
                children = self.entities(value)
        return Entity(kind, self.place(key), attributes, children)

    def attribute(self, name: str, key: yaml.Node, node: yaml.Node) -> Attribute:
        items: tuple[Entity, ...] = ()
        if isinstance(node, yaml.SequenceNode) and name != "children":
            items = tuple(self.entity(name, item, item) for item in node.value if isinstance(item, yaml.MappingNode))
        return Attribute(name, self.place(key), self.loader.construct_object(node, deep=True), items)


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return f"'{node.value}'" if node.value else "nothing"
