"""Fields of finite magnets against Maxwell's equations, surface charges, on-axis formulas and dipoles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lodestone_bench.magnetics.config import MagnetConfig
from lodestone_bench.magnetics.finite_magnets import cuboid_field, cylinder_field, dipole_field
from lodestone_bench.magnetics.sources import PLATFORM, surroundings_of
from lodestone_core.errors import InputError
from lodestone_core.types import Array

RNG = np.random.default_rng(0)
SIZE = np.array([12.0, 7.0, 20.0])
BODIES: dict[str, Callable[[Array], Array]] = {
    "cylinder": lambda x: cylinder_field(x, 6.0, 15.0, 1.2),
    "cuboid": lambda x: cuboid_field(x, SIZE, 1.2),
}
VOLUME = {"cylinder": np.pi * 36.0 * 15.0, "cuboid": float(np.prod(SIZE))}
OUTSIDE = RNG.uniform(-40.0, 40.0, (200, 3))
OUTSIDE = OUTSIDE[np.linalg.norm(OUTSIDE, axis=1) > 16.0]
INSIDE = RNG.uniform(-1.0, 1.0, (40, 3)) * [2.5, 2.5, 6.0]


def gradient(function: Callable[[Array], Array], points: Array, step: float = 1e-2) -> Array:
    """dB_i/dx_j as (N, 3, 3), fourth order."""
    one, two = ([(function(points + k * m) - function(points - k * m)) / (2 * k * step) for m in step * np.eye(3)] for k in (1, 2))
    return np.stack([(4.0 * a - b) / 3.0 for a, b in zip(one, two, strict=True)], axis=-1)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("points", [OUTSIDE, INSIDE], ids=["outside", "inside"])
def test_the_field_has_neither_divergence_nor_curl(body: str, points: Array) -> None:
    J = gradient(BODIES[body], points)
    scale = np.linalg.norm(J, axis=(1, 2))
    assert np.max(np.abs(np.trace(J, axis1=1, axis2=2)) / scale) < 1e-6
    assert np.max(np.abs(J - np.swapaxes(J, 1, 2)) / scale[:, None, None]) < 1e-6


@pytest.mark.parametrize("body", BODIES)
def test_far_away_a_magnet_is_a_dipole_of_its_volume(body: str) -> None:
    far = RNG.standard_normal((50, 3))
    far *= 3000.0 / np.linalg.norm(far, axis=1, keepdims=True)
    expected = dipole_field(far, np.array([0.0, 0.0, 1.2 * VOLUME[body]]))
    assert np.linalg.norm(BODIES[body](far) - expected, axis=1) == pytest.approx(0.0, abs=1e-4 * np.abs(expected).max())


def test_on_the_axis_a_cylinder_has_its_closed_form() -> None:
    z = np.linspace(-40.0, 40.0, 81)
    points = np.column_stack([np.zeros_like(z), np.zeros_like(z), z])
    a, b = z + 7.5, z - 7.5
    expected = 0.6 * (a / np.hypot(a, 6.0) - b / np.hypot(b, 6.0))
    field = cylinder_field(points, 6.0, 15.0, 1.2)
    assert field[:, 2] == pytest.approx(expected, rel=1e-12)
    assert np.abs(field[:, :2]).max() == 0.0


def test_in_the_middle_of_a_cube_a_third_of_the_polarisation_is_missing() -> None:
    assert cuboid_field(np.zeros((1, 3)), np.full(3, 9.0), 1.5)[0] == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("body", BODIES)
def test_a_magnet_is_its_two_charged_faces(body: str) -> None:
    n = 400
    if body == "cuboid":
        grid = (np.arange(n) + 0.5) / n - 0.5
        x, y = (m.ravel() for m in np.meshgrid(grid * SIZE[0], grid * SIZE[1]))
        area, half = SIZE[0] * SIZE[1] / n**2 * np.ones(n * n), 0.5 * SIZE[2]
    else:
        radii, angles = np.meshgrid((np.arange(n) + 0.5) / n * 6.0, np.arange(n) * 2.0 * np.pi / n)
        x, y = (radii * np.cos(angles)).ravel(), (radii * np.sin(angles)).ravel()
        area, half = radii.ravel() * 6.0 / n * 2.0 * np.pi / n, 7.5
    for point in OUTSIDE[:5]:
        field = np.zeros(3)
        for sign in (1.0, -1.0):
            r = point - np.column_stack([x, y, np.full_like(x, sign * half)])
            field += sign * 1.2 / (4.0 * np.pi) * (area / np.linalg.norm(r, axis=1) ** 3) @ r
        assert BODIES[body](point[None])[0] == pytest.approx(field, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("body", BODIES)
def test_on_planes_through_edges_and_faces_the_field_is_finite(body: str) -> None:
    edge = 6.0 if body == "cylinder" else 0.5 * SIZE[0]
    top = 7.5 if body == "cylinder" else 0.5 * SIZE[2]
    points = np.array([[edge, 0.0, 30.0], [30.0, 0.0, top], [edge, 1e-3, -30.0], [0.0, 0.0, top + 1.0], [-edge, -3.5, 25.0]])
    near = points + 1e-7
    assert BODIES[body](points) == pytest.approx(BODIES[body](near), rel=1e-5, abs=2e-8)


def test_the_platform_leaves_the_sensors_in_range_and_magnetises_the_wire() -> None:
    grid = (np.arange(4) - 1.5) * 40.0
    sensors = np.array([(x, y, 0.0) for y in grid for x in grid])
    for seed in range(20):
        field = surroundings_of(None, seed).field_T(sensors)
        assert np.abs(field).max() < 1.1e-3
        assert np.linalg.norm(surroundings_of(None, seed).field_T(np.array([[0.0, 0.0, 70.0]]))) > 1.5e-4


def test_the_seed_moves_the_hidden_magnets_by_little_and_always_the_same() -> None:
    one, two, again = (surroundings_of(None, seed) for seed in (1, 2, 1))
    for a, b, c, said in zip(one.magnets, two.magnets, again.magnets, PLATFORM.values(), strict=True):
        assert np.array_equal(a.center_mm, c.center_mm)
        assert not np.array_equal(a.center_mm, b.center_mm)
        assert 0.0 < np.linalg.norm(a.center_mm - said.position_mm) < 6.0
    exact = surroundings_of({"position_sigma_mm": 0, "rotation_sigma_deg": 0, "strength_sigma": 0}, 3)
    assert np.array_equal(exact.magnets[0].center_mm, np.array(PLATFORM["east"].position_mm))


def test_a_world_can_name_its_own_magnets_or_none() -> None:
    assert not surroundings_of({"pieces": {}}, 0).magnets
    one = surroundings_of({"pieces": {"tool": {"shape": "cylinder", "radius_mm": 3.0}}}, 0)
    assert one.magnets[0].config == MagnetConfig(shape="cylinder", radius_mm=3.0)
    wrong = (({"pieces": {"a": {"shap": "x"}}}, "shape"), ({"pieces": [1]}, "mapping"), ({"erth_t": [0, 0, 0]}, "earth_t"), (3, "mapping"))
    for section, word in wrong:
        with pytest.raises(InputError, match=word):
            surroundings_of(section, 0)
