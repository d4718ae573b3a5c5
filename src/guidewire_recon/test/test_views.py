"""Swapped and moved cameras, told by their views; and that an epipolar constraint could not tell them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from guidewire_recon.drivers.pairing import Side
from guidewire_recon.drivers.stereo_config import StereoConfig, ViewsConfig
from guidewire_recon.drivers.stereo_watch import StereoWatch
from guidewire_recon.drivers.views import Verdict, compare, load_views, view_of, views_to_file
from lodestone_core.device.video_status import VideoFrame
from lodestone_core.errors import InputError

HEIGHT, WIDTH = 384, 512
RNG = np.random.default_rng(7)
ROW, COLUMN = np.mgrid[0:HEIGHT, 0:WIDTH] / [[[HEIGHT]], [[WIDTH]]]
SCENES = {"left": 120 + 60 * COLUMN - 30 * (ROW - 0.4) ** 2, "right": 140 - 50 * ROW + 40 * np.sin(4 * COLUMN)}


def picture(side: str, gain: float = 1.0, wire: bool = True, noise: float = 4.0) -> np.ndarray:
    """An image of one camera: its backdrop, noise, and a dark wire somewhere."""
    scene = gain * SCENES[side] + RNG.normal(0.0, noise, (HEIGHT, WIDTH))
    if wire:
        scene[RNG.integers(0, HEIGHT - 6) :][:6] = 20.0
    return np.clip(scene, 0, 255).astype(np.uint8)


BEFORE = (view_of(picture("left")), view_of(picture("right")))


def verdict(left: np.ndarray, right: np.ndarray) -> Verdict:
    return compare((view_of(left), view_of(right)), BEFORE).verdict(ViewsConfig())


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.3])
def test_the_same_cameras_are_known_again_at_any_exposure_and_wherever_the_wire_is(gain: float) -> None:
    assert verdict(picture("left", gain), picture("right", gain)) is Verdict.AS_BEFORE


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.3])
def test_swapped_cameras_are_called_swapped(gain: float) -> None:
    assert verdict(picture("right", gain), picture("left", gain)) is Verdict.SWAPPED


def test_a_camera_that_was_turned_is_called_changed_not_swapped() -> None:
    assert verdict(picture("left")[::-1, ::-1], picture("right")) is Verdict.CHANGED


def test_an_even_grey_says_nothing() -> None:
    grey = np.full((HEIGHT, WIDTH), 90, np.uint8)
    assert compare((view_of(grey), view_of(grey)), BEFORE).left_left == 0.0
    assert verdict(grey, grey) is Verdict.CHANGED


def test_a_view_of_an_image_is_that_of_the_same_image_at_another_size() -> None:
    image = picture("left", wire=False, noise=0.0)
    assert np.abs(view_of(image) - view_of(image[::2, ::2])).max() < 2.0
    with pytest.raises(InputError, match="16x12"):
        view_of(np.zeros((11, 40), np.uint8))


def test_an_epipolar_constraint_holds_with_the_cameras_swapped() -> None:
    # Points of the simulated bench's working volume, seen by its two cameras (without lens): residuals of x_r^T F x_l with
    # left and right as they are, and exchanged. That is why views are compared.
    points = RNG.uniform([-60, -45, 40], [60, 45, 100], (500, 3))
    R = {"left": np.diag([1.0, -1.0, -1.0]), "right": np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])}
    centre = {"left": np.array([0.0, 0.0, 520.0]), "right": np.array([0.0, 450.0, 70.0])}
    seen = {side: (points - centre[side]) @ R[side].T for side in R}
    rays = {side: seen[side] / seen[side][:, 2:] for side in R}
    R_right_left = R["right"] @ R["left"].T
    t = R["right"] @ (centre["left"] - centre["right"])
    E = np.cross(np.eye(3), t / np.linalg.norm(t)) @ R_right_left

    def residual_px(left: np.ndarray, right: np.ndarray) -> float:
        line = left @ E.T
        return float(5800.0 * np.abs((right * line).sum(axis=1) / np.linalg.norm(line[:, :2], axis=1)).max())

    assert residual_px(rays["left"], rays["right"]) < 1e-9
    assert residual_px(rays["right"], rays["left"]) < 1e-9


def test_views_come_back_from_their_file_and_another_rig_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stereo_views.yaml"
    views_to_file(*BEFORE, "mine", ("a", "b")).save(path)
    left, right = load_views(path, "mine")
    assert np.allclose(left, BEFORE[0], atol=0.05) and np.allclose(right, BEFORE[1], atol=0.05)
    with pytest.raises(InputError, match="rig"):
        load_views(path, "other")


@pytest.mark.parametrize(("key", "value"), [("left", [[1.0, 2.0]]), ("right", "none"), ("right", [["x"] * 16] * 12), ("left", None)])
def test_a_damaged_file_of_views_is_named(tmp_path: Path, key: str, value: object) -> None:
    file = views_to_file(*BEFORE, "mine", ("a", "b"))
    replace(file, values={**file.values, key: value}).save(tmp_path / "views.yaml")
    with pytest.raises(InputError, match=key):
        load_views(tmp_path / "views.yaml")


def test_a_file_of_another_kind_is_no_file_of_views(tmp_path: Path) -> None:
    replace(views_to_file(*BEFORE, "mine", ("a", "b")), kind="stereo").save(tmp_path / "views.yaml")
    with pytest.raises(InputError, match="kind"):
        load_views(tmp_path / "views.yaml")


def frame(side: str, number: int, **given: object) -> VideoFrame:
    stamp_ns = 10**12 + number * 10**8
    return VideoFrame(number, stamp_ns, 1000, stamp_ns, 0, picture(side), **given)  # type: ignore[arg-type]


def test_the_watch_pairs_while_the_cameras_are_as_before() -> None:
    watch = StereoWatch(StereoConfig(), BEFORE)
    assert watch.verdict is Verdict.UNKNOWN and watch.usable
    pairs = [watch.take(side, frame(side, number)) for number in range(4) for side in _sides()]
    assert sum(pair is not None for pair in pairs) == 4 and watch.verdict is Verdict.AS_BEFORE


def test_no_pairs_come_of_swapped_cameras_and_they_come_again_when_that_is_put_right() -> None:
    watch = StereoWatch(StereoConfig(), BEFORE)
    other: dict[Side, Side] = {"left": "right", "right": "left"}
    pairs = [watch.take(side, frame(other[side], number)) for number in range(10) for side in _sides()]
    assert watch.verdict is Verdict.SWAPPED and not watch.usable
    assert all(pair is None for pair in pairs[2:])
    pairs = [watch.take(side, frame(side, number)) for number in range(30, 70) for side in _sides()]
    assert watch.verdict is Verdict.AS_BEFORE and pairs[-1] is not None


def test_a_hand_in_front_of_swapped_cameras_does_not_make_them_usable() -> None:
    watch = StereoWatch(StereoConfig(), BEFORE)
    covered = RNG.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    for number, image in enumerate((picture("right"), covered, covered)):
        for side, shown in (("left", image), ("right", picture("left") if number == 0 else covered)):
            given = replace(frame(side, 25 * number), image=shown)
            watch.take("left" if side == "left" else "right", given)
    assert watch.verdict is Verdict.SWAPPED and not watch.usable


def test_images_of_another_size_and_black_ones_have_no_partner() -> None:
    watch = StereoWatch(StereoConfig(), None)
    assert watch.take("left", frame("left", 0)) is None
    assert watch.take("right", frame("right", 0, as_expected=False)) is None
    assert watch.take("right", frame("right", 0, black=True)) is None
    assert watch.take("right", frame("right", 0)) is not None


def _sides() -> tuple[Side, Side]:
    return "left", "right"
