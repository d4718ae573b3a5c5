"""Where things lie, and the process environment that building needs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROS_PYTHON_VARIABLES = ("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")


@dataclass(frozen=True)
class Layout:
    """One checkout and the kind of environment that it gets."""

    root: Path
    ros_distro: str | None
    with_ros: bool = True
    with_imaging: bool = True

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return self.venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @property
    def ros_sourced(self) -> bool:
        """A ROS 2 is installed and sourced: its packages are used as they are."""
        return self.with_ros and bool(self.ros_distro)

    @property
    def embedded_ros(self) -> bool:
        return self.with_ros and not self.ros_sourced

    @property
    def prefix(self) -> Path:
        """Where colcon installs to."""
        return self.root / "install" if self.ros_sourced else self.venv

    @property
    def requirements(self) -> list[Path]:
        names = ["requirements.txt", "requirements-dev.txt"]
        if self.with_imaging:
            names.append("requirements-imaging.txt")
        if self.with_ros:
            names.append("requirements-build.txt")
        if self.embedded_ros:
            names.append("requirements-ros.txt")
        return [self.root / "embedded" / name for name in names]

    @property
    def kind(self) -> tuple[str, ...]:
        """What makes an environment another one, beside the files that go into it."""
        return (sys.version, str(self.venv), str(self.ros_distro), str(self.with_ros), str(self.with_imaging))

    def stamp(self, name: str) -> Path:
        return self.venv / f".lodestone-{name}"

    def pip_environment(self) -> dict[str, str]:
        """For pip and everything else that must see one environment only."""
        return {key: value for key, value in os.environ.items() if key not in ROS_PYTHON_VARIABLES}

    @property
    def search_paths(self) -> dict[str, Path]:
        """What a process that uses the built packages must find; on a rig it goes before what setup.bash has set."""
        if not self.with_ros:
            return {}
        if self.ros_sourced:
            return {"AMENT_PREFIX_PATH": self.prefix, "LD_LIBRARY_PATH": self.prefix / "lib"}
        return {"AMENT_PREFIX_PATH": self.venv}

    def run_environment(self) -> dict[str, str]:
        """The variables of `search_paths` with their values."""
        ours = {name: str(folder) for name, folder in self.search_paths.items()}
        if self.ros_sourced:
            return {name: ":".join(filter(None, [folder, os.environ.get(name, "")])) for name, folder in ours.items()}
        return ours

    def build_environment(self) -> dict[str, str]:
        """For colcon, cmake and the generators."""
        # colcon's own -l lets a busy machine build with a single job.
        common = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}
        if self.ros_sourced:
            return {**os.environ, **common}
        libraries = [self.venv / "lib", *sorted(self.site_packages.glob("ros_*.libs"))]
        return {
            **self.pip_environment(),
            **common,
            "AMENT_PREFIX_PATH": str(self.venv),
            "CMAKE_PREFIX_PATH": str(self.venv),
            # Guard and library path go together: the wheels would otherwise start every Python twice, or find no libraries.
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
            "ROS_VERSION": "2",
            "ROS_PYTHON_VERSION": "3",
            "ROS_DISTRO": "jazzy",
        }


def run(command: list[str], environment: dict[str, str], log: Path, root: Path) -> None:
    """Run one step with its output in a log; on failure show the end of it and stop."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        code = subprocess.run(command, env=environment, cwd=root, stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        sys.exit(f"{tail}\nset-up stopped: {' '.join(command[:4])} ... ended with {code}; the whole output is in {log}")


def fingerprint(files: Iterable[Path], *extra: str) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256("\0".join(extra).encode())
    for path in sorted(files):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
