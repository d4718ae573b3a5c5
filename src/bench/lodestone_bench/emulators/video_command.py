"""What the commands of all emulated video devices share: their options, the world they join, requests, signals."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.control import send_text
from lodestone_bench.emulators.video_config import VideoConfig
from lodestone_bench.emulators.video_emulator import VideoEmulator
from lodestone_bench.emulators.video_server import FrameSource, VideoServer
from lodestone_bench.faults import Schedule
from lodestone_bench.world.config import fault_entries
from lodestone_bench.world.epoch import WorldClock, join_world
from lodestone_bench.world.sections import read_world
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.kept_memory import keep_memory, reserve_memory
from lodestone_core.yaml_file import read_yaml


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """One device of a command: where it is, and what it sees once the world has been read."""

    url: str
    source: Callable[[Mapping[str, Any]], FrameSource]


def add_video_options(parser: argparse.ArgumentParser, rate_hz: float) -> None:
    """The options that every emulated video device has."""
    parser.add_argument("--clock", type=Path, help="file with the beginning of the world, shared by all emulators of a bench")
    parser.add_argument("--world", default="", help="the world (YAML); without it, or empty, the default one")
    parser.add_argument("--control", type=Path, help="unix socket for requests, one JSON object a line")
    parser.add_argument("--faults", type=Path, help="schedule of requests (YAML list, each with at_s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of faults")
    parser.add_argument("--rate", type=float, default=rate_hz, help="images a second")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="from the acquisition to the first byte on the way")
    parser.add_argument("--drift-ppm", type=float, default=0.0, help="how much too fast the device's clock runs")
    parser.add_argument("--no-times", action="store_true", help="send images without times (Y4M in place of IVF)")
    parser.add_argument("--no-code", action="store_true", help="leave number and time out of the first pixels")
    parser.add_argument("--send", help="send this request to the emulator at --control, print its answer, and end")


def serve(
    options: argparse.Namespace, program: str, devices: Mapping[str, VideoDevice], make: Callable[..., VideoEmulator] = VideoEmulator
) -> int:
    """Run the devices until SIGINT or SIGTERM, or send a request; the exit code: 0, 1 for a refused request, 2 for bad input.

    `make` is VideoEmulator, or a kind of it that understands further requests.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    keep_memory()
    try:
        if options.send is not None:
            return send_text(options.control, options.send)
        emulator = _emulator(options, devices, make)
        reserve_memory()  # behind the preparation, which may give back what it had
        for number in (signal.SIGINT, signal.SIGTERM):  # before there is a path that a signal could leave behind
            signal.signal(number, lambda *_: emulator.stop())
        emulator.open()
    except InputError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 2
    emulator.run()
    return 0


def _emulator(options: argparse.Namespace, devices: Mapping[str, VideoDevice], make: Callable[..., VideoEmulator]) -> VideoEmulator:
    manners = {"times": not options.no_times, "code": not options.no_code}
    values = {"rate_hz": options.rate, "latency_s": 1e-3 * options.latency_ms, "drift_ppm": options.drift_ppm, **manners}
    config = load_config(VideoConfig, values, "options")
    world = read_world(Path(options.world) if options.world else None)
    clock = WorldClock(time.monotonic_ns()) if options.clock is None else join_world(options.clock)
    entries = () if options.faults is None else fault_entries(read_yaml(options.faults), str(options.faults))
    servers = {
        name: VideoServer(device.source(world), device.url, config, options.seed + number)
        for number, (name, device) in enumerate(devices.items())
    }
    return make(servers, clock.elapsed_s, options.control, Schedule(entries))
