"""What a `node` or an `executable` of a launch file becomes: one process, ready to start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .command_line import split_words
from .document import Attribute, Entity
from .parameters import parameter_files
from .place import Place
from .scope import Scope, boolean, find_executable

OUTPUTS = ("screen", "log", "both")
_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMESPACE = re.compile(r"/|(/[A-Za-z_][A-Za-z0-9_]*)+")


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process. `name` is the label of its output, numbered in order as under `ros2 launch`.

    `required`: its end ends everything (`on_exit: shutdown`). `max_respawns` is None where there is no limit.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    place: Place
    output: str = "log"
    required: bool = False
    respawn: bool = False
    respawn_delay_s: float = 0.0
    max_respawns: int | None = None


def node_process(entity: Entity, scope: Scope, number: int, folder: Path) -> ProcessSpec:
    """The process of a `node`; its parameter files are written below `folder`.

    Raises InputError with file and line, also when package or executable are not installed.
    """
    package, executable = scope.text(entity.attributes["pkg"]), scope.text(entity.attributes["exec"])
    program = find_executable(package, executable, scope.environment, entity.attributes["exec"].place)
    arguments = split_words(entity.attributes["args"], scope) if "args" in entity.attributes else []
    label = scope.optional_text(entity, "exec_name") or Path(program).name
    command = (program, *arguments, "--ros-args", *_ros_arguments(entity, scope, folder / str(number)))
    return _process(entity, scope, f"{label}-{number}", command)


def executable_process(entity: Entity, scope: Scope, number: int) -> ProcessSpec:
    """The process of an `executable`, which gets no ROS arguments."""
    command = tuple(split_words(entity.attributes["cmd"], scope))
    if not command:
        raise entity.attributes["cmd"].place.error("'cmd'", expected="a program", got="nothing", remedy="name the program")
    label = scope.optional_text(entity, "name") or Path(command[0]).name
    return _process(entity, scope, f"{label}-{number}", command)


def absolute_namespace(base: str | None, inner: str | None) -> str | None:
    """`inner` below `base` unless it is absolute; None when both are."""
    if inner is None:
        return base
    joined = inner if not base or inner.startswith("/") else f"{base.rstrip('/')}/{inner}"
    joined = joined if joined.startswith("/") else f"/{joined}"
    return joined.rstrip("/") or "/"


def checked_namespace(namespace: str | None, attribute: Attribute) -> str | None:
    """`namespace` when ROS accepts it, else InputError."""
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        expected, remedy = "letters, digits and _ between slashes", "choose another namespace"
        raise attribute.place.error("namespace", expected=expected, got=f"'{namespace}'", remedy=remedy)
    return namespace


def _ros_arguments(entity: Entity, scope: Scope, folder: Path) -> list[str]:
    name, namespace = _node_name(entity, scope), _namespace(entity, scope)
    words = ["-r", f"__node:={name}"] if name else []
    words += ["-r", f"__ns:={namespace}"] if namespace else []
    for parameter, value in scope.parameters:
        words += ["-p", f"{parameter}:={value}"]
    # A section that names the node beats `/**`: launch_ros writes the full name as soon as it knows it.
    section = f"{namespace.rstrip('/')}/{name}" if name and namespace else "/**"
    for path in parameter_files(entity, scope, section, folder):
        words += ["--params-file", str(path)]
    for remap in entity.attributes["remap"].items if "remap" in entity.attributes else ():
        words += ["-r", f"{scope.text(remap.attributes['from'])}:={scope.text(remap.attributes['to'])}"]
    return words


def _node_name(entity: Entity, scope: Scope) -> str | None:
    name = scope.optional_text(entity, "name")
    if name is not None and not _NODE_NAME.fullmatch(name):
        expected, remedy = "letters, digits and _, no digit first", "choose another name"
        raise entity.attributes["name"].place.error("node name", expected=expected, got=f"'{name}'", remedy=remedy)
    return name


def _namespace(entity: Entity, scope: Scope) -> str | None:
    namespace = absolute_namespace(scope.namespace, scope.optional_text(entity, "namespace"))
    return checked_namespace(namespace, entity.attributes["namespace"]) if "namespace" in entity.attributes else namespace


def _process(entity: Entity, scope: Scope, name: str, command: tuple[str, ...]) -> ProcessSpec:
    given = entity.attributes
    required = _is_required(entity)
    respawn = "respawn" in given and boolean(scope.text(given["respawn"]), given["respawn"].place, "respawn")
    if required and respawn:
        remedy = "keep 'on_exit: shutdown' for a required process, 'respawn' for a driver"
        raise entity.place.error(f"'{entity.kind}'", expected="'on_exit' or 'respawn'", got="both", remedy=remedy)
    delay_s = given["respawn_delay"].value if "respawn_delay" in given else 0.0
    if delay_s < 0.0:
        raise given["respawn_delay"].place.error("'respawn_delay'", expected="0 or more seconds", got=delay_s, remedy="give a longer one")
    retries = given["respawn_max_retries"].value if "respawn_max_retries" in given else -1
    output = scope.optional_text(entity, "output") or "log"
    if output not in OUTPUTS:
        expected, remedy = " or ".join(OUTPUTS), "use 'screen' to see everything"
        raise given["output"].place.error("'output'", expected=expected, got=f"'{output}'", remedy=remedy)
    limit = retries if retries >= 0 else None
    return ProcessSpec(name, command, dict(scope.environment), entity.place, output, required, respawn, delay_s, limit)


def _is_required(entity: Entity) -> bool:
    if "on_exit" not in entity.attributes:
        return False
    attribute = entity.attributes["on_exit"]
    if attribute.value != "shutdown":
        raise attribute.place.error("'on_exit'", expected="shutdown", got=f"'{attribute.value}'", remedy="Jazzy knows no other")
    return True
