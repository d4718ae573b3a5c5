"""Parameters of a node: typed as launch_ros types them, written as the parameter files that rclpy and rclcpp read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .document import Attribute, Entity
from .keys import jazzy_keys
from .place import Place, nearest
from .scope import Scope
from .substitutions import is_plain, parse

_SCALARS = {"str": str, "bool": bool, "int": int, "float": float}


def parameter_files(entity: Entity, scope: Scope, section: str, folder: Path) -> list[Path]:
    """One file for each `param` of a node, in order: the file that it names, or a new one below `folder`.

    `section` is the node's full name or `/**`. Raises InputError with file and line.
    """
    params = entity.attributes["param"].items if "param" in entity.attributes else ()
    files = []
    for number, param in enumerate(params):
        new = folder / f"{number}.yaml"
        files.append(_from_file(param, scope, new) if "from" in param.attributes else _inline(param, scope, section, new))
    return files


def global_parameter(entity: Entity, scope: Scope) -> tuple[str, str]:
    """Name and value of a `set_parameter` as they go on a node's command line (-p name:=value)."""
    name, attribute = scope.text(entity.attributes["name"]), entity.attributes["value"]
    value = read_yaml_value(scope.text(attribute), attribute)
    if isinstance(value, list):
        remedy = "give the list with 'param' to each node"
        raise attribute.place.error(f"parameter '{name}'", expected="one value", got="a list, which Jazzy hands on as text", remedy=remedy)
    return name, str(value)


def read_yaml_value(text: str, attribute: Attribute) -> Any:
    """What YAML makes of a performed value: a bool, int, float, str, or a list of one of them."""
    try:
        value = yaml.safe_load(text) if text else text
    except yaml.YAMLError:
        value = None
    if not _is_valid(value):
        remedy = "add 'type: str' when it is meant as text"
        raise attribute.place.error("parameter value", expected="a bool, number, text or list of one kind", got=f"'{text}'", remedy=remedy)
    return value


def _is_valid(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and len({type(item) for item in value}) == 1 and type(value[0]) in _SCALARS.values()
    return type(value) in _SCALARS.values()


def _from_file(param: Entity, scope: Scope, new: Path) -> Path:
    given, attribute = param.attributes, param.attributes["from"]
    extra = [name for name in given if name not in ("from", "allow_substs")]
    if extra:
        remedy = "give the two as two entries"
        raise param.place.error("'param'", expected="'from' alone", got=f"also '{extra[0]}'", remedy=remedy)
    path = Path(scope.text(attribute))
    if not path.is_file():
        raise attribute.place.error("parameter file", expected="an existing file", got=str(path), remedy="check the path")
    if "allow_substs" not in given or not given["allow_substs"].value:
        return path
    text = scope.perform(parse(path.read_text(encoding="utf-8"), Place(path, 1)), attribute.place)
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text(text, encoding="utf-8")
    return new


def _inline(param: Entity, scope: Scope, section: str, new: Path) -> Path:
    if "allow_substs" in param.attributes:
        remedy = "remove it: inline values are always substituted"
        raise param.place.error("'param'", expected="'allow_substs' beside 'from' only", got="it beside 'name'", remedy=remedy)
    values = dict(_named_values(param, scope, ""))
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text(yaml.safe_dump({section: {"ros__parameters": values}}, default_flow_style=False), encoding="utf-8")
    return new


def _named_values(param: Entity, scope: Scope, prefix: str) -> list[tuple[str, Any]]:
    given = param.attributes
    if "name" not in given or ("value" in given) is ("param" in given) or "from" in given:
        remedy = "write {name: ..., value: ...}, {name: ..., param: [...]} or {from: FILE}"
        got = ", ".join(given) or "nothing"
        raise param.place.error("'param'", expected="a name and its value, or a file", got=got, remedy=remedy)
    name = prefix + scope.text(given["name"])
    if "value" in given:
        return [(name, _value(given["value"], _type_name(param), scope))]
    if "type" in given:
        raise given["type"].place.error("'param'", expected="'type' beside 'value'", got="it beside 'param'", remedy="remove it")
    return [pair for inner in given["param"].items for pair in _named_values(inner, scope, name + ".")]


def _type_name(param: Entity) -> str | None:
    if "type" not in param.attributes:
        return None
    attribute, known = param.attributes["type"], jazzy_keys().parameter_types
    if attribute.value not in known:
        remedy = nearest(attribute.value, known)
        raise attribute.place.error("'type' of 'param'", expected="a type of ROS 2 Jazzy", got=f"'{attribute.value}'", remedy=remedy)
    return None if attribute.value == "yaml" else str(attribute.value)


def _value(attribute: Attribute, type_name: str | None, scope: Scope) -> Any:
    """The parameter's value. Plain text stays text; what holds a substitution is read as YAML, or as `type` says."""
    given = attribute.value
    if isinstance(given, str) and type_name is not None and type_name.startswith("list_of_"):
        remedy = "write the list as YAML, or use 'type: yaml'"
        raise attribute.place.error("parameter value", expected=type_name, got=f"the text '{given}'", remedy=remedy)
    if isinstance(given, str):
        parsed = parse(given, attribute.place)
        text = scope.perform(parsed, attribute.place)
        value = text if is_plain(parsed) else _coerced(text, type_name, attribute)
    elif isinstance(given, list):
        item_type = type_name.removeprefix("list_of_") if type_name else None
        value = [_item(item, item_type, attribute, scope) for item in given]
    else:
        value = given
    if not _matches(value, type_name):
        remedy = "write it in the type that the node declares (an empty list cannot be given)"
        expected = type_name or "a bool, number, text or list of one kind"
        raise attribute.place.error("parameter value", expected=expected, got=repr(value), remedy=remedy)
    return value


def _item(item: Any, type_name: str | None, attribute: Attribute, scope: Scope) -> Any:
    if not isinstance(item, str):
        return item
    parsed = parse(item, attribute.place)
    text = scope.perform(parsed, attribute.place)
    return text if is_plain(parsed) else _coerced(text, type_name, attribute)


def _coerced(text: str, type_name: str | None, attribute: Attribute) -> Any:
    if type_name == "str":
        return text
    if type_name in ("int", "float"):
        try:
            return _SCALARS[type_name](text)
        except ValueError:
            raise attribute.place.error("parameter value", expected=type_name, got=f"'{text}'", remedy=f"give a {type_name}") from None
    if type_name == "bool":
        text = {"1": "true", "0": "false"}.get(text, text)
    return read_yaml_value(text, attribute)


def _matches(value: Any, type_name: str | None) -> bool:
    if type_name is None:
        return _is_valid(value)
    if type_name.startswith("list_of_"):
        wanted = _SCALARS[type_name.removeprefix("list_of_")]
        return isinstance(value, list) and bool(value) and all(type(item) is wanted for item in value)
    return type(value) is _SCALARS[type_name]
