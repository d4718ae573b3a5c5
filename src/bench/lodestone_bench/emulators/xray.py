"""`xray_emulator`: a C-arm's pictures as video at an address, and as DICOM files in a folder. No ROS.

Examples:
    xray_emulator --url unix:/dev/shm/xray --control /dev/shm/xray.control
    xray_emulator --url unix:/dev/shm/xray --dicom out/xray --dicom-rate 1
    xray_emulator --control /dev/shm/xray.control --send '{"do": "wrong_sid", "mm": 150}'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lodestone_bench.c_arm.config import CArmConfig
from lodestone_bench.c_arm.source import CArm
from lodestone_bench.emulators.video_command import VideoDevice, add_video_options, serve
from lodestone_bench.emulators.video_emulator import VideoEmulator
from lodestone_bench.emulators.xray_folder import REQUESTS, XrayFolder
from lodestone_bench.patient import Patient
from lodestone_bench.patient.config import PatientConfig
from lodestone_bench.world.sections import section_of, seed_of
from lodestone_core.errors import InputError

RATE_HZ = CArmConfig().rate_hz
DICOM_RATE_HZ = 1.0


class XrayEmulator(VideoEmulator):
    """A video device that also writes files, and understands the requests for their faults."""

    def __init__(self, *arguments: Any, folder: Path | None, rate_hz: float, frames: int, keep: int) -> None:
        super().__init__(*arguments)
        c_arms = [device.source for device in self.devices.values() if isinstance(device.source, CArm)]
        self.files = None if folder is None else XrayFolder(c_arms[0], folder, rate_hz, frames, keep)

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises InputError for one that makes no sense."""
        name = request.get("do")
        if name in REQUESTS:
            if self.files is None:
                raise InputError("request: do", expected="a request for the video", got=name, remedy="start the emulator with --dicom")
            self.files.request(str(name), {key: value for key, value in request.items() if key != "do"}, self.clock())
            return {}
        answer = super().request(request)
        if self.files is not None and name == "clear":
            self.files.clear()
        return {**answer, "files": self.files.counts["files"]} if self.files is not None and name == "statistics" else answer

    def _wait(self) -> list[Any]:
        if self.files is not None:
            self.files.turn(self.clock())
        return super()._wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="xray_emulator", description="An emulated C-arm: video on a socket, DICOM in a folder.")
    parser.add_argument("--url", default="unix:/dev/shm/lodestone_xray", help="address of its video, unix:/path or tcp://127.0.0.1:port")
    parser.add_argument("--dicom", default="", help="folder for DICOM files; none are written without it, or with an empty one")
    parser.add_argument("--dicom-rate", type=float, default=DICOM_RATE_HZ, help="pictures a second that go into files")
    parser.add_argument("--dicom-frames", type=int, default=1, help="pictures a file")
    parser.add_argument("--dicom-keep", type=int, default=60, help="newest files that stay in the folder; 0 for all")
    add_video_options(parser, RATE_HZ)
    options = parser.parse_args(arguments)
    if options.dicom_rate <= 0.0 or options.dicom_frames < 1:
        parser.error("--dicom-rate must be above 0 and --dicom-frames at least 1")
    folder = Path(options.dicom) if options.dicom else None
    make = partial(XrayEmulator, folder=folder, rate_hz=options.dicom_rate, frames=options.dicom_frames, keep=options.dicom_keep)
    return serve(options, "xray_emulator", {"xray": VideoDevice(options.url, c_arm_of)}, make)


def c_arm_of(world: Mapping[str, Any]) -> CArm:
    """The C-arm of that world, ready for live pictures. Raises InputError."""
    seed = seed_of(world)
    c_arm = CArm(section_of(world, "c_arm", CArmConfig), Patient(section_of(world, "patient", PatientConfig), seed), seed)
    c_arm.prepare()
    return c_arm


if __name__ == "__main__":
    sys.exit(main())
