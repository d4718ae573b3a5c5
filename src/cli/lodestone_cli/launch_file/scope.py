"""What is known at one point of a launch file, and the substitutions that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import packages
from .document import Attribute, Entity
from .expression import evaluate
from .keys import jazzy_keys
from .place import Place, nearest
from .substitutions import Call, Text, Value, parse


@dataclass(slots=True)
class Scope:
    """State that actions change from top to bottom of a file; a group works on a copy.

    `folder` is what `$(dirname)` gives, `included_folder` where the last included file lies, None before the first; `given` the
    arguments handed to this file; `outer_parameters` how many of `parameters` come from outside of the current group.
    """

    configurations: dict[str, str]
    environment: dict[str, str]
    folder: Path
    given: frozenset[str]
    parameters: list[tuple[str, str]] = field(default_factory=list)
    namespace: str | None = None
    included_folder: Path | None = None
    outer_parameters: int = 0

    def inner(self) -> Scope:
        """The scope of a group."""
        return replace(
            self,
            configurations=dict(self.configurations),
            environment=dict(self.environment),
            parameters=list(self.parameters),
            outer_parameters=len(self.parameters),
        )

    def text(self, attribute: Attribute) -> str:
        """The attribute's text with its substitutions performed."""
        return self.perform(parse(attribute.value, attribute.place), attribute.place)

    def optional_text(self, entity: Entity, name: str) -> str | None:
        """As `text`, None when the entity lacks the key."""
        return self.text(entity.attributes[name]) if name in entity.attributes else None

    def perform(self, value: Value, place: Place) -> str:
        """Text of a parsed value. Raises InputError with file and line when a substitution fails."""
        return "".join(part.text if isinstance(part, Text) else self._call(part, place) for part in value)

    def holds(self, entity: Entity) -> bool:
        """Whether the conditions `if` and `unless` let the entity act: true, 1, false or 0 in any case."""
        if "if" in entity.attributes and "unless" in entity.attributes:
            remedy = "keep one of the two"
            raise entity.place.error(f"'{entity.kind}'", expected="'if' or 'unless'", got="both", remedy=remedy)
        for name in ("if", "unless"):
            if name in entity.attributes:
                attribute = entity.attributes[name]
                return boolean(self.text(attribute), attribute.place, name) is (name == "if")
        return True

    def _call(self, call: Call, place: Place) -> str:
        known = jazzy_keys()
        what = f"$({call.name})"
        if call.name in known.refused_substitutions:
            expected, remedy = "a substitution that 'lodestone up' runs", "use 'ros2 launch', or write the value as an argument"
            raise place.error(what, expected=expected, got="one that only 'ros2 launch' runs", remedy=remedy)
        if call.name not in known.substitutions:
            remedy = nearest(call.name, known.substitutions)
            raise place.error(what, expected="a substitution of ROS 2 Jazzy", got="an unknown one", remedy=remedy)
        fewest, most = _ARGUMENTS[call.name]
        if not fewest <= len(call.arguments) <= most:
            expected = f"{fewest} argument{'s' * (fewest != 1)}" if fewest == most else f"{fewest} or {most} arguments"
            raise place.error(what, expected=expected, got=len(call.arguments), remedy="quote an argument that holds spaces")
        arguments = [self.perform(argument, place) for argument in call.arguments]
        return self._value(call.name, arguments, place)

    def _value(self, name: str, arguments: list[str], place: Place) -> str:
        if name == "dirname":
            return self._dirname(place)
        if name == "eval":
            return evaluate(arguments[0], place)
        if name in ("var", "env"):
            return self._named(name, arguments, place)
        if name == "exec-in-pkg":
            return find_executable(arguments[1], arguments[0], self.environment, place)
        prefix = _find_prefix(arguments[0], self.environment, place)
        return str(prefix if name == "find-pkg-prefix" else prefix / "share" / arguments[0])

    def _dirname(self, place: Place) -> str:
        if self.included_folder not in (None, self.folder):
            # launch 3.4 keeps the folder of the last included file; neither reading would be the same under both runners.
            remedy = "put $(dirname) into a 'let' above the include, or use $(find-pkg-share)"
            got = f"one below the include of a file in {self.included_folder}, where ROS 2 Jazzy gives that folder"
            raise place.error("$(dirname)", expected="it above the first include", got=got, remedy=remedy)
        return str(self.folder)

    def _named(self, kind: str, arguments: list[str], place: Place) -> str:
        table: Mapping[str, str] = self.configurations if kind == "var" else self.environment
        name = arguments[0]
        if name in table:
            return table[name]
        if len(arguments) == 2:
            return arguments[1]
        if kind == "env":
            remedy = f"export it, or write $(env {name} default)"
            raise place.error(f"$(env {name})", expected="an environment variable", got="none of that name", remedy=remedy)
        remedy = f"declare it with 'arg' or 'let' above; {nearest(name, self.configurations)}"
        raise place.error(f"$(var {name})", expected="an argument or variable", got="none of that name", remedy=remedy)


_ARGUMENTS = {
    "var": (1, 2),
    "env": (1, 2),
    "find-pkg-share": (1, 1),
    "find-pkg-prefix": (1, 1),
    "exec-in-pkg": (2, 2),
    "dirname": (0, 0),
    "eval": (1, 1),
}


def boolean(text: str, place: Place, name: str) -> bool:
    """Launch's reading of a condition; anything but true, 1, false, 0 is an InputError."""
    word = text.strip().lower()
    if word not in ("true", "1", "false", "0"):
        raise place.error(f"'{name}'", expected="true, 1, false or 0", got=f"'{text}'", remedy="compare with $(eval) to get one of them")
    return word in ("true", "1")


def find_executable(package: str, executable: str, environment: Mapping[str, str], place: Place) -> str:
    """Path of a package's executable, or InputError with what is installed."""
    _find_prefix(package, environment, place)
    path = packages.find_executable(package, executable, environment)
    if path is None:
        remedy = packages.missing_executable(package, environment)
        raise place.error(f"package '{package}'", expected=f"the executable '{executable}'", got="none of that name", remedy=remedy)
    return str(path)


def _find_prefix(package: str, environment: Mapping[str, str], place: Place) -> Path:
    prefix = packages.find_prefix(package, environment)
    if prefix is None:
        remedy = packages.missing_package(package, environment)
        raise place.error(f"package '{package}'", expected="an installed package", got="none of that name", remedy=remedy)
    return prefix
