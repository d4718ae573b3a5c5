"""An emulator from a script or a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.aurora_config import DeviceConfig, PlugConfig, plug_in
from lodestone_bench.emulators.aurora_device import AuroraDevice
from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_measure import Measuring
from lodestone_bench.emulators.aurora_ports import PortTable
from lodestone_bench.faults import Schedule
from lodestone_bench.sources.recording import RecordingSource
from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_bench.sources.source import Source
from lodestone_bench.world.config import Script
from lodestone_bench.world.scripted import ScriptedWorld


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the emulator is reached: `link` to its serial port, `control` to its socket (none without)."""

    link: Path
    control: Path | None = None


def device_of(
    source: Source, plugs: Mapping[str, PlugConfig], config: DeviceConfig | None = None, origin_s: float | None = None
) -> AuroraDevice:
    """A device that measures `source` with these tools plugged in. Raises InputError for tools that do not fit."""
    config = config or DeviceConfig()
    return AuroraDevice(config, PortTable(plug_in(plugs)), Measuring(source, config.first_frame, origin_s))


def scripted_emulator(
    world: ScriptedWorld | Script,
    paths: Paths,
    faults: tuple[Mapping[str, Any], ...] = (),
    clock: Callable[[], float] = time.monotonic,
    origin_s: float | None = None,
) -> AuroraEmulator:
    """An emulator in the scripted world, with the script's faults and further ones.

    `origin_s`: time of `clock` at which the world began; None lets it begin with the first TSTART.
    """
    world = ScriptedWorld(world) if isinstance(world, Script) else world
    script = world.script
    plugs = {name: tool.plug for name, tool in script.tools.items()}
    device = device_of(ScriptedSource(world), plugs, script.world.device, origin_s)
    return AuroraEmulator(device, paths.link, paths.control, Schedule((*script.faults, *faults)), script.world.seed, clock)


def recording_emulator(source: RecordingSource, paths: Paths, faults: tuple[Mapping[str, Any], ...] = (), seed: int = 0) -> AuroraEmulator:
    """An emulator that plays a recording; each of its sensors is a 6-DOF tool in a port of its own."""
    device = device_of(source, {tool: PlugConfig() for tool in source.tools})
    return AuroraEmulator(device, paths.link, paths.control, Schedule(faults), seed)
