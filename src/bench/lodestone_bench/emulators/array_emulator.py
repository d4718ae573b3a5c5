"""`array_emulator`: a microcontroller with 16 AK09940A magnetometers on a pseudo-terminal, in the field of the world. No ROS.

Examples:
    array_emulator --link out/array --control out/array.control
    array_emulator --write-truth out/magnetometers.yaml
    array_emulator --control out/array.control --send '{"do": "stuck", "sensor": 5, "for_s": 3}'
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_records import ArrayRecords
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.emulators.stream_device import Records, StreamDeviceConfig
from lodestone_bench.emulators.stream_main import Emulator, Given, run_emulator, world_file
from lodestone_bench.magnetics.field import FieldSource, world_field
from lodestone_bench.world.sections import read_world, section_of, seed_of
from lodestone_core.calibration_file import CalibrationFile, now_text
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.version import package_version

_AHEAD_S = 1.0
_LOOK_S = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator, or write the truth and end."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--write-truth" in given:
        return _write_truth(given)
    return run_emulator(Emulator("array_emulator", "An emulated array of AK09940A magnetometers on a pseudo-terminal.", _make), given)


def true_calibration(truth: ArrayTruth, source: FieldSource, rig: str) -> CalibrationFile:
    """The calibration that a perfect procedure would find; its background is what stands still (Earth, magnets)."""
    turn = Rotation.from_rotvec(np.radians(truth.config.rotation_deg)).as_matrix()
    background: Array = source.still_T(truth.points_mm) @ turn
    return CalibrationFile(
        kind="magnetometers",
        rig=rig,
        devices=(f"array {truth.config.array_id}, {truth.count} sensors",),
        created=now_text(),
        method="truth of the simulated bench",
        version=package_version("lodestone_bench"),
        values=truth.calibration_values(background),
    )


def _make(given: Given) -> tuple[Records, StreamDeviceConfig]:
    config = section_of(given.world, "array", ArrayConfig)
    source = world_field(given.world, given.seed)
    clock = given.clock
    _solve_ahead(source, clock)
    return ArrayRecords(ArrayTruth(config, given.seed), source, clock, given.seed), config.device


def _solve_ahead(source: FieldSource, clock: Callable[[], float]) -> None:
    """The wire's magnetisation takes longer to solve than there is between two records: a thread of its own keeps ahead."""
    source.prepare(clock())

    def run() -> None:
        while True:
            source.prepare(clock() + _AHEAD_S)
            time.sleep(_LOOK_S)

    threading.Thread(target=run, name="magnetics", daemon=True).start()


def _write_truth(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="array_emulator --write-truth", description="Write the array's true calibration.")
    parser.add_argument("--write-truth", type=Path, required=True, help="file to write")
    parser.add_argument("--world", type=world_file, help="world file (YAML)")
    parser.add_argument("--seed", type=int, help="seed; the world's by default")
    parser.add_argument("--rig", default="simulated", help="name of the bench that the file is for")
    options = parser.parse_args(arguments)
    try:
        world = read_world(options.world)
        seed = seed_of(world) if options.seed is None else options.seed
        truth = ArrayTruth(section_of(world, "array", ArrayConfig), seed)
        true_calibration(truth, world_field(world, seed), options.rig).save(options.write_truth)
    except InputError as error:
        sys.stderr.write(f"array_emulator: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
