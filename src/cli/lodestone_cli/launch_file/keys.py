"""Jazzy's keys: which actions and attributes a launch file may use, with which YAML types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from .document import Attribute, Entity
from .place import nearest

_TYPES: Mapping[str, type] = {"str": str, "bool": bool, "int": int, "float": float}
_REMEDIES = {"str": "quote it", "float": "write it with a decimal point", "bool": "write true or false without quotes"}
_ROS_ONLY = "one that only 'ros2 launch' runs"
_LEAVE_OUT = "leave it out, or use 'ros2 launch'"


@dataclass(frozen=True, slots=True)
class ActionKeys:
    """Attributes of one action: name -> YAML type for those that run, names of those that only ROS runs."""

    required: tuple[str, ...]
    runs: Mapping[str, str]
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class JazzyKeys:
    """The checked-in list `jazzy_keys.yaml`."""

    actions: Mapping[str, ActionKeys]
    refused_actions: frozenset[str]
    lists: Mapping[str, Mapping[str, str]]
    parameter_types: frozenset[str]
    substitutions: frozenset[str]
    refused_substitutions: frozenset[str]

    def check(self, entity: Entity) -> None:
        """Refuse an action or attribute that Jazzy or `lodestone up` does not know, or whose value has the wrong type.

        Raises InputError that names key, file and line.
        """
        keys = self._action(entity)
        for attribute in entity.attributes.values():
            if attribute.name in keys.refused:
                what = f"key '{attribute.name}' of '{entity.kind}'"
                raise attribute.place.error(what, expected="a key that 'lodestone up' runs", got=_ROS_ONLY, remedy=_LEAVE_OUT)
            self._attribute(entity.kind, attribute, keys.runs)
        for name in keys.required:
            if name not in entity.attributes:
                remedy = f"add '{name}:' below it"
                raise entity.place.error(f"'{entity.kind}'", expected=f"the key '{name}'", got="none", remedy=remedy)

    def _action(self, entity: Entity) -> ActionKeys:
        if entity.kind in self.refused_actions:
            expected = "an action that 'lodestone up' runs"
            raise entity.place.error(f"key '{entity.kind}'", expected=expected, got=_ROS_ONLY, remedy=_LEAVE_OUT)
        if entity.kind not in self.actions:
            expected, remedy = "an action of ROS 2 Jazzy", nearest(entity.kind, self.actions)
            raise entity.place.error(f"key '{entity.kind}'", expected=expected, got="an unknown one", remedy=remedy)
        keys = self.actions[entity.kind]
        if (entity.children is not None) != ("children" in keys.runs):
            expected = "a list of actions" if "children" in keys.runs else "attributes"
            remedy = "see the examples in launch/"
            raise entity.place.error(f"'{entity.kind}'", expected=expected, got="something else", remedy=remedy)
        return keys

    def _attribute(self, kind: str, attribute: Attribute, known: Mapping[str, str]) -> None:
        what = f"key '{attribute.name}' of '{kind}'"
        if attribute.name not in known:
            remedy = nearest(attribute.name, known)
            raise attribute.place.error(what, expected="a key of ROS 2 Jazzy", got="an unknown one", remedy=remedy)
        wanted = known[attribute.name]
        if wanted.startswith("list:"):
            self._items(what, attribute, self.lists[wanted.removeprefix("list:")])
        elif wanted in _TYPES and type(attribute.value) is not _TYPES[wanted]:
            got = f"{attribute.value!r} ({type(attribute.value).__name__})"
            raise attribute.place.error(what, expected=f"a {wanted}", got=got, remedy=_REMEDIES.get(wanted, f"give a {wanted}"))

    def _items(self, what: str, attribute: Attribute, known: Mapping[str, str]) -> None:
        if not attribute.items or len(attribute.items) != len(attribute.value):
            remedy = "start each entry with '-' and give it its keys, or leave the key out"
            raise attribute.place.error(what, expected="a list of mappings", got=repr(attribute.value), remedy=remedy)
        for item in attribute.items:
            for inner in item.attributes.values():
                self._attribute(item.kind, inner, known)
            # A `param` has alternatives, which its reader checks; every other list wants all of its keys.
            missing = [name for name in known if name not in item.attributes and attribute.name != "param"]
            if missing:
                remedy = f"add '{missing[0]}:' to it"
                raise item.place.error(f"'{item.kind}'", expected=f"the key '{missing[0]}'", got="none", remedy=remedy)


@cache
def jazzy_keys() -> JazzyKeys:
    """The list, read once."""
    text = resources.files(__package__).joinpath("jazzy_keys.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    actions = {
        name: ActionKeys(tuple(entry["required"]), entry["runs"], frozenset(entry["refused"])) for name, entry in table["actions"].items()
    }
    substitutions = table["substitutions"]
    return JazzyKeys(
        actions,
        frozenset(table["refused_actions"]),
        table["lists"],
        frozenset(table["parameter_types"]),
        frozenset(substitutions["runs"]),
        frozenset(substitutions["refused"]),
    )
