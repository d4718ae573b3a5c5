"""A launch file as a plan: performs its actions from top to bottom, as `ros2 launch` does, and collects the processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lodestone_core.errors import InputError

from .arguments import Argument, declare, read_argument, refuse_undeclared
from .document import Entity, read_launch_file
from .environment import with_defaults
from .keys import jazzy_keys
from .parameters import global_parameter
from .place import Place
from .processes import ProcessSpec, absolute_namespace, checked_namespace, executable_process, node_process
from .scope import Scope

_DEEPEST_INCLUDE = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a launch file starts with given arguments, and the arguments that it and its includes declare."""

    processes: tuple[ProcessSpec, ...]
    arguments: tuple[Argument, ...]


def read_plan(path: Path, given: Mapping[str, str], environment: Mapping[str, str], folder: Path) -> Plan:
    """Interpret a launch file.

    `given` are its arguments, `environment` the one to start from (runner defaults are added to it), `folder` takes the parameter
    files. Raises InputError with key, file and line for anything that Jazzy or this runner does not know.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - $(dirname) keeps symbolic links, as under ros2 launch
    scope = Scope(dict(given), with_defaults(environment), path.parent, frozenset(given))
    interpreter = _Interpreter(folder)
    interpreter.file(path, scope)
    refuse_undeclared(given, interpreter.arguments)
    return Plan(tuple(interpreter.processes), tuple(interpreter.arguments))


def read_arguments(path: Path, environment: Mapping[str, str]) -> tuple[Argument, ...]:
    """The arguments that a file and its includes declare, starting nothing.

    An include whose name needs an argument's value is left out.
    """
    found: list[Argument] = []
    scope = Scope({}, dict(environment), path.parent, frozenset())

    def walk(entities: tuple[Entity, ...]) -> None:
        for entity in entities:
            jazzy_keys().check(entity)
            if entity.kind == "arg":
                found.append(read_argument(entity))
            elif entity.kind == "include":
                with suppress(InputError):
                    found.extend(read_arguments(Path(scope.text(entity.attributes["file"])), environment))
            walk(entity.children or ())

    walk(read_launch_file(path))
    return tuple(found)


class _Interpreter:
    def __init__(self, folder: Path) -> None:
        self.processes: list[ProcessSpec] = []
        self.arguments: list[Argument] = []
        self._folder = folder
        self._open = 0
        self._actions: Mapping[str, Callable[[Entity, Scope], None]] = {
            "arg": self._arg,
            "let": self._let,
            "set_env": self._set_env,
            "set_parameter": self._set_parameter,
            "push_ros_namespace": self._push_namespace,
            "push-ros-namespace": self._push_namespace,
            "group": self._group,
            "include": self._include,
            "node": self._node,
            "executable": self._executable,
        }

    def file(self, path: Path, scope: Scope) -> None:
        self._open += 1
        self._perform(read_launch_file(path), scope)
        self._open -= 1

    def _perform(self, entities: tuple[Entity, ...], scope: Scope) -> None:
        for entity in entities:
            jazzy_keys().check(entity)
        for entity in entities:
            if scope.holds(entity):
                self._actions[entity.kind](entity, scope)

    def _arg(self, entity: Entity, scope: Scope) -> None:
        self.arguments.append(declare(entity, scope))

    def _let(self, entity: Entity, scope: Scope) -> None:
        scope.configurations[scope.text(entity.attributes["name"])] = scope.text(entity.attributes["value"])

    def _set_env(self, entity: Entity, scope: Scope) -> None:
        scope.environment[scope.text(entity.attributes["name"])] = scope.text(entity.attributes["value"])

    def _set_parameter(self, entity: Entity, scope: Scope) -> None:
        if scope.outer_parameters:
            # launch_ros 0.26 extends the outer list in place.
            what, got = "'set_parameter' in a group below another one", "one that Jazzy would set outside of the group too"
            remedy = "move it out of the group, or use 'param'"
            raise entity.place.error(what, expected="a parameter of the group", got=got, remedy=remedy)
        scope.parameters.append(global_parameter(entity, scope))

    def _push_namespace(self, entity: Entity, scope: Scope) -> None:
        attribute = entity.attributes["namespace"]
        scope.namespace = checked_namespace(absolute_namespace(scope.namespace, scope.text(attribute)), attribute)

    def _group(self, entity: Entity, scope: Scope) -> None:
        scoped = entity.attributes["scoped"].value if "scoped" in entity.attributes else True
        inner = scope.inner() if scoped else scope
        self._perform(entity.children or (), inner)
        scope.included_folder = inner.included_folder

    def _include(self, entity: Entity, scope: Scope) -> None:
        attribute = entity.attributes["file"]
        path = Path(os.path.abspath(scope.text(attribute)))  # noqa: PTH100 - as above
        self._refuse_include(path, attribute.place)
        pairs = entity.attributes["arg"].items if "arg" in entity.attributes else ()
        given = {scope.text(pair.attributes["name"]): scope.text(pair.attributes["value"]) for pair in pairs}
        # An include is no scope of its own under ROS 2: what the file sets holds in the including one.
        scope.configurations.update(given)
        outer = scope.folder, scope.given
        scope.folder, scope.given, scope.included_folder = path.parent, frozenset(given), None
        self.file(path, scope)
        scope.included_folder = scope.included_folder or path.parent
        scope.folder, scope.given = outer

    def _refuse_include(self, path: Path, place: Place) -> None:
        if not path.name.endswith((".launch.yaml", ".launch.yml")):
            remedy = "use 'ros2 launch' for Python and XML files"
            raise place.error("include", expected="a *.launch.yaml file", got=path.name, remedy=remedy)
        if self._open > _DEEPEST_INCLUDE:
            got = f"{path.name} {_DEEPEST_INCLUDE} includes deep"
            raise place.error("include", expected="files that do not include themselves", got=got, remedy="break the circle")

    def _node(self, entity: Entity, scope: Scope) -> None:
        self.processes.append(node_process(entity, scope, len(self.processes) + 1, self._folder))

    def _executable(self, entity: Entity, scope: Scope) -> None:
        self.processes.append(executable_process(entity, scope, len(self.processes) + 1))
