"""Bad correspondences are refused by name, through the front door of every method, and honest ones are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from em_registration.methods.checks import check_correspondences
from em_registration.methods.interface import Correspondences, correspondences, poses_at
from em_registration.methods.registry import LEAST_PAIRS, METHODS
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

Landmarks = Callable[[int], Array]
Spoil = Callable[[Array, Array], tuple[Array, Array]]
T_IMAGE_TRACKER = se3.exp(np.array([250.0, -80.0, 900.0, 1.1, -0.7, 0.4]))
CENTRE_MM = np.array([0.0, 0.0, 200.0])
NEED_VOLUME = ("affine", "tps", "tps_smoothed", "bernstein_1", "bernstein_2", "bernstein_3", "bernstein_4", "bernstein_5")


def distorted(points: Array, size_mm: float) -> Array:
    """Where the tracker sees points near a piece of metal: off by the field of a dipole, `size_mm` RMS."""
    d = points - [150.0, 60.0, 330.0]
    r = np.linalg.norm(d, axis=1, keepdims=True)
    m = np.array([0.5, -0.6, 0.62])
    field = (3.0 * d * (d @ m)[:, None] / r**2 - m) / r**3
    return np.asarray(points + size_mm * field / np.sqrt(np.mean(np.sum(field**2, axis=1))))


def named(tracker: Array, image: Array) -> Correspondences:
    return correspondences(poses_at(tracker), image, names=tuple(f"L{i}" for i in range(len(tracker))))


def swapped(image: Array, i: int, j: int) -> Array:
    changed = image.copy()
    changed[[i, j]] = image[[j, i]]
    return changed


def flat(points: Array) -> Array:
    return points * (1.0, 1.0, 0.0) + (0.0, 0.0, 200.0)


def line(points: Array) -> Array:
    return np.outer(np.linspace(-100.0, 100.0, len(points)), [1.0, 0.2, 0.1])


def twice(points: Array) -> Array:
    changed = points.copy()
    changed[2] = changed[1] + 0.1
    return changed


BAD: dict[str, tuple[Spoil, str]] = {
    "duplicate": (lambda x, y: (twice(x), twice(y)), r"L1 and L2 0\.173 mm apart"),
    "collinear": (lambda x, y: (line(x), se3.transform(T_IMAGE_TRACKER, line(x))), "collinear"),
    "mirrored": (lambda x, y: (x * (1.0, 1.0, -1.0), y), "mirrored"),
    "tracker in metres": (lambda x, y: (x / 1000.0, y), "the source points look like metres"),
    "image in metres": (lambda x, y: (x, y / 1000.0), "the target points look like metres"),
    "both in metres": (lambda x, y: (x / 1000.0, y / 1000.0), "if these are metres"),
    "swapped": (lambda x, y: (x, swapped(y, 1, 3)), "L3 with (target|image) L1"),
    "turned round": (lambda x, y: (x, swapped(swapped(y, 1, 3), 3, 4)), "L1"),
}


def scene(name: str) -> tuple[Array, Array]:
    """Pairs enough for a method in an uneven grid, distorted by 3 mm."""
    side = max(3, round(LEAST_PAIRS[name] ** (1 / 3)) + 1)
    steps = np.linspace(-80.0, 80.0, side)
    x = CENTRE_MM + np.array(np.meshgrid(steps, steps, steps)).reshape(3, -1).T
    x = x + np.random.default_rng(3).uniform(-9.0, 9.0, size=x.shape)
    return distorted(x, 3.0), se3.transform(T_IMAGE_TRACKER, x)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", BAD)
def test_bad_correspondences_are_refused_by_name_at_every_door(name: str, kind: str) -> None:
    spoil, message = BAD[kind]
    x, y = scene(name)
    METHODS[name](named(x, y))
    with pytest.raises(InputError, match=message):
        METHODS[name](named(*spoil(x, y)))


@pytest.mark.parametrize("name", METHODS)
def test_points_in_a_plane_are_refused_only_where_a_volume_is_needed(name: str) -> None:
    x = flat(np.random.default_rng(0).uniform(-100.0, 100.0, size=(max(LEAST_PAIRS[name], 6), 3)))
    pairs = named(x, se3.transform(T_IMAGE_TRACKER, x))
    if name in NEED_VOLUME:
        with pytest.raises(InputError, match="coplanar points"):
            METHODS[name](pairs)
    else:
        np.testing.assert_allclose(METHODS[name](pairs)(poses_at(x)).mean_mm, pairs.image_mm, atol=1e-6)


@pytest.mark.parametrize("count", [6, 12, 24, 60])
@pytest.mark.parametrize("size_mm", [0.5, 2.0, 4.0])
def test_neighbours_exchanged_under_distortion_are_named(count: int, size_mm: float, landmarks: Landmarks) -> None:
    x = landmarks(count)
    y = se3.transform(T_IMAGE_TRACKER, x) + np.random.default_rng(1).normal(scale=0.3, size=x.shape)
    missed = []
    for i in range(count):
        apart = np.linalg.norm(x - x[i], axis=1)
        j = int(np.argsort(apart)[1])
        try:
            check_correspondences(named(distorted(x, size_mm), swapped(y, i, j)))
            missed.append(i)
        except InputError as refusal:
            assert f"L{i}" in str(refusal) and f"L{j}" in str(refusal)
    assert not missed


def test_a_pair_that_belongs_to_another_place_is_named(landmarks: Landmarks) -> None:
    for count in (6, 12, 24, 60):
        x = landmarks(count)
        y = se3.transform(T_IMAGE_TRACKER, x)
        y[3] += np.array([-60.0, 70.0, 40.0])
        with pytest.raises(InputError, match="L3"):
            check_correspondences(named(distorted(x, 1.0), y))


@pytest.mark.parametrize("count", [4, 6, 12, 24, 60])
def test_honest_correspondences_pass_under_noise_and_strong_distortion(count: int, landmarks: Landmarks) -> None:
    rng = np.random.default_rng(2)
    for size_mm in (0.0, 2.0, 8.0, 15.0):
        for _ in range(25):
            x = landmarks(count) + rng.normal(scale=8.0, size=(count, 3))
            noisy = distorted(x, size_mm) + rng.normal(scale=0.4, size=x.shape)
            check_correspondences(named(noisy, se3.transform(T_IMAGE_TRACKER, x)))
