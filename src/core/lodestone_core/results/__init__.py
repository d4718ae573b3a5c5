"""Results are files: result.json, a CSV per table, pictures and one self-contained report.html."""

from lodestone_core.results.protocol import (
    Progress,
    conclude,
    load_protocol,
    methods_of,
    resolve_inputs,
    run_protocol,
    settings_of,
    tell,
)
from lodestone_core.results.provenance import Provenance, collect_provenance
from lodestone_core.results.result import Picture, Result, Row, Table, row_of
from lodestone_core.results.table import show
from lodestone_core.results.thresholds import Threshold
from lodestone_core.results.write import write_result

__all__ = [
    "Picture",
    "Progress",
    "Provenance",
    "Result",
    "Row",
    "Table",
    "Threshold",
    "collect_provenance",
    "conclude",
    "load_protocol",
    "methods_of",
    "resolve_inputs",
    "row_of",
    "run_protocol",
    "settings_of",
    "show",
    "tell",
    "write_result",
]
