"""`lodestone calibrate arm`: index offsets and reversed joints of the arm from a recording with a tracker's sensor on the probe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from lodestone_cli.console import console
from lodestone_core.bags import open_bag
from lodestone_core.calibration_file import load_calibration
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.messages import pose_sample_from_msg, stamp_from_msg
from lodestone_core.results.provenance import sha256_of
from lodestone_core.types import Array
from lodestone_core.version import package_version
from us_motion.arm_calibration import KIND, arm_calibration, calibration_file, check_fits_chain
from us_motion.arm_offsets import OffsetsCalibration, OffsetsConfig, calibrate_offsets
from us_motion.urdf import read_chain

_WIDEST_NS = 50_000_000
"""Joint angles further apart are not interpolated between: the arm may have done anything."""
_MOST_POSES = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    bag: Path
    calibration: Path
    urdf: Path
    topic: str
    joints: str
    base: str
    probe: str
    out: Path
    config: Path | None


def run(options: Options) -> int:
    """Calibrate and write `out`, which must not exist yet: a calibration in use is never overwritten."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    config = load_config(OffsetsConfig, options.config)
    file = load_calibration(options.calibration, KIND)
    present, chain = arm_calibration(file, str(options.calibration)), read_chain(options.urdf, options.base, options.probe)
    check_fits_chain(present, chain)
    positions, poses = read_pairs(options.bag, options.joints, options.topic, chain.names)
    found = calibrate_offsets(chain, present, positions, poses, config)
    inputs = {path.name: sha256_of(path) for path in (options.calibration, options.urdf)} | {options.bag.name: sha256_of(options.bag)}
    method = f"offsets from {len(poses)} poses of {options.topic}"
    new = calibration_file(found.calibration, file.rig, method, package_version("us_motion"), inputs, _figures(found))
    new.save(options.out)
    console().print(_table(found, chain.names))
    console().print(f"written to {options.out}")
    return 0


def read_pairs(bag_path: Path, joints_topic: str, pose_topic: str, names: tuple[str, ...]) -> tuple[Array, Array]:
    """Joint angles (N, joints) in the order of `names` at the stamps of the tracker's poses (N, 4, 4), mm; evenly thinned out.

    Raises InputError when a topic is missing, or another arm was recorded.
    """
    stamps, rows, pose_stamps, poses = [], [], [], []
    with open_bag(bag_path) as bag:
        for entry in bag.messages([joints_topic, pose_topic]):
            if entry.topic == pose_topic:
                sample = pose_sample_from_msg(entry.message, "sensor")
                pose_stamps.append(sample.stamp_ns)
                poses.append(sample.T_parent_child)
                continue
            recorded = list(entry.message.name)
            if set(recorded) != set(names):
                remedy = "record the arm that the URDF describes"
                raise InputError(f"{bag_path}, {joints_topic}", expected=", ".join(names), got=", ".join(recorded), remedy=remedy)
            stamps.append(stamp_from_msg(entry.message.header.stamp))
            rows.append([entry.message.position[recorded.index(name)] for name in names])
    if len(stamps) < 2 or not poses:
        got = f"{len(stamps)} joint states and {len(poses)} poses"
        raise InputError(str(bag_path), expected="joint states and poses", got=got, remedy="record both while the arm is moved")
    order = np.argsort(stamps, kind="stable")
    at, q, wanted = np.array(stamps)[order], np.array(rows)[order], np.array(pose_stamps)
    after = np.searchsorted(at, wanted)
    inside = (after > 0) & (after < len(at))
    near = np.flatnonzero(inside & (at[np.clip(after, 1, len(at) - 1)] - at[np.clip(after, 1, len(at) - 1) - 1] <= _WIDEST_NS))
    chosen = near[np.unique(np.linspace(0, len(near) - 1, min(_MOST_POSES, len(near))).astype(np.int64))] if len(near) else near
    before = after[chosen] - 1
    share = ((wanted[chosen] - at[before]) / np.maximum(1, at[before + 1] - at[before]))[:, None]
    return (1.0 - share) * q[before] + share * q[before + 1], np.array(poses).reshape(-1, 4, 4)[chosen]


def _figures(found: OffsetsCalibration) -> dict[str, dict[str, float | str]]:
    return {
        "rms": {"value": round(found.rms_mm, 4), "unit": "mm"},
        "held_out_rms": {"value": round(found.held_out_mm, 4), "unit": "mm"},
        "largest_sigma": {"value": round(float(np.nanmax(found.sigma_rad)), 6), "unit": "rad"},
    }


def _table(found: OffsetsCalibration, names: tuple[str, ...]) -> Table:
    table = Table("joint", "index moved by", "standard deviation", "counts")
    for name, offset, sigma in zip(names, found.offsets_rad, found.sigma_rad, strict=True):
        moved, spread = (f"{offset:+.5f} rad", f"{sigma:.5f} rad") if name in found.found else ("kept: does not show", "")
        table.add_row(name, moved, spread, "the other way" if name in found.reversed_joints else "as before")
    table.add_row("held-out error", f"{found.held_out_mm:.2f} mm RMS", f"fit {found.rms_mm:.2f} mm", "")
    return table
