"""`aurora_emulator`: an NDI Aurora on a pseudo-terminal, from a script, a recording or nothing at all. No ROS.

Examples:
    aurora_emulator --link out/aurora --tools 4 --rate 40 --control out/aurora.control
    aurora_emulator --link out/aurora --recording EMTrackingcont_2.txt
    aurora_emulator --control out/aurora.control --send '{"do": "unplug", "replug_after_s": 1}'
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_setup import Paths, recording_emulator, scripted_emulator
from lodestone_bench.emulators.control import send_text
from lodestone_bench.emulators.host_clock import HostClock
from lodestone_bench.emulators.stream_main import world_file
from lodestone_bench.sources.recording import RecordingSource
from lodestone_bench.world.config import Script, default_script, fault_entries, read_script
from lodestone_bench.world.em_tools import in_world, script_of_world
from lodestone_bench.world.epoch import join_world
from lodestone_bench.world.metal_config import default_metal
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_bench.world.sections import read_world
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import read_yaml

_MOST_TOOLS = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        if options.send is not None:
            return send_text(options.control, options.send)
        emulator = make_emulator(options)
        for number in (signal.SIGINT, signal.SIGTERM):  # before there is a path that a signal could leave behind
            signal.signal(number, lambda *_: emulator.stop())
        emulator.open()
    except InputError as error:
        sys.stderr.write(f"aurora_emulator: {error}\n")
        return 2
    emulator.run()
    return 0


def make_emulator(options: argparse.Namespace) -> AuroraEmulator:
    """The emulator that the options describe. Raises InputError."""
    if options.link is None:
        raise InputError("--link", expected="a path", got="nothing", remedy="say where the serial port is to be found")
    paths, faults = Paths(options.link, options.control), _faults(options.faults)
    if options.recording is not None:
        return recording_emulator(RecordingSource.read(options.recording, loop=options.loop), paths, faults, options.seed)
    clock = HostClock() if options.pause_with_host else time.monotonic
    world = join_world(options.clock) if options.clock is not None else None
    origin_s = None if world is None else clock() - world.elapsed_s()
    return scripted_emulator(_world(options), paths, faults, clock, origin_s)


def _world(options: argparse.Namespace) -> ScriptedWorld:
    """What is measured: the bench's world where it says something of tools, else a script of its own or the default."""
    world = read_world(options.world)
    if options.script is not None:
        script = read_script(options.script)
    else:
        script = script_of_world(world) if "tools" in world else _default_script(options)
    return in_world(script, world)


def _default_script(options: argparse.Namespace) -> Script:
    script = default_script(options.tools, options.rate, options.seed)
    return replace(script, metal=default_metal()) if options.metal else script


def _faults(path: Path | None) -> tuple[Mapping[str, Any], ...]:
    return () if path is None else fault_entries(read_yaml(path), str(path))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aurora_emulator", description="An emulated NDI Aurora on a pseudo-terminal.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--script", type=Path, help="scripted world and faults (YAML)")
    source.add_argument("--recording", type=Path, help="play this EMTracking*.txt at its own times from the first TSTART on")
    parser.add_argument(
        "--world", type=world_file, help="the bench's world (YAML); its section `tools` is a script, on whose bodies others move"
    )
    parser.add_argument(
        "--clock", type=Path, help="file by which all emulators of a bench share one time; without it time begins with TSTART"
    )
    parser.add_argument("--link", type=Path, help="symbolic link to make to the serial port")
    parser.add_argument("--control", type=Path, help="unix socket for requests, one JSON object a line")
    parser.add_argument("--faults", type=Path, help="schedule of requests (YAML list, each with at_s or tracking_s)")
    parser.add_argument("--tools", type=int, default=4, choices=range(1, _MOST_TOOLS + 1), help="tools of the default world")
    parser.add_argument("--rate", type=float, default=40.0, help="frames per second of the default world")
    parser.add_argument("--metal", action="store_true", help="metal beside the default world, out until `metal_in` is asked for")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise and faults")
    parser.add_argument("--loop", action="store_true", help="begin the recording again at its end")
    parser.add_argument("--pause-with-host", action="store_true", help="the device pauses while this machine does not run it")
    parser.add_argument("--send", help="send this request to the emulator at --control, print its answer, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
