"""Camera files in the layout of ROS: there and back, against a file as camera_calibration writes it, and broken ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.camera import CameraModel
from lodestone_core.camera_info import camera_from_msg, camera_from_yaml, camera_to_yaml, load_camera, save_camera
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import parse_yaml

FILE = """\
image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0.000000, 0.000000, 1.000000]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [0.999978, 0.002789, -0.006046, -0.002816, 0.999986, -0.004401, 0.006034, 0.004417, 0.999972]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0.000000, 322.797939, -47.25, 0.000000, 393.653800, 241.090902, 0.000000, 0.000000, 0.000000, 1.000000, 0.000000]
"""


def camera(D: int = 5) -> CameraModel:
    rng = np.random.default_rng(D)
    K = np.array([[5801.3, 0.0, 1 / 3], [0.0, 5799.1, 770.25], [0.0, 0.0, 1.0]])
    model = "plumb_bob" if D == 5 else "rational_polynomial"
    return CameraModel("right", 2048, 1536, K, rng.normal(size=D) * 1e-3, model, P=np.column_stack([K, [-3e6, 0.0, 0.0]]))


def test_reads_a_file_of_camera_calibration() -> None:
    found = camera_from_yaml(FILE)
    assert (found.name, found.width, found.height, found.distortion_model) == ("narrow", 640, 480, "plumb_bob")
    assert found.K[1].tolist() == [0.0, 437.302876, 243.738352]
    assert found.D.tolist() == [-0.361976, 0.110510, 0.001014, 0.000505, 0.0]
    assert found.R[2, 1] == 0.004417
    # Tx = -fx B: a base of 0.12 m is 120 mm here.
    assert -found.projection[0, 3] / found.projection[0, 0] == pytest.approx(1000.0 * 47.25 / 393.653800, abs=1e-9)


@pytest.mark.parametrize("coefficients", [5, 8])
def test_a_camera_comes_back_from_its_file(tmp_path: Path, coefficients: int) -> None:
    written = camera(coefficients)
    save_camera(tmp_path / "rig" / "right.yaml", written)
    read = load_camera(tmp_path / "rig" / "right.yaml")
    for name in ("K", "D", "R"):
        assert np.array_equal(getattr(read, name), getattr(written, name)), name
    assert np.allclose(read.projection, written.projection, rtol=1e-15, atol=0.0)
    assert (read.name, read.width, read.height, read.distortion_model) == ("right", 2048, 1536, written.distortion_model)


def test_the_keys_stand_in_the_order_of_ros() -> None:
    assert list(parse_yaml(camera_to_yaml(camera()), "")) == list(parse_yaml(FILE, ""))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("camera_matrix:", "matrix:", "camera_matrix"),
        ("image_width: 640", "image_width: wide", "image_width"),
        ("image_width: 640", "image_width: 640.5", "image_width"),
        ("  cols: 5", "  cols: 4", "distortion_coefficients"),
        ("  cols: 4", "  cols: 3", "projection_matrix"),
        ("[-0.361976, ", "[", "distortion_coefficients"),
        ("[-0.361976", "[.nan", "finite"),
        ("[-0.361976", "[true", "distortion_coefficients"),
        ("plumb_bob", "equidistant", "distortion model"),
        ("438.783367", "0.0", "fx, fy > 0"),
        ("0.999978", "2.0", "rotation"),
    ],
)
def test_a_broken_file_is_refused_by_what_is_wrong(old: str, new: str, text: str) -> None:
    assert old in FILE
    with pytest.raises(InputError, match=text):
        camera_from_yaml(FILE.replace(old, new, 1), "left.yaml")


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lodestone calibrate stereo"):
        load_camera(tmp_path / "left.yaml")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(FILE)), st.integers(0, 40), st.text(max_size=12))
def test_a_file_with_any_damage_is_read_or_refused_by_name(at: int, length: int, put: str) -> None:
    try:
        found = camera_from_yaml(FILE[:at] + put + FILE[at + length :], "left.yaml")
    except InputError:
        return
    assert np.isfinite(found.K).all() and np.isfinite(found.D).all() and found.width > 0


def message(**change: object) -> SimpleNamespace:
    region = SimpleNamespace(width=0, height=0, x_offset=0, y_offset=0)
    one = camera()
    fields = {"width": 2048, "height": 1536, "distortion_model": "plumb_bob", "k": one.K.ravel(), "d": one.D, "r": one.R.ravel()}
    return SimpleNamespace(**(fields | {"p": one.projection.ravel(), "binning_x": 0, "binning_y": 0, "roi": region} | change))


def test_messages_of_uncalibrated_binned_and_cropped_cameras_are_refused() -> None:
    assert camera_from_msg(message(), "right").width == 2048
    with pytest.raises(InputError, match=r"camera right, K.*calibrated camera"):
        camera_from_msg(message(k=np.zeros(9)), "right")
    with pytest.raises(InputError, match="binning"):
        camera_from_msg(message(binning_x=2), "right")
    with pytest.raises(InputError, match="region of interest"):
        camera_from_msg(message(roi=SimpleNamespace(width=640, height=480, x_offset=8, y_offset=0)), "right")
