"""`lodestone bench`: every benchmark protocol of the checkout, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lodestone_cli.benchmarks import BENCHMARKS
from lodestone_cli.benchmarks.process_memory import idle_load_percent
from lodestone_cli.checkout import find_checkout
from lodestone_cli.commands import evaluate
from lodestone_cli.console import console
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError


def run(names: Sequence[str], out: Path) -> int:
    """Run the named benchmarks, or all; 1 when any limit is missed."""
    checkout = find_checkout()
    if checkout is None:
        raise InputError("lodestone bench", expected="a checkout with evaluation/protocols", got="none", remedy="run it in a clone")
    for name in names:
        if name not in BENCHMARKS:
            raise unknown_key(name, list(BENCHMARKS), "", "lodestone bench")
    console().print(f"idle load of this machine: {idle_load_percent():.0f} %")
    missed = 0
    for name in names or BENCHMARKS:
        missed |= evaluate.run(checkout / "evaluation" / "protocols" / f"{name}.yaml", None, (), out / name)
    return missed
