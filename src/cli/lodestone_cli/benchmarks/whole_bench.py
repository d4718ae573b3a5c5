"""The whole simulated bench (`bench.launch.yaml sim:=true`), for as long as a benchmark wants."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lodestone_bench.emulators.control import send_request
from lodestone_bench.world.epoch import WorldClock, join_world
from lodestone_cli.benchmarks.em_rig import DEVICE_PRIORITY, known_registration, own_domain
from lodestone_cli.benchmarks.process_memory import descendants
from lodestone_cli.benchmarks.process_watch import name_of
from lodestone_cli.demo.processes import running
from lodestone_core.errors import InputError

EMULATORS: Final[Mapping[str, str]] = {
    "aurora": "aurora",
    "magnetometers": "magnetometers",
    "us_arm": "us_arm",
    "stereo": "stereo",
    "ultrasound": "ultrasound",
    "xray": "xray",
}
"""Name of each emulator's socket by the device's."""
RATE_HZ: Final[Mapping[str, float]] = {
    "aurora": 40.0,
    "magnetometers": 100.0,
    "us_arm": 100.0,
    "stereo": 20.0,
    "ultrasound": 30.0,
    "xray": 8.0,
}
"""Messages a second of what a fault benchmark watches; of both cameras together."""
OFF: Final = ("em", "magnetometers", "stereo", "us_arm", "ultrasound", "xray")

SERIAL_EMULATORS: Final = ("aurora_emulator", "array_emulator", "arm_emulator")
_STREAMS: Final = ("magnetometers", "us_arm")
_VIDEOS: Final = ("ultrasound", "xray")


@dataclass(frozen=True, slots=True)
class WholeBench:
    """A running bench: the launcher's process, its log, the folder with the emulators' sockets."""

    launcher: subprocess.Popen[bytes]
    log: Path
    folder: Path
    image_size: tuple[int, int] = (2048, 1536)

    def ask(self, device: str, **request: Any) -> dict[str, Any]:
        """Send a request to a device's emulator. Raises InputError when it is refused."""
        answer = send_request(self.folder / f"{device}.control", **request)
        if not answer.get("ok"):
            raise InputError(f"emulator of {device}, {request}", expected="ok", got=answer.get("error"), remedy="see docs/bench.md")
        return answer

    def clock(self) -> WorldClock:
        """The time of its world."""
        return join_world(self.folder / "world")

    def devices_first(self) -> None:
        """Let the emulated serial devices wait behind nothing on this machine, where that is allowed: real ones are not on it.

        Not those that make images: in real time their work would hold up the kernel's own, which carries the bytes of the serial lines.
        Of a device the main thread, which talks: what the array's other thread solves is not due yet.
        """
        for pid in descendants(self.launcher.pid):
            if name_of(pid) in SERIAL_EMULATORS:
                with contextlib.suppress(OSError):
                    os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(DEVICE_PRIORITY))

    def images_not_taken(self, device: str) -> dict[str, int]:
        """Images that each emulated camera of a device could not make in time, or was not run to make, since its start."""
        devices = self.ask(device, do="statistics")["devices"]
        return {name: int(each["frames_missed"]) for name, each in devices.items()}

    def index_pulses(self) -> list[int]:
        """How often each joint of the arm has passed its index since its counters had power."""
        return [int(count) for count in self.ask("us_arm", do="statistics")["index_pulses"]]

    def period_s(self, device: str) -> float:
        """Usual time from message to message of one device."""
        return 1.0 / RATE_HZ[device]


@contextmanager
def whole_bench(out: Path, off: tuple[str, ...] = (), tools: int = 4) -> Iterator[WholeBench]:
    """Bring the bench up, without the devices `off`, on a DDS domain of its own; everything is gone afterwards."""
    registration = out / "registration.yaml"
    known_registration().save(registration)
    # A unix socket's path is short by law, a checkout's is not.
    with tempfile.TemporaryDirectory(prefix="lodestone_bench_") as folder:
        words = ["sim:=true", f"sim_tools:={tools}", f"sim_clock:={folder}/world", f"registration_file:={registration.resolve()}"]
        words += [f"session_directory:={folder}/sessions", *(f"{name}:=false" for name in off), *_places(Path(folder), off)]
        log = out / "launch.log"
        with running("bench", ["up", "bench.launch.yaml", *words], own_domain(), log) as launcher:
            yield WholeBench(launcher, log, Path(folder))


def _places(folder: Path, off: tuple[str, ...]) -> list[str]:
    """Where each emulator is found, as arguments of the launch file; a device that is left out has none."""
    places = {
        "em": [f"sim_port:={folder}/aurora.port", f"sim_control:={folder}/aurora.control"],
        "stereo": [f"sim_stereo:={folder}/stereo"],
        **{name: [f"sim_{name}_port:={folder}/{name}.port", f"sim_{name}_control:={folder}/{name}.control"] for name in _STREAMS},
        **{name: [f"sim_{name}_source:=unix:{folder}/{name}", f"sim_{name}_control:={folder}/{name}.control"] for name in _VIDEOS},
    }
    places["xray"].append(f"sim_xray_folder:={folder}/xray.files")
    return [word for name, words in places.items() if name not in off for word in words]
