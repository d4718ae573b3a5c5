"""The ground truth of one world, whatever parts it has: frames, curves and points as pure functions of world time.

Each part adds what it knows in a function of its own, listed in PARTS. Nothing here measures: no noise, no latency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.world.sections import section_of, seed_of
from lodestone_core import se3

Array = npt.NDArray[np.float64]
_CURVE_POINTS = 41


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame that moves: `poses(world_s)` of times (N,) gives T_parent_child (N, 4, 4; mm)."""

    name: str
    parent: str
    rate_hz: float
    poses: Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve that moves: `points(world_s)` of one time gives (n, 3) in mm in `parent`, from its base to its tip."""

    name: str
    parent: str
    rate_hz: float
    points: Callable[[float], Array]


Quantity = Frame | Curve
Part = Callable[[Mapping[str, Any]], Iterable[Quantity]]


def truth_of(world: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """Everything that the parts of a world know, by unique names. Raises InputError for a section that is wrong."""
    return tuple(quantity for part in PARTS for quantity in part(world))


def em_tools(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """Sensors of the EM tracker, in the field generator's frame."""
    from lodestone_bench.world.em_tools import scripted_world

    scripted = scripted_world(world)
    for name in scripted.script.tools:
        poses = _of_tool(scripted, name)
        yield Frame(f"em_tool_{name}", "em_field_generator", scripted.script.world.rate_hz, poses)


def _of_tool(scripted: Any, name: str) -> Callable[[Array], Array]:
    return lambda times_s: scripted.T_field_tool(name, times_s)


def arm(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """The probe on the ultrasound arm."""
    from lodestone_bench.world.arm import ArmWorld
    from lodestone_bench.world.arm_config import ArmConfig

    yield Frame("us_probe", "bench", 20.0, ArmWorld(section_of(world, "arm", ArmConfig), seed_of(world)).T_bench_probe)


def patient(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """The liver, rigid part of its motion."""
    from lodestone_bench.patient import Patient, PatientConfig

    yield Frame("liver", "bench", 20.0, Patient(section_of(world, "patient", PatientConfig), seed_of(world)).T_bench_liver)


def wire(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """The guidewire over the array."""
    from lodestone_bench.magnetics.config import WireConfig
    from lodestone_bench.magnetics.wire_shape import WireShape

    config = section_of(world, "wire", WireConfig)
    if config.present:
        shape = WireShape(config, seed_of(world))
        yield Curve("wire", "bench", 10.0, lambda world_s: shape.points_mm(world_s, _CURVE_POINTS))


def magnets(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """The magnets below the platform, where they really lie; magnetised along their z."""
    from lodestone_bench.magnetics.sources import surroundings_of

    for number, magnet in enumerate(surroundings_of(world.get("magnets"), seed_of(world)).magnets):
        yield Frame(f"magnet_{number}", "bench", 1.0, _still(se3.make(magnet.R_bench_magnet, magnet.center_mm)))


def c_arm(world: Mapping[str, Any]) -> Iterator[Quantity]:
    """The X-ray source: x along columns, y along rows, z along the beam."""
    from lodestone_bench.c_arm.config import CArmConfig
    from lodestone_bench.c_arm.geometry import view

    config = section_of(world, "c_arm", CArmConfig)
    turns = zip(config.primary_deg, config.secondary_deg, strict=True)
    views = np.stack([view(config, primary, secondary).T_bench_source() for primary, secondary in turns])
    yield Frame("xray_source", "bench", 10.0, lambda times_s: views[[config.view(float(t)) for t in times_s]])


def _still(T: Array) -> Callable[[Array], Array]:
    return lambda times_s: np.broadcast_to(T, (len(times_s), 4, 4))


PARTS: tuple[Part, ...] = (em_tools, arm, patient, wire, magnets, c_arm)
"""In the order in which they are told."""
