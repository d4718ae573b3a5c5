"""The patient's truth as files: tissue maps and CT-like volume (.mha), vessels (.npz), motion (.npz), all about them (.yaml)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_bench.patient.patient import Patient
from lodestone_core import se3
from lodestone_core.config import to_mapping
from lodestone_core.types import Array
from lodestone_core.yaml_file import dump_yaml

_ELEMENTS = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT"}


def write_mha(path: Path, voxels: npt.NDArray[np.generic], spacing_mm: Array, T_world_volume: Array) -> None:
    """A MetaImage of voxels (Z, Y, X) of type uint8, int16 or float32; the pose is of the middle of voxel (0, 0, 0), mm."""
    # Each axis of the volume is one line of the header: the columns of the rotation, one after the other.
    axes = " ".join(f"{value:.12g}" for value in T_world_volume[:3, :3].T.ravel())
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix = {axes}\n"
        f"Offset = {' '.join(f'{value:.12g}' for value in T_world_volume[:3, 3])}\n"
        "CenterOfRotation = 0 0 0\n"
        f"ElementSpacing = {' '.join(f'{value:.12g}' for value in spacing_mm)}\n"
        f"DimSize = {' '.join(str(size) for size in voxels.shape[::-1])}\n"
        f"ElementType = {_ELEMENTS[voxels.dtype.name]}\nElementDataFile = LOCAL\n"
    )
    with path.open("wb") as stream:
        stream.write(header.encode())
        stream.write(np.ascontiguousarray(voxels).tobytes())


def export_patient(patient: Patient, folder: Path, duration_s: float = 120.0, rate_hz: float = 20.0) -> None:
    """Write everything into `folder`: patient.yaml, ct.mha, liver.mha, vessels.npz, motion.npz (poses and levels over world time)."""
    folder.mkdir(parents=True, exist_ok=True)
    volume, spacing, T_bench_volume = patient.volume_hu()
    write_mha(folder / "ct.mha", np.rint(volume).astype(np.int16), spacing, T_bench_volume)
    liver = patient.liver_map
    T_bench_map = patient.T_bench_patient @ se3.make(np.eye(3), liver.origin_mm)
    write_mha(folder / "liver.mha", liver.labels, np.full(3, liver.spacing_mm), T_bench_map)
    ends = np.array([[segment.start, segment.end] for segment in patient.segments])
    radii, tissue = (np.array([getattr(segment, name) for segment in patient.segments]) for name in ("radius_mm", "tissue"))
    np.savez(folder / "vessels.npz", ends_liver_mm=ends, radius_mm=radii, tissue=tissue)
    times = np.arange(0.0, duration_s, 1.0 / rate_hz)
    np.savez(folder / "motion.npz", world_s=times, level=patient.breathing.level(times), T_bench_liver=patient.T_bench_liver(times))
    about = {"seed": patient.seed, "patient": to_mapping(patient.config), "T_bench_patient": patient.T_bench_patient.tolist()}
    (folder / "patient.yaml").write_text(dump_yaml(about), encoding="utf-8")
