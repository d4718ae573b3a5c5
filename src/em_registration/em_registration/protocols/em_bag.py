"""Protocol `em_bag`: a bag of a bench in which a reference tracker ran beside the corrected frames.

Two methods on the same frames: `live` is what controllers received, `replay` runs the pipeline again over the recorded frames. They
must agree to the last digit; the errors are against the reference, at the marker, with the offsets that the registration holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.correction import corrected_frame
from em_registration.protocols.corrected_track import TrackError, track_error
from em_registration.protocols.stream_figures import StreamConfig, stream_rows
from em_registration.registration import Registration, parse_registration
from em_registration.replay import ReplayTopics, recorded_config, recorded_events, replay
from em_registration.types import EventKind
from lodestone_core import metrics, se3
from lodestone_core.bags import open_bag
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate
from lodestone_core.messages import estimate_from_msg, pose_from_msg, pose_sample_from_msg
from lodestone_core.pose_stream import PairingConfig, PoseStream, as_pose_stream
from lodestone_core.results import Picture, Result, Row, Table, conclude, pictures, row_of, settings_of, tell
from lodestone_core.results.protocol import Progress
from lodestone_core.units import m_from_mm, mm_from_m

Array = npt.NDArray[np.float64]
Tracks = Mapping[str, Sequence[Estimate]]
"""Usable estimates T_image_tool in the order of their stamps, by tool."""


@dataclass(frozen=True, slots=True)
class EmBagConfig:
    """What the bag calls things, and when a reference pose may be interpolated."""

    reference_topic: str = option("/reference/measured_cp", doc="poses of the marker body in the image frame")
    registration_prefix: str = option("/registration/", doc="where the authority republishes what it accepted")
    block_samples: int = option(13, doc="neighbours that hang together in the intervals: 2 s at 6.6 Hz", minimum=1)
    pairing: PairingConfig = section(PairingConfig, doc="when a reference pose may be interpolated")
    stream: StreamConfig = section(StreamConfig, doc="figures of the stream")


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Evaluate a bag. Raises InputError when it lacks frames, configuration, a registration or the reference."""
    config = settings_of(protocol, EmBagConfig)
    bag, names = inputs["bag"], ReplayTopics()
    tell(progress, 0.1, "reading the bag")
    model = adopted_registration(bag, names)
    frames = {name: corrected_frame(recorded_config(bag, names.config), name) for name in model.tools}
    reference = reference_stream(bag, config.reference_topic)
    live = {name: live_track(bag, config.registration_prefix + frame) for name, frame in frames.items()}
    tell(progress, 0.4, "running the pipeline again")
    tracks: Mapping[str, Tracks] = {"live": live, "replay": replayed_tracks(bag, frames)}
    tell(progress, 0.8, "drawing")
    errors = {
        (method, name): track_error(track, model.tools[name], reference, config.pairing)
        for method, by_tool in tracks.items()
        for name, track in by_tool.items()
    }
    rows = [row for key, error in errors.items() for row in error_rows(*key, error, protocol["seed"], config.block_samples)]
    rows += stream_rows(bag, names.tools, config.stream)
    return conclude(protocol, inputs, rows, [table_of(errors)], draw(errors, out))


def adopted_registration(bag: Path, names: ReplayTopics) -> Registration:
    """The last registration that the node adopted."""
    adopted = [event for event in recorded_events(bag, names.events) if event.kind is EventKind.MODEL_ADOPTED]
    if not adopted:
        raise InputError(f"bag {bag}", expected="a registration in use", got="none", remedy="record a run in which one was loaded")
    return parse_registration(adopted[-1].model, f"{bag}, adopted registration")


def reference_stream(bag: Path, topic: str) -> PoseStream:
    """The reference's poses."""
    with open_bag(bag) as opened:
        samples = [pose_sample_from_msg(message.message, "reference") for message in opened.messages([topic])]
    return as_pose_stream(topic, [sample.stamp_ns for sample in samples], np.array([sample.T_parent_child for sample in samples]))


def live_track(bag: Path, topic: str) -> list[Estimate]:
    """What controllers received for one tool."""
    with open_bag(bag) as opened:
        return [estimate_from_msg(message.message) for message in opened.messages([topic])]


def replayed_tracks(bag: Path, frames: Mapping[str, str]) -> dict[str, list[Estimate]]:
    """What the pipeline makes of the recorded frames now, by tool, as a controller would have received it."""
    tool_of = {frame: name for name, frame in frames.items()}
    tracks: dict[str, list[Estimate]] = {name: [] for name in frames}
    for update in replay(bag):
        for estimate in update.estimates:
            if estimate.child in tool_of and estimate.state.usable:
                # Two hops: from the registration to the authority, and on to the controller.
                tracks[tool_of[estimate.child]].append(as_received(as_received(estimate)))
    return tracks


def as_received(estimate: Estimate) -> Estimate:
    """The estimate after one hop: messages hold metres and quaternions, and rounding is part of what a controller got."""
    assert estimate.T_parent_child is not None  # only usable estimates come here
    q, t = se3.to_quaternion(estimate.T_parent_child)
    position = SimpleNamespace(**dict(zip("xyz", m_from_mm(t).tolist(), strict=True)))
    orientation = SimpleNamespace(**dict(zip("xyzw", q.tolist(), strict=True)))
    received = pose_from_msg(SimpleNamespace(position=position, orientation=orientation))
    return replace(estimate, T_parent_child=received, expected_tre_mm=mm_from_m(m_from_mm(estimate.expected_tre_mm)))


def error_rows(method: str, name: str, error: TrackError, seed: int, block: int) -> list[Row]:
    """TRE, its 95th percentile, coverage of the predicted radius and that radius' median."""
    figures = [
        metrics.rmse(error.error_mm, "mm", seed, block).named("tre_rms"),
        metrics.percentile(error.error_mm, 95.0, "mm", seed, block).named("tre_p95"),
        metrics.coverage(error.error_mm, error.predicted_mm, seed, block).named("coverage_95"),
        metrics.percentile(error.predicted_mm, 50.0, "mm", seed, block).named("expected_tre_median"),
    ]
    return [row_of(figure, method, f"sensor {name}") for figure in figures]


def draw(errors: Mapping[tuple[str, str], TrackError], out: Path) -> list[Picture]:
    """Where the tools went with what error, and the distribution of the errors, of what went out live."""
    live = {f"sensor {name}": error for (method, name), error in errors.items() if method == "live"}
    first = next(iter(live.values()))
    return [
        pictures.track_and_error(
            out / "demo.png",
            first.reference_mm,
            first.error_mm,
            {name: (seconds_of(error), error.error_mm, error.predicted_mm) for name, error in live.items()},
            "Left: path of the marker in the image frame, coloured by the error of the corrected frame. Right: that error against time, "
            "and the radius that was broadcast with it as holding 95 % of the errors.",
            f"{len(first.error_mm)} corrected frames",
        ),
        pictures.error_distribution(
            out / "error_distribution.png",
            {name: error.error_mm for name, error in live.items()},
            "Distribution of the same errors: counts, and the share of samples below an error.",
        ),
    ]


def table_of(errors: Mapping[tuple[str, str], TrackError]) -> Table:
    """Every sample that was compared."""
    rows = tuple(
        (method, name, float(t), float(error_mm), float(radius_mm))
        for (method, name), error in errors.items()
        for t, error_mm, radius_mm in zip(seconds_of(error), error.error_mm, error.predicted_mm, strict=True)
    )
    return Table("errors", "Every sample that was compared", ("method", "tool", "time (s)", "error (mm)", "expected 95 % (mm)"), rows)


def seconds_of(error: TrackError) -> Array:
    """Times since the first sample."""
    return np.asarray((error.stamps_ns - error.stamps_ns[:1]) / 1e9)
