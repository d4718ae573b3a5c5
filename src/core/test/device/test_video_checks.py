"""Images that come but are not what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_core.device.video_checks import ImageChecks, same
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoCause

RNG = np.random.default_rng(3)


def noisy(height: int = 200, width: int = 300) -> np.ndarray:
    return RNG.integers(20, 200, (height, width), np.uint8)


@given(st.integers(0, 199), st.integers(0, 299))
def test_one_pixel_anywhere_makes_two_images_different(row: int, column: int) -> None:
    image = noisy()
    other = image.copy()
    assert same(image, other)
    other[row, column] ^= 1
    assert not same(image, other)


def test_a_frozen_image_is_called_so_after_as_many_as_configured_and_no_longer_than_it_lasts() -> None:
    checks = ImageChecks(VideoConfig(frozen_images=4))
    image = noisy()
    looks = [checks.look(image.copy()) for _ in range(3)]
    assert [look.repeated for look in looks] == [False, True, True]
    assert checks.trouble(10.0, 10.0) is None
    checks.look(image.copy())
    assert checks.trouble(10.0, 10.0) == (VideoCause.FROZEN, "4 times")
    assert not checks.look(noisy()).repeated
    assert checks.trouble(10.0, 10.0) is None


def test_a_dark_image_with_one_bright_pixel_is_not_black_and_the_first_row_does_not_count() -> None:
    checks = ImageChecks(VideoConfig(black_images=1, frozen_images=0))
    dark = np.full((200, 300), 3, np.uint8)
    dark[0, :128] = 255  # number and time of an emulated camera
    assert checks.look(dark).black and checks.trouble(0.0, 0.0) == (VideoCause.BLACK, "no grey value above 3")
    dark[150, 17] = 60
    assert not checks.look(dark).black and checks.trouble(0.0, 0.0) is None


def test_another_size_is_named_with_both_sizes() -> None:
    checks = ImageChecks(VideoConfig(width=300, height=200))
    assert checks.look(noisy()).as_expected and checks.trouble(0.0, 0.0) is None
    assert not checks.look(noisy(100, 150)).as_expected
    assert checks.trouble(0.0, 0.0) == (VideoCause.SIZE, "150x100 in place of 300x200")


@pytest.mark.parametrize(("rate_hz", "slow"), [(0.0, False), (10.0, False), (8.0, False), (6.9, True), (5.0, True), (1.0, True)])
def test_a_camera_below_its_rate_is_called_slow(rate_hz: float, slow: bool) -> None:
    checks = ImageChecks(VideoConfig())
    checks.look(noisy())
    trouble = checks.trouble(rate_hz, 10.0)
    assert (trouble is not None and trouble[0] is VideoCause.SLOW) == slow
