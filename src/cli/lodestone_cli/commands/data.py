"""`lodestone data`: list the recordings, say where they are, fetch them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress
from rich.table import Column, Table

from lodestone_cli.console import console
from lodestone_cli.recordings.fetch import fetch as fetch_recording
from lodestone_cli.recordings.places import Holdings, data_folder, holdings
from lodestone_cli.recordings.registry import RecordedFile, Recording, select


def run(names: Sequence[str], *, fetch: bool, files: bool) -> int:
    """Print the table; 1 when a recording that was asked for is not complete after `--fetch`, else 0."""
    chosen = select(names)
    folder = data_folder(os.environ)
    if fetch:
        _fetch(chosen, folder)
    found = {recording.name: holdings(recording, folder) for recording in chosen}
    console().print(_table(chosen, found, folder))
    if files or names:
        for recording in chosen:
            _print_files(recording, found[recording.name])
    return int(fetch and not all(held.complete for held in found.values()))


def _fetch(chosen: Sequence[Recording], folder: Path) -> None:
    total = sum(len(holdings(recording, folder).missing) for recording in chosen)
    by_hand: list[RecordedFile] = []
    with Progress(console=console()) as progress:
        task = progress.add_task("fetching", total=total)
        for recording in chosen:
            by_hand += fetch_recording(recording, folder, lambda path: progress.update(task, advance=1, description=path))
    for file in by_hand:
        console().print(f"to be placed by hand: {folder / file.path} (SHA-256 {file.sha256})")


def _table(chosen: Sequence[Recording], found: dict[str, Holdings], folder: Path) -> Table:
    headers = ("recording", "measured", "repository on GitHub", "commit", "licence", "SHA-256", "here")
    table = Table(*(Column(header, overflow="fold") for header in headers), title=f"recordings in {folder}")
    for recording in chosen:
        row = (recording.name, recording.measured, recording.repository, recording.commit[:12], recording.licence, recording.sha256[:16])
        table.add_row(*row, _state(found[recording.name]))
    return table


def _state(held: Holdings) -> str:
    total = len(held.present) + len(held.missing) + len(held.different)
    if held.complete:
        return f"all {total} files"
    if not held.present and not held.different:
        return "no"
    return f"{len(held.present)} of {total} files" + (f", {len(held.different)} differ" if held.different else "")


def _print_files(recording: Recording, held: Holdings) -> None:
    """Lines as `sha256sum` writes and checks them, then the source."""
    for file in recording.files:
        here = "here" if file in held.present else "differs" if file in held.different else "missing"
        console().print(f"{file.sha256}  {file.path}  # {here}; {recording.url(file) or 'to be placed by hand'}", soft_wrap=True)
