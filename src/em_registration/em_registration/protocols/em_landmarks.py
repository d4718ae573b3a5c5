"""Landmarks of a CAD phantom touched with an EM-tracked stylus: rigid registration, FRE and leave-one-landmark-out TRE.

A touch is found as PLUS finds it (vtkPlusLandmarkDetectionAlgo): the tip rests while the shaft turns about it. The
touches are paired with the landmarks of the device set in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.protocols.touches import StylusTrack, Touch, TouchConfig, find_touches, stylus_track
from lodestone_core import metrics, se3
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.formats.plus_config import PlusConfig, read_plus_config
from lodestone_core.formats.sequence_mha import read_sequence
from lodestone_core.formats.text import nearest_rigid
from lodestone_core.paired_points import PointRegistration, leave_one_out, register_points
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

Array = npt.NDArray[np.float64]

RIGID = "rigid"


@dataclass(frozen=True, slots=True)
class EmLandmarksConfig:
    """Settings of the protocol; frame names as in the sequence and the device set."""

    tracker_frame: str = option("Tracker", doc="frame of the tracker")
    reference_frame: str = option("Reference", doc="frame of the sensor fixed to the phantom")
    stylus_frame: str = option("Stylus", doc="frame of the stylus' sensor")
    tip_frame: str = option("StylusTip", doc="frame at the stylus' tip, calibrated in the device set")
    phantom_frame: str = option("Phantom", doc="frame of the landmarks")
    touch: TouchConfig = section(TouchConfig, doc="when the stylus touches a landmark")


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Touches and the registration T_reference_phantom; `left_out_mm` (N,) is the error of each landmark by the others."""

    names: tuple[str, ...]
    landmarks_phantom: Array
    touches: tuple[Touch, ...]
    registration: PointRegistration
    left_out_mm: Array


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Registration of the phantom to its reference sensor. Raises InputError for bad input."""
    methods_of(protocol, (RIGID,))
    config = settings_of(protocol, EmLandmarksConfig)
    device_set = read_plus_config(inputs["device_set"])
    track = _track(inputs, device_set, config)
    tell(progress, 0.3, f"{len(track.stamps_ns)} poses of the stylus read")
    found = _register(device_set, track, config)
    tell(progress, 0.6, f"{len(found.touches)} landmarks registered")
    rows = _rows(found, protocol["seed"]) + _published_rows(found, inputs, config)
    drawn = _pictures(found, track, out)
    return conclude(protocol, inputs, rows, [_landmark_table(found)], drawn, _notes(found, inputs))


def _track(inputs: Mapping[str, Path], device_set: PlusConfig, config: EmLandmarksConfig) -> StylusTrack:
    sequence = read_sequence(inputs["sequence"])
    tip = device_set.transform(config.stylus_frame, config.tip_frame).matrix[:3, 3]
    reference = sequence.poses(config.tracker_frame, config.reference_frame)
    stylus = sequence.poses(config.tracker_frame, config.stylus_frame)
    return stylus_track(sequence.stamps_ns, reference, stylus, tip)


def _register(device_set: PlusConfig, track: StylusTrack, config: EmLandmarksConfig) -> _Found:
    names, landmarks = device_set.landmark_names, device_set.landmarks_phantom
    touches = find_touches(track, config.touch)
    if len(touches) != len(names) or not names:
        times = ", ".join(f"{touch.start_s:.0f} s" for touch in touches)
        raise InputError(
            f"touches in the sequence for {device_set.path}",
            expected=f"{len(names)} landmarks touched one after the other",
            got=f"{len(touches)} touches (at {times})" if touches else "no touch",
            remedy="adjust settings.touch, or give the sequence and the device set of one phantom",
        )
    points = np.stack([touch.tip_reference for touch in touches])
    registration = register_points(landmarks, points, names=names)
    return _Found(names, landmarks, touches, registration, leave_one_out(landmarks, points))


def _rows(found: _Found, seed: int) -> list[Row]:
    case, count = "phantom", len(found.names)
    return [
        row_of(metrics.fre(found.registration.residuals_mm, seed), RIGID, case),
        row_of(metrics.rmse(found.left_out_mm, "mm", seed).named("leave_one_out_tre_rms"), RIGID, case),
        Row(RIGID, case, "leave_one_out_tre_max", float(found.left_out_mm.max()), "mm", count),
        Row(RIGID, case, "fle", found.registration.fle_mm, "mm", count),
    ]


def _published_rows(found: _Found, inputs: Mapping[str, Path], config: EmLandmarksConfig) -> list[Row]:
    """How far the published registration puts the landmarks from where ours does."""
    if "published" not in inputs:
        return []
    published = read_plus_config(inputs["published"]).transform(config.reference_frame, config.phantom_frame)
    theirs = nearest_rigid(inputs["published"], 1, published.matrix)
    ours = found.registration.T_target_source
    points = found.landmarks_phantom
    apart = np.linalg.norm(se3.transform(ours, points) - se3.transform(theirs, points), axis=1)
    angle_deg = float(np.degrees(se3.geodesic(ours, theirs)))
    case = "against_published"
    return [
        Row(RIGID, case, "landmark_distance_rms", float(np.sqrt(np.mean(apart**2))), "mm", len(points)),
        Row(RIGID, case, "rotation", angle_deg, "deg", 1),
    ]


def _landmark_table(found: _Found) -> Table:
    columns = ("landmark", "start_s", "end_s", "samples", "spread_mm", "x_mm", "y_mm", "z_mm", "residual_mm", "left_out_mm")
    residuals = np.linalg.norm(found.registration.residuals_mm, axis=1)
    rows = tuple(
        (name, t.start_s, t.end_s, t.samples, t.spread_mm, *t.tip_reference.tolist(), float(residual), float(left_out))
        for name, t, residual, left_out in zip(found.names, found.touches, residuals, found.left_out_mm, strict=True)
    )
    return Table("landmarks", "Landmarks in the reference sensor's frame", columns, rows)


def _pictures(found: _Found, track: StylusTrack, out: Path) -> list[Picture]:
    names = list(found.names)
    residuals = np.linalg.norm(found.registration.residuals_mm, axis=1)
    # What the touches say is drawn in the phantom's frame, where the landmarks have their numbers.
    R_phantom_reference = found.registration.T_target_source[:3, :3].T
    measured_minus_true = -found.registration.residuals_mm @ R_phantom_reference.T
    tips = track.tip_reference - track.tip_reference[0]
    spans = [(touch.start_s, touch.end_s) for touch in found.touches]
    return [
        pictures.bars(
            out / "errors.png",
            names,
            {"residual of the registration": residuals, "error when left out": found.left_out_mm},
            "Error at each landmark: as part of the registration, and as a target of the other seven.",
        ),
        pictures.residuals_3d(
            out / "residuals.png",
            found.landmarks_phantom,
            measured_minus_true,
            "Where each touch lies from its landmark, in the phantom's frame.",
            names,
        ),
        pictures.track_over_time(
            out / "touches.png",
            track.time_s,
            tips,
            spans,
            "The stylus' tip in the reference sensor's frame; shaded: tip at rest while the shaft turns, a touch.",
        ),
    ]


def _notes(found: _Found, inputs: Mapping[str, Path]) -> list[str]:
    notes = ["The tip offset and the landmarks come from the device set; nothing is fitted but the registration."]
    if "published" not in inputs:
        notes.append("No published registration was given, so there is none to compare with.")
    return notes
