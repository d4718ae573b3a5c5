"""Memory that was freed is used again: no page is asked for a second time."""

from __future__ import annotations

import os
import subprocess
import sys

IMAGES = """
import resource, sys
from lodestone_core.kept_memory import keep_memory
assert sys.argv[1] == "freed" or keep_memory() == (sys.argv[1] == "kept")
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


def test_what_the_environment_says_holds() -> None:
    assert faults("told", MALLOC_TRIM_THRESHOLD_="0") > 10_000
