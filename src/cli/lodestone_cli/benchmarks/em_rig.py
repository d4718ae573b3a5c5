"""The EM chain as a bench runs it (emulator, driver, registration, authority), each in its process, for as long as a benchmark wants."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from em_registration.registration import Registration
from lodestone_bench.emulators.control import send_request
from lodestone_cli.benchmarks.process_memory import find_process
from lodestone_cli.demo.processes import running
from lodestone_cli.launch_file.environment import with_middleware
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.ros.realtime import VARIABLE

REALTIME_PRIORITY = "10"
"""As a bench under load would run; where it is not allowed the nodes say so in the log and go on without."""
DEVICE_PRIORITY = 20


@dataclass(frozen=True, slots=True)
class EmRig:
    """A running chain: the launcher's process, its log and the emulator's control socket."""

    launcher: subprocess.Popen[bytes]
    log: Path
    control: Path

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request to the emulator. Raises InputError when it is refused."""
        answer = send_request(self.control, **request)
        if not answer.get("ok"):
            raise InputError(f"emulator, {request}", expected="ok", got=answer.get("error"), remedy="see src/bench/README.md")
        return answer

    def pid(self, executable: str) -> int | None:
        """Process of one node."""
        return find_process(self.launcher.pid, executable)

    def device_first(self) -> None:
        """Let the emulated device wait behind nothing on this machine, see `device_first`."""
        device_first(self.pid("aurora_emulator"))


@contextmanager
def em_rig(out: Path, tools: int, rate_hz: float, model: Registration | None = None) -> Iterator[EmRig]:
    """Bring the chain up on an emulated Aurora with `tools` tools at `rate_hz`; everything is gone afterwards.

    `model` is the registration in use; it stands in `out`/registration.yaml.
    """
    registration = out / "registration.yaml"
    (model or known_registration()).save(registration)
    # A unix socket's path is short by law, a checkout's is not.
    with tempfile.TemporaryDirectory(prefix="lodestone_bench_") as folder:
        control = Path(folder, "control")
        words = [
            "sim:=true",
            f"sim_tools:={tools}",
            f"sim_rate:={rate_hz:g}",
            f"sim_control:={control}",
            "sim_option:=--pause-with-host",
            f"sim_port:={folder}/aurora",
            f"session_directory:={folder}/sessions",
        ]
        words.append(f"registration_file:={registration}")
        log = out / "launch.log"
        with running("bench", ["up", "em.launch.yaml", *words], own_domain(), log) as launcher:
            yield EmRig(launcher, log, control)


def device_first(pid: int | None) -> None:
    """Let an emulated device wait behind nothing on this machine, where that is allowed: a real one is not on it."""
    if pid is None:
        return
    with contextlib.suppress(OSError):
        for thread in Path("/proc", str(pid), "task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(DEVICE_PRIORITY))


def known_registration(sigma_mm: float = 0.1) -> Registration:
    """A registration for benchmarks of the stream: any good one does, its numbers are not looked at but for `sigma_mm` an axis."""
    T = se3.exp(np.array([10.0, -20.0, 300.0, 0.1, -0.2, 0.3]))
    C = np.diag([sigma_mm**2] * 3 + [1e-6] * 3)
    return Registration("benchmark", T, C, 0.2, 10, "2026-01-01T00:00:00+00:00", "0.1.0")


def own_domain() -> dict[str, str]:
    """The environment with a DDS domain of its own, so that nothing else on this machine is measured or disturbed.

    The domain is set for this process too, whose probe listens there.
    """
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(20, 200))
    os.environ.setdefault(VARIABLE, REALTIME_PRIORITY)
    os.environ.update(with_middleware(os.environ))
    return dict(os.environ)
