"""The EM tools of a bench that has more than a tracker: section `tools` of the world, on its time, on what moves in it.

A body that follows the probe or the liver stands still on it; any other moves on a path of its own. Without the section there are two
sensors on a wand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.world.config import Script, default_script, script_of
from lodestone_bench.world.layout import LayoutConfig
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_bench.world.sections import section_of, seed_of
from lodestone_core import se3
from lodestone_core.errors import InputError

Array = npt.NDArray[np.float64]
_TOOLS = 2


def script_of_world(world: Mapping[str, Any]) -> Script:
    """The script of section `tools`. Raises InputError with the key that is wrong."""
    tree = world.get("tools")
    if tree is None:
        return default_script(_TOOLS, seed=seed_of(world))
    if not isinstance(tree, Mapping):
        raise InputError("world: tools", expected="a mapping", got=type(tree).__name__, remedy="write `key: value` lines")
    return script_of({"seed": seed_of(world), **tree}, "world: tools")


def scripted_world(world: Mapping[str, Any]) -> ScriptedWorld:
    """The world of the EM tools. Raises InputError with the key that is wrong."""
    return in_world(script_of_world(world), world)


def in_world(script: Script, world: Mapping[str, Any]) -> ScriptedWorld:
    """A script whose bodies may follow what moves in a world; that is made only where one does."""
    follows = any(body.follows for body in script.bodies.values())
    return ScriptedWorld(script, carriers_of(world) if follows else {})


def carriers_of(world: Mapping[str, Any]) -> dict[str, Callable[[Array], Array]]:
    """What a body may follow: name -> T_field_carrier (N, 4, 4; mm) at world times (N,)."""
    from lodestone_bench.patient import Patient, PatientConfig
    from lodestone_bench.world.arm import ArmWorld
    from lodestone_bench.world.arm_config import ArmConfig

    T_field_bench = se3.inverse(section_of(world, "layout", LayoutConfig).T_bench_field())

    def field_of(pose: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda times_s: np.asarray(T_field_bench @ pose(times_s))

    arm = ArmWorld(section_of(world, "arm", ArmConfig), seed_of(world))
    patient = Patient(section_of(world, "patient", PatientConfig), seed_of(world))
    return {"probe": field_of(arm.T_bench_probe), "liver": field_of(patient.T_bench_liver)}
