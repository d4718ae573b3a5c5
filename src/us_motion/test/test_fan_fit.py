"""The fan found in a recording, against the fan that was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lodestone_core.errors import InputError
from us_motion.fan_fit import FitConfig, fit_fan

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("depth", "spacing", "half"), [(150.0, 0.5, math.pi / 6), (100.0, 0.37, math.pi / 6), (180.0, 0.66, 0.6), (60.0, 0.3, 0.3)]
)
def test_apex_angles_and_spacing_are_found(depth: float, spacing: float, half: float, fan_of: Make, pictures: Make) -> None:
    fan = fan_of(depth, spacing, half)
    found = fit_fan(pictures(fan, 12))
    assert (found.angle_min_rad, found.angle_max_rad) == pytest.approx((-half, half), abs=0.01)
    assert found.apex_px == pytest.approx(fan.config.apex_px, abs=2.0)
    geometry = found.geometry(depth)
    assert geometry.spacing_mm == pytest.approx(fan.config.spacing_mm, rel=0.01)
    assert found.geometry(depth, face_radius_mm=45.0).spacing_mm == pytest.approx(fan.config.spacing_mm, rel=0.01)
    assert geometry.radius_min_mm == pytest.approx(45.0, abs=1.5)
    assert found.rms_px < 0.6 and found.share > 0.9


def test_shadows_and_letters_do_not_move_it(fan_of: Make, pictures: Make) -> None:
    fan = fan_of(150.0, 0.5)
    found = fit_fan(pictures(fan, 12, dark=(-0.6, -0.4), a_20_340=200, b_300_10=255))
    assert found.angle_max_rad == pytest.approx(math.pi / 6, abs=0.01)
    assert found.geometry(150.0, 45.0).spacing_mm == pytest.approx((0.5, 0.5), rel=0.015)


def test_a_dark_near_arc_needs_the_radius_of_the_face(fan_of: Make, pictures: Make) -> None:
    fan = fan_of(150.0, 0.5)
    images = pictures(fan, 12)
    images[:, :40] = 0
    found = fit_fan(images)
    assert math.isnan(found.radius_min_px)
    with pytest.raises(InputError, match="radius of the probe's face"):
        found.geometry(150.0)
    assert found.geometry(150.0, 45.0).spacing_mm == pytest.approx((0.5, 0.5), rel=0.01)


def test_a_recording_without_a_moving_fan_is_refused(fan_of: Make, pictures: Make) -> None:
    fan = fan_of(150.0, 0.5)
    still = np.repeat(pictures(fan, 1), 12, axis=0)
    with pytest.raises(InputError, match="moves"):
        fit_fan(still)
    with pytest.raises(InputError, match="at least"):
        fit_fan(pictures(fan, 3))
    square = np.zeros((12, 320, 400), np.uint8)
    square[:, 40:280, 60:340] = np.random.default_rng(0).integers(20, 250, (12, 240, 280))
    with pytest.raises(InputError):
        fit_fan(square, FitConfig())
