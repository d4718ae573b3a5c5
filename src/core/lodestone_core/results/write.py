"""Writing a result: result.json, a CSV per table, report.html."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.results.report import render_report
from lodestone_core.results.result import Result, Row, Table


def write_result(result: Result, out: Path) -> None:
    """Write result.json, one CSV per table and report.html into `out` (made when missing); pictures must lie there.

    Each file appears whole or not at all; result.json comes last, so where it lies everything else does.
    """
    make_folder(out)
    for table in result.tables:
        write_atomically(out / f"{table.name}.csv", _csv_text(table))
    write_atomically(out / "report.html", render_report(result, out))
    write_atomically(out / "result.json", json.dumps(to_mapping(result), indent=1, allow_nan=False) + "\n")


def make_folder(out: Path) -> None:
    """Make the folder of a result. Raises InputError where that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got, remedy = error.strerror or str(error), "choose another folder, or mend its permissions"
        raise InputError(str(out), expected="a folder to write into", got=got, remedy=remedy) from error


def to_mapping(result: Result) -> dict[str, Any]:
    """The mapping that result.json holds; a figure that is not finite becomes null."""
    provenance = result.provenance
    return {
        "protocol": result.protocol,
        "commit": provenance.commit,
        "date": provenance.date,
        "machine": provenance.machine,
        "seed": provenance.seed,
        "inputs": dict(provenance.inputs),
        "rows": [_row_mapping(row) for row in result.rows],
    }


def _row_mapping(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "case": row.case,
        "metric": row.metric,
        "value": _finite(row.value),
        "unit": row.unit,
        "n": row.n,
        "ci95": None if row.ci95 is None else [_finite(end) for end in row.ci95],
        "threshold": row.threshold,
        "pass": row.passed,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _csv_text(table: Table) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return stream.getvalue()
