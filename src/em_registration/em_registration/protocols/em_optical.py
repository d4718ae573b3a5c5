"""EM sensors and an optical marker on one rigid tool: registered on one recording, tested on another.

The truth is the optical tracker (its own error is 0.2 to 0.3 mm), interpolated at the time of each EM sample. The test
recording goes through the same Pipeline that the node runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.paired_poses import Provenance, register_streams
from em_registration.protocols.corrected_track import TrackError, corrected, track_error
from em_registration.registration import Registration
from lodestone_core import metrics, se3
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.formats.tracking_text import RecordedStream, read_em_tracking, read_optical_tracking
from lodestone_core.hand_eye import StreamConfig
from lodestone_core.pose_stream import PoseStream, as_pose_stream
from lodestone_core.results import (
    Picture,
    Progress,
    Result,
    Row,
    Table,
    conclude,
    methods_of,
    pictures,
    row_of,
    settings_of,
    tell,
)
from lodestone_core.time import NS_PER_S

Array = npt.NDArray[np.float64]
Errors = Mapping[str, TrackError]

RIGID, NO_TIME_OFFSET = "rigid", "no_time_offset"


@dataclass(frozen=True, slots=True)
class EmOpticalConfig:
    """Settings of the protocol."""

    streams: StreamConfig = section(StreamConfig, doc="registration from the streams of both trackers")
    block_samples: int = option(20, unit="samples", doc="neighbours in time that hang together, for the confidence intervals", minimum=1)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Register on the calibration pair of recordings, test on the other pair. Raises InputError for bad input."""
    config = settings_of(protocol, EmOpticalConfig)
    known = (RIGID, NO_TIME_OFFSET)
    model = registered(inputs, config)
    tell(progress, 0.3, f"registered on {model.n} pairs of poses")
    errors = {method: tested(_variant(model, method), inputs, config) for method in methods_of(protocol, known)}
    tell(progress, 0.8, "test recording corrected")
    rows = [row for method, by_tool in errors.items() for row in _rows(method, by_tool, protocol["seed"], config)]
    rows += _calibration_rows(model)
    main = next(iter(errors.values()))
    tables = [_registration_table(model), _sample_table(main)]
    return conclude(protocol, inputs, rows, tables, _pictures(main, out), _notes(main))


def registered(inputs: Mapping[str, Path], config: EmOpticalConfig) -> Registration:
    """The registration from the calibration pair of recordings."""
    em = {name: valid_stream(name, stream) for name, stream in read_sensors(inputs["em_calibration"]).items()}
    reference = valid_stream("optical marker", read_optical_tracking(inputs["optical_calibration"]))
    # No date and no path: the same recordings give the same registration.
    return register_streams(em, reference, Provenance(created="", version=""), config.streams)


def read_sensors(path: Path) -> dict[str, RecordedStream]:
    """Sensors by name; a port without a sensor is recorded as one that is never seen, and left out."""
    return {f"sensor_{number}": stream for number, stream in read_em_tracking(path).items() if stream.valid.any()}


def valid_stream(name: str, stream: RecordedStream) -> PoseStream:
    """The valid samples of a recorded stream."""
    kept = stream.valid_only()
    return as_pose_stream(name, kept.stamps_ns, kept.T_tracker_body)


def _variant(model: Registration, method: str) -> Registration:
    """The registration as a method uses it."""
    if method == RIGID:
        return model
    return replace(model, tools={name: replace(tool, time_offset_s=0.0) for name, tool in model.tools.items()})


def tested(model: Registration, inputs: Mapping[str, Path], config: EmOpticalConfig) -> dict[str, TrackError]:
    """Errors of every tool of the test recording, which goes through the pipeline that a node runs."""
    recording = {name: stream for name, stream in read_sensors(inputs["em_test"]).items() if name in model.tools}
    if not recording:
        remedy = "calibrate and test with recordings of one tool"
        raise InputError(str(inputs["em_test"]), expected=f"one of {', '.join(model.tools)}", got="none", remedy=remedy)
    reference = valid_stream("optical marker", read_optical_tracking(inputs["optical_test"]))
    found = {}
    for name, estimates in corrected(model, recording).items():
        found[name] = track_error(estimates, model.tools[name], reference, config.streams.pairing)
        if not len(found[name].stamps_ns):
            got, remedy = "none", "check that both files are of one recording and carry one clock"
            raise InputError(f"{name} in {inputs['em_test']}", expected="samples with optical truth", got=got, remedy=remedy)
    return found


def _rows(method: str, errors: Errors, seed: int, config: EmOpticalConfig) -> list[Row]:
    rows = []
    for case, error in errors.items():
        block = config.block_samples
        # Where no pose at all was usable every figure is infinite, and no limit is kept.
        usable = error.usable if error.usable.any() else ~error.usable
        kept = error.error_mm[usable]
        angle_deg = np.degrees(error.angle_rad[usable])
        tre = metrics.rmse(kept, "mm", seed, block).named("tre_rms")
        figures = [
            tre,
            metrics.percentile(error.error_mm, 50, "mm", seed, block).named("tre_p50"),
            metrics.percentile(error.error_mm, 95, "mm", seed, block).named("tre_p95"),
            metrics.rmse(angle_deg, "deg", seed, block).named("rotation_rms"),
            metrics.success_rate(error.error_mm, np.finfo(np.float64).max, seed, block).named("usable_share"),
            metrics.coverage(kept, error.predicted_mm[usable], seed, block).named("coverage_95"),
            metrics.radius_ratio(error.error_mm, error.predicted_mm[usable]),
        ]
        # A variant is there for comparison: one figure of it is enough.
        rows += [row_of(figure, method, case) for figure in (figures if method == RIGID else [tre])]
    return rows


def _calibration_rows(model: Registration) -> list[Row]:
    rows = []
    for case, tool in model.tools.items():
        rows.append(Row(RIGID, case, "calibration_rms", tool.rms_mm, "mm", tool.n))
        rows.append(Row(RIGID, case, "time_offset", 1e3 * tool.time_offset_s, "ms", tool.n))
    return rows


def _registration_table(model: Registration) -> Table:
    columns = ("transform", "x_mm", "y_mm", "z_mm", "qx", "qy", "qz", "qw")
    named = {"T_optical_em": se3.inverse(model.T_tracker_image)}
    named |= {f"T_{name}_marker": tool.T_tool_reference for name, tool in model.tools.items()}
    rows = []
    for name, T in named.items():
        quaternion, translation = se3.to_quaternion(T)
        rows.append((name, *translation.tolist(), *quaternion.tolist()))
    return Table("registration", "The registration", columns, tuple(rows))


def _sample_table(errors: Errors) -> Table:
    columns = ("sensor", "stamp_ns", "x_mm", "y_mm", "z_mm", "error_mm", "predicted_95_mm")
    rows = [
        (name, int(stamp), *place.tolist(), float(error), float(predicted))
        for name, e in errors.items()
        for stamp, place, error, predicted in zip(e.stamps_ns, e.reference_mm, e.error_mm, e.predicted_mm, strict=True)
    ]
    return Table("samples", "Error of every test sample (infinite: no usable pose)", columns, tuple(rows))


def _pictures(errors: Errors, out: Path) -> list[Picture]:
    shown = {name: e for name, e in errors.items() if e.usable.any()}
    if not shown:
        return []
    start_ns = min(int(e.stamps_ns[0]) for e in shown.values())
    shares = {name: e.error_mm[e.usable] for name, e in shown.items()}
    over_time = {name: ((e.stamps_ns[e.usable] - start_ns) / NS_PER_S, shares[name]) for name, e in shown.items()}
    in_space = {name: (e.reference_mm[e.usable], shares[name]) for name, e in shown.items()}
    return [
        pictures.error_over_time(out / "over_time.png", over_time, "Error of every test sample at the optical marker."),
        pictures.error_distribution(out / "distribution.png", shares, "How the errors of the test samples are distributed."),
        pictures.error_in_space(out / "in_space.png", in_space, "Where in the optical tracker's frame the errors are."),
    ]


def _notes(errors: Errors) -> list[str]:
    lost = "; ".join(f"{name}: {np.count_nonzero(~e.usable)} of {len(e.error_mm)}" for name, e in errors.items())
    why = [f"{name} without a usable pose, most often: {e.refusal}." for name, e in errors.items() if e.refusal]
    return [
        "The truth is the optical tracker, whose own error is 0.2 to 0.3 mm; it is part of every figure here.",
        f"tre_rms is over the samples with a usable pose; percentiles count the others as infinite ({lost}).",
        *why,
    ]
