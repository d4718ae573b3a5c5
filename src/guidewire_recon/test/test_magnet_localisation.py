"""Field of a magnet with its derivatives, and finding it again: identity, noise, covariance, faults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from guidewire_recon.magnet_field import Magnet, cylinder_octupole_mm2, field_and_derivatives, magnet_field
from guidewire_recon.magnet_localisation import LocalisationConfig, Localiser, Located, NotLocated, pose_of
from lodestone_bench.magnetics.finite_magnets import cylinder_field, dipole_field
from lodestone_core.errors import InputError
from lodestone_core.metrics import nees
from lodestone_core.types import Array

GRID = (np.arange(4) - 1.5) * 40.0
SENSORS = np.array([(x, y, 0.0) for y in GRID for x in GRID])
MAGNET = Magnet(1.2 * np.pi * 9.0 * 10.0, cylinder_octupole_mm2(10.0, 3.0))
RNG = np.random.default_rng(5)


def units(count: int) -> Array:
    v = RNG.standard_normal((count, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_a_dipole_is_the_dipole_of_the_textbook() -> None:
    r, u = RNG.uniform(-50, 50, (30, 3)), units(30)
    expected = np.array([dipole_field(a[None], 7.0 * b)[0] for a, b in zip(r, u, strict=True)])
    assert magnet_field(r, u, Magnet(7.0)) == pytest.approx(expected, rel=1e-12)


def test_the_octupole_makes_a_cylinder_of_a_dipole() -> None:
    """Against the exact field of the bench: what is left falls with the next odd order."""
    directions = units(40)
    left = []
    for distance in (15.0, 30.0, 60.0):
        r = distance * directions
        exact = cylinder_field(r, 3.0, 10.0, 1.2)
        near = magnet_field(r, np.array([0.0, 0.0, 1.0]), MAGNET)
        dipole = magnet_field(r, np.array([0.0, 0.0, 1.0]), Magnet(MAGNET.strength))
        left.append(np.linalg.norm(near - exact) / np.linalg.norm(exact))
        assert left[-1] < 0.5 * np.linalg.norm(dipole - exact) / np.linalg.norm(exact)
    assert left[1] < left[0] / 12 and left[2] < left[1] / 12


def test_derivatives_are_those_of_differences() -> None:
    r, u = RNG.uniform(20, 60, (10, 3)), units(10)
    field, by_place, by_axis = field_and_derivatives(r, u, MAGNET)
    assert field == pytest.approx(magnet_field(r, u, MAGNET), rel=1e-13)
    h = 1e-4
    for axis in range(3):
        step = h * np.eye(3)[axis]
        numeric = (magnet_field(r + step, u, MAGNET) - magnet_field(r - step, u, MAGNET)) / (2 * h)
        assert by_place[..., axis] == pytest.approx(numeric, rel=1e-6, abs=1e-12)
        numeric = (magnet_field(r, u + step, MAGNET) - magnet_field(r, u - step, MAGNET)) / (2 * h)
        assert by_axis[..., axis] == pytest.approx(numeric, rel=1e-6, abs=1e-12)
    assert np.abs(np.trace(by_place, axis1=1, axis2=2)).max() < 1e-12 * np.abs(by_place).max()


@pytest.mark.parametrize("where", [(0.0, 0.0, 60.0), (-45.0, 30.0, 40.0), (10.0, -20.0, 100.0)])
def test_a_magnet_is_found_where_it_is_from_no_start(where: tuple[float, float, float]) -> None:
    for axis in units(5):
        field = magnet_field(SENSORS - np.array(where), axis, MAGNET)
        found = Localiser(SENSORS, MAGNET).locate(field, 1e-9)
        assert isinstance(found, Located)
        assert found.position_mm == pytest.approx(np.array(where), abs=1e-5)
        assert found.axis == pytest.approx(axis, abs=1e-6)


def test_moving_and_turning_everything_moves_and_turns_the_result() -> None:
    turn = Rotation.from_rotvec([0.3, -0.5, 1.0]).as_matrix()
    shift = np.array([5.0, -3.0, 12.0])
    place, axis = np.array([12.0, 8.0, 55.0]), units(1)[0]
    field = magnet_field(SENSORS - place, axis, MAGNET)
    config = LocalisationConfig(low_mm=(-120.0, -120.0, -60.0), high_mm=(120.0, 120.0, 150.0))
    found = Localiser(SENSORS @ turn.T + shift, MAGNET, config).locate(field @ turn.T, 1e-9)
    assert isinstance(found, Located)
    assert found.position_mm == pytest.approx(turn @ place + shift, abs=1e-4)
    assert found.axis == pytest.approx(turn @ axis, abs=1e-5)


def test_a_magnet_of_negative_strength_points_the_other_way() -> None:
    field = magnet_field(SENSORS - np.array([0.0, 10.0, 50.0]), np.array([0.0, 0.6, 0.8]), MAGNET)
    found = Localiser(SENSORS, Magnet(-MAGNET.strength, MAGNET.octupole_mm2)).locate(field, 1e-9)
    assert isinstance(found, Located)
    assert found.axis == pytest.approx([0.0, -0.6, -0.8], abs=1e-6)


def test_the_covariance_is_honest_and_says_that_the_turn_is_not_seen() -> None:
    rng = np.random.default_rng(1)
    localiser = Localiser(SENSORS, MAGNET, LocalisationConfig(model_share=0.0))
    errors, covariances, inside = [], [], 0
    for _ in range(150):
        place, axis = np.array([*rng.uniform(-40, 40, 2), rng.uniform(60, 110)]), rng.standard_normal(3)
        axis /= np.linalg.norm(axis)
        field = magnet_field(SENSORS - place, axis, MAGNET) + rng.normal(0.0, 2e-7, SENSORS.shape)
        found = localiser.locate(field, 2e-7)
        assert isinstance(found, Located)
        errors.append(found.position_mm - place)
        covariances.append(found.covariance[:3, :3])
        inside += int(np.linalg.norm(errors[-1]) <= found.radius_95_mm)
        assert found.axis @ found.covariance[3:, 3:] @ found.axis == pytest.approx((2 * np.pi) ** 2, rel=0.02)
    assert 0.9 <= inside / 150 <= 0.99
    assert nees(np.array(errors), np.array(covariances)).value == pytest.approx(1.0, abs=0.2)


def test_sensors_without_a_field_are_left_out_and_too_few_are_a_reason() -> None:
    place, axis = np.array([5.0, -10.0, 60.0]), np.array([1.0, 0.0, 0.0])
    field = magnet_field(SENSORS - place, axis, MAGNET)
    field[[0, 7, 9]] = np.nan
    found = Localiser(SENSORS, MAGNET).locate(field, 1e-9)
    assert isinstance(found, Located) and found.position_mm == pytest.approx(place, abs=1e-5)
    field[3:] = np.nan
    few = Localiser(SENSORS, MAGNET).locate(field)
    assert isinstance(few, NotLocated) and "2 sensors measured" in few.reason


def test_fields_of_no_magnet_are_a_reason_and_no_pose() -> None:
    uniform = np.tile([3e-5, 0.0, -4e-5], (16, 1))
    found = Localiser(SENSORS, MAGNET).locate(uniform)
    assert isinstance(found, NotLocated) and "not those of this magnet" in found.reason
    far = magnet_field(SENSORS - np.array([0.0, 0.0, 230.0]), np.array([0.0, 0.0, 1.0]), MAGNET)
    outside = Localiser(SENSORS, MAGNET).locate(far, 1e-10)
    assert isinstance(outside, NotLocated) and "outside" in outside.reason


def test_what_noise_hides_is_ambiguous_or_uncertain_never_sure() -> None:
    found = Localiser(SENSORS, MAGNET).locate(RNG.normal(0.0, 1e-7, (16, 3)), 1e-6)
    assert isinstance(found, NotLocated) or found.radius_95_mm > 5.0


def test_a_start_nearby_is_used_and_gives_the_same() -> None:
    place, axis = np.array([5.0, -10.0, 60.0]), np.array([0.6, 0.0, 0.8])
    field = magnet_field(SENSORS - place, axis, MAGNET)
    config = LocalisationConfig(starts=1)
    found = Localiser(SENSORS, MAGNET, config).locate(field, 1e-9, pose_of(place + 3.0, axis))
    assert isinstance(found, Located) and found.position_mm == pytest.approx(place, abs=1e-5)


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="strength"):
        Localiser(SENSORS, Magnet(0.0))
    with pytest.raises(InputError, match="high_mm"):
        Localiser(SENSORS, MAGNET, LocalisationConfig(low_mm=(0.0, 0.0, 9.0), high_mm=(1.0, 1.0, 8.0)))
    with pytest.raises(InputError, match="shape"):
        Localiser(SENSORS, MAGNET).locate(np.zeros((4, 3)))
