"""The main function of every emulator of a device that streams: options, the world's clock, signals."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lodestone_bench.emulators.control import send_text
from lodestone_bench.emulators.stream_device import Records, StreamDevice, StreamDeviceConfig
from lodestone_bench.world.epoch import join_world
from lodestone_bench.world.sections import read_world, seed_of
from lodestone_core.errors import InputError


class Given(NamedTuple):
    """What a device is made from: the world's sections, its seed, its time (s), and the options of the command."""

    world: Mapping[str, Any]
    seed: int
    options: argparse.Namespace
    clock: Callable[[], float]


class Emulator(NamedTuple):
    """One kind of emulator: its command's name, what it is, how it is made, and its own options."""

    prog: str
    about: str
    make: Callable[[Given], tuple[Records, StreamDeviceConfig]]
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def run_emulator(kind: Emulator, arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    options = _parser(kind).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        if options.send is not None:
            return send_text(options.control, options.send)
        device = _device(kind, options)
        for number in (signal.SIGINT, signal.SIGTERM):  # before there is a path that a signal could leave behind
            signal.signal(number, lambda *_: device.stop())
        device.open()
    except InputError as error:
        sys.stderr.write(f"{kind.prog}: {error}\n")
        return 2
    device.run()
    return 0


def _device(kind: Emulator, options: argparse.Namespace) -> StreamDevice:
    if options.link is None:
        raise InputError("--link", expected="a path", got="nothing", remedy="say where the serial port is to be found")
    world = read_world(options.world)
    seed = seed_of(world) if options.seed is None else options.seed
    clock = time.monotonic if options.clock is None else join_world(options.clock).elapsed_s
    records, config = kind.make(Given(world, seed, options, clock))
    given = {name: value for name, value in (("rate_hz", options.rate), ("baud", options.baud)) if value is not None}
    return StreamDevice(records, replace(config, **given), clock, options.link, options.control, seed)


def world_file(text: str) -> Path | None:
    """The path in an option that may be empty."""
    return Path(text) if text else None


def _parser(kind: Emulator) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=kind.prog, description=kind.about)
    parser.add_argument("--link", type=Path, help="symbolic link to make to the serial port")
    parser.add_argument("--control", type=Path, help="unix socket for requests, one JSON object a line")
    parser.add_argument("--clock", type=Path, help="file of the world's clock; without one the world is the host's steady clock")
    parser.add_argument("--world", type=world_file, help="world file (YAML); empty for none, as a launch file gives it")
    parser.add_argument("--seed", type=int, help="seed of noise and faults; the world's by default")
    parser.add_argument("--rate", type=float, help="records per second")
    parser.add_argument("--baud", type=int, help="rate of the line")
    parser.add_argument("--send", help="send this request to the emulator at --control, print its answer, and end")
    kind.add_options(parser)
    return parser
