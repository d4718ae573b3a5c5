"""All processes of a bench share one beginning of time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lodestone_bench.world.epoch import join_world
from lodestone_core.errors import InputError

JOIN = "import sys, time; from pathlib import Path; from lodestone_bench.world.epoch import join_world\n"
JOIN += "print(join_world(Path(sys.argv[1])).epoch_ns, flush=True); time.sleep(20)"


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", JOIN, str(tmp_path / "w")], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        epochs = {int(process.stdout.readline()) for process in processes if process.stdout}
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert len(epochs) == 1


def test_a_bench_that_is_over_leaves_no_time_behind(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    (tmp_path / "w").write_text(json.dumps({"epoch_ns": 5, "pid": gone.pid}))
    before = time.monotonic_ns()
    clock = join_world(tmp_path / "w")
    assert before <= clock.epoch_ns <= time.monotonic_ns()
    assert join_world(tmp_path / "w").epoch_ns == clock.epoch_ns


def test_world_time_and_host_time_agree(tmp_path: Path) -> None:
    clock = join_world(tmp_path / "w")
    assert abs(clock.wall_ns(clock.elapsed_s()) - time.time_ns()) < 5_000_000


def test_a_path_that_cannot_be_written_is_named() -> None:
    with pytest.raises(InputError, match="world"):
        join_world(Path("/proc/nowhere/w"))
