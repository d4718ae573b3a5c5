"""What an evaluation or a benchmark found: figures with their limits, tables, pictures and where they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lodestone_core.metrics import Metric
from lodestone_core.results.provenance import Provenance

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: `value` in `unit` over `n` samples, `ci95` its 95 % confidence interval where one is known.

    With a `threshold` the figure passes when it is not above it (`at_least`: not below it); a value that is not finite
    is a failure.
    """

    method: str
    case: str
    metric: str
    value: float
    unit: str
    n: int
    ci95: tuple[float, float] | None = None
    threshold: float | None = None
    at_least: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether the threshold is kept; None without one."""
        if self.threshold is None:
            return None
        kept = self.value >= self.threshold if self.at_least else self.value <= self.threshold
        return kept and math.isfinite(self.value)

    def judged(self, threshold: float, at_least: bool = False) -> Row:
        """The same figure with a threshold."""
        return replace(self, threshold=threshold, at_least=at_least)


def row_of(metric: Metric, method: str, case: str) -> Row:
    """The row of a metric; an interval that is not known (NaN) is left out."""
    known = metric.ci95 is not None and all(math.isfinite(end) for end in metric.ci95)
    return Row(method, case, metric.name, metric.value, metric.unit, metric.n, metric.ci95 if known else None)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that becomes `<name>.csv`; `columns` carry their units, each row has one cell a column."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture written beside the result; `file` is its name there, `caption` says what to see in it."""

    file: str
    caption: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that one run found. `title` is its question in one line, `notes` what a reader must know to judge it."""

    protocol: str
    title: str
    provenance: Provenance
    rows: tuple[Row, ...]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> tuple[Row, ...]:
        """The rows that have a threshold."""
        return tuple(row for row in self.rows if row.passed is not None)

    @property
    def missed(self) -> tuple[Row, ...]:
        """The rows that miss their threshold."""
        return tuple(row for row in self.rows if row.passed is False)

    @property
    def passed(self) -> bool:
        """Whether no threshold is missed."""
        return not self.missed
