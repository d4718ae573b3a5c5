"""YAML in and out: one clear error with the line for anything malformed, nothing silently overwritten or misread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from lodestone_core.errors import InputError

# libyaml reads and writes eight times as fast, and a registration may hold thousands of numbers.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader with two faults taken out: `1e-3` is a number, and a repeated key is an error."""

    # A copy, so that the resolver below is not added to SafeLoader itself.
    yaml_implicit_resolvers = {first: list(found) for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As in the parent class; raises ConstructorError for a key that stands there twice."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key_node.value!r} stands there twice", key_node.start_mark)
            if isinstance(key_node, yaml.ScalarNode):
                seen.add(key_node.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


# YAML 1.1 wants a dot and a signed exponent; ROS parameter files and people write 1e-3.
_EXPONENT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def parse_yaml(text: str, where: str) -> Any:
    """Plain Python values of one YAML document; None for an empty one.

    `where` names the source in errors. Raises InputError with the line for malformed text.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        remedy = "mend that line (indentation, a missing colon, quote or bracket, a tab, a key given twice)"
        raise InputError(place, expected="well-formed YAML", got=problem, remedy=remedy) from error


def read_yaml(path: str | Path) -> Any:
    """Plain Python values of a YAML file. Raises InputError when it cannot be read, is not UTF-8 or is malformed."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        got, remedy = error.strerror or str(error), "check the path and its permissions"
        raise InputError(str(path), expected="a readable YAML file", got=got, remedy=remedy) from error
    except UnicodeDecodeError as error:
        got, remedy = f"byte 0x{error.object[error.start]:02x} at offset {error.start}", "save it as UTF-8 text"
        raise InputError(str(path), expected="a YAML file in UTF-8", got=got, remedy=remedy) from error
    return parse_yaml(text, str(path))


def dump_yaml(value: Any) -> str:
    """YAML text of plain Python values, keys in their given order."""
    text: str = yaml.dump(value, Dumper=_SafeDumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    return text
