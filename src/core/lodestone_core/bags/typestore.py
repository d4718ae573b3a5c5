"""Message definitions without a ROS installation: Jazzy's own from rosbags, every other from its .msg file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from lodestone_core.errors import InputError

PACKAGE = "lodestone_msgs"
_SEPARATOR = "=" * 80 + "\n"
_SOURCE_FOLDER = Path(__file__).resolve().parents[3] / "msgs" / "msg"


class MessageTypes:
    """The types known to this process; a type that is asked for is looked up once in the ROS prefixes and the source tree.

    `store` serialises and deserialises. It holds Jazzy's types and those of lodestone_msgs from the start.
    """

    def __init__(self) -> None:
        self.store: Typestore = get_typestore(Stores.ROS2_JAZZY)
        self._texts: dict[str, str] = {}
        for folder in definition_folders(PACKAGE):
            for path in sorted(folder.glob("*.msg")):
                self.require(f"{PACKAGE}/msg/{path.stem}")

    def require(self, msgtype: str) -> None:
        """Make `msgtype` (as `package/msg/Name`) and all types in it known. Raises InputError when there is no definition."""
        if msgtype in self.store.fielddefs:
            return
        path = _definition_file(msgtype)
        text = path.read_text(encoding="utf-8")
        try:
            types = get_types_from_msg(text, msgtype)
            self.store.register(types)
        except TypesysError as error:
            got, remedy = " ".join(str(error).split()), "mend the file"
            raise InputError(str(path), expected="a message definition", got=got, remedy=remedy) from error
        self._texts[msgtype] = text
        for _, fields in types.values():
            for _, description in fields:
                for inner in _named_types(description):
                    self.require(inner)

    def knows(self, msgtype: str) -> bool:
        """Whether there is a definition of `msgtype`."""
        try:
            self.require(msgtype)
        except InputError:
            return False
        return True

    def definition(self, msgtype: str) -> str:
        """The `ros2msg` schema: the definition and those of all types in it. Our own keep their comments, which hold the units."""
        self.require(msgtype)
        inner: dict[str, tuple[str, str]] = {}
        text, _ = self.store.gendefhash(msgtype, inner, ros_version=2)
        parts = [self._texts.get(msgtype, text)]
        for name, (generated, _) in inner.items():
            parts.append(f"{_SEPARATOR}MSG: {name.replace('/msg/', '/')}\n{self._texts.get(name, generated)}")
        return "".join(part if part.endswith("\n") else part + "\n" for part in parts)

    def type_hash(self, msgtype: str) -> str:
        """The RIHS01 hash that ROS 2 gives the type."""
        self.require(msgtype)
        return self.store.hash_rihs01(msgtype)


@cache
def message_types() -> MessageTypes:
    """The types of this process, read once."""
    return MessageTypes()


def types_of(msgtype: str, encoding: str, definition: str) -> Typestore:
    """The types that a bag's own definition of `msgtype` holds; the types of this process where it holds none (encoding empty)."""
    if not encoding:
        message_types().require(msgtype)
        return message_types().store
    store = get_typestore(Stores.EMPTY)
    if encoding == "ros2msg":
        store.register(get_types_from_msg(definition, msgtype))
        return store
    for part in definition.split(_SEPARATOR):
        if part.strip():
            store.register(get_types_from_idl(part.partition("\n")[2] if part.startswith("IDL: ") else part))
    return store


def definition_folders(package: str) -> list[Path]:
    """Folders that hold the .msg files of `package`, what this process runs with first: ROS prefixes, then the source tree."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders = [prefix / "share" / package / "msg" for prefix in (*prefixes, Path(sys.prefix))]
    if package == PACKAGE:
        folders.append(_SOURCE_FOLDER)
    return [folder for folder in folders if folder.is_dir()]


def _definition_file(msgtype: str) -> Path:
    package, _, name = msgtype.partition("/msg/")
    for folder in definition_folders(package) if name.isidentifier() else []:
        if (folder / f"{name}.msg").is_file():
            return folder / f"{name}.msg"
    remedy = "source the workspace that holds the package (AMENT_PREFIX_PATH)"
    expected = f"its definition in share/{package}/msg of a ROS prefix" if name else "a type written package/msg/Name"
    raise InputError(f"message type {msgtype}", expected=expected, got="none", remedy=remedy)


def _named_types(description: Any) -> Iterator[str]:
    """Message types that a parsed field description refers to."""
    kind, value = description
    if kind == Nodetype.NAME:
        yield value
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _named_types(value[0])
