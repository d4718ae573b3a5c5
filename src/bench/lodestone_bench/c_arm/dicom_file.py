"""The C-arm's pictures as DICOM files (X-Ray Angiographic Image Storage), the way a device exports them to a folder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from lodestone_bench.c_arm.config import CArmConfig
from lodestone_bench.c_arm.detector import BITS

_XA = UID("1.2.840.10008.5.1.4.1.1.12.1")
_ROOT = "2.25."
"""Identifiers made of whole numbers need no registered root (PS3.5, B.2)."""
_LEFT_OUT = ("DistanceSourceToDetector", "DistanceSourceToPatient", "PositionerPrimaryAngle", "PositionerSecondaryAngle")


@dataclass(frozen=True, slots=True)
class HeaderFaults:
    """What is wrong with the header of one file."""

    detector_mm: float = 0.0
    angle_deg: float = 0.0
    leave_out: bool = False


def dicom_bytes(
    pictures: Sequence[npt.NDArray[np.uint16]], config: CArmConfig, angles_deg: tuple[float, float], number: int, faults: HeaderFaults
) -> bytes:
    """A file with pictures (rows, columns) of 12 bits, one or a run; `number` makes its identifiers."""
    stack = np.stack(pictures)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = _XA
    meta.MediaStorageSOPInstanceUID = UID(f"{_ROOT}{4711_0000_0000 + number}")
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    entries: dict[str, Any] = {
        "SOPClassUID": _XA,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "XA",
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "InstanceNumber": number,
        "PatientName": "Simulated",
        "PatientID": "0",
        "PatientPosition": "HFS",
        "PatientOrientation": ["R", "F"],
        "PositionerMotion": "STATIC",
        "PositionerType": "CARM",
        "Rows": stack.shape[1],
        "Columns": stack.shape[2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelIntensityRelationship": "LIN",
        "BitsAllocated": 16,
        "BitsStored": BITS,
        "HighBit": BITS - 1,
        "PixelRepresentation": 0,
        "ImagerPixelSpacing": [config.spacing_mm, config.spacing_mm],
        "DistanceSourceToDetector": config.source_to_detector_mm + faults.detector_mm,
        "DistanceSourceToPatient": config.source_to_isocentre_mm,
        "PositionerPrimaryAngle": angles_deg[0] + faults.angle_deg,
        "PositionerSecondaryAngle": angles_deg[1],
    }
    if len(stack) > 1:
        entries |= {"NumberOfFrames": len(stack), "FrameTime": 1e3 / config.rate_hz}
    for keyword, value in entries.items():
        if not (faults.leave_out and keyword in _LEFT_OUT):
            setattr(file, keyword, value)
    file.PixelData = stack.astype("<u2").tobytes()
    file["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    file.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()
