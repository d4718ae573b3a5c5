"""The limits that a protocol sets, and laying them on the rows it produced."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lodestone_core.config import load_config, option
from lodestone_core.errors import InputError
from lodestone_core.results.result import Row


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit on one metric; an empty `method` or `case` means all of them. Exactly one of `max` and `min` is given."""

    metric: str = option("", doc="name of the metric")
    unit: str = option("", doc="unit of the limit, the same as the metric's")
    method: str = option("", doc="method that must keep it; empty for all")
    case: str = option("", doc="case that must keep it; empty for all")
    max: float | None = option(None, unit="unit", doc="the figure may not be above this")
    min: float | None = option(None, unit="unit", doc="the figure may not be below this")

    def concerns(self, row: Row) -> bool:
        """Whether the limit is meant for this row."""
        return row.metric == self.metric and self.method in ("", row.method) and self.case in ("", row.case)

    def __str__(self) -> str:
        named = " ".join(part for part in (self.method, self.case, self.metric) if part)
        sign, limit = ("<=", self.max) if self.max is not None else (">=", self.min)
        return f"{named} {sign} {limit} {self.unit}"


def load_thresholds(entries: Any, where: str) -> tuple[Threshold, ...]:
    """The limits of a protocol file (a list of mappings). Raises InputError."""
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not all(isinstance(e, Mapping) for e in entries):
        remedy = "write '- {metric: ..., max: ..., unit: ...}' lines"
        raise InputError(f"{where}: thresholds", expected="a list of mappings", got=repr(entries), remedy=remedy)
    loaded = tuple(load_config(Threshold, entry, f"{where}: thresholds[{i}]") for i, entry in enumerate(entries))
    for index, threshold in enumerate(loaded):
        limits = [limit for limit in (threshold.max, threshold.min) if limit is not None]
        if len(limits) != 1 or not math.isfinite(limits[0]) or not threshold.metric:
            got, remedy = str(dict(entries[index])), "give one limit for one metric"
            raise InputError(f"{where}: thresholds[{index}]", expected="a metric and max or min", got=got, remedy=remedy)
    return loaded


def apply_thresholds(rows: Sequence[Row], thresholds: Sequence[Threshold], where: str) -> tuple[Row, ...]:
    """The rows with their limits; a limit without a row gets one that misses it: what is not measured has not passed.

    Raises InputError where a limit has another unit than its metric.
    """
    judged = list(rows)
    for threshold in thresholds:
        concerned = [index for index, row in enumerate(judged) if threshold.concerns(row)]
        if not concerned:
            missing = Row(threshold.method, threshold.case, threshold.metric, float("nan"), threshold.unit, 0)
            judged.append(_judge(missing, threshold, where))
        for index in concerned:
            judged[index] = _judge(judged[index], threshold, where)
    return tuple(judged)


def _judge(row: Row, threshold: Threshold, where: str) -> Row:
    if row.unit != threshold.unit:
        expected, got = f"the unit {row.unit!r} of the metric", repr(threshold.unit)
        raise InputError(f"{where}: {threshold}", expected=expected, got=got, remedy="correct unit and limit")
    if threshold.max is not None:
        return row.judged(threshold.max)
    assert threshold.min is not None  # load_thresholds lets nothing else through
    return row.judged(threshold.min, at_least=True)
