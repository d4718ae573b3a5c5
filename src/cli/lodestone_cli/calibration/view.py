"""The terminal's picture of a calibration walk: the volume in slices, the next place, the predicted error."""

from __future__ import annotations

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from em_registration.calibration.assess import Verdict
from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.guide import Guide
from em_registration.calibration.space import TURNS

_SHADES = ("red", "yellow", "yellow", "green", "green", "bold green")


def picture(guide: Guide, config: CalibrationConfig) -> RenderableType:
    """All that there is to see now."""
    return Group(Text(guide.status), *slices(guide), Text(figures(guide, config)), Text(f"next: {guide.asked()}", style="bold"))


def figures(guide: Guide, config: CalibrationConfig) -> str:
    """The predicted error and what it rests on, in one line."""
    found = guide.walk.assessment
    if found is None:
        return "predicted error: not known yet"
    said = [
        f"{found.count} correspondences",
        f"{found.covered_share:.0%} of the cells, {(found.covered > 0).mean():.0%} of cells and tilts",
        f"predicted error (95 %) {found.error_mm:.2f} mm, limit {config.limit_mm:g} mm",
        f"noise {found.noise_mm:.2f} mm a coordinate",
        f"probability of a distortion {found.evidence_non_rigid:.0%}",
    ]
    verdict = guide.walk.verdict
    return "; ".join(said) + ("" if verdict is Verdict.COLLECT else f"\n{verdict.value}")


def slices(guide: Guide) -> list[RenderableType]:
    """A table of cells for each layer of z, from low to high: how many of the tilts are covered; the tip and the next place marked."""
    found, space = guide.walk.assessment, guide.walk.space
    if found is None or space is None:
        return []
    n = space.cells
    tilts = (found.covered > 0).sum(axis=1).reshape(n, n, n)
    marks = {_cell(space.cells_of(found.next.T_image_tip[None, :3, 3])[0]): "◎"}
    tip = guide.tip_image_mm()
    if tip is not None:
        marks[_cell(space.cells_of(tip[None])[0])] = "●"
    # y runs downward as rows, x to the right.
    grid = Table.grid(padding=(0, 3))
    low, high = space.low_mm[2], space.high_mm[2]
    edges = np.linspace(low, high, n + 1)
    grid.add_row(*(f"z {edges[k]:.0f} to {edges[k + 1]:.0f} mm" for k in range(n)))
    for y in range(n):
        grid.add_row(*(_row(tilts[z, y], marks, (z * n + y) * n) for z in range(n)))
    return [grid, Text(f"a digit: tilts covered, of {TURNS}; x to the right, y downward; ● the tip, ◎ where to go", style="dim")]


def _row(tilts: np.ndarray, marks: dict[int, str], first: int) -> Text:
    row = Text()
    for x, count in enumerate(tilts.tolist()):
        row.append(f"{count}{marks.get(first + x, ' ')} ", style=_SHADES[count])
    return row


def _cell(number: np.integer) -> int:
    return int(number)
