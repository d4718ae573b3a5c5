"""EM calibration sets of a course, simulated: the two pivot calibrations and C_expected against the given outputs.

Distortion is not corrected here; where a set's expected output rests on such a correction, the error shows what it is
worth. Frames as in lodestone_core.formats.cis: the first frame of a pivot defines the probe's own frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from em_registration.protocols.cis_sets import CisConfig, SetResult, find_sets, solve_set
from lodestone_core.results import Picture, Progress, Result, Row, Table, conclude, methods_of, pictures, settings_of, tell

RIGID = "rigid"
_TRACKERS = ("em", "optical")
_SHOWN = {"em": "EM", "optical": "optical"}


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Both pivots and C_expected of every set. Raises InputError for bad input."""
    methods_of(protocol, (RIGID,))
    config = settings_of(protocol, CisConfig)
    names = find_sets(inputs["sets"], config)
    found = []
    for index, name in enumerate(names):
        tell(progress, index / len(names), name)
        found.append(solve_set(inputs["sets"], name, config))
    rows = [_summary(tracker, found) for tracker in _TRACKERS] + [row for one in found for row in _rows(one)]
    return conclude(protocol, inputs, rows, [_table(found)], [_picture(found, out, config)], _notes(found, config))


def _summary(tracker: str, found: list[SetResult]) -> Row:
    """Largest pivot error over the sets that are free of noise for this tracker; not a number when there is none."""
    errors = [one.pivots[tracker].error_mm for one in found if one.pivots[tracker].noise_free]
    return Row(RIGID, "noise_free_sets", f"{tracker}_pivot_error_max", max(errors, default=float("nan")), "mm", len(errors))


def _rows(one: SetResult) -> list[Row]:
    pivots = [Row(RIGID, one.name, f"{t}_pivot_error", one.pivots[t].error_mm, "mm", one.pivots[t].frames) for t in _TRACKERS]
    expected = Row(RIGID, one.name, "c_expected_error_rms", one.c_error_rms_mm, "mm", one.c_points)
    return [*pivots, expected]


def _table(found: list[SetResult]) -> Table:
    columns = ["set"]
    for tracker in _TRACKERS:
        columns += [f"{tracker}_{what}" for what in ("noise_free", "error_mm", "pivot_rms_mm", "fit_rms_mm", "x_mm", "y_mm", "z_mm")]
    columns += ["c_expected_rms_mm", "c_expected_max_mm", "c_given_fit_rms_mm"]
    rows = []
    for one in found:
        cells: list[str | int | float] = [one.name]
        for tracker in _TRACKERS:
            p = one.pivots[tracker]
            cells += ["yes" if p.noise_free else "no", p.error_mm, p.rms_mm, p.fit_rms_mm, *p.position_mm.tolist()]
        rows.append((*cells, one.c_error_rms_mm, one.c_error_max_mm, one.c_given_fit_rms_mm))
    return Table("sets", "Every set", tuple(columns), tuple(rows))


def _picture(found: list[SetResult], out: Path, config: CisConfig) -> Picture:
    errors: dict[str, dict[str, float]] = {}
    for tracker in _TRACKERS:
        for quiet, words in ((True, "free of noise"), (False, "noise or distortion")):
            chosen = {one.name: one.pivots[tracker].error_mm for one in found if one.pivots[tracker].noise_free is quiet}
            if chosen:
                errors[f"{_SHOWN[tracker]} pivot, {words}"] = chosen
    caption = "Distance of each pivot from the given output. The limit holds for the sets that are free of noise."
    return pictures.error_by_case(out / "pivots.png", errors, caption, config.print_step_mm)


def _notes(found: list[SetResult], config: CisConfig) -> list[str]:
    quiet = {t: [one.name for one in found if one.pivots[t].noise_free] for t in _TRACKERS}
    listed = "; ".join(f"{_SHOWN[t]}: {', '.join(names) or 'none'}" for t, names in quiet.items())
    return [
        "The data are simulated with known distortion and noise; the expected outputs come with the sets.",
        f"A set counts as free of noise for a tracker when no rigid fit of that tracker's markers, nor its pivot, leaves more than "
        f"{config.max_noise_free_rms_mm:.3f} mm RMS: three times what printing to {config.print_step_mm:g} mm leaves. {listed}.",
        "C_expected is the rigid chain through the optical tracker, without distortion correction. Where it misses, the given "
        "values are no rigid image of the object's own markers either (c_given_fit_rms_mm in the table), so no chain meets them.",
    ]
