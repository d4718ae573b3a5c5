"""`lodestone up`: find the launch file, plan it, run it."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from lodestone_cli.checkout import find_checkout
from lodestone_cli.console import DISCLAIMER, console
from lodestone_cli.launch_file.arguments import parse_arguments
from lodestone_cli.launch_file.interpreter import Plan, read_arguments, read_plan
from lodestone_cli.launch_file.packages import find_prefix
from lodestone_cli.launch_file.place import nearest
from lodestone_cli.runner.printer import Printer, log_folder
from lodestone_cli.runner.supervisor import supervise
from lodestone_core.errors import InputError


def run(file: str, words: Sequence[str], *, show_arguments: bool, dry_run: bool) -> int:
    """Run a launch file and return the exit code of the whole, see `supervise`."""
    path = find_launch_file(file, os.environ)
    if show_arguments:
        _print_arguments(path)
        return 0
    with tempfile.TemporaryDirectory(prefix="lodestone_up_") as folder:
        plan = read_plan(path, parse_arguments(words), os.environ, Path(folder))
        if dry_run:
            for spec in plan.processes:
                console().print(f"{spec.name}: {shlex.join(spec.command)}", soft_wrap=True)
            return 0
        return _run(path, plan)


def find_launch_file(file: str, environment: Mapping[str, str]) -> Path:
    """The path itself, else the file of that name in the package lodestone_bringup, installed or in the checkout.

    Raises InputError with the names that there are.
    """
    path = Path(file)
    if path.is_file():
        return path
    prefix, checkout = find_prefix("lodestone_bringup", environment), find_checkout()
    folders = [prefix / "share" / "lodestone_bringup"] if prefix else []
    folders += [checkout / "launch"] if checkout else []
    for folder in folders:
        if path.name == file and (folder / file).is_file():
            return folder / file
    names = {found.name for folder in folders for found in folder.glob("*.launch.yaml")}
    remedy = f"give a path or the name of an installed launch file ({nearest(file, names)})"
    raise InputError("launch file", expected="an existing file", got=f"'{file}'", remedy=remedy)


def _run(path: Path, plan: Plan) -> int:
    folder = log_folder(os.environ)
    log = folder / f"lodestone-{time.strftime('%Y-%m-%d-%H-%M-%S')}-{os.getpid()}" / "launch.log" if folder else None
    printer = Printer(log)
    try:
        printer.notice(DISCLAIMER)
        printer.notice(f"{path}: {len(plan.processes)} processes" + (f", log in {log}" if log else ""))
        return supervise(plan.processes, printer)
    finally:
        printer.close()


def _print_arguments(path: Path) -> None:
    table = Table("argument", "default", "what it is", title=path.name)
    for argument in read_arguments(path, os.environ):
        choices = f" (one of {', '.join(argument.choices)})" if argument.choices else ""
        default = "(required)" if argument.default is None else argument.default
        table.add_row(argument.name, default, argument.description + choices)
    console().print(table)
