"""Memory that was freed is used again: no page is asked for a second time."""

from __future__ import annotations

import os
import subprocess
import sys

IMAGES = """
import resource, sys
from lodestone_core.kept_memory import keep_memory
assert sys.argv[1] == "freed" or keep_memory()
def images():
    return [bytearray(b"1") * 3_000_000 for _ in range(4)]
images()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    images()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **environment: str) -> int:
    """Page faults of forty images, of which four are there at a time."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", IMAGES, how]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={**usual, **environment})
    return int(said.stdout)


def test_images_that_are_freed_cost_their_page_faults_once() -> None:
    freed, kept = faults("freed"), faults("kept")
    assert freed > 10_000
    assert kept < freed / 4


RESERVE = """
import sys
from pathlib import Path
from lodestone_core.kept_memory import keep_memory, reserve_memory
resident_mb = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
keep_memory()
before = resident_mb()
reserve_memory(48)
reserved = resident_mb()
images = [bytearray(b"1") * 3_000_000 for _ in range(12)]
print(reserved - before, resident_mb() - reserved)
"""


def test_what_was_reserved_is_there_and_is_used() -> None:
    said = subprocess.run([sys.executable, "-c", RESERVE], capture_output=True, text=True, check=True)
    reserved_mb, more_mb = (float(word) for word in said.stdout.split())
    assert 45.0 < reserved_mb < 55.0
    assert abs(more_mb) < 1.0


def test_what_the_environment_says_holds() -> None:
    assert faults("told", MALLOC_TRIM_THRESHOLD_="0") > 10_000
