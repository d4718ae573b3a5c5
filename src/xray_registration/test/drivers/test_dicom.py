"""DICOM files: pixels and geometry come out as they went in, and what is damaged or contradictory is named, never believed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from lodestone_core.errors import InputError
from xray_registration.calibration import XrayCalibration
from xray_registration.drivers.dicom import read_dicom
from xray_registration.drivers.header import ToleranceConfig, frame_geometry

PIXELS = (np.arange(32 * 48).reshape(32, 48) * 2).astype(np.uint16)
Write = Callable[..., bytes]


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_pixels_and_geometry_come_out_as_they_went_in(dicom: Write, syntax: Any) -> None:
    content = dicom(PIXELS, ImagerPixelSpacing=[0.5, 0.7]) if syntax is None else dicom(PIXELS, syntax, ImagerPixelSpacing=[0.5, 0.7])
    found = read_dicom(content)
    assert found.frames.dtype == np.uint16 and np.array_equal(found.frames[0], PIXELS)
    (header,) = found.headers
    assert (header.size_px, header.source_to_detector_mm, header.source_to_isocentre_mm) == ((48, 32), 1200.0, 750.0)
    assert header.spacing_mm == (0.7, 0.5), "the first spacing is that between rows"
    assert (header.primary_rad, header.secondary_rad) == pytest.approx((math.radians(20.0), math.radians(-10.0)))
    assert header.problems == () and header.mirrored is None


def test_eight_bits_stay_eight_and_monochrome1_is_turned_over(dicom: Write) -> None:
    small = (PIXELS % 256).astype(np.uint8)
    found = read_dicom(dicom(small, BitsAllocated=8, BitsStored=8, HighBit=7, PhotometricInterpretation="MONOCHROME1"))
    assert found.frames.dtype == np.uint8 and np.array_equal(found.frames[0], 255 - small)
    turned = read_dicom(dicom(PIXELS, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(turned.frames[0], 4095 - PIXELS)


def test_rescaling_is_applied_or_refused(dicom: Write) -> None:
    found = read_dicom(dicom(PIXELS, RescaleSlope=2.0, RescaleIntercept=100.0))
    assert np.array_equal(found.frames[0], PIXELS * 2 + 100)
    with pytest.raises(InputError, match="rescale"):
        read_dicom(dicom(PIXELS, RescaleSlope=1.0, RescaleIntercept=-1024.0))


def test_frames_of_a_run_are_as_far_apart_as_the_file_says(dicom: Write) -> None:
    stack = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    found = read_dicom(dicom(stack, FrameTime=125.0))
    assert np.array_equal(found.frames, stack) and found.offsets_s == pytest.approx((-0.25, -0.125, 0.0))
    uneven = read_dicom(dicom(stack, FrameTimeVector=[0.0, 100.0, 50.0]))
    assert uneven.offsets_s == pytest.approx((-0.15, -0.05, 0.0))
    with pytest.raises(InputError, match=r"0018,1063"):
        read_dicom(dicom(stack))


@pytest.mark.parametrize(("way", "expected"), [("offset", (20.0, 25.0, 22.0)), ("step", (20.0, 25.0, 27.0)), ("absolute", (0.0, 5.0, 2.0))])
def test_angles_of_a_moving_positioner_follow_the_devices_way(dicom: Write, way: str, expected: tuple[float, ...]) -> None:
    moving = {"PositionerMotion": "DYNAMIC", "PositionerPrimaryAngleIncrement": [0.0, 5.0, 2.0], "FrameTime": 100.0}
    content = dicom(np.stack([PIXELS] * 3), **moving)
    found = [header.primary_rad for header in read_dicom(content, way).headers]
    assert found == pytest.approx([math.radians(angle) for angle in expected])
    (first, *_) = read_dicom(content).headers
    assert first.primary_rad is None and "angle_increments" in first.problems[0]


def test_increments_that_do_not_fit_the_frames_give_no_angle(dicom: Write) -> None:
    moving = {"PositionerMotion": "DYNAMIC", "PositionerPrimaryAngleIncrement": [0.0, 5.0], "FrameTime": 100.0}
    header = read_dicom(dicom(np.stack([PIXELS] * 3), **moving), "offset").headers[0]
    assert header.primary_rad is None and "0018,1520" in header.problems[0]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"DistanceSourceToPatient": 1300.0}, "not less than"),
        ({"EstimatedRadiographicMagnificationFactor": 1.4}, "0018,1114"),
        ({"PixelSpacing": [0.5, 0.5]}, "0028,0030"),
        ({"PatientPosition": "FFS"}, "0018,5100"),
    ],
)
def test_a_header_that_contradicts_itself_says_so(dicom: Write, changes: dict[str, Any], names: str) -> None:
    (header,) = read_dicom(dicom(PIXELS, **changes)).headers
    assert names in header.problems[0]


@pytest.mark.parametrize("spacing", [[0.6, 0.6], [0.375, 0.375]])
def test_pixel_spacing_at_the_detector_or_the_isocentre_is_no_contradiction(dicom: Write, spacing: list[float]) -> None:
    changes = {"PixelSpacing": spacing, "EstimatedRadiographicMagnificationFactor": 1.6, "PatientPosition": "HFS"}
    assert read_dicom(dicom(PIXELS, **changes)).headers[0].problems == ()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"SamplesPerPixel": 3}, "0028,0002"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "0028,0004"),
        ({"PixelRepresentation": 1}, "0028,0103"),
        ({"HighBit": 15}, "0028,0100"),
        ({"BitsStored": 8, "HighBit": 7}, "7FE0,0010"),
        ({"Rows": 31}, "7FE0,0010"),
        ({"NumberOfFrames": 2_000_000_000}, "size"),
        ({"DistanceSourceToDetector": -1200.0}, "0018,1110"),
        ({"PositionerSecondaryAngle": 100.0}, "0018,1511"),
        ({"ImagerPixelSpacing": [0.6]}, "0018,1164"),
    ],
)
def test_what_cannot_be_is_refused_with_its_tag(dicom: Write, changes: dict[str, Any], names: str) -> None:
    with pytest.raises(InputError, match=names):
        read_dicom(dicom(PIXELS, **changes))


def test_a_compressed_file_is_refused_with_what_to_do(dicom: Write) -> None:
    content = dicom(PIXELS)
    plain, packed = b"1.2.840.10008.1.2.1\0", JPEGBaseline8Bit.encode()
    assert plain in content
    with pytest.raises(InputError, match="uncompressed"):
        read_dicom(content.replace(plain, packed.ljust(len(plain), b"\0")[: len(plain)]))


def test_neither_an_error_nor_the_log_names_the_patient(dicom: Write, caplog: pytest.LogCaptureFixture, recwarn: Any) -> None:
    good = dicom(PIXELS)
    said = [
        str(refusal(content)) for content in (*(good[:cut] for cut in range(130, 600, 7)), dicom(PIXELS, PatientOrientation="Doe^Jane"))
    ]
    said += [str(refusal(good.replace(b"1200.0", b"Doe^Ja"))), caplog.text, *(str(warning.message) for warning in recwarn.list)]
    assert any("0018,1110" in text for text in said)
    assert not [text for text in said if "Doe" in text or "4711" in text]


def refusal(content: bytes) -> InputError | None:
    try:
        read_dicom(content)
    except InputError as error:
        return error
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), damage=st.sampled_from(["flip", "cut", "zero", "swap", "insert"]))
def test_a_damaged_file_is_refused_or_its_geometry_is_right_or_said_not_to_hold(
    dicom: Write, calibration: XrayCalibration, seed: int, damage: str
) -> None:
    chance = random.Random(seed)
    good = dicom(PIXELS)
    content = damaged(bytearray(good), damage, chance)
    try:
        found = read_dicom(bytes(content))
    except InputError:
        return
    assert len(found.headers) == len(found.frames) == len(found.offsets_s)
    at = replace(calibration, primary_deg=20.0, secondary_deg=-10.0)
    for header in found.headers:
        geometry = frame_geometry(header, at, ToleranceConfig(), is_dicom=True)
        assert header.size_px == found.frames.shape[:0:-1]
        if geometry.valid:
            assert geometry.source_to_detector_mm == 1200.0 and found.frames.shape[1:] == (32, 48)
            assert math.degrees(geometry.primary_rad) == pytest.approx(20.0, abs=0.5)
            assert math.degrees(geometry.secondary_rad) == pytest.approx(-10.0, abs=0.5)


def damaged(content: bytearray, damage: str, chance: random.Random) -> bytearray:
    """Half of the damage goes into the header, where it hurts."""
    end = 900 if chance.random() < 0.5 else len(content)
    at = chance.randrange(end)
    if damage == "flip":
        for _ in range(chance.randint(1, 8)):
            content[chance.randrange(end)] ^= 1 << chance.randrange(8)
    elif damage == "cut":
        del content[at:]
    elif damage == "zero":
        content[at : at + 16] = bytes(len(content[at : at + 16]))
    elif damage == "insert":
        content[at:at] = chance.randbytes(4)
    else:
        other = chance.randrange(end)
        content[at : at + 4], content[other : other + 4] = content[other : other + 4], content[at : at + 4]
    return content
