"""`ultrasound_emulator`: the screen of an ultrasound machine as video at an address. No ROS.

Examples:
    ultrasound_emulator --url unix:/dev/shm/ultrasound --control /dev/shm/ultrasound.control
    ultrasound_emulator --control /dev/shm/ultrasound.control --send '{"do": "depth", "mm": 100}'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lodestone_bench.emulators.video_command import VideoDevice, add_video_options, serve
from lodestone_bench.emulators.video_emulator import VideoEmulator
from lodestone_bench.patient import Patient
from lodestone_bench.patient.config import PatientConfig
from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.video import UltrasoundScreen
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig
from lodestone_bench.world.sections import section_of, seed_of
from lodestone_core.config import REQUIRED, load_config, option

RATE_HZ = 30.0


@dataclass(frozen=True, slots=True)
class Depth:
    """The depth is changed at the machine."""

    mm: float = option(REQUIRED, unit="mm", doc="one of the world's depths", minimum=1.0)


class UltrasoundEmulator(VideoEmulator):
    """A video device with one more request: the depth knob."""

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises InputError for one that makes no sense."""
        if request.get("do") != "depth":
            return super().request(request)
        depth = load_config(Depth, {key: value for key, value in request.items() if key != "do"}, "request depth")
        for device in self.devices.values():
            screen = device.source
            if isinstance(screen, UltrasoundScreen):
                screen.set_depth(depth.mm)
        return {"depth_mm": depth.mm}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="ultrasound_emulator", description="An emulated ultrasound machine, uncompressed on a socket.")
    parser.add_argument("--url", default="unix:/dev/shm/lodestone_ultrasound", help="its address, unix:/path or tcp://127.0.0.1:port")
    parser.add_argument("--no-letters", action="store_true", help="no depth in letters beside the image")
    add_video_options(parser, RATE_HZ)
    options = parser.parse_args(arguments)
    device = VideoDevice(options.url, lambda world: screen_of(world, letters=not options.no_letters))
    return serve(options, "ultrasound_emulator", {"ultrasound": device}, UltrasoundEmulator)


def screen_of(world: Mapping[str, Any], letters: bool = True) -> UltrasoundScreen:
    """The machine of that world. Raises InputError."""
    seed = seed_of(world)
    patient = Patient(section_of(world, "patient", PatientConfig), seed)
    arm = ArmWorld(section_of(world, "arm", ArmConfig), seed)
    return UltrasoundScreen(patient, arm.T_bench_probe, section_of(world, "ultrasound", UltrasoundConfig), seed, letters)


if __name__ == "__main__":
    sys.exit(main())
