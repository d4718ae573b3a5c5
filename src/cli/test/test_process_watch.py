"""What a process costs: processor time and memory of a child that is known to use both."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np

from lodestone_cli.benchmarks.process_watch import LISTENER, ProcessWatch, name_of, numbered

BUSY = "import time; end = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
GROWING = "import time; kept = []\nfor _ in range(300): kept.append(bytearray(b'1') * 1_000_000); time.sleep(0.02)"


def test_a_busy_child_uses_a_core_and_a_growing_one_grows() -> None:
    children = [subprocess.Popen([sys.executable, "-c", program]) for program in (BUSY, GROWING)]
    try:
        time.sleep(0.5)
        watch = ProcessWatch(os.getpid(), settle_s=0.2)
        for _ in range(10):
            watch.look()
            time.sleep(0.15)
        busy, growing = sorted((load for load in watch.loads() if load.name != LISTENER), key=lambda load: -load.cpu_percent)[:2]
        times_s, above_mb = watch.growth_mb()[growing.name]
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert 30.0 < busy.cpu_percent <= 110.0
    assert busy.growth_mb < 1.0
    assert growing.growth_mb > 5.0
    assert len(times_s) == len(above_mb) == 10 and (np.diff(above_mb) > 0.0).all()
    assert above_mb[-1] == growing.growth_mb and above_mb[times_s <= 0.2][-1] == 0.0


def test_processes_of_one_name_are_told_apart() -> None:
    assert numbered({1: "a", 2: "b", 3: "a"}) == {1: "a", 2: "b", 3: "a 2"}


def test_a_python_process_has_the_name_of_what_it_runs() -> None:
    child = subprocess.Popen([sys.executable, "-m", "http.server", "--help"], stdout=subprocess.DEVNULL)
    try:
        # Between fork and exec it still is this process.
        end = time.monotonic() + 5.0
        while (name := name_of(child.pid)) not in ("http.server", str(child.pid)) and time.monotonic() < end:
            time.sleep(0.001)
    finally:
        child.wait()
    assert name in ("http.server", str(child.pid))
    assert name_of(2**30) == str(2**30)
