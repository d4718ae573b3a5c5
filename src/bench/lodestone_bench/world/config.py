"""What a script file (YAML) may say about the scripted world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.aurora_config import DeviceConfig, PlugConfig
from lodestone_bench.world.metal_config import MetalConfig
from lodestone_core.config import load_config, option, section
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import read_yaml

Vector = tuple[float, float, float]
_ZERO = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class BodyConfig:
    """A rigid body on a smooth path in the field generator's frame; sines in place and in orientation about a mean."""

    follows: str = option("", doc="stands still on this part of the world instead; empty: moves as follows", choices=("", "probe", "liver"))
    center_mm: Vector = option((0.0, 0.0, -200.0), unit="mm", doc="mean position")
    amplitude_mm: Vector = option(_ZERO, unit="mm", doc="amplitude along x, y, z")
    period_s: Vector = option((7.0, 11.0, 5.0), unit="s", doc="period along x, y, z", minimum=0.01)
    phase_deg: Vector = option(_ZERO, unit="deg", doc="phase along x, y, z at time 0")
    rotation_deg: Vector = option(_ZERO, unit="deg", doc="mean orientation as a rotation vector")
    swing_deg: Vector = option(_ZERO, unit="deg", doc="amplitude of a rotation vector that is added about the body's axes")
    swing_period_s: Vector = option((9.0, 6.0, 13.0), unit="s", doc="periods of the swing", minimum=0.01)


@dataclass(frozen=True, slots=True)
class ToolConfig:
    """A sensor mounted on a body, and when the tracker cannot see it (times since the first TSTART)."""

    body: str = option("wand", doc="name of the body that carries the sensor")
    mount_mm: Vector = option(_ZERO, unit="mm", doc="position of the sensor on the body")
    mount_deg: Vector = option(_ZERO, unit="deg", doc="orientation of the sensor on the body as a rotation vector")
    noise_mm: float = option(0.0, unit="mm", doc="standard deviation of the position, each axis", minimum=0.0)
    noise_deg: float = option(0.0, unit="deg", doc="standard deviation of the orientation, each axis", minimum=0.0)
    error_mm: float = option(0.2, unit="mm", doc="error indicator that is sent with each pose", minimum=0.0)
    missing_s: tuple[float, ...] = option((), unit="s", doc="start, end, start, end ... of times without a solution")
    out_of_volume_s: tuple[float, ...] = option((), unit="s", doc="start, end ... of times outside the volume")
    partial_s: tuple[float, ...] = option((), unit="s", doc="start, end ... of times partially outside the volume")
    plug: PlugConfig = section(PlugConfig)

    def __post_init__(self) -> None:
        """Refuse intervals that do not come in rising pairs."""
        for name in ("missing_s", "out_of_volume_s", "partial_s"):
            times = getattr(self, name)
            if len(times) % 2 or any(b <= a for a, b in pairwise(times)):
                raise InputError(name, expected="rising pairs start, end, ...", got=list(times), remedy="correct it")


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """The optical reference: a marker body on one of the bodies, tracked in the frame `image`."""

    body: str = option("wand", doc="name of the body that carries the marker")
    mount_mm: Vector = option((30.0, 10.0, 40.0), unit="mm", doc="position of the marker on the body")
    mount_deg: Vector = option((20.0, -10.0, 30.0), unit="deg", doc="orientation of the marker on the body, rotation vector")
    field_in_image_mm: Vector = option((-100.0, 150.0, -900.0), unit="mm", doc="position of the field generator in image")
    field_in_image_deg: Vector = option((15.0, 160.0, 25.0), unit="deg", doc="its orientation there as a rotation vector")
    rate_hz: float = option(8.0, unit="Hz", doc="rate of the optical tracker", minimum=0.1)
    noise_mm: float = option(0.1, unit="mm", doc="standard deviation of the position, each axis", minimum=0.0)
    noise_deg: float = option(0.02, unit="deg", doc="standard deviation of the orientation, each axis", minimum=0.0)


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The scalars of a script; bodies, tools, metal and faults stand beside them in the file."""

    rate_hz: float = option(40.0, unit="Hz", doc="frames per second of the tracker", minimum=0.1, maximum=1000.0)
    latency_ms: float = option(0.0, unit="ms", doc="from the measurement to its being there to be read", minimum=0.0)
    duration_s: float | None = option(None, unit="s", doc="nothing new comes after this; null for no end", minimum=0.0)
    seed: int = option(0, doc="seed of all noise", minimum=0)
    reference: ReferenceConfig = section(ReferenceConfig)
    device: DeviceConfig = section(DeviceConfig)


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script file. `faults` are requests as the control socket takes them, with `at_s` or `tracking_s`; `metal` may be empty."""

    world: WorldConfig
    bodies: Mapping[str, BodyConfig]
    tools: Mapping[str, ToolConfig]
    faults: tuple[Mapping[str, Any], ...] = field(default=())
    metal: Mapping[str, MetalConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a body that nobody described."""
        for name, body in [*((n, t.body) for n, t in self.tools.items()), ("reference", self.world.reference.body)]:
            if body not in self.bodies:
                got, expected = body, "one of " + ", ".join(self.bodies)
                raise InputError(f"{name}: body", expected=expected, got=got, remedy="name a body under bodies:")


def read_script(path: Path) -> Script:
    """Script of a YAML file. Raises InputError with the key."""
    return script_of(read_yaml(path), str(path))


def script_of(tree: Any, where: str = "script") -> Script:
    """Script of plain values; without bodies or tools those of default_script are taken."""
    tree = {} if tree is None else tree
    if not isinstance(tree, Mapping):
        raise InputError(where, expected="a mapping", got=type(tree).__name__, remedy="write `key: value` lines")
    rest = {key: value for key, value in tree.items() if key not in ("bodies", "tools", "faults", "metal")}
    default = default_script(2)
    bodies = {n: load_config(BodyConfig, v, f"{where}: bodies.{n}") for n, v in _named(tree, "bodies", where).items()}
    tools = {n: load_config(ToolConfig, v, f"{where}: tools.{n}") for n, v in _named(tree, "tools", where).items()}
    metal = {n: load_config(MetalConfig, v, f"{where}: metal.{n}") for n, v in _named(tree, "metal", where).items()}
    return Script(
        world=load_config(WorldConfig, rest, where),
        bodies=bodies or default.bodies,
        tools=tools or default.tools,
        faults=fault_entries(tree.get("faults"), where),
        metal=metal,
    )


def fault_entries(entries: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """A list of fault requests, not yet looked into."""
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f"{where}: faults", expected="a list of mappings", got=entries, remedy="write `- {at_s: 5, do: ...}` lines")
    return tuple(entries)


def default_script(tools: int, rate_hz: float = 40.0, seed: int = 0) -> Script:
    """A wand that swings through the volume with so many 6-DOF sensors on it, 20 mm apart."""
    wand = BodyConfig(amplitude_mm=(70.0, 50.0, 40.0), swing_deg=(35.0, 25.0, 50.0))
    sensors = {
        f"sensor_{i}": ToolConfig(mount_mm=(0.0, 0.0, 20.0 * i), mount_deg=(0.0, 15.0 * i, 0.0), noise_mm=0.15, noise_deg=0.05)
        for i in range(tools)
    }
    return Script(load_config(WorldConfig, {"rate_hz": rate_hz, "seed": seed}, "default world"), {"wand": wand}, sensors)


def _named(tree: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = tree.get(key)
    found = {} if found is None else found
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: {key}", expected="a mapping name: values", got=type(found).__name__, remedy="name each one")
    return found
