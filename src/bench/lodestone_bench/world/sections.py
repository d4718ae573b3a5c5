"""The world's file: one YAML with a section for each part of the bench, each read by the part's own configuration.

    seed: 0
    magnets: {...}
    wire: {...}

A part that has no section stands at its defaults, which are the simulated rig's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lodestone_core.config import load_config
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import read_yaml

SECTIONS = ("seed", "layout", "magnets", "wire", "array", "cameras", "patient", "arm", "ultrasound", "c_arm", "tools")
C = TypeVar("C")


def read_world(path: Path | None) -> Mapping[str, Any]:
    """The sections of a world file; none for no file. Raises InputError for a section that no part has.

    An empty path is no file: a launch file cannot leave an option out, and gives `--world=` instead.
    """
    if path is None or path == Path():
        return {}
    tree = read_yaml(path) or {}
    if not isinstance(tree, dict):
        raise InputError(
            str(path), expected="sections of the world", got=type(tree).__name__, remedy="see launch/rigs/simulated/world.yaml"
        )
    for key in tree:
        if key not in SECTIONS:
            raise unknown_key(str(key), SECTIONS, "", str(path))
    seed = tree.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"{path}, seed", expected="a whole number of at least 0", got=seed, remedy="correct it")
    return tree


def section_of(world: Mapping[str, Any], name: str, cls: type[C]) -> C:
    """The configuration of one part. Raises InputError with the key that is wrong."""
    return load_config(cls, world.get(name, {}), f"world: {name}")


def seed_of(world: Mapping[str, Any]) -> int:
    """Seed of everything random in the world; each part mixes in a number of its own."""
    return int(world.get("seed", 0))
