"""The wire: constant length, magnetostatics against textbook factors, convergence, saturation, reciprocity, and its field."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j1

from lodestone_bench.magnetics import WireShape, world_field
from lodestone_bench.magnetics.config import WireConfig
from lodestone_bench.magnetics.wire_field import Magnetised
from lodestone_bench.magnetics.wire_magnetisation import (
    Material,
    charge_field,
    charges,
    coupling,
    disc_potential,
    solve_axial,
)
from lodestone_bench.magnetics.wire_shape import SHAPES
from lodestone_core.types import Array

GRID = (np.arange(4) - 1.5) * 40.0
SENSORS = np.array([(x, y, 0.0) for y in GRID for x in GRID])
BOX = np.array([[-60.0, -45.0, 40.0], [60.0, 45.0, 100.0]])


def straight(pieces: int, length: float) -> Array:
    return np.column_stack([np.linspace(0.0, length, pieces + 1), np.zeros(pieces + 1), np.zeros(pieces + 1)])


@pytest.mark.parametrize("shape", ["tour", *SHAPES])
def test_no_bend_changes_the_length_and_the_wire_stays_in_its_box(shape: str) -> None:
    for seed in range(6):
        wire = WireShape(WireConfig(shape=shape), seed)
        for world_s in np.linspace(0.0, 150.0, 40):
            points = wire.points_mm(float(world_s), 161)
            chords = np.linalg.norm(np.diff(points, axis=0), axis=1)
            assert chords.sum() == pytest.approx(80.0, abs=0.02)
            assert np.ptp(chords) < 2e-3
            assert np.all(points >= BOX[0]) and np.all(points <= BOX[1])


def test_the_curve_does_not_depend_on_how_many_points_are_asked_for() -> None:
    wire = WireShape(WireConfig(shape="helix"), 4)
    fine = wire.points_mm(7.0, 481)
    for n in (2, 3, 25, 121):
        assert wire.points_mm(7.0, n) == pytest.approx(fine[:: 480 // (n - 1)], abs=1e-6)


def test_the_wire_moves_smoothly_in_time_and_the_same_for_every_process() -> None:
    wire, other = WireShape(WireConfig(), 3), WireShape(WireConfig(), 3)
    times = np.linspace(20.0, 60.0, 4001)
    tips = np.array([wire.points_mm(float(t), 2)[1] for t in times])
    speed = np.linalg.norm(np.diff(tips, axis=0), axis=1) / 0.01
    assert 1.0 < speed.max() < 60.0
    assert np.abs(np.diff(speed)).max() < 1.0
    assert np.array_equal(wire.points_mm(33.3, 50), other.points_mm(33.3, 50))
    assert not np.array_equal(wire.points_mm(33.3, 50), WireShape(WireConfig(), 5).points_mm(33.3, 50))


def test_tangents_point_along_the_curve() -> None:
    wire = WireShape(WireConfig(shape="s_bend"), 0)
    chords = np.diff(wire.points_mm(2.0, 401), axis=0)
    assert wire.tangents(2.0, 400) == pytest.approx(chords / np.linalg.norm(chords, axis=1, keepdims=True), abs=1e-4)


@pytest.mark.parametrize("x", [0.0, 0.03, 0.5, 1.0, 4.0])
def test_two_discs_have_the_potential_of_their_integral(x: float) -> None:
    # The tail beyond 200 is at most that of 8 / (pi k^3).
    value = quad(lambda k: np.square(2.0 * j1(k) / k) * np.exp(-k * x), 1e-12, 200.0, limit=2000)[0]
    assert disc_potential(np.array(x)) == pytest.approx(value, abs=4e-5 if x == 0.0 else 2e-5)


def test_the_potential_goes_over_into_its_series_without_a_step() -> None:
    x = np.array([24.999999, 25.000001])
    assert np.diff(disc_potential(x))[0] == pytest.approx(-2e-6 / 625.0, rel=1e-2)
    assert disc_potential(np.array(400.0)) == pytest.approx(1.0 / 400.0, rel=1e-5)


@pytest.mark.parametrize(("slenderness", "factor"), [(0.01, 0.9650), (1.0, 0.3116), (2.0, 0.1819), (10.0, 0.0412), (100.0, 0.00423)])
def test_one_piece_has_the_magnetometric_factor_of_a_cylinder(slenderness: float, factor: float) -> None:
    """D.-X. Chen, J. A. Brug, R. B. Goldfarb, IEEE Trans. Magn. 27 (1991), susceptibility 0."""
    assert coupling(straight(1, 2.0 * slenderness), 1.0)[0, 0] == pytest.approx(factor, rel=2e-3)


def test_what_one_piece_does_to_another_comes_back_and_costs_energy() -> None:
    joints = WireShape(WireConfig(shape="hook"), 1).points_mm(3.0, 121)
    D = coupling(joints, 0.45)
    assert np.abs(D - D.T).max() < 1e-12 * np.abs(D).max()
    assert np.linalg.eigvalsh(D).min() > -1e-9
    # A uniformly magnetised wire is one long piece, whatever it is cut into.
    whole = coupling(straight(1, 80.0), 0.45)[0, 0]
    assert coupling(straight(100, 80.0), 0.45).sum() / 100.0 == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    ("slenderness", "factor", "within"),
    [(1.0, 0.27, 0.02), (2.0, 0.14, 0.02), (10.0, 0.0172, 0.02), (20.0, 0.00617, 0.06), (50.0, 0.00129, 0.03)],
)
def test_in_the_middle_of_a_soft_rod_the_ballistic_factor_of_the_textbook_is_found(
    slenderness: float, factor: float, within: float
) -> None:
    """Rods of high permeability: R. M. Bozorth, "Ferromagnetism", 1951, table of demagnetising factors; in part old measurements."""
    J = solve_axial(np.full(401, 1e-4), coupling(straight(401, 2.0 * slenderness), 1.0), Material(1e7, 1e9))
    assert 1e-4 / J[200] == pytest.approx(factor, rel=within)


def test_more_pieces_change_the_field_at_the_sensors_by_less_and_less() -> None:
    fields = []
    for elements in (60, 120, 240, 480, 960):
        world = world_field({"wire": {"elements": elements, "shape": "s_bend"}}, 2)
        assert world.wire_field is not None
        fields.append(world.wire_field.solved(4.0).field_T(SENSORS))
    errors = [np.abs(field - fields[-1]).max() for field in fields[:-1]]
    assert all(b < 0.6 * a for a, b in pairwise(errors))
    assert errors[-1] < 2e-9 < 2e-7 < np.abs(fields[-1]).max()


def test_a_strong_field_saturates_the_wire_and_never_more() -> None:
    material = Material(1500.0, 1.2)
    D = coupling(straight(100, 80.0), 0.45)
    for applied in (0.5, 5.0, -500.0):
        J = solve_axial(np.full(100, applied), D, material)
        assert np.abs(J).max() < 1.2
        assert np.sign(J).sum() == 100 * np.sign(applied)
    assert np.abs(J).min() > 1.199


def test_the_law_of_the_material_and_its_inverse_agree() -> None:
    material = Material(800.0, 1.1, 0.3)
    b = np.array([-0.1, -1e-6, 0.0, 1e-5, 0.2])
    assert material.field_of(material.polarisation_of(b)) == pytest.approx(b, rel=1e-9, abs=1e-18)
    J = np.array([-0.9, 0.0, 0.4])
    assert material.slope_of(J) == pytest.approx((material.field_of(J + 1e-7) - material.field_of(J - 1e-7)) / 2e-7, rel=1e-5)
    assert Material(800.0, 1.1, 0.3).polarisation_of(np.array(material.bias_t)) == pytest.approx(0.3)


def test_a_wire_without_field_keeps_its_remanence_where_its_ends_are_far() -> None:
    J = solve_axial(np.zeros(400), coupling(straight(400, 400.0), 0.2), Material(50.0, 1.2, 0.2))
    assert J[200] == pytest.approx(0.2, rel=1e-3)
    assert J[0] < 0.17


def test_the_solution_holds_the_law_in_every_piece() -> None:
    D, material = coupling(straight(200, 80.0), 0.45), Material(1500.0, 1.2, 0.02)
    applied = 3e-4 * np.cos(np.linspace(0.0, 5.0, 200))
    J = solve_axial(applied, D, material)
    inside = applied - D @ J + material.bias_t
    assert material.polarisation_of(inside) == pytest.approx(J, abs=1e-9)
    assert solve_axial(applied, D, material, start=np.full(200, 1.1)) == pytest.approx(J, abs=1e-10)
    assert np.array_equal(solve_axial(applied, D, Material(0.0, 1.2)), np.zeros(200))


def test_charges_of_a_uniform_wire_are_its_two_ends_and_sum_to_nothing() -> None:
    q = charges(np.full(50, 0.3), 0.5)
    assert q[0] == pytest.approx(-0.3 * np.pi * 0.25) and q[-1] == pytest.approx(0.3 * np.pi * 0.25)
    assert np.abs(q[1:-1]).max() == 0.0
    joints = straight(50, 80.0) - [40.0, 0.0, -70.0]
    r1, r2 = SENSORS - joints[-1], SENSORS - joints[0]
    north, south = (r / np.linalg.norm(r, axis=1, keepdims=True) ** 3 for r in (r1, r2))
    expected = q[-1] / (4 * np.pi) * (north - south)
    assert charge_field(SENSORS, joints, q) == pytest.approx(expected, rel=1e-12)


def test_the_field_of_the_wire_has_neither_divergence_nor_curl() -> None:
    world = world_field({}, 1)
    assert world.wire_field is not None
    wire = world.wire_field.solved(9.0)
    step = 0.05
    J = np.stack([(wire.field_T(SENSORS + m) - wire.field_T(SENSORS - m)) / (2 * step) for m in step * np.eye(3)], axis=-1)
    scale = np.linalg.norm(J, axis=(1, 2)).max()
    assert np.abs(np.trace(J, axis1=1, axis2=2)).max() < 1e-5 * scale
    assert np.abs(J - np.swapaxes(J, 1, 2)).max() < 1e-5 * scale


def test_two_wires_act_on_each_other_alike() -> None:
    """Reciprocity: J of one in the field of the other, either way, by their charges alone."""
    one = Magnetised(straight(40, 60.0), np.linspace(0.1, 0.4, 40), np.zeros((40, 3)), 0.4)
    moved = straight(40, 60.0) @ np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]) + [10.0, 5.0, 30.0]
    two = Magnetised(moved, np.linspace(-0.2, 0.3, 40), np.zeros((40, 3)), 0.4)

    def energy(of: Magnetised, within: Magnetised) -> float:
        fine = 60
        u = (np.arange(fine) + 0.5) / fine
        starts, steps = of.joints_mm[:-1], np.diff(of.joints_mm, axis=0)
        places = (starts[:, None] + u[:, None] * steps[:, None]).reshape(-1, 3)
        field = within.field_T(places).reshape(len(steps), fine, 3).mean(axis=1)
        return float(np.sum(of.axial_T * np.einsum("ki,ki->k", field, steps)) * np.pi * of.radius_mm**2)

    assert energy(one, two) == pytest.approx(energy(two, one), rel=1e-6)


def test_between_knots_the_field_is_what_solving_at_that_time_gives() -> None:
    world = world_field({}, 6)
    assert world.wire_field is not None
    for world_s in (0.2, 11.3, 47.77):
        exact = world.wire_field.solved(world_s).field_T(SENSORS)
        assert np.abs(world.wire_field.field_T(SENSORS, world_s) - exact).max() < 5e-10
        assert np.abs(exact).max() > 5e-7


def test_the_field_at_a_time_is_the_same_in_whatever_order_it_is_asked_for() -> None:
    forward, backward = world_field({}, 8), world_field({}, 8)
    times = (0.0, 3.3, 3.4, 90.0)
    first = {t: forward.field_T(SENSORS, t) for t in times}
    assert all(np.array_equal(backward.field_T(SENSORS, t), first[t]) for t in reversed(times))


def test_without_a_wire_nothing_changes_in_time_and_the_caller_may_write_into_what_it_got() -> None:
    world = world_field({"wire": {"present": False}}, 0)
    assert world.wire is None
    field = world.field_T(SENSORS, 0.0)
    field[:] = 0.0
    assert np.array_equal(world.field_T(SENSORS, 5.0), world.around.field_T(SENSORS))


def test_a_live_array_at_100_hz_is_cheap() -> None:
    world = world_field({}, 0)
    world.field_T(SENSORS, 0.0)
    began = time.process_time()
    for i in range(200):
        world.field_T(SENSORS, 1.0 + 0.01 * i)
    assert (time.process_time() - began) / 200 < 4e-3  # 0.7 ms on an idle core
