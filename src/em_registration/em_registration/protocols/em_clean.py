"""Does the correction do harm where there is nothing to correct? A tool at rest in a clean field, and a moving one.

At rest: held-out places, as in `em_static`; the sensor's offset comes from the other clean set. Moving: registered on one recording, tested
on another through the pipeline that a node runs, as in `em_optical`, with a field of every sensor fitted to the calibration recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.methods.interface import Method, correspondences
from em_registration.methods.registry import METHODS
from em_registration.protocols import em_optical
from em_registration.protocols.em_static import FIELD, RIGID, SENSOR, EmStaticConfig, held_out, known_offsets
from em_registration.registration import Registration
from lodestone_core import metrics
from lodestone_core.config import option, section
from lodestone_core.formats.tracking_text import read_optical_tracking
from lodestone_core.results import Progress, Result, Row, Table, conclude, pictures, settings_of, tell
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class EmCleanConfig:
    """What is compared."""

    static: EmStaticConfig = section(EmStaticConfig, doc="sets at rest: each takes its offsets from the other ones in offset_sets")
    optical: em_optical.EmOpticalConfig = section(em_optical.EmOpticalConfig, doc="the moving tool")
    poses: int = option(200, doc="most poses of a recording that a field is fitted to, evenly spread over it", minimum=10)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """RMS errors of both, and how much the correction adds. Raises InputError for bad input."""
    config = settings_of(protocol, EmCleanConfig)
    rms = _at_rest(inputs["static_poses"], config.static)
    tell(progress, 0.4, "places at rest")
    moving, evidence = _moving(inputs, config)
    rms |= moving
    rows = [Row(method, case, "rms", value, "mm", n) for case, both in rms.items() for method, (value, n) in both.items()]
    rows += [
        Row(FIELD, case, "added_by_the_correction", both[FIELD][0] - both[RIGID][0], "mm", both[FIELD][1]) for case, both in rms.items()
    ]
    rows += [Row(FIELD, case, "evidence_of_distortion", value, "1", n) for case, (value, n) in evidence.items()]
    rows += _by_recording(rms)
    table = Table("rms", "RMS errors", ("case", "rigid_mm", "pose_field_mm"), tuple((c, b[RIGID][0], b[FIELD][0]) for c, b in rms.items()))
    bars = {method: np.array([both[method][0] for both in rms.values()]) for method in (RIGID, FIELD)}
    picture = pictures.bars(
        out / "rms.png", [_short(case) for case in rms], bars, "RMS error with the rigid registration and with the field."
    )
    return conclude(protocol, inputs, rows, [table], [picture])


def _by_recording(rms: Rms) -> list[Row]:
    """The same over all sensors of a recording together."""
    rows = []
    for recording in dict.fromkeys(case.split()[0] for case in rms):
        of = [both for case, both in rms.items() if case.split()[0] == recording]
        whole = {method: float(np.sqrt(np.mean([both[method][0] ** 2 for both in of]))) for method in (RIGID, FIELD)}
        n = sum(both[FIELD][1] for both in of)
        rows.append(Row(FIELD, f"{recording}, all sensors", "added_over_the_recording", whole[FIELD] - whole[RIGID], "mm", n))
    return rows


Rms = dict[str, dict[str, tuple[float, int]]]


def _at_rest(path: Path, config: EmStaticConfig) -> Rms:
    methods: dict[str, Method] = {RIGID: METHODS[RIGID], FIELD: lambda c: fit_pose_field(c, config.field)}
    found: Rms = {}
    for name in config.known_offset_sets:
        others = replace(config, offset_sets=tuple(other for other in config.offset_sets if other != name))
        held, _ = held_out(path, [(name, known_offsets(path, others))], methods, config)
        for (method, case), one in held.items():
            squared = np.mean(one.error_mm**2, axis=1)
            found.setdefault(case, {})[method] = (float(np.sqrt(squared).mean()), one.error_mm.size)
    return found


def _moving(inputs: Mapping[str, Path], config: EmCleanConfig) -> tuple[Rms, dict[str, tuple[float, int]]]:
    model = em_optical.registered(inputs, config.optical)
    fields = _fields(model, inputs, config)
    found: Rms = {}
    for method, one in ((RIGID, model), (FIELD, replace(model, fields=fields))):
        for name, error in em_optical.tested(one, inputs, config.optical).items():
            usable = error.error_mm[error.usable]
            found.setdefault(f"moving {name}", {})[method] = (metrics.rmse(usable, "mm").value, len(usable))
    return found, {f"moving {name}": (field.evidence_non_rigid, len(field.data)) for name, field in fields.items()}


def _fields(model: Registration, inputs: Mapping[str, Path], config: EmCleanConfig) -> dict[str, PoseField]:
    """Of each sensor, from the recording that the registration comes from."""
    reference = em_optical.valid_stream("optical marker", read_optical_tracking(inputs["optical_calibration"]))
    pairing = config.optical.streams.pairing
    fields = {}
    for name, recorded in em_optical.read_sensors(inputs["em_calibration"]).items():
        stream, tool = em_optical.valid_stream(name, recorded), model.tools[name]
        used = np.flatnonzero(reference.covers(stream.stamps_ns, tool.time_offset_s, pairing))
        used = used[:: -(-len(used) // config.poses)]
        T_image_marker: Array = reference.at(stream.stamps_ns[used], tool.time_offset_s)
        data = correspondences(stream.T[used], T_image_marker[:, :3, 3], tool.T_tool_reference[:3, 3])
        fields[name] = fit_pose_field(data, config.static.field)
    return fields


def _short(case: str) -> str:
    return case.removesuffix(f" at the {SENSOR}").replace("sensor_", "s")
