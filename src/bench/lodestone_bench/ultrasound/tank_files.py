"""Sweeps over the simulated tank as files: PLUS sequences and the phantom's description, for `lodestone calibrate probe`.

python -m lodestone_bench.ultrasound.tank_files sweeps [--world world.yaml] [--sweeps 5] [--images 50]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.tank import Tank, n_wires
from lodestone_bench.ultrasound.tank_sweeps import Scene, TankSweep, phantom_pose, sweep
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_bench.world.sections import read_world, section_of, seed_of
from lodestone_core.types import Array
from lodestone_core.yaml_file import dump_yaml

_FACE_MM = (700.0, 0.0, 250.0)
_MIDDLE_MM = (0.0, 30.0, 18.0)
_DEPTH_MM = 65.0
_ROLES = ("left", "middle", "right")


def write_sweeps(folder: Path, world: Mapping[str, Any], sweeps: int = 5, images: int = 50) -> list[Path]:
    """Sequences of a probe over wires, the world's arm and machine, and phantom.yaml; returns the sequences' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    seed, wires = seed_of(world), n_wires()
    tank = Tank(section_of(world, "ultrasound", UltrasoundConfig), seed=seed)
    rng = np.random.default_rng((seed, 92))
    scene = Scene(tank, phantom_pose(_MIDDLE_MM, _FACE_MM, _DEPTH_MM), wires_mm=wires)
    arm = section_of(world, "arm", ArmConfig)
    paths = []
    for number in range(sweeps):
        swept = sweep(scene, arm, _motion(rng), images, seed, 1000 * number)
        paths.append(folder / f"sweep_{number + 1}.igs.mha")
        write_sequence(paths[-1], swept)
    layers = [dict(zip(_ROLES, layer, strict=True)) for layer in wires.reshape(-1, 3, 2, 3).tolist()]
    (folder / "phantom.yaml").write_text(dump_yaml({"layers": layers}), encoding="utf-8")
    return paths


def write_sequence(path: Path, swept: TankSweep) -> None:
    """Images with the measured pose of the probe in the arm's base (ProbeToTracker), uncompressed."""
    count, rows, columns = swept.frames.shape
    lines = ["ObjectType = Image", "NDims = 3", f"DimSize = {columns} {rows} {count}", "ElementType = MET_UCHAR"]
    lines.append("UltrasoundImageOrientation = MF")
    for k, (T, world_s) in enumerate(zip(swept.T_base_probe, swept.world_s, strict=True)):
        lines.append(f"Seq_Frame{k:04d}_ProbeToTrackerTransform = {_numbers(T)}")
        lines.append(f"Seq_Frame{k:04d}_ProbeToTrackerTransformStatus = OK")
        lines.append(f"Seq_Frame{k:04d}_Timestamp = {world_s:.6f}")
    text = "\n".join([*lines, "ElementDataFile = LOCAL\n"])
    path.write_bytes(text.encode() + np.ascontiguousarray(swept.frames).tobytes())


def _motion(rng: np.random.Generator) -> SweepConfig:
    first, second = (tuple(rng.uniform(5.0, 13.0, 3).tolist()) for _ in range(2))
    return SweepConfig(
        home_s=0.0, center_mm=_FACE_MM, amplitude_mm=(6.0, 20.0, 8.0), period_s=first, tilt_deg=(14.0, 12.0, 14.0), tilt_period_s=second
    )


def _numbers(T: Array) -> str:
    return " ".join(f"{value:.12g}" for value in T.ravel())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--world", type=Path)
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--images", type=int, default=50)
    given = parser.parse_args()
    write_sweeps(given.folder, read_world(given.world), given.sweeps, given.images)


if __name__ == "__main__":
    main()
