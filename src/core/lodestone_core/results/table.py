"""The table that a command prints."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from lodestone_core.results.result import Result, Row

_WIDE = 110
_NAMED = 4
_VERDICT = {True: "[green]pass[/green]", False: "[bold red]MISS[/bold red]", None: ""}


def show(result: Result, console: Console | None = None) -> None:
    """Print the result's figures and its verdict."""
    console = console or Console()
    console.print(figures(result, wide=console.width >= _WIDE))
    console.print(verdict(result), style="green" if result.passed else "bold red")


def figures(result: Result, wide: bool = True) -> RichTable:
    """The rows of a result as a table for a terminal; the confidence intervals only where it is wide."""
    table = RichTable(title=result.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("method", "case", "metric"):
        table.add_column(heading, overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit")
    if wide:
        table.add_column("95 % interval", no_wrap=True)
    for heading in ("n", "limit", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result.rows:
        interval = [interval_text(row)] if wide else []
        ends = (str(row.n), limit_text(row), _VERDICT[row.passed])
        table.add_row(row.method, row.case, row.metric, number_text(row.value), row.unit, *interval, *ends)
    return table


def verdict(result: Result) -> str:
    """One sentence: whether the thresholds passed, with the figures that were judged, or those that missed."""
    judged, missed = result.judged, result.missed
    if not judged:
        return "No threshold is set for these figures."
    count = "The threshold" if len(judged) == 1 else f"All {len(judged)} thresholds"
    head = f"{len(missed)} of {len(judged)} thresholds missed" if missed else f"{count} passed"
    named = [f"{row.case} {row.metric} {number_text(row.value)} {row.unit} ({limit_text(row)})" for row in missed or judged]
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{head}: {'; '.join(named[:_NAMED])}{more}."


def number_text(value: float) -> str:
    """A figure to three significant digits, without an exponent where that is readable."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "infinite"
    if value == int(value) and abs(value) < 1e7:
        return str(int(value))
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return f"{value:.2e}"


def limit_text(row: Row) -> str:
    """The limit of a row as "at most" or "at least"; empty without one."""
    if row.threshold is None:
        return ""
    return f"{'>=' if row.at_least else '<='} {row.threshold:g}"


def interval_text(row: Row) -> str:
    """The confidence interval of a row; empty where none is known."""
    return "" if row.ci95 is None else f"{number_text(row.ci95[0])} to {number_text(row.ci95[1])}"
