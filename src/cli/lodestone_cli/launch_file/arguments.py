"""Arguments of a launch file: `name:=value` on the command line, `arg` in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lodestone_core.errors import InputError

from .document import Entity
from .place import nearest
from .scope import Scope
from .substitutions import unescape


@dataclass(frozen=True, slots=True)
class Argument:
    """A declared argument; `default` as written in the file, None when it must be given."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]


def parse_arguments(words: Iterable[str]) -> dict[str, str]:
    """`name:=value` words as a mapping, the last of equal names winning. Raises InputError for anything else."""
    given = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or not name:
            remedy = "write for instance sim:=true, without spaces"
            raise InputError("launch argument", expected="name:=value", got=f"'{word}'", remedy=remedy)
        given[name] = value
    return given


def refuse_undeclared(given: Mapping[str, str], declared: Iterable[Argument]) -> None:
    """InputError for an argument that no `arg` declares (`ros2 launch` ignores it, and the typing error with it)."""
    names = [argument.name for argument in declared]
    for name in given:
        if name not in names:
            remedy = nearest(name, names)
            raise InputError(f"launch argument '{name}'", expected="an argument of the launch file", got="an unknown one", remedy=remedy)


def read_argument(entity: Entity) -> Argument:
    """What an `arg` declares."""
    attributes = entity.attributes
    choices = attributes["choice"].items if "choice" in attributes else ()
    return Argument(
        unescape(attributes["name"].value),
        attributes["default"].value if "default" in attributes else None,
        unescape(attributes["description"].value) if "description" in attributes else "",
        tuple(unescape(choice.attributes["value"].value) for choice in choices),
    )


def declare(entity: Entity, scope: Scope) -> Argument:
    """Perform an `arg`: a value given or already set wins over the default.

    Raises InputError when there is neither, or when the value is not among the choices.
    """
    argument = read_argument(entity)
    what = f"argument '{argument.name}'"
    if argument.default is None and argument.name not in scope.given:
        remedy = f"add {argument.name}:=... to the command line, or an 'arg' to the include ({argument.description or 'no description'})"
        raise entity.place.error(what, expected="a value", got="none, and there is no default", remedy=remedy)
    if argument.name not in scope.configurations:
        scope.configurations[argument.name] = scope.text(entity.attributes["default"])
    value = scope.configurations[argument.name]
    if argument.choices and value not in argument.choices:
        remedy = nearest(value, argument.choices)
        raise entity.place.error(what, expected=f"one of {', '.join(argument.choices)}", got=f"'{value}'", remedy=remedy)
    return argument
