"""Protocol `em_metal`: a bag in which metal came into the tracker's field and left it; what the poses were called meanwhile.

The reference tracker, which metal does not disturb, says how far off each corrected pose was; the pipeline, run again over the recorded
frames, what it called it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.correction import corrected_frame
from em_registration.protocols.em_bag import adopted_registration, reference_stream
from em_registration.registration import ToolCalibration
from em_registration.replay import ReplayTopics, recorded_config, replay
from lodestone_core import se3
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, State
from lodestone_core.pose_stream import PairingConfig, PoseStream
from lodestone_core.results import Picture, Result, Row, Table, conclude, pictures, settings_of, tell
from lodestone_core.results.protocol import Progress

Array = npt.NDArray[np.float64]
_COLOURS = {State.OK: "#009E73", State.DEGRADED: "#E69F00", State.INVALID: "#D55E00"}


@dataclass(frozen=True, slots=True)
class EmMetalConfig:
    """What counts as bad."""

    reference_topic: str = option("/reference/measured_cp", doc="poses of the marker body in the image frame")
    bad_mm: float = option(2.0, unit="mm", doc="distance from the reference above which a pose is bad", minimum=0.0)
    pairing: PairingConfig = section(PairingConfig, doc="when a reference pose may be interpolated")


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """One tool at the samples (N,) where the reference tells the truth; an error is infinite where there was no pose at all."""

    time_s: Array
    error_mm: Array
    expected_mm: Array
    ok: npt.NDArray[np.bool_] = field(repr=False)
    states: Sequence[State] = field(repr=False)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Evaluate a bag. Raises InputError when it lacks what is needed, and when nothing disturbed the tracker in it."""
    config = settings_of(protocol, EmMetalConfig)
    bag, names = inputs["bag"], ReplayTopics()
    model = adopted_registration(bag, names)
    reference = reference_stream(bag, config.reference_topic)
    tell(progress, 0.2, "running the pipeline again")
    estimates = replayed(bag, {corrected_frame(recorded_config(bag, names.config), name): name for name in model.tools})
    timelines = {name: timeline(estimates[name], model.tools[name], reference, config.pairing) for name in model.tools}
    rows = [row for name, line in timelines.items() for row in rows_of(name, line, config.bad_mm)]
    tell(progress, 0.9, "drawing")
    return conclude(protocol, inputs, rows, [table_of(timelines)], [draw(timelines, config.bad_mm, out)])


def replayed(bag: Path, tool_of: Mapping[str, str]) -> dict[str, list[Estimate]]:
    """Every estimate of every tool, whatever its state."""
    found: dict[str, list[Estimate]] = {name: [] for name in tool_of.values()}
    for update in replay(bag):
        for estimate in update.estimates:
            if estimate.child in tool_of and estimate.state is not State.INITIALISING:
                found[tool_of[estimate.child]].append(estimate)
    return found


def timeline(estimates: Sequence[Estimate], tool: ToolCalibration, reference: PoseStream, pairing: PairingConfig) -> Timeline:
    """How far each estimate's reference point was from where the reference saw it."""
    stamps_ns = np.array([estimate.stamp_ns for estimate in estimates], dtype=np.int64)
    judged = np.flatnonzero(reference.covers(stamps_ns, tool.time_offset_s, pairing))
    truth = reference.at(stamps_ns[judged], tool.time_offset_s)[:, :3, 3]
    missing = np.full((4, 4), np.inf)
    poses = [estimates[i].T_parent_child for i in judged.tolist()]
    T = np.array([missing if pose is None else pose for pose in poses]).reshape(-1, 4, 4)
    posed = np.isfinite(T).all(axis=(1, 2))
    error_mm = np.full(len(judged), np.inf)
    error_mm[posed] = np.linalg.norm(se3.transform(T[posed], tool.T_tool_reference[:3, 3]) - truth[posed], axis=1)
    states = [estimates[i].state for i in judged.tolist()]
    expected = np.array([estimates[i].expected_tre_mm for i in judged.tolist()])
    ok = np.array([state is State.OK for state in states])
    return Timeline((stamps_ns[judged] - stamps_ns[0]) / 1e9, error_mm, expected, ok, states)


def rows_of(name: str, line: Timeline, bad_mm: float) -> list[Row]:
    """Bad poses that were called OK, how soon the first was not, and what became of the good ones before and after."""
    bad = line.error_mm > bad_mm
    if not bad.any():
        remedy = "record a run with metal, as lodestone demo --metal does"
        raise InputError(f"tool {name}", expected=f"poses further than {bad_mm:g} mm off", got="none", remedy=remedy)
    first, last = int(np.argmax(bad)), int(len(bad) - 1 - np.argmax(bad[::-1]))
    # An alarm before the first bad pose is early, not late.
    alarm = next((i for i in range(first, len(bad)) if not line.ok[i]), len(bad) - 1)
    back = next((i for i in range(last, len(bad)) if line.ok[i]), None)
    again_s = float("inf") if back is None else float(line.time_s[back] - line.time_s[last])
    before = line.ok[:first]
    case = f"tool {name}"
    usable = np.array([state.usable for state in line.states])
    return [
        Row("pipeline", case, "bad_called_ok", float(line.ok[bad].mean()), "", int(bad.sum())),
        Row("pipeline", case, "bad_called_usable", float(usable[bad].mean()), "", int(bad.sum())),
        Row("pipeline", case, "delay", float(line.time_s[alarm] - line.time_s[first]), "s", 1),
        Row("pipeline", case, "good_called_ok_before", float(before.mean()) if len(before) else 0.0, "", len(before)),
        Row("pipeline", case, "ok_again_after", again_s, "s", 1),
        Row("pipeline", case, "largest_error", float(line.error_mm[np.isfinite(line.error_mm)].max()), "mm", len(bad)),
    ]


def table_of(timelines: Mapping[str, Timeline]) -> Table:
    """Every sample that was compared."""
    rows = tuple(
        (name, float(t), float(error), float(expected), state.name)
        for name, line in timelines.items()
        for t, error, expected, state in zip(line.time_s, line.error_mm, line.expected_mm, line.states, strict=True)
    )
    return Table("timeline", "Every sample", ("tool", "time (s)", "error (mm)", "expected 95 % (mm)", "state"), rows)


def draw(timelines: Mapping[str, Timeline], bad_mm: float, out: Path) -> Picture:
    """Error against time, coloured by what the pose was called."""
    path = out / "metal.png"
    with pictures.figure_file(path, 9.0, 1.2 + 2.0 * len(timelines)) as figure:
        shared = figure.subplots(len(timelines), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, line) in zip(shared, timelines.items(), strict=True):
            for state, colour in _COLOURS.items():
                these = np.array([one is state for one in line.states]) & np.isfinite(line.error_mm)
                axes.plot(line.time_s[these], line.error_mm[these], ".", markersize=4.0, color=colour, label=state.name)
            axes.axhline(bad_mm, color="#5b6675", linestyle="--", linewidth=1.0)
            axes.set_title(f"tool {name}", loc="left", fontsize=10)
            axes.set_ylabel("error (mm)")
            axes.set_ylim(bottom=0.0)
            pictures.legend_above(axes, len(_COLOURS))
        shared[-1].set_xlabel("time (s)")
    caption = "Distance of the corrected frames from the reference tracker while metal is moved in and out, coloured by state."
    return Picture(path.name, caption)
