"""Pinhole camera with distortion against OpenCV, against differences, and at its limits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lodestone_core import lens, se3
from lodestone_core.camera import CameraModel, triangulate
from lodestone_core.errors import InputError
from lodestone_core.types import Array

K = np.array([[5800.0, 0.0, 1021.0], [0.0, 5790.0, 770.5], [0.0, 0.0, 1.0]])
PLUMB_BOB = np.array([-0.12, 0.35, 8e-4, -6e-4, -0.7])
RATIONAL = np.array([0.4, -0.2, 5e-4, 7e-4, 0.05, 0.3, -0.1, 0.02])
LENSES = {"plumb_bob": PLUMB_BOB, "rational_polynomial": RATIONAL, "none": np.zeros(5)}


def camera(D: Array = PLUMB_BOB, K: Array = K) -> CameraModel:
    model = "plumb_bob" if len(D) == 5 else "rational_polynomial"
    return CameraModel(name="left", width=2048, height=1536, K=K, D=D, distortion_model=model)


def points(count: int = 200, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.uniform([-70.0, -50.0, 380.0], [70.0, 50.0, 480.0], (count, 3))


@pytest.mark.parametrize("D", LENSES.values(), ids=LENSES)
def test_projects_as_opencv_does(D: Array) -> None:
    expected = cv2.projectPoints(points(), np.zeros(3), np.zeros(3), K, D)[0][:, 0]
    assert np.abs(camera(D).project(points()) - expected).max() < 1e-9


@pytest.mark.parametrize("D", LENSES.values(), ids=LENSES)
def test_unproject_undoes_project_also_far_outside_the_image(D: Array) -> None:
    seen = points() * (3.0, 3.0, 1.0)
    back = camera(D).unproject(camera(D).project(seen))
    assert np.abs(back - seen / seen[:, 2:]).max() < 1e-12


def test_leading_axes_are_kept_and_a_scene_of_any_size_gives_the_same_pixels() -> None:
    model = camera()
    stack = points(24).reshape(2, 3, 4, 3)
    assert model.project(stack).shape == (2, 3, 4, 2)
    assert model.rays(model.project(stack)).shape == (2, 3, 4, 3)
    for scale in (1e-6, 1e6):
        assert np.abs(model.project(stack * scale) - model.project(stack)).max() < 1e-9
    assert model.project(np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("D", LENSES.values(), ids=LENSES)
def test_derivatives_agree_with_differences(D: Array) -> None:
    model, seen, step = camera(D), points(20), 1e-4
    differences = [(model.project(seen + step * axis) - model.project(seen - step * axis)) / (2 * step) for axis in np.eye(3)]
    J = model.project_derivative(seen)
    assert np.abs(J - np.stack(differences, axis=-1)).max() < 1e-7 * np.abs(J).max()
    ideal = seen[:, :2] / seen[:, 2:] * 3.0
    columns = [(lens.distort(ideal, D + 1e-5 * one) - lens.distort(ideal, D - 1e-5 * one)) / 2e-5 for one in np.eye(len(D))]
    assert np.abs(lens.coefficient_derivative(ideal, D) - np.stack(columns, axis=-1)).max() < 1e-9


def test_what_is_behind_the_camera_has_no_pixel() -> None:
    for point in ([0.0, 0.0, -400.0], [10.0, 5.0, 0.0], [np.nan, 0.0, 400.0]):
        assert np.isnan(camera().project(point)).all()
        assert np.isnan(camera().project_derivative(point)).all()
    assert not camera().contains(camera().project([0.0, 0.0, -400.0]))


def test_where_the_lens_model_turns_back_there_is_no_pixel_and_no_ray() -> None:
    # With k1 = -1 alone the shown radius r (1 - r^2) is largest at r = 1 / sqrt 3, where it is 0.385.
    wide = camera(np.array([-1.0, 0.0, 0.0, 0.0, 0.0]), np.diag([1000.0, 1000.0, 1.0]))
    assert np.isfinite(wide.project([0.57, 0.0, 1.0])).all()
    assert np.isnan(wide.project([0.60, 0.0, 1.0])).all()
    assert np.isnan(wide.project([1.0, 0.0, 1.0])).all()
    assert np.isfinite(wide.unproject([380.0, 0.0])).all()
    assert np.isnan(wide.unproject([390.0, 0.0])).all()


def test_rays_are_unit_vectors_through_their_points() -> None:
    model, seen = camera(RATIONAL), points()
    across = np.cross(model.rays(model.project(seen)), seen)
    assert np.abs(np.linalg.norm(model.rays(model.project(seen)), axis=-1) - 1.0).max() < 1e-14
    assert np.abs(across).max() < 1e-9


def test_two_views_at_a_right_angle_give_the_point_back() -> None:
    side = se3.make(np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]), np.array([0.0, 450.0, 430.0]))
    T_camera_ref = np.stack([np.eye(4), side])
    seen, model = points(), camera()
    pixels = np.stack([model.project(se3.transform(T, seen)) for T in T_camera_ref])
    assert np.abs(triangulate((model, model), T_camera_ref, pixels) - seen).max() < 1e-9
    pixels[1, 3] = np.nan
    assert np.isnan(triangulate((model, model), T_camera_ref, pixels)).any(axis=1).tolist() == [i == 3 for i in range(len(seen))]
    assert np.isnan(triangulate((model,), T_camera_ref[:1], pixels[:1])).all()


def test_a_frame_of_another_size_is_named() -> None:
    camera().check_frame("stereo/left", 2048, 1536)
    with pytest.raises(InputError, match=r"stereo/left: expected frames of 2048x1536 px.*got 1024x768"):
        camera().check_frame("stereo/left", 1024, 768)
    with pytest.raises(InputError, match="turn the image back"):
        camera().check_frame("stereo/left", 1536, 2048)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"K": np.zeros((3, 3))}, "calibrated camera"),
        ({"K": K.T}, "row by row"),
        ({"K": np.diag([-1.0, 1.0, 1.0])}, "fx, fy > 0"),
        ({"K": np.full((3, 3), np.nan)}, "finite"),
        ({"D": np.zeros(4)}, "shape"),
        ({"D": np.zeros(8)}, "shape"),
        ({"distortion_model": "fisheye"}, "plumb_bob or rational_polynomial"),
        ({"R": np.diag([1.0, 1.0, -1.0])}, "rotation"),
        ({"P": np.eye(3)}, "shape"),
        ({"width": 0}, "0x1536"),
    ],
)
def test_what_is_no_camera_is_refused(change: dict[str, object], text: str) -> None:
    values: dict[str, object] = {"name": "left", "width": 2048, "height": 1536, "K": K, "D": PLUMB_BOB}
    with pytest.raises(InputError, match=text):
        CameraModel(**(values | change))  # type: ignore[arg-type]
