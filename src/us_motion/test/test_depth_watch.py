"""A change of depth is seen at once, nothing else is taken for one, and what cannot be told apart is not guessed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from us_motion.depth_watch import DepthWatch, GeometryState, WatchConfig

DEPTHS = {"d150": (150.0, 0.5), "d100": (100.0, 0.37), "d200": (200.0, 0.66)}
Images = npt.NDArray[np.uint8]
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def fans(fan_of: Make) -> dict[str, Any]:
    return {name: fan_of(*drawn) for name, drawn in DEPTHS.items()}


def watched(watch: DepthWatch, images: Images) -> list[GeometryState]:
    return [watch.update(image) for image in images]


@pytest.fixture
def settled(fans: dict[str, Any], pictures: Make) -> Callable[[str], DepthWatch]:
    def make(name: str) -> DepthWatch:
        watch = DepthWatch(fans)
        assert watched(watch, pictures(fans[name], 3))[-1] == GeometryState(1, name)
        return watch

    return make


def test_two_images_make_sure_of_the_first_depth(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    states = watched(DepthWatch(fans), pictures(fans["d150"], 3))
    assert [state.preset for state in states] == [None, "d150", "d150"] and [state.epoch for state in states] == [0, 1, 1]


@pytest.mark.parametrize("first", DEPTHS)
@pytest.mark.parametrize("then", DEPTHS)
def test_another_depth_is_never_shown_with_the_geometry_before(
    first: str, then: str, fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make
) -> None:
    if first == then:
        return
    states = watched(settled(first), pictures(fans[then], 3, seed=1))
    assert [state.preset for state in states] == [None, then, then] and [state.epoch for state in states] == [1, 2, 2]


@pytest.mark.parametrize("drawn", [(250.0, 0.8), (120.0, 0.43), (150.0, 0.5, 0.45), (150.0, 0.5, math.pi / 6, 45.0, 14.0)])
def test_a_depth_that_was_not_calibrated_is_not_valid_until_a_known_one_comes_back(
    drawn: tuple[float, ...], fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make
) -> None:
    watch = settled("d150")
    states = watched(watch, pictures(fan_of(*drawn), 10, seed=1))
    assert all(state.preset is None and "calibrate" in state.detail for state in states)
    assert watched(watch, pictures(fans["d150"], 2, seed=2))[-1] == GeometryState(1, "d150")


@pytest.mark.parametrize("dark", [(-0.6, -0.2), (0.1, 0.6), (-0.1, 0.1)])
def test_a_shadow_is_no_change_of_depth(
    dark: tuple[float, float], fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make
) -> None:
    states = watched(settled("d150"), pictures(fans["d150"], 10, seed=1, dark=dark))
    assert {state.preset for state in states} == {"d150"}


def test_a_dark_image_contradicts_nothing_and_proves_nothing(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    black = np.zeros((5, 320, 400), np.uint8)
    assert {state.preset for state in watched(settled("d150"), black)} == {"d150"}
    assert {state.preset for state in watched(DepthWatch(fans), black)} == {None}


def test_fans_that_look_alike_are_told_apart_by_nothing_so_the_screen_must_not_change(
    fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make
) -> None:
    """A machine that draws the fan at the same place for two depths: the letters beside it are the only sign."""
    one, other = fan_of(150.0, 0.5), fan_of(75.0, 0.25, radius_mm=22.5)
    watch = DepthWatch({"d150": one, "d75": other})
    assert "look alike" in watched(watch, pictures(one, 3))[-1].detail
    only = DepthWatch({"d150": one})
    assert watched(only, pictures(one, 3))[-1].preset == "d150"


def test_letters_that_change_beside_the_image_are_looked_into(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    watch = settled("d150")
    watched(watch, pictures(fans["d150"], 3, seed=1, a_20_340=200))
    states = watched(watch, pictures(fans["d150"], 3, seed=2, a_20_340=90))
    assert [state.preset for state in states] == [None, "d150", "d150"], "the outline still fits: the same epoch goes on"
    assert {state.epoch for state in states} == {1}


def test_a_clock_beside_the_image_is_left_alone_once_it_is_known(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    watch = settled("d150")
    found = []
    for number in range(12):
        found += watched(watch, pictures(fans["d150"], 1, seed=number, a_20_340=60 + 100 * (number % 2)))
    assert {state.preset for state in found[4:]} == {"d150"}


def test_looking_costs_little(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    watch, images = settled("d150"), pictures(fans["d150"], 20)
    start = time.process_time()
    watched(watch, images)
    assert (time.process_time() - start) / 20 < 0.005


def test_the_machine_of_the_bench_is_followed(fans: dict[str, Any], fan_of: Make, pictures: Make, settled: Make) -> None:
    bench = pytest.importorskip("lodestone_bench.ultrasound.video")
    patient = pytest.importorskip("lodestone_bench.patient")
    small = patient.Patient(patient.PatientConfig(liver_grid_mm=3.0))
    arm = pytest.importorskip("lodestone_bench.world.arm").ArmWorld()
    screen = bench.UltrasoundScreen(small, arm.T_bench_probe)
    fans = {}
    for depth in (150.0, 100.0, 200.0):
        screen.set_depth(depth)
        drawn = screen.machine.geometry()
        fans[f"d{depth:.0f}"] = fan_of(depth, drawn["pixel_spacing_mm"][0])
        assert fans[f"d{depth:.0f}"].config.apex_px == pytest.approx(drawn["apex_px"])
        assert np.array_equal(fans[f"d{depth:.0f}"].mask, screen.machine.fan.mask)
    watch, number = DepthWatch(fans, WatchConfig()), 0
    for depth in (150.0, 200.0, 100.0, 150.0):
        screen.set_depth(depth)
        states = []
        for _ in range(8):
            states.append(watch.update(screen.frame(number, 15.0 + number / 5.0)))
            number += 1
        assert [state.preset for state in states] == [None] + [f"d{depth:.0f}"] * 7
    assert watch.update(screen.frame(number, 40.0)).epoch == 4
    assert math.isclose(fans["d150"].config.radius_max_mm, 195.0)
