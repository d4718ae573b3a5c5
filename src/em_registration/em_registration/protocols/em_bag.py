"""Protocol `em_bag`: a bag of a bench in which a reference tracker ran beside the corrected frames.

Two methods on the same frames: `live` is what controllers received, `replay` runs the pipeline again over the recorded frames. They
must agree to the last digit; the errors are against the reference, at the marker, with the offsets that the registration holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.correction import corrected_frame
from em_registration.registration import Registration, ToolCalibration, parse_registration
from em_registration.replay import ReplayTopics, recorded_config, recorded_events, replay
from em_registration.types import EventKind
from lodestone_core import metrics, se3
from lodestone_core.bags import open_bag
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate
from lodestone_core.messages import estimate_from_msg, frame_from_msg, pose_from_msg, pose_sample_from_msg
from lodestone_core.pose_stream import PairingConfig, PoseStream, as_pose_stream
from lodestone_core.results import Result, Row, Table, conclude, pictures, settings_of
from lodestone_core.results.protocol import Progress
from lodestone_core.results.result import row_of
from lodestone_core.time import ns_from_s, s_from_ns
from lodestone_core.units import m_from_mm, mm_from_m

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EmBagConfig:
    """What the bag calls things, and how long after the first frame figures count."""

    reference_topic: str = option("/reference/measured_cp", doc="poses of the marker body in the image frame")
    registration_prefix: str = option("/registration/", doc="where the authority republishes what it accepted")
    tf_topic: str = option("/tf", doc="frames as they were broadcast")
    settle_s: float = option(
        1.0, unit="s", doc="start of the bag that latencies leave out: processes still discover each other", minimum=0.0
    )


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Corrected poses of one tool: stamps, T_image_tool, and the radius that was predicted to hold the error with 95 %."""

    stamps_ns: npt.NDArray[np.int64]
    T: Array
    radius_mm: Array


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Evaluate a bag. Raises InputError when it lacks frames, configuration, a registration or the reference."""
    config = settings_of(protocol, EmBagConfig)
    bag = inputs["bag"]
    say = progress or (lambda share, text: None)
    say(0.1, "reading the bag")
    names = ReplayTopics()
    model = adopted_registration(bag, names)
    frames = {name: corrected_frame(recorded_config(bag, names.config), name) for name in model.tools}
    reference = reference_stream(bag, config.reference_topic)
    say(0.4, "running the pipeline again")
    tracks = {
        "live": {name: live_track(bag, config.registration_prefix + frame) for name, frame in frames.items()},
        "replay": replayed_tracks(bag, frames),
    }
    say(0.8, "drawing")
    errors = {
        (method, name): tool_errors(track, model.tools[name], reference)
        for method, by_tool in tracks.items()
        for name, track in by_tool.items()
    }
    rows = [row for (method, name), error in errors.items() for row in error_rows(method, name, error, protocol["seed"])]
    stream = stream_figures(bag, names, config)
    shown = {f"sensor {name}": (error.time_s, error.distance_mm) for (method, name), error in errors.items() if method == "live"}
    drawn = [
        pictures.error_over_time(out / "error_over_time.png", shown, "Error of the corrected frames against the optical tracker."),
        pictures.error_distribution(
            out / "error_distribution.png",
            {name: error for name, (_, error) in shown.items()},
            "Distribution of the same errors: counts, and the share of samples below an error.",
        ),
    ]
    table = Table(
        "errors", "Every sample that was compared", ("method", "tool", "time (s)", "error (mm)", "expected 95 % (mm)"), cells(errors)
    )
    return conclude(protocol, inputs, [*rows, *stream], [table], drawn)


@dataclass(frozen=True, slots=True, eq=False)
class ToolErrors:
    """Time since the first sample, distance to the reference and predicted radius of each sample that has a reference."""

    time_s: Array
    distance_mm: Array
    radius_mm: Array


def adopted_registration(bag: Path, names: ReplayTopics) -> Registration:
    """The last registration that the node adopted."""
    adopted = [event for event in recorded_events(bag, names.events) if event.kind is EventKind.MODEL_ADOPTED]
    if not adopted:
        raise InputError(
            f"bag {bag}", expected="a registration in use", got="none", remedy="record a run in which one was computed or loaded"
        )
    return parse_registration(adopted[-1].model, f"{bag}, adopted registration")


def reference_stream(bag: Path, topic: str) -> PoseStream:
    """The reference's poses."""
    with open_bag(bag) as opened:
        samples = [pose_sample_from_msg(message.message, "reference") for message in opened.messages([topic])]
    return as_pose_stream(topic, [sample.stamp_ns for sample in samples], np.array([sample.T_parent_child for sample in samples]))


def live_track(bag: Path, topic: str) -> Track:
    """What controllers received for one tool."""
    with open_bag(bag) as opened:
        return track([estimate_from_msg(message.message) for message in opened.messages([topic])])


def replayed_tracks(bag: Path, frames: Mapping[str, str]) -> dict[str, Track]:
    """What the pipeline makes of the recorded frames now, by tool."""
    estimates: dict[str, list[Estimate]] = {frame: [] for frame in frames.values()}
    for update in replay(bag):
        for estimate in update.estimates:
            if estimate.child in estimates and estimate.state.usable:
                estimates[estimate.child].append(estimate)
    return {name: track([as_received(as_received(e)) for e in estimates[frame]]) for name, frame in frames.items()}


def as_received(estimate: Estimate) -> Estimate:
    """The estimate after one hop: messages hold metres and quaternions, and rounding is part of what a controller got."""
    assert estimate.T_parent_child is not None  # only usable estimates come here
    q, t = se3.to_quaternion(estimate.T_parent_child)
    position = SimpleNamespace(**dict(zip("xyz", m_from_mm(t).tolist(), strict=True)))
    orientation = SimpleNamespace(**dict(zip("xyzw", q.tolist(), strict=True)))
    received = pose_from_msg(SimpleNamespace(position=position, orientation=orientation))
    tre_mm = mm_from_m(m_from_mm(estimate.expected_tre_mm))
    return Estimate(estimate.stamp_ns, estimate.parent, estimate.child, estimate.state, received, expected_tre_mm=tre_mm)


def track(estimates: list[Estimate]) -> Track:
    """Stamps, poses and radii of usable estimates."""
    stamps = np.array([estimate.stamp_ns for estimate in estimates], dtype=np.int64)
    poses = np.array([estimate.T_parent_child for estimate in estimates], dtype=np.float64).reshape(-1, 4, 4)
    return Track(stamps, poses, np.array([estimate.expected_tre_mm for estimate in estimates]))


def tool_errors(tool_track: Track, tool: ToolCalibration, reference: PoseStream) -> ToolErrors:
    """Distance between the marker as corrected and as the reference saw it, where the reference has a pose at that time."""
    used = reference.covers(tool_track.stamps_ns, tool.time_offset_s, PairingConfig())
    stamps = tool_track.stamps_ns[used]
    expected = reference.at(stamps, tool.time_offset_s)[:, :3, 3]
    marker = (tool_track.T[used] @ tool.T_tool_reference)[:, :3, 3]
    time_s = (stamps - stamps[0]) / 1e9 if len(stamps) else np.zeros(0)
    return ToolErrors(time_s, np.linalg.norm(marker - expected, axis=1), tool_track.radius_mm[used])


def error_rows(method: str, name: str, error: ToolErrors, seed: int) -> list[Row]:
    """TRE, its 95th percentile, coverage of the predicted radius and that radius' median."""
    case = f"sensor {name}"
    d, radii = error.distance_mm, error.radius_mm
    figures = [
        metrics.rmse(d, "mm", seed, CORRELATED).named("tre_rms"),
        metrics.percentile(d, 95.0, "mm", seed, CORRELATED).named("tre_p95"),
        metrics.coverage(d, radii, seed, CORRELATED).named("coverage_95"),
        metrics.percentile(radii, 50.0, "mm", seed, CORRELATED).named("expected_tre_median"),
    ]
    return [row_of(figure, method, case) for figure in figures]


CORRELATED = 13
"""Samples that hang together: about 2 s of a recording at 6.6 Hz."""


def stream_figures(bag: Path, names: ReplayTopics, config: EmBagConfig) -> list[Row]:
    """Frames in and out, lost, duplicates, and the time from the last byte of a reply to the arrival of the TF message."""
    with open_bag(bag) as opened:
        frames = [frame_from_msg(message.message) for message in opened.messages([names.tools])]
        transforms = [
            (message.log_ns, s.sec * 10**9 + s.nanosec, edge.child_frame_id)
            for message in opened.messages([config.tf_topic])
            for edge in message.message.transforms
            for s in (edge.header.stamp,)
            if edge.child_frame_id.startswith("em_tool_") and edge.header.frame_id != "em_field_generator"
        ]
    received = {frame.stamp_ns: frame.received_ns for frame in frames}
    out = {(stamp, child) for _, stamp, child in transforms}
    start_ns = frames[0].received_ns + ns_from_s(config.settle_s) if frames else 0
    arrivals = [(log_ns, received[stamp]) for log_ns, stamp, _ in transforms if stamp in received]
    latency_ms = np.array([1e3 * s_from_ns(log_ns - at_ns) for log_ns, at_ns in arrivals if at_ns >= start_ns])
    numbers = [frame.frame_number for frame in frames]
    counts = {
        "frames_in": len(frames),
        "frames_out": len({stamp for stamp, _ in out}),
        "frames_lost": sum(frame.frames_skipped for frame in frames),
        "duplicates": len(transforms) - len(out) + len(numbers) - len(set(numbers)),
    }
    rows = [Row("live", "stream", name, float(value), "", len(frames)) for name, value in counts.items()]
    for share in (50, 90):
        value = float(np.percentile(latency_ms, share)) if len(latency_ms) else float("nan")
        rows.append(Row("live", "stream", f"latency_p{share}", value, "ms", len(latency_ms)))
    return rows


def cells(errors: Mapping[tuple[str, str], ToolErrors]) -> tuple[tuple[str | float, ...], ...]:
    """The rows of the CSV."""
    return tuple(
        (method, name, float(t), float(d), float(r))
        for (method, name), error in errors.items()
        for t, d, r in zip(error.time_s, error.distance_mm, error.radius_mm, strict=True)
    )
