"""Shared by the tests of this package: a DICOM file as an angiograph writes it, and the calibration of the same C-arm."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from xray_registration.calibration import XrayCalibration

HEADER: dict[str, Any] = {
    "PatientName": "Doe^Jane",
    "PatientID": "4711",
    "Modality": "XA",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "DistanceSourceToDetector": 1200.0,
    "DistanceSourceToPatient": 750.0,
    "ImagerPixelSpacing": [0.6, 0.6],
    "PositionerPrimaryAngle": 20.0,
    "PositionerSecondaryAngle": -10.0,
}


def write(pixels: Any, syntax: Any = ExplicitVRLittleEndian, **changes: Any) -> bytes:
    """The bytes of a file with these pixels (rows, columns) or (n, rows, columns); None takes an element out."""
    stack = np.atleast_3d(np.asarray(pixels)) if np.ndim(pixels) == 3 else np.asarray(pixels)[None]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=implicit, is_little_endian=little)
    entries = {**HEADER, "Rows": stack.shape[1], "Columns": stack.shape[2], **changes}
    if len(stack) > 1:
        entries.setdefault("NumberOfFrames", len(stack))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in entries.items():
            if value is not None:
                setattr(dataset, keyword, value)
        bits = int(entries["BitsAllocated"])
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        dataset.PixelData = stack.astype(f"{order}u{bits // 8}").tobytes()
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
        buffer = io.BytesIO()
        dataset.save_as(buffer, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def dicom() -> Callable[..., bytes]:
    """dicom(pixels, syntax, **changes): see `write`."""
    return write


@pytest.fixture
def calibration() -> XrayCalibration:
    """The C-arm of HEADER with a detector of 48 x 32 pixels."""
    return XrayCalibration(
        size_px=(48, 32),
        pixel_spacing_mm=(0.6, 0.6),
        source_to_detector_mm=1200.0,
        source_to_isocentre_mm=750.0,
        principal_point_px=(23.5, 15.5),
        distortion="none",
    )
