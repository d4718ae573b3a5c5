"""Protocol `bench_setup`: the set-up from nothing, in a fresh clone of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lodestone_cli.checkout import find_checkout
from lodestone_core.errors import InputError
from lodestone_core.results import Result, Row, conclude
from lodestone_core.results.protocol import Progress

OF_THIS_ENVIRONMENT = ("PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "VIRTUAL_ENV")


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError outside a git checkout, and when the set-up fails."""
    checkout = find_checkout()
    if checkout is None or not (checkout / ".git").exists():
        raise InputError("bench_setup", expected="a git checkout", got="none", remedy="run it in a clone of the repository")
    environment = {key: value for key, value in os.environ.items() if key not in OF_THIS_ENVIRONMENT}
    base_python = Path(sys.base_prefix, "bin", "python3")
    with tempfile.TemporaryDirectory(prefix="lodestone_setup_") as folder:
        clone = Path(folder, "clone")
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(checkout), str(clone)], check=True)
        seconds = [timed(clone, base_python, environment, out / f"setup_{name}.log") for name in ("first", "second")]
        shutil.rmtree(clone)
    rows = [
        Row("make setup", "from nothing", "time", seconds[0], "s", 1),
        Row("make setup", "nothing to do", "time", seconds[1], "s", 1),
    ]
    return conclude(protocol, inputs, rows)


def timed(clone: Path, python: Path, environment: Mapping[str, str], log: Path) -> float:
    """Seconds that `make setup` takes."""
    started = time.monotonic()
    with log.open("wb") as output:
        command = ["make", "setup", f"PYTHON={python}"]
        code = subprocess.run(command, cwd=clone, env=dict(environment), stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        raise InputError("make setup", expected="exit code 0", got=code, remedy=f"see {log}")
    return time.monotonic() - started
