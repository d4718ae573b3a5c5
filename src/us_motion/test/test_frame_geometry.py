"""The fan of an ultrasound image: there and back, its mask, its size of a pixel, its file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.calibration_file import CalibrationFile
from lodestone_core.config import to_mapping
from lodestone_core.errors import InputError
from us_motion.frame_geometry import Fan, FanConfig, spacing_from_targets
from us_motion.ultrasound_calibration import UltrasoundCalibration, calibration_from, parse_ultrasound_calibration

CONFIG = FanConfig(150.0, (0.5, 0.5), (199.5, -73.9), 45.0, -math.pi / 6, math.pi / 6)
FAN = Fan(CONFIG, (400, 320))

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_straight_down_is_below_the_apex_and_a_right_angle_is_to_the_right() -> None:
    assert FAN.pixels(100.0, 0.0) == pytest.approx([199.5, -73.9 + 200.0])
    assert FAN.pixels(100.0, math.pi / 2) == pytest.approx([399.5, -73.9])
    assert FAN.polar([199.5, 126.1]) == pytest.approx((100.0, 0.0))


@given(st.floats(1.0, 300.0), st.floats(-1.5, 1.5), st.floats(0.1, 2.0), st.floats(0.1, 2.0))
def test_distance_and_angle_come_back_from_pixels_that_are_not_square(radius: float, angle: float, x_mm: float, y_mm: float) -> None:
    fan = Fan(FanConfig(150.0, (x_mm, y_mm), (10.0, -20.0), 45.0, -0.5, 0.5), (400, 320))
    assert fan.polar(fan.pixels(radius, angle)) == pytest.approx((radius, angle), abs=1e-9)


def test_the_mask_covers_as_much_as_the_fan() -> None:
    whole = Fan(FanConfig(100.0, (0.5, 0.5), (250.0, 20.0), 20.0, -0.6, 0.6), (501, 301))
    area = 0.5 * 1.2 * (120.0**2 - 20.0**2)
    assert whole.mask.sum() * 0.25 == pytest.approx(area, rel=2e-3)
    assert not whole.mask[:30].any() and whole.mask[61, 250]


def test_the_outline_lies_on_the_border_and_its_vectors_point_outside() -> None:
    points, outward, kinds = FAN.outline()
    radius, angle = FAN.polar(points)
    assert np.allclose(np.abs(angle[kinds < 2]), math.pi / 6) and np.allclose(radius[kinds == 2], 195.0)
    assert np.linalg.norm(outward, axis=1) == pytest.approx(1.0)
    outside = FAN.polar(points + 2.0 * outward)
    assert (np.abs(outside[1][kinds < 2]) > math.pi / 6).all() and (outside[0][kinds == 2] > 195.9).all()


def test_the_size_of_a_pixel_follows_from_known_distances_with_its_error() -> None:
    rng = np.random.default_rng(2)
    true_px = np.array([[0, 0], [200, 20], [10, 300], [280, 310], [150, 0], [140, 250], [300, 100], [20, 150]], float)
    pairs = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [0, 7]])
    known = 0.42 * np.linalg.norm(true_px[pairs[:, 0]] - true_px[pairs[:, 1]], axis=1)
    spacing, sigma = spacing_from_targets(true_px, pairs, known)
    assert spacing == pytest.approx(0.42) and sigma < 1e-12
    errors = [spacing_from_targets(true_px + rng.normal(0.0, 0.5, true_px.shape), pairs, known) for _ in range(200)]
    spread = np.std([found for found, _ in errors])
    assert 0.4 < np.mean([found_sigma for _, found_sigma in errors]) / spread < 1.6


@pytest.mark.parametrize(
    ("pairs", "distances", "names"),
    [([], [], "pair"), ([[0, 1]], [], "pair"), ([[0, 0]], [5.0], "apart"), ([[0, 1], [0, 2]], [10.0, 30.0], "aspect")],
)
def test_targets_that_tell_nothing_are_refused(pairs: Any, distances: Any, names: str) -> None:
    with pytest.raises(InputError, match=names):
        spacing_from_targets([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]], pairs, distances)


def test_a_calibration_file_comes_back_and_crops() -> None:
    calibration = UltrasoundCalibration((640, 480), (100, 50, 400, 320), {"d150": CONFIG})
    text = CalibrationFile("ultrasound", "my_bench", ("machine",), "2026-01-01", "by hand", "0.1.0", calibration.values()).to_yaml()
    found, _ = parse_ultrasound_calibration(text, "ultrasound.yaml", "my_bench")
    assert found == calibration and found.image_px == (400, 320)
    frame = np.arange(640 * 480, dtype=np.uint32).reshape(480, 640).astype(np.uint8)
    assert np.array_equal(found.cropped(frame), frame[50:370, 100:500])
    with pytest.raises(InputError, match="rig"):
        parse_ultrasound_calibration(text, "ultrasound.yaml", "other_bench")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"crop_px": [300, 0, 400, 320]}, "crop_px"),
        ({"crop_px": [0, 0, 400]}, "crop_px"),
        ({"frame_px": [640.0, 480]}, "frame_px"),
        ({"presets": {}}, "presets"),
        ({"presets": {"d": {**to_mapping(CONFIG), "apex_px": [5000.0, 0.0]}}}, "presets.d"),
        ({"presets": {"d": {**to_mapping(CONFIG), "angle_min_rad": 0.9}}}, "angle"),
        ({"presets": {"d": {**to_mapping(CONFIG), "depht_mm": 1.0}}}, "depth_mm"),
        ({"more": 1}, "more"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(changes: dict[str, Any], names: str) -> None:
    good = UltrasoundCalibration((640, 480), (100, 50, 400, 320), {"d150": CONFIG}).values()
    with pytest.raises(InputError, match=names):
        calibration_from({**good, **changes}, "ultrasound.yaml")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_calibration_is_taken_or_refused_by_name(data: st.DataObject) -> None:
    values: dict[str, Any] = UltrasoundCalibration((640, 480), (100, 50, 400, 320), {"d150": CONFIG}).values()
    key = data.draw(st.sampled_from([*values, *values["presets"]["d150"]]))
    (values if key in values else values["presets"]["d150"])[key] = data.draw(ANYTHING)
    try:
        found = calibration_from(values, "ultrasound.yaml")
    except InputError as error:
        assert "ultrasound.yaml" in str(error) or "angle" in str(error)
        return
    assert all(fan.mask.any() for fan in found.fans().values())
