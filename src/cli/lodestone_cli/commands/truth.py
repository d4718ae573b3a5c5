"""`lodestone truth`: the ground truth of a simulated world as files, as fast as it can."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from lodestone_bench.world.sections import read_world
from lodestone_bench.world.truth_files import times_of, write_truth
from lodestone_cli.console import console


def run(world: Path | None, duration_s: float, out: Path) -> int:
    """Write the truth of the first `duration_s` seconds into the new folder `out`."""
    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("world", total=None)
        quantities = write_truth(read_world(world), duration_s, out, lambda name: progress.update(task, description=name))
    for quantity in quantities:
        console().print(f"{len(times_of(quantity, duration_s)):8d}  {quantity.name} in {quantity.parent}")
    console().print(f"written to {out}")
    return 0
