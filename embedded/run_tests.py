"""Everything that `make test` runs, stage by stage, with the time of each; ends with the line that CI reads.

.venv/bin/python embedded/run_tests.py [--only STAGE]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from environment.layout import Layout

ROOT = Path(__file__).resolve().parents[1]
LAYOUT = Layout(ROOT, ros_distro=os.environ.get("ROS_DISTRO"))
PYTHON = LAYOUT.python
PACKAGES = ("core", "em_registration", "us_motion", "guidewire_recon", "xray_registration", "guidance", "bench", "cli")


@dataclass
class Outcome:
    """Counts of one stage; a stage without a test runner counts as one."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def run(command: list[str], **environment: str) -> int:
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode


def lint() -> Outcome:
    """ruff, YAML and XML."""
    python = str(PYTHON)
    texts = [str(path.relative_to(ROOT)) for path in tracked(".xml")]
    parse = "import sys, xml.etree.ElementTree as tree; [tree.parse(path) for path in sys.argv[1:]]"
    codes = [
        run([python, "-m", "ruff", "check", "."]),
        run([python, "-m", "ruff", "format", "--check", "--quiet", "."]),
        run([python, "-m", "yamllint", "--strict", *(str(path.relative_to(ROOT)) for path in tracked(".yaml", ".yml"))]),
        run([python, "-c", parse, *texts]),
    ]
    return Outcome(passed=codes.count(0), failed=len(codes) - codes.count(0))


def types() -> Outcome:
    """mypy, strict."""
    packages = [str(path.parent.relative_to(ROOT)) for path in sorted((ROOT / "src").glob("*/*/py.typed"))]
    code = run([str(PYTHON), "-m", "mypy", *packages])
    return Outcome(passed=int(code == 0), failed=int(code != 0))


def pure() -> Outcome:
    """Tests of pure code with every ROS package made unimportable."""
    arguments = ["-p", "ros_blocker", "--ignore-glob=*/test/ros/*", "-m", "not ros and not setup", *test_folders()]
    return pytest(arguments, side_by_side=True)


def ros() -> Outcome:
    """Tests of nodes over real DDS, with every message field checked."""
    environment = {
        **LAYOUT.run_environment(),
        "ROS_PYTHON_CHECK_FIELDS": "1",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(20 + os.getpid() % 100),
        "ROS_LOG_DIR": str(ROOT / "out" / "log"),
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "embedded" / "fastdds.xml"),
    }
    folders = test_folders()
    together = pytest(["-p", "ros_domains", "-m", "ros and not alone", *folders], side_by_side=True, **environment)
    return together + pytest(["-m", "ros and alone", *folders], **environment)


def setup() -> Outcome:
    """The set-up on a machine with a ROS installation, and without ROS at all."""
    return pytest(["-m", "setup", "embedded/test"])


STAGES: dict[str, Callable[[], Outcome]] = {"lint": lint, "pure": pure, "ros": ros, "types": types, "setup": setup}
TURNS = (("lint",), ("pure",), ("ros",), ("types", "setup"))
"""Stages of one turn run side by side: each of these two has use for one core only."""


def test_folders() -> list[str]:
    return [f"src/{package}/test" for package in PACKAGES] + ["embedded/test"]


def tracked(*suffixes: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if Path(name).suffix in suffixes and (ROOT / name).is_file()]


def pytest(arguments: list[str], side_by_side: bool = False, **environment: str) -> Outcome:
    """Run pytest, show its output as it comes, count what its last line says.

    `side_by_side`: in a process for each of two cores, a file whole in one of them, since fixtures of a file are made once.
    """
    workers = ["-p", "xdist.plugin", "-n", str(min(2, os.cpu_count() or 1)), "--dist", "loadfile"] if side_by_side else []
    command = [str(PYTHON), "-m", "pytest", "-q", "--durations=5", *workers, *arguments]
    path = ":".join(filter(None, [str(ROOT / "embedded"), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path, **environment}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = ""
    for line in process.stdout or ():
        sys.stdout.write(line)
        last = line if line.strip() else last
    code = process.wait()
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    failed = counts.get("failed", 0) + counts.get("error", 0)
    return Outcome(counts.get("passed", 0), failed or int(code not in (0,)), counts.get("skipped", 0))


# One thread a process, as on a rig: tests run side by side with nodes. The pytest plugins of an installed ROS stay out.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def counted(outcome: Outcome) -> str:
    """The counts in words; of all stages together it is the line that CI reads."""
    return f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests stage by stage.")
    parser.add_argument("--only", choices=STAGES, help="one stage")
    only = parser.parse_args().only
    total, lines = Outcome(), []
    for turn in [(only,)] if only else TURNS:
        print(f"== {' and '.join(turn)}", flush=True)
        with ThreadPoolExecutor() as side_by_side:
            for name, (outcome, took_s) in zip(turn, side_by_side.map(timed, turn), strict=True):
                lines.append(f"{name:8s} {took_s:6.1f} s  {counted(outcome)}")
                total += outcome
    print("\n".join(["", *lines]))
    print(counted(total))
    return int(total.failed > 0 or total.passed == 0)


def timed(name: str) -> tuple[Outcome, float]:
    """Run one stage; how long it took, s."""
    started = time.monotonic()
    return STAGES[name](), time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
