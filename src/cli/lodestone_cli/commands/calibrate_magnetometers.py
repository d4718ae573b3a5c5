"""`lodestone calibrate magnetometers`: recordings in, the calibration file of an array out, with how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from guidewire_recon.calibration.array_bag import RAW_TOPIC, read_array_bag
from guidewire_recon.calibration.array_calibration import CalibratedArray, Recordings, calibrate_array
from guidewire_recon.calibration.config import CalibrationConfig
from guidewire_recon.calibration.recording import ArrayRecording, read_recording
from guidewire_recon.drivers.calibrated import KIND
from lodestone_cli.console import console
from lodestone_core.calibration_file import CalibrationFile, now_text
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.results.provenance import sha256_of
from lodestone_core.version import package_version

METHOD = "ellipsoids, common uniform field, magnet in known places, joint least squares"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    rotation: Path
    magnet: Path | None
    background: Path | None
    warm_up: Path | None
    out: Path
    rig: str
    topic: str = RAW_TOPIC
    pose_topic: str = ""
    config: Path | None = None


def run(options: Options) -> int:
    """Calibrate and write `out`, which must not exist yet: a calibration in use is never overwritten."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    if not options.rig:
        raise InputError("--rig", expected="the name of the rig", got="nothing", remedy="name the bench that the array belongs to")
    config = load_config(CalibrationConfig, options.config)
    recordings = read_all(options)
    found = calibrate_array(recordings, config)
    file = as_file(found, options)
    file.save(options.out)
    console().print(_table(found))
    console().print(_sensors(found))
    console().print(f"written to {options.out}; use it with calibration_file:={options.out}")
    return 0


def read_all(options: Options) -> Recordings:
    """All recordings that are named."""
    return Recordings(
        rotation=_read(options.rotation, options.topic),
        magnet=None if options.magnet is None else _read(options.magnet, options.topic, options.pose_topic),
        background=None if options.background is None else _read(options.background, options.topic),
        warm_up=None if options.warm_up is None else _read(options.warm_up, options.topic),
    )


def as_file(found: CalibratedArray, options: Options) -> CalibrationFile:
    """The calibration with its provenance."""
    paths = [path for path in (options.rotation, options.magnet, options.background, options.warm_up, options.config) if path is not None]
    calibration = found.calibration
    return CalibrationFile(
        kind=KIND,
        rig=options.rig,
        devices=(f"array {calibration.array_id}, {calibration.count} sensors",),
        created=now_text(),
        method=METHOD,
        version=package_version("guidewire_recon"),
        values=calibration.values(),
        inputs={path.name: sha256_of(path) for path in paths},
        figures=figures(found),
    )


def figures(found: CalibratedArray) -> dict[str, dict[str, Any]]:
    """How good the calibration is; what was not measured is left out."""
    sigma = float(np.sqrt(np.mean(np.sum(found.position_sigma_mm**2, axis=1))))
    values = {
        "field_rms": (found.field_rms_T, "T"),
        "held_out_field_rms": (found.held_out_T, "T"),
        "position_sigma": (sigma, "mm"),
        "coverage": (float(found.coverage.min()), "1"),
        "magnet_strength": (found.strength_t_mm3, "T mm^3"),
        "uniform_field": (found.uniform_T, "T"),
        "residual_over_noise": (float(np.sqrt(found.chi2)), "1"),
    }
    return {name: {"value": value, "unit": unit} for name, (value, unit) in values.items() if np.isfinite(value)}


def _read(path: Path, topic: str, pose_topic: str = "") -> ArrayRecording:
    if path.suffix in (".npz", ".csv"):
        return read_recording(path)
    return read_array_bag(path, topic, pose_topic)


def _table(found: CalibratedArray) -> Table:
    table = Table("what", "value", "unit")
    for name, figure in figures(found).items():
        table.add_row(name.replace("_", " "), f"{figure['value']:.4g}", str(figure["unit"]))
    return table


def _sensors(found: CalibratedArray) -> Table:
    table = Table("sensor", "directions seen", "bias (uT)", "gain", "turned (deg)", "position (mm)", "sigma (mm)")
    c = found.calibration
    for s in range(c.count):
        angle = np.degrees(np.arccos(np.clip(0.5 * (np.trace(c.rotation[s]) - 1.0), -1.0, 1.0)))
        row = (
            f"s{s:02d}",
            f"{found.coverage[s]:.0%}",
            ", ".join(f"{1e6 * value:.1f}" for value in c.bias_T[s]),
            f"{3.0 / np.trace(c.matrix[s]):.3f}",
            f"{angle:.1f}",
            ", ".join(f"{value:.2f}" for value in c.position_mm[s]),
            f"{np.linalg.norm(found.position_sigma_mm[s]):.3f}",
        )
        table.add_row(*row)
    return table
