"""One self-contained report.html: the verdict in a sentence, figures, pictures, tables and where they come from."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from lodestone_core.results.result import Cell, Picture, Result, Row, Table
from lodestone_core.results.table import interval_text, limit_text, number_text, verdict

# A longer table is in its CSV; a page with a thousand rows is read by nobody.
_MAX_ROWS = 30

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea; --good: #1b7f4b; --bad: #b3261e; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.verdict { font-size: 1.1rem; font-weight: 600; border-left: .35rem solid var(--soft); padding: .4rem .9rem; }
.verdict.good { border-color: var(--good); color: var(--good); } .verdict.bad { border-color: var(--bad); color: var(--bad); }
table { border-collapse: collapse; font-size: .9rem; margin: .5rem 0; } .scroll { overflow-x: auto; }
th { text-align: left; color: var(--soft); font-weight: 600; } th, td { padding: .28rem .8rem .28rem 0; }
tr { border-bottom: 1px solid var(--line); } td { white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
th.number { text-align: right; } td.good { color: var(--good); } td.bad { color: var(--bad); font-weight: 700; }
figure { margin: 1.2rem 0 1.8rem; } figure img { width: 100%; height: auto; } figcaption, .soft { color: var(--soft); font-size: .9rem; }
code { font-size: .85rem; overflow-wrap: anywhere; } footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .6rem; }
"""


def render_report(result: Result, folder: Path) -> str:
    """The page as text; the pictures are read from `folder` and stand in the page itself."""
    mood = "" if not result.judged else "good" if result.passed else "bad"
    parts = [
        f"<h1>{escape(result.title)}</h1>",
        f'<p class="verdict {mood}">{escape(verdict(result))}</p>',
        *(_note(note) for note in result.notes),
        *(_picture(picture, folder) for picture in result.pictures),
        "<h2>All figures</h2>",
        _figures(result.rows),
        *(_table(table) for table in result.tables),
        _origin(result),
        '<footer class="soft">Lodestone. For research use only; not a medical device.</footer>',
    ]
    head = f'<meta charset="utf-8"><title>{escape(result.protocol)}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head>\n<body>\n{body}\n</body></html>\n'


def _figures(rows: Sequence[Row]) -> str:
    columns = ("method", "case", "metric", "value", "unit", "95 % interval", "n", "limit", "")
    numbers = {3, 5, 6, 7}
    return _html_table(columns, (_figure_cells(row) for row in rows), numbers)


def _figure_cells(row: Row) -> list[str]:
    verdict_of = {True: '<td class="good">pass</td>', False: '<td class="bad">MISS</td>', None: "<td></td>"}
    texts = [row.method, row.case, row.metric]
    figures = [number_text(row.value), interval_text(row), str(row.n), limit_text(row)]
    value, interval, count, limit = (f'<td class="number">{escape(text)}</td>' for text in figures)
    unit = f"<td>{escape(row.unit)}</td>"
    return [*(f"<td>{escape(text)}</td>" for text in texts), value, unit, interval, count, limit, verdict_of[row.passed]]


def _note(note: str) -> str:
    return f'<p class="soft">{escape(note)}</p>'


def _picture(picture: Picture, folder: Path) -> str:
    data = base64.b64encode((folder / picture.file).read_bytes()).decode("ascii")
    caption = escape(picture.caption)
    return f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'


def _table(table: Table) -> str:
    shown = table.rows[:_MAX_ROWS]
    numbers = {i for i in range(len(table.columns)) if shown and not isinstance(shown[0][i], str)}
    body = _html_table(table.columns, ([_cell(cell) for cell in row] for row in shown), numbers)
    rest = len(table.rows) - len(shown)
    more = f"; {rest} more rows there" if rest else ""
    where = f'<p class="soft"><code>{escape(table.name)}.csv</code>{more}</p>'
    return f"<h2>{escape(table.caption)}</h2>\n{body}\n{where}"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    return f'<td class="number">{_number(cell)}</td>'


def _number(value: int | float) -> str:
    """A cell's number: coordinates keep their hundredths, what is small its digits."""
    if isinstance(value, int) or not math.isfinite(value) or abs(value) < 10.0:
        return number_text(value)
    return f"{value:.2f}"


def _origin(result: Result) -> str:
    provenance = result.provenance
    facts = [
        ("protocol", result.protocol),
        ("commit", provenance.commit),
        ("date", provenance.date),
        ("machine", provenance.machine),
        ("seed", str(provenance.seed)),
        *((f"input {name}", f"sha256 {digest}") for name, digest in provenance.inputs.items()),
    ]
    rows = ([f"<td>{escape(name)}</td>", f"<td><code>{escape(text)}</code></td>"] for name, text in facts)
    return "<h2>Where these figures come from</h2>\n" + _html_table((), rows, set())


def _html_table(columns: Sequence[str], rows: Iterable[list[str]], numbers: set[int]) -> str:
    heads = "".join(
        f'<th class="number">{escape(name)}</th>' if i in numbers else f"<th>{escape(name)}</th>" for i, name in enumerate(columns)
    )
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f'<div class="scroll"><table>\n<tr>{heads}</tr>\n{body}\n</table></div>'
