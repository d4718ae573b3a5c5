"""`lodestone evaluate`: a protocol on recordings, with a table on the terminal and the result as files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.progress import Progress

from em_registration.protocols import PROTOCOLS as EM_PROTOCOLS
from guidewire_recon.protocols import PROTOCOLS as GUIDEWIRE_PROTOCOLS
from lodestone_cli.benchmarks import BENCHMARKS
from lodestone_cli.console import console
from lodestone_cli.protocols import PROTOCOLS as SIMULATED
from lodestone_cli.recordings.places import data_folder
from lodestone_core.errors import InputError
from lodestone_core.results import load_protocol, run_protocol, show

PROTOCOLS: Mapping[str, str] = {**EM_PROTOCOLS, **GUIDEWIRE_PROTOCOLS, **SIMULATED, **BENCHMARKS}
"""The function behind each `protocol:` of a protocol file, imported when it is asked for."""


def run(protocol: Path, data: Path | None, settings: Iterable[str], out: Path | None) -> int:
    """Run a protocol file; 1 when a limit is missed."""
    overrides = parse_settings(settings)
    folder = out or Path("out", "evaluate", str(load_protocol(protocol)["protocol"]))
    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("reading", total=1.0)

        def tell(share: float, what: str) -> None:
            progress.update(task, completed=share, description=what)

        result = run_protocol(protocol, data or _default_data(), overrides, folder, tell, registry=PROTOCOLS)
    show(result, console(markup=True))
    console().print(f"written to {folder}")
    return int(not result.passed)


def parse_settings(settings: Iterable[str]) -> dict[str, Path]:
    """`inputs.NAME=PATH` words as a mapping. Raises InputError for anything else."""
    found = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        name = key.removeprefix("inputs.")
        if not separator or not value or name == key or not name:
            remedy = "write for instance --set inputs.poses=my/poses"
            raise InputError("--set", expected="inputs.NAME=PATH", got=f"'{setting}'", remedy=remedy)
        found[name] = Path(value)
    return found


def _default_data() -> Path | None:
    try:
        folder = data_folder(os.environ)
    except InputError:
        # Every input may be given with --set; one that is not says itself what is missing.
        return None
    return folder if folder.is_dir() else None
