"""A header against the geometry in use: each disagreement is named, and nothing that disagrees is valid."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_core.calibration_file import CalibrationFile
from lodestone_core.config import load_config, to_mapping
from lodestone_core.errors import InputError
from xray_registration.calibration import XrayCalibration, parse_xray_calibration
from xray_registration.drivers.header import FrameGeometry, ToleranceConfig, XrayHeader, frame_geometry

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EXAMPLE = XrayCalibration((48, 32), (0.6, 0.6), 1200.0, (23.5, 15.5), 750.0, "none")
HEADER = XrayHeader((48, 32), (0.6, 0.6), 1200.0, 750.0, 0.3, -0.2)


def judged(header: XrayHeader, calibration: XrayCalibration | None, is_dicom: bool = True) -> FrameGeometry:
    return frame_geometry(header, calibration, ToleranceConfig(), is_dicom)


def test_a_header_that_agrees_is_valid_and_has_its_own_angles(calibration: XrayCalibration) -> None:
    found = judged(HEADER, calibration)
    assert found.valid and found.placed and found.source == "dicom" and (found.primary_rad, found.secondary_rad) == (0.3, -0.2)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"size_px": (32, 48)}, "32 x 48"),
        ({"source_to_detector_mm": 1000.0}, "1000.0"),
        ({"source_to_isocentre_mm": 810.0}, "810.0"),
        ({"spacing_mm": (0.6, 0.3)}, "spacing in y"),
        ({"mirrored": True}, "mirrored"),
        ({"problems": ("it says two things",)}, "two things"),
        ({"source_to_detector_mm": None}, "0018,1110"),
        ({"source_to_isocentre_mm": None}, "0018,1111"),
        ({"primary_rad": None}, "0018,1510"),
        ({"spacing_mm": None}, "0018,1164"),
    ],
)
def test_each_disagreement_is_named(calibration: XrayCalibration, changes: dict[str, object], names: str) -> None:
    found = judged(replace(HEADER, **changes), calibration)
    assert not found.valid and not found.placed and names in found.detail and found.source == "unknown"


def test_what_is_within_tolerance_is_that_of_the_calibration(calibration: XrayCalibration) -> None:
    found = judged(replace(HEADER, source_to_detector_mm=1201.5, spacing_mm=(0.601, 0.6)), calibration)
    assert found.valid and found.source_to_detector_mm == 1200.0 and found.spacing_mm == (0.6, 0.6)


def test_angles_off_a_calibration_that_holds_at_one_place_are_named(calibration: XrayCalibration) -> None:
    at = replace(calibration, primary_deg=math.degrees(0.3), secondary_deg=0.0)
    assert "secondary angle" in judged(HEADER, at).detail
    assert judged(replace(HEADER, secondary_rad=0.0), at).valid


def test_video_has_a_place_only_with_angles_of_the_calibration(calibration: XrayCalibration) -> None:
    bare = XrayHeader((48, 32))
    found = judged(bare, calibration, is_dicom=False)
    assert found.valid and not found.placed and math.isnan(found.primary_rad) and found.source == "calibration"
    assert judged(bare, replace(calibration, primary_deg=1.0, secondary_deg=2.0), is_dicom=False).placed


def test_without_calibration_or_with_unknown_distortion_nothing_is_valid(calibration: XrayCalibration) -> None:
    assert "calibration_file" in judged(HEADER, None).detail
    assert "distortion" in judged(HEADER, replace(calibration, distortion="unknown")).detail


def test_the_camera_matrix_is_distance_over_spacing(calibration: XrayCalibration) -> None:
    camera = replace(calibration, pixel_spacing_mm=(0.6, 0.3)).camera()
    assert camera.K.tolist() == [[2000.0, 0.0, 23.5], [0.0, 4000.0, 15.5], [0.0, 0.0, 1.0]]


def test_a_calibration_comes_back_and_another_rigs_is_refused(calibration: XrayCalibration) -> None:
    text = CalibrationFile("xray", "my_bench", ("C-arm",), "2026-01-01", "by hand", "0.1.0", to_mapping(calibration)).to_yaml()
    assert parse_xray_calibration(text, "xray.yaml", "my_bench") == calibration
    with pytest.raises(InputError, match="rig"):
        parse_xray_calibration(text, "xray.yaml", "other_bench")


@pytest.mark.parametrize("changes", [{"source_to_isocentre_mm": 1300.0}, {"distortion": "plumb_bob"}, {"distortion_coefficients": [0.1]}])
def test_a_calibration_that_makes_no_sense_is_refused(calibration: XrayCalibration, changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        load_config(XrayCalibration, {**to_mapping(calibration), **changes})


@given(st.sampled_from([field for field in to_mapping(EXAMPLE) if field != "isocentre"]), ANYTHING)
def test_whatever_stands_in_a_calibration_is_taken_or_refused(field: str, value: object) -> None:
    try:
        found = load_config(XrayCalibration, {**to_mapping(EXAMPLE), field: value})
    except InputError:
        return
    assert np.isfinite(found.camera().K).all() and found.camera().width == found.size_px[0]
