"""Spots of images: places to a fraction of a pixel, no spots where there are none, and nothing breaks it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lodestone_core.errors import InputError
from us_motion.calibration.wire_detection import find_spots

SPACING = np.array([0.5, 0.5])
SHAPE = (320, 400)


def _image(
    places: list[tuple[float, float]], sigma: tuple[float, float] = (4.0, 1.5), noise: float = 6.0, seed: int = 0
) -> npt.NDArray[np.uint8]:
    rows, columns = np.indices(SHAPE)
    image = 30.0 + 40.0 * rows / SHAPE[0] + noise * np.random.default_rng(seed).normal(size=SHAPE)
    for x, y in places:
        image += 150.0 * np.exp(-0.5 * (((columns - x) / sigma[0]) ** 2 + ((rows - y) / sigma[1]) ** 2))
    return np.clip(image, 0, 255).astype(np.uint8)


def test_spots_are_found_to_a_fraction_of_a_pixel_on_a_slope_of_brightness() -> None:
    places = [(100.3, 80.7), (200.0, 150.25), (310.6, 240.1), (55.5, 300.0)]
    found = find_spots(_image(places), SPACING)
    assert len(found.px) == 4
    off = np.linalg.norm(found.px[:, None] - np.array(places), axis=2).min(axis=1)
    assert off.max() < 0.35
    assert np.all(np.diff(found.contrast) <= 0.0), "the brightest first"


def test_two_spots_that_touch_are_two() -> None:
    found = find_spots(_image([(150.0, 100.0), (165.0, 100.0)]), SPACING)
    assert sorted(np.round(found.px[:, 0]).tolist()) == [150.0, 165.0]


def test_surfaces_and_noise_are_no_spots() -> None:
    image = _image([])
    assert len(find_spots(image, SPACING).px) == 0
    image[200:204, 50:350] = 220
    assert len(find_spots(image, SPACING).px) == 0, "a line of 150 mm is the bottom of the tank"
    assert len(find_spots(np.zeros(SHAPE, dtype=np.uint8), SPACING).px) == 0
    assert len(find_spots(np.full(SHAPE, 255, dtype=np.uint8), SPACING).px) == 0


def test_nothing_is_found_outside_the_mask() -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:, :200] = True
    found = find_spots(_image([(100.0, 100.0), (300.0, 100.0)]), SPACING, mask)
    assert len(found.px) == 1 and found.px[0, 0] == pytest.approx(100.0, abs=0.4)


@pytest.mark.parametrize("image", [np.zeros((4, 4), dtype=np.uint8), np.zeros((320, 400, 3), dtype=np.uint8), np.zeros((320, 400))])
def test_what_is_no_grey_image_is_refused(image: npt.NDArray[np.generic]) -> None:
    with pytest.raises(InputError, match="mono8"):
        find_spots(image, SPACING)  # type: ignore[arg-type]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="mask"):
        find_spots(_image([]), SPACING, np.ones((10, 10), dtype=bool))


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(16, 60), st.integers(16, 60))))
def test_no_image_breaks_it_and_every_spot_is_inside(image: npt.NDArray[np.uint8]) -> None:
    found = find_spots(image, SPACING)
    assert np.all(found.px >= 0.0) and np.all(found.px <= np.array(image.shape[::-1]) - 1.0)
    assert len(found.px) == len(found.contrast) == len(found.length_mm) <= 24
