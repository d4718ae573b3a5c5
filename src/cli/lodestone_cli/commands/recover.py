"""`lodestone recover`: a damaged bag into a whole one."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from lodestone_cli.console import console
from lodestone_core.bags.recover import recover


def run(bag: Path, out: Path | None) -> int:
    """Repair `bag` into a new folder; 1 when no message could be saved."""
    target = out or bag.with_name(f"{bag.stem}_recovered")
    with Progress(console=console()) as progress:
        task = progress.add_task("recovering", total=1.0)
        recovery = recover(bag, target, lambda share: progress.update(task, completed=share))
    for topic, count in sorted(recovery.counts.items()):
        console().print(f"{count:8d}  {topic}")
    for sentence in recovery.lost:
        console().print(f"lost: {sentence}")
    console().print(f"{recovery.message_count} messages in {target}")
    return int(recovery.message_count == 0)
