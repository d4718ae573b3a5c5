"""`lodestone calibrate probe`: sweeps over wires or a point in, where the image lies on the probe out, with how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from lodestone_cli.calibration.probe_inputs import Reading, read_tracked
from lodestone_cli.console import console
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.results.provenance import sha256_of
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.observations import Observations, joined
from us_motion.calibration.phantom import load_phantom
from us_motion.calibration.probe import ProbeCalibration, calibrate_point, calibrate_wires
from us_motion.calibration.recording import spots_of
from us_motion.calibration.store import as_file


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    recordings: tuple[Path, ...]
    phantom: Path | None
    out: Path
    rig: str
    device: str
    spacing: str
    poses: str
    phantom_frame: str
    tracked: bool
    urdf: Path | None
    config: Path | None


def run(options: Options) -> int:
    """Calibrate and write the file, which must not exist yet: a calibration in use is never overwritten."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    config = load_config(ProbeCalibrationConfig, options.config)
    data = joined([_spots(path, options, config) for path in options.recordings])
    tracked = options.tracked or bool(options.phantom_frame)
    if options.phantom is None:
        found, method = calibrate_point(data, config), "one point at rest, joint refinement"
    else:
        found = calibrate_wires(data, load_phantom(options.phantom), tracked, config)
        method = f"wires of a {'tracked' if tracked else 'resting'} phantom, joint refinement"
    inputs = {path.name: sha256_of(path) for path in (*options.recordings, *([options.phantom] if options.phantom else []))}
    as_file(found, method, options.rig, (options.device,) if options.device else (), inputs).save(options.out)
    console().print(table(found))
    console().print(f"written to {options.out}")
    return 0


def table(found: ProbeCalibration) -> Table:
    """What a person looks at before using it."""
    shown = Table("what", "value", "unit")
    shown.add_row("us_image in us_probe", ", ".join(f"{value:.2f}" for value in found.T_probe_image[:3, 3]), "mm")
    widths = found.intervals[:, 1] - found.intervals[:, 0]
    shown.add_row("95 % interval of the place, from end to end", ", ".join(f"{value:.2f}" for value in widths[:3]), "mm")
    shown.add_row("of the turn", ", ".join(f"{value:.2f}" for value in widths[3:]), "deg")
    shown.add_row("predicted error, middle / worst corner (95 %)", f"{found.radius_95_mm[0]:.2f} / {found.radius_95_mm.max():.2f}", "mm")
    shown.add_row("held out, RMS", f"{found.held_out_rms_mm:.3f}", "mm")
    for part, errors in found.held_out_mm.items():
        shown.add_row(f"  without recording {part + 1}", f"{np.sqrt(np.mean(errors**2)):.3f}", "mm")
    measured = ", ".join(f"{f:.4f} ± {s:.4f}" for f, s in zip(found.spacing_factor, found.spacing_sigma, strict=True))
    shown.add_row("measured pixel over the given one (x, y)", measured, "")
    shown.add_row("probe turned about x, y, z", ", ".join(f"{value:.0f}" for value in found.swing_deg), "deg")
    shown.add_row("spots used", f"{np.count_nonzero(found.inliers)} of {len(found.inliers)}, in {found.data.images} images", "")
    return shown


def _spots(path: Path, options: Options, config: ProbeCalibrationConfig) -> Observations:
    if not path.exists():
        raise InputError(
            str(path), expected="a bag, a sequence (.igs.mha) or a table of spots (.npz)", got="nothing there", remedy="correct it"
        )
    reference, _, probe = options.poses.partition(",")
    if not reference or not probe:
        raise InputError("--poses", expected="REFERENCE,PROBE", got=options.poses, remedy="name two frames of the sequence")
    read = read_tracked(path, Reading(_spacing(options.spacing), reference, probe, options.phantom_frame, options.urdf))
    return read if isinstance(read, Observations) else spots_of(read, options.phantom is None, config.detection)


def _spacing(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(np.isfinite(value) and value > 0.0 for value in values):
        raise InputError("--spacing", expected="X,Y in mm", got=text, remedy="give the size of a pixel")
    return values[0], values[-1]
