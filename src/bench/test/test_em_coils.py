"""The field of current loops against Biot and Savart, Maxwell's equations and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_bench.em_physics.coils import Generator, planar_generator
from lodestone_bench.em_physics.loops import MU0, loop_field
from lodestone_core.types import Array

POINTS = np.random.default_rng(0).uniform([-150.0, -150.0, -400.0], [150.0, 150.0, -20.0], (60, 3))


def wire(generator: Generator, i: int, pieces: int = 720) -> tuple[Array, Array]:
    """Middles and vectors (N, 3) of the pieces of a coil's wire."""
    u = np.linalg.svd(generator.axes[i][None])[2][1:]
    if np.cross(u[0], u[1]) @ generator.axes[i] < 0:
        u = u[::-1]
    angle = 2.0 * np.pi * (np.arange(pieces) + 0.5)[:, None] / pieces
    radius = generator.radii_mm[i]
    middles = generator.centers_mm[i] + radius * (np.cos(angle) * u[0] + np.sin(angle) * u[1])
    return middles, 2.0 * np.pi / pieces * radius * (np.cos(angle) * u[1] - np.sin(angle) * u[0])


def derivatives(function, points: Array, step: float = 2e-2) -> Array:  # type: ignore[no-untyped-def]
    """d/dx_j as the last axis, by central differences of fourth order."""
    moves = [step * e for e in np.eye(3)]
    one, two = ([(function(points + k * m) - function(points - k * m)) / (2.0 * k * step) for m in moves] for k in (1, 2))
    return np.stack([(4.0 * a - b) / 3.0 for a, b in zip(one, two, strict=True)], axis=-1)


def test_field_and_potential_are_those_of_the_wires_pieces() -> None:
    generator = planar_generator()
    field, potential = generator.field(POINTS), generator.potential(POINTS)
    for i in range(len(generator)):
        middles, pieces = wire(generator, i)
        r = POINTS[:, None] - middles
        distance = np.linalg.norm(r, axis=-1, keepdims=True)
        biot_savart = MU0 / (4.0 * np.pi) * (np.cross(pieces, r) / distance**3).sum(axis=1)
        # Equally spaced pieces of a periodic smooth integrand: exact to rounding.
        assert np.abs(biot_savart - field[:, i]).max() < 1e-11 * np.abs(field[:, i]).max()
        summed = MU0 / (4.0 * np.pi) * (pieces / distance).sum(axis=1)
        assert np.abs(summed - potential[:, i]).max() < 1e-11 * np.abs(potential[:, i]).max()


def test_field_on_the_axis_is_the_closed_form() -> None:
    z, a = np.array([-70.0, -3.0, 0.0, 1e-9, 25.0, 4000.0]), 25.0
    axial, radial = loop_field(np.zeros(6), z, a)
    assert axial == pytest.approx(0.5 * MU0 * a**2 / (a**2 + z**2) ** 1.5, rel=1e-13)
    assert radial == pytest.approx(0.75 * MU0 * a**2 * z / (a**2 + z**2) ** 2.5, rel=1e-12, abs=1e-30)


def test_the_field_is_smooth_where_the_series_takes_over() -> None:
    rho = np.linspace(0.0, 1.0, 4001)[1:]
    axial, radial = loop_field(rho**2, np.full(4000, 20.0), 30.0)
    assert np.abs(np.diff(axial, 2)).max() < 1e-8 * axial[0] and np.abs(np.diff(radial, 2)).max() < 1e-8 * radial[0]


def test_far_away_a_loop_is_a_dipole() -> None:
    axial, radial = loop_field(np.array([3e4**2]), np.array([4e4]), 20.0)
    moment, r = np.pi * 20.0**2, 5e4
    assert axial[0] == pytest.approx(MU0 * moment / (4.0 * np.pi) * (3.0 * 0.8**2 - 1.0) / r**3, rel=1e-6)
    assert radial[0] * 3e4 == pytest.approx(MU0 * moment / (4.0 * np.pi) * 3.0 * 0.8 * 0.6 / r**3, rel=1e-6)


def test_gradient_is_the_derivative_with_no_divergence_and_no_curl() -> None:
    generator = planar_generator()
    field, gradient = generator.field_and_gradient(POINTS)
    assert np.abs(field - generator.field(POINTS)).max() < 1e-12 * np.abs(field).max()
    numeric = derivatives(generator.field, POINTS)
    largest = np.abs(gradient).max(axis=(-2, -1), keepdims=True)
    assert (np.abs(numeric - gradient) / largest).max() < 1e-7
    assert (np.abs(np.trace(numeric, axis1=-2, axis2=-1)[..., None, None]) / largest).max() < 1e-7, "div B"
    assert (np.abs(numeric - np.swapaxes(numeric, -1, -2)) / largest).max() < 1e-7, "curl B"


def test_gradient_holds_on_an_axis_too() -> None:
    generator = planar_generator()
    points = generator.centers_mm - 90.0 * generator.axes
    _, gradient = generator.field_and_gradient(points)
    numeric = derivatives(generator.field, points)
    for i in range(len(generator)):
        assert np.abs(numeric[i, i] - gradient[i, i]).max() < 1e-7 * np.abs(gradient[i, i]).max()


def test_curl_of_the_potential_is_the_field() -> None:
    generator = planar_generator()
    dA = derivatives(generator.potential, POINTS)
    curl = np.stack([dA[..., 2, 1] - dA[..., 1, 2], dA[..., 0, 2] - dA[..., 2, 0], dA[..., 1, 0] - dA[..., 0, 1]], axis=-1)
    field = generator.field(POINTS)
    assert (np.abs(curl - field) / np.linalg.norm(field, axis=-1, keepdims=True)).max() < 1e-6


def test_the_generator_is_flat_with_a_frequency_for_each_coil() -> None:
    generator = planar_generator()
    assert len(generator) == 9 and len(set(generator.omega)) == 9
    assert np.linalg.norm(generator.axes, axis=1) == pytest.approx(np.ones(9))
    reach = generator.radii_mm[:, None] * np.sqrt(1.0 - generator.axes**2)
    low, high = (generator.centers_mm - reach).min(axis=0), (generator.centers_mm + reach).max(axis=0)
    assert np.all(high - low <= [200.0, 200.0, 90.0]) and low[2] > -20.0
    assert 2e3 * np.pi <= generator.omega.min() and generator.omega.max() <= 2.6e4 * np.pi
