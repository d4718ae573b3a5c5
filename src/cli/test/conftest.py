"""A folder that looks like an installation: packages of shell scripts in an ament index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from lodestone_cli.launch_file.interpreter import Plan, read_plan

MARK = "LODESTONE_TEST_MARK"
_INHERITED = ("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")


class Prefix:
    """An ament prefix that tests fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "share" / "ament_index" / "resource_index" / "packages").mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"AMENT_PREFIX_PATH": str(self.folder), "HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def add(self, package: str, executable: str, script: str) -> Path:
        """Install a script with a shebang, or the body of a shell script."""
        (self.folder / "share" / "ament_index" / "resource_index" / "packages" / package).touch()
        (self.folder / "share" / package).mkdir(parents=True, exist_ok=True)
        path = self.folder / "lib" / package / executable
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    """A prefix with one package `tools` whose executable `tool` prints its arguments."""
    made = Prefix(tmp_path / "prefix")
    made.add("tools", "tool", 'echo "$@"')
    return made


@pytest.fixture
def launch_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a launch file: the actions under `launch:`."""

    def write(actions: str, name: str = "test.launch.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("launch:\n" + actions)
        return path

    return write


@pytest.fixture
def plan(prefix: Prefix, launch_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Plan]:
    """Interprets actions with arguments; parameter files go to a folder of the test."""

    def make(actions: str, given: Mapping[str, str] | None = None, **environment: str) -> Plan:
        return read_plan(launch_file(actions), given or {}, {**prefix.environment, **environment}, tmp_path / "parameters")

    return make


class Runner:
    """`lodestone up` as a process of its own, with a mark by which everything that it started is found."""

    def __init__(self, prefix: Prefix, file: Path, *arguments: str, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "lodestone_cli", "up", str(file), *arguments]
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self.process = subprocess.Popen(
            command,
            env={**inherited, **prefix.environment, MARK: self.mark, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def alive(self) -> list[int]:
        """Process ids of everything with the mark but the runner."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != self.process.pid:
                try:
                    if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
                except OSError:
                    continue
        return found

    def wait_for(self, path: Path, limit_s: float = 10.0) -> str:
        """The text of a file that a script writes when it is ready."""
        self.wait_until(lambda: path.is_file() and bool(path.read_text().strip()), limit_s)
        return path.read_text()

    def wait_until(self, holds: Callable[[], bool], limit_s: float = 10.0) -> None:
        """Fail unless the condition holds in time."""
        deadline = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.02)

    def end(self, limit_s: float = 20.0) -> tuple[int, str, str]:
        """Exit code, output and errors once it has ended."""
        out, err = self.process.communicate(timeout=limit_s)
        return self.process.returncode, out, err


@pytest.fixture
def start(prefix: Prefix) -> Iterator[Callable[..., Runner]]:
    """Starts runners; whatever a failed test leaves behind is killed."""
    runners: list[Runner] = []

    def make(file: Path, *arguments: str, **environment: str) -> Runner:
        runners.append(Runner(prefix, file, *arguments, **environment))
        return runners[-1]

    yield make
    for runner in runners:
        for pid in [*runner.alive(), runner.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        runner.process.wait()
