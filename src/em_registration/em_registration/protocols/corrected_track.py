"""A recording through the pipeline, and the error of what comes out against a reference tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.config import RegistrationConfig
from em_registration.correction import corrected_frame
from em_registration.pipeline import Pipeline, adoption
from em_registration.registration import Registration, ToolCalibration
from lodestone_core import se3
from lodestone_core.estimate import Estimate
from lodestone_core.formats.tracking_text import RecordedStream
from lodestone_core.pose_stream import PairingConfig, PoseStream
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

Array = npt.NDArray[np.float64]
SENSOR_DEGREES_OF_FREEDOM = 6


@dataclass(frozen=True, slots=True, eq=False)
class TrackError:
    """Error of one tool at the samples (N,) where the reference tells the truth.

    `error_mm` and `angle_rad` are infinite where the pipeline gave no usable pose; `predicted_mm`, NaN there, is the radius
    that it said holds the error with 95 % probability. `reference_mm` (N, 3): where the reference's marker truly was.
    `refusal` is the pipeline's most frequent reason for giving none.
    """

    stamps_ns: npt.NDArray[np.int64]
    error_mm: Array
    angle_rad: Array
    predicted_mm: Array
    reference_mm: Array
    refusal: str = ""

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Where (N,) the pipeline gave a usable pose."""
        return np.isfinite(self.error_mm)


def corrected(model: Registration, recording: Mapping[str, RecordedStream]) -> dict[str, list[Estimate]]:
    """Estimates T_image_tool of every tool and sample of a recording, as the node would have given them."""
    config = RegistrationConfig()
    pipeline = Pipeline(config)
    pipeline.request(adoption(model, "protocol"))
    tool_of = {corrected_frame(config, name): name for name in recording}
    estimates: dict[str, list[Estimate]] = {name: [] for name in recording}
    for frame in frames(recording):
        update = pipeline.update(frame)
        assert update is not None, "frames come in the order of their stamps"
        for estimate in update.estimates:
            if estimate.child in tool_of:
                estimates[tool_of[estimate.child]].append(estimate)
    return estimates


def frames(recording: Mapping[str, RecordedStream]) -> Iterator[TrackedFrame]:
    """The samples of all tools in the order of their stamps; one frame holds those of one stamp."""
    at: dict[int, list[ToolSample]] = {}
    for name, stream in recording.items():
        for stamp_ns, T, valid in zip(stream.stamps_ns.tolist(), stream.T_tracker_body, stream.valid.tolist(), strict=True):
            status, pose = (ToolStatus.VALID, T) if valid else (ToolStatus.MISSING, None)
            sample = ToolSample(name, status, pose, degrees_of_freedom=SENSOR_DEGREES_OF_FREEDOM)
            at.setdefault(stamp_ns, []).append(sample)
    for number, stamp_ns in enumerate(sorted(at), start=1):
        yield TrackedFrame(stamp_ns, stamp_ns, number, tuple(at[stamp_ns]))


def track_error(estimates: Sequence[Estimate], tool: ToolCalibration, reference: PoseStream, pairing: PairingConfig) -> TrackError:
    """Error at the reference's marker, T_image_tool @ T_tool_reference against the marker as the reference saw it."""
    stamps_ns = np.array([estimate.stamp_ns for estimate in estimates], dtype=np.int64)
    known = reference.covers(stamps_ns, tool.time_offset_s, pairing)
    stamps_ns = stamps_ns[known]
    judged = [estimate for estimate, told in zip(estimates, known, strict=True) if told]
    T_true = reference.at(stamps_ns, tool.time_offset_s)
    missing = np.full((4, 4), np.nan)
    poses = [missing if e.T_parent_child is None or not e.state.usable else e.T_parent_child for e in judged]
    T_found = np.array(poses).reshape(-1, 4, 4) @ tool.T_tool_reference
    usable: npt.NDArray[np.bool_] = np.asarray(np.isfinite(T_found).all(axis=(1, 2)))
    error_mm, angle_rad = np.full(len(judged), np.inf), np.full(len(judged), np.inf)
    error_mm[usable] = np.linalg.norm(T_found[usable, :3, 3] - T_true[usable, :3, 3], axis=1)
    angle_rad[usable] = se3.geodesic(T_found[usable], T_true[usable])
    predicted_mm = np.where(usable, [estimate.expected_tre_mm for estimate in judged], np.nan)
    refusals = Counter(estimate.detail for estimate, good in zip(judged, usable.tolist(), strict=True) if not good)
    refusal = refusals.most_common(1)[0][0] if refusals else ""
    return TrackError(stamps_ns, error_mm, angle_rad, predicted_mm, T_true[:, :3, 3], refusal)
