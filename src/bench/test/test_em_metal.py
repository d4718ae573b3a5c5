"""Currents and moments in metal: closed forms, Neumann's integral, images, limits, reciprocity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.coils import Generator, planar_generator
from lodestone_bench.em_physics.conduction import effective_permeability, sheet_impedance, wavenumber, wire_impedance
from lodestone_bench.em_physics.element import Element
from lodestone_bench.em_physics.kits import apart
from lodestone_bench.em_physics.loops import MU0
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.ring import OHM, Ring
from lodestone_bench.em_physics.rod import Rod, demagnetising_factor
from lodestone_bench.em_physics.sheet import Sheet, make_meshes
from lodestone_core import se3
from lodestone_core.types import Array

ALUMINIUM, SUPER, INSULATOR = 3.5e7, 1e22, 1e-6
OMEGA = np.array([2e4])


def place(*positions: tuple[float, float, float], turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
    R = Rotation.from_rotvec(turn).as_matrix()
    return se3.make(np.tile(R, (len(positions), 1, 1)), np.array(positions))


def ring(T: Array, radius: float = 80.0, wire: float = 4.0, conductivity: float = ALUMINIUM) -> Ring:
    return Ring(T, *(np.full(len(T), value) for value in (radius, wire, conductivity)))


def rod(T: Array, half: float = 60.0, radius: float = 8.0, mu_r: float = 200.0, conductivity: float = 5e6) -> Rod:
    return Rod(T, *(np.full(len(T), value) for value in (half, radius, mu_r, conductivity)))


def sheet(T: Array, width: float = 200.0, thickness: float = 1.0, conductivity: float = ALUMINIUM, aspect: float = 1.4) -> Sheet:
    return Sheet(T, *(np.full(len(T), value) for value in (width, thickness, conductivity)), aspect=aspect)


def uniform(direction: Array) -> Generator:
    """A coil so large that its field about the origin is uniform, 1 A."""
    return Generator(np.zeros((1, 3)), direction[None], np.array([1e6]), OMEGA)


def moment(bodies: tuple[Element, ...], source: Generator) -> Array:
    """In-phase moment (3,) over the source's field strength, mm^3, from the field far away along the three axes."""
    far = 4e3  # not in the plane of a sheet's filaments
    field = respond(bodies, source).in_phase_field(far * np.eye(3)[None] + 0.1)[0, :, 0]
    strength = source.field(np.zeros((1, 3)))[0, 0]
    return 2.0 * np.pi * far**3 / MU0 * np.diag(field) / (np.linalg.norm(strength) / MU0)


ALL = (ring(place((10.0, -20.0, -330.0), turn=(0.3, 0.5, 0.0))), rod(place((90.0, 40.0, -260.0), turn=(1.2, 0.0, 0.3))),
       sheet(place((0.0, 30.0, -420.0), turn=(0.2, -0.1, 0.4))))  # fmt: skip
POINTS = np.random.default_rng(1).uniform([-60.0, -60.0, -230.0], [60.0, 60.0, -120.0], (1, 20, 3))


def test_impedances_have_their_limits() -> None:
    low, high, one = np.array([1e-3]), np.array([1e9]), np.ones(1)
    assert wire_impedance(low, 100.0 * one, 2.0 * one, 5e7 * one)[0].real == pytest.approx(0.1 / (5e7 * np.pi * 4e-6), rel=1e-6)
    skin_mm = 1.0 / wavenumber(high, 5e7 * one)[0].real
    limit = (1.0 + 1.0j) * 0.1 / (2.0 * np.pi * 2e-3 * 5e7 * skin_mm * 1e-3)
    assert wire_impedance(high, 100.0 * one, 2.0 * one, 5e7 * one)[0] == pytest.approx(limit, rel=2e-2)
    assert sheet_impedance(low, one, 5e7 * one)[0] == pytest.approx(1.0 / (5e7 * 1e-3), rel=1e-6)
    assert np.abs(np.concatenate(effective_permeability(low, one, 80.0 * one, 5e6 * one)) - 80.0).max() < 1e-4
    along, across = effective_permeability(high, 20.0 * one, one, 5e7 * one)
    assert abs(along[0]) < 1e-2 and abs(across[0]) < 1e-2, "a good conductor keeps the field out"


def test_mutual_inductance_of_rings_is_symmetric_and_neumanns_integral() -> None:
    a, b = ring(place((5.0, -9.0, 3.0), turn=(0.4, -0.2, 0.0)), 80.0), ring(place((30.0, 0.0, 60.0), turn=(0.0, 1.1, 0.2)), 45.0)
    angle = 2.0 * np.pi * np.arange(400) / 400
    circle, tangent = (np.stack([f(angle), g(angle), 0.0 * angle], axis=1) for f, g in ((np.cos, np.sin), (lambda x: -np.sin(x), np.cos)))
    xs = [r.T_field_body[0, :3, 3] + r.radius_mm * circle @ r.T_field_body[0, :3, :3].T for r in (a, b)]
    ds = [r.radius_mm * 2.0 * np.pi / 400 * tangent @ r.T_field_body[0, :3, :3].T for r in (a, b)]
    neumann = MU0 / (4.0 * np.pi) * (ds[0] @ ds[1].T / np.linalg.norm(xs[0][:, None] - xs[1], axis=-1)).sum()
    assert a.mutual(b)[0, 0, 0] == pytest.approx(neumann, rel=1e-6)
    assert b.mutual(a)[0, 0, 0] == pytest.approx(neumann, rel=1e-6)


def test_a_superconducting_ring_lets_no_flux_through() -> None:
    T, radius, wire = place((20.0, 10.0, -200.0), turn=(0.5, 0.2, 0.0)), 60.0, 0.05
    response = respond((ring(T, radius, wire, SUPER),), planar_generator())
    nodes, weights = np.polynomial.legendre.leggauss(400)
    r = 0.5 * (radius - wire) * (1.0 + np.sin(0.5 * np.pi * nodes))  # crowded at the wire
    angle = 2.0 * np.pi * np.arange(24) / 24
    disc = np.stack([*(np.outer(r, f(angle)) for f in (np.cos, np.sin)), np.zeros((400, 24))], axis=-1).reshape(-1, 3)
    points = se3.transform(T, disc)[None]
    area = np.repeat(weights * 0.25 * np.pi * (radius - wire) * np.cos(0.5 * np.pi * nodes) * r * 2.0 * np.pi / 24, 24)
    primary, secondary = planar_generator().field(points), response.in_phase_field(points)
    flux = np.einsum("p,pfi,i->f", area, np.stack([primary, primary + secondary])[0, 0], T[0, :3, 2])
    left = np.einsum("p,pfi,i->f", area, (primary + secondary)[0], T[0, :3, 2])
    assert np.abs(left).max() < 2e-3 * np.abs(flux).max(), "of the order of wire / radius"


@pytest.mark.parametrize("body", range(3))
def test_an_insulator_has_no_effect(body: int) -> None:
    one = replace(ALL[body], conductivity=np.array([INSULATOR]))
    one = replace(one, mu_r=np.array([1.0 + 1e-12])) if isinstance(one, Rod) else one
    field = respond((one,), planar_generator()).in_phase_field(POINTS)
    assert np.abs(field).max() < 1e-9 * np.abs(planar_generator().field(POINTS)).max()


def test_a_round_rod_is_the_sphere_of_the_text_book() -> None:
    volume = 4.0 * np.pi * 30.0**3
    for mu_r, conductivity, expected in ((5.0, INSULATOR, 4.0 / 7.0), (1e9, INSULATOR, 1.0), (1.0, SUPER, -0.5)):
        sphere = rod(place((0.0, 0.0, 0.0)), 30.0, 30.0, mu_r, conductivity)
        assert sphere.polarisability(OMEGA)[0, 0].real == pytest.approx(volume * expected, rel=1e-5)
        assert moment((sphere,), uniform(np.array([0.0, 0.0, 1.0])))[2] == pytest.approx(volume * expected, rel=1e-3)


def test_demagnetising_factors_are_smooth_and_known() -> None:
    ratio = np.array([1.0, 1.0008, 1.002, 2.0, 10.0, 50.0])
    # Osborn 1945, table: 0.3333 at 1, 0.1736 at 2, 0.0203 at 10, 0.00144 at 50.
    assert demagnetising_factor(ratio, np.ones(6))[[0, 3, 4, 5]] == pytest.approx([1 / 3, 0.17356, 0.020286, 0.0014434], rel=1e-3)
    below, above = demagnetising_factor(np.array([1.001252, 1.001253]), np.ones(2))
    assert below == pytest.approx(above, abs=1e-6), "either side of the switch"


def test_field_of_a_magnetised_rod_is_that_of_its_surface_charge() -> None:
    a, b = 60.0, 20.0
    body = rod(place((0.0, 0.0, 0.0)), a, b)
    z, w = np.polynomial.legendre.leggauss(200)
    angle = 2.0 * np.pi * np.arange(200) / 200
    rho = b * np.sqrt(1.0 - z**2)
    surface = np.stack([np.outer(rho, np.cos(angle)), np.outer(rho, np.sin(angle)), np.repeat(a * z[:, None], 200, axis=1)], axis=-1)
    # Vector area of the spheroid's surface for dz and d(angle): rho (a cos, a sin, b^2 z / rho), times the steps.
    across = [a * rho[:, None] * f(angle) for f in (np.cos, np.sin)]
    area = np.stack([*across, np.repeat(b * b * z[:, None], 200, axis=1)], axis=-1) * (w[:, None, None] * 2.0 * np.pi / 200)
    points = np.array([[30.0, 5.0, 10.0], [0.0, 0.0, 75.0], [-20.0, 25.0, 55.0], [8.0, -22.0, -20.0]])
    for magnetisation in np.eye(3) / (4.0 / 3.0 * np.pi * a * b * b):
        charge = (area @ magnetisation).reshape(-1, 1)
        r = points[:, None] - surface.reshape(-1, 3)
        expected = MU0 / (4.0 * np.pi) * (charge * r / np.linalg.norm(r, axis=-1, keepdims=True) ** 3).sum(axis=1)
        found = body.basis_field(points[None])[0] @ (magnetisation * 4.0 / 3.0 * np.pi * a * b * b)
        error = np.abs(found - expected).max(axis=1) / np.linalg.norm(expected, axis=1)
        assert np.all(error < [1e-3, 1e-5, 1e-5, 1e-2]), "twelve nodes; the first and the last point lie 11 and 4 mm from the surface"


def plate_moment(square: Sheet) -> complex:
    """Moment of a sheet in a uniform field along its normal over the field strength, mm^3, with its phase."""
    source = uniform(np.array([0.0, 0.0, 1.0]))
    amplitudes = respond((square,), source).amplitudes[0][0, :, 0]
    total = (square.meshes.patterns @ amplitudes).sum() * square.meshes.area * square.width_mm[0] ** 2
    return complex(total * MU0 / source.field(np.zeros((1, 3)))[0, 0, 2])


def test_a_thin_square_in_a_slow_field_answers_as_the_torsion_of_a_square_bar_says() -> None:
    # The stream function obeys Poisson's equation with zero at the rim, as Prandtl's does; the bar's constant is 0.1406 a^4.
    side, thickness, conductivity = 200.0, 0.01, 1e6
    expected = -1.0j * OMEGA[0] * MU0 * conductivity * thickness * 1e-9 * side**4 * 0.1406 / 4.0
    square = sheet(place((0.0, 0.0, 0.0)), side, thickness, conductivity, 1.0)
    assert abs(plate_moment(square) / expected - 1.0) < 0.04
    assert abs(plate_moment(replace(square, meshes_across=32, patterns_across=32)) / expected - 1.0) < 0.006


def test_a_superconducting_square_answers_as_known() -> None:
    # Dual to the electric polarisability of a square aperture, 0.1137 a^3 (S. B. Cohn, Proc. IRE 40, 1069, 1952), as 8/3 r^3 to 2/3 r^3.
    square, expected = sheet(place((0.0, 0.0, 0.0)), 200.0, 1.0, SUPER, 1.0), -4.0 * 0.1137 * 200.0**3
    assert plate_moment(square).real == pytest.approx(expected, rel=0.1)
    coarse, fine = (plate_moment(replace(square, meshes_across=n, patterns_across=n)).real for n in (16, 32))
    assert 2.0 * fine - coarse == pytest.approx(expected, rel=0.01), "the error halves with the meshes"
    assert moment((square,), uniform(np.array([0.0, 0.0, 1.0])))[2] == pytest.approx(plate_moment(square).real, rel=0.01)


def test_a_large_superconducting_sheet_is_a_mirror() -> None:
    # The image of a loop in a perfect conductor carries the opposite current below; behind the sheet nothing is left.
    coil = Generator(np.array([[0.0, 0.0, 150.0]]), np.array([[0.0, 0.0, 1.0]]), np.array([30.0]), OMEGA)
    image = Generator(np.array([[0.0, 0.0, -150.0]]), np.array([[0.0, 0.0, -1.0]]), np.array([30.0]), OMEGA)
    mirror = sheet(place((0.0, 0.0, 0.0)), 1500.0, 2.0, SUPER, 1.0)
    mirror = replace(mirror, meshes_across=20, patterns_across=10)
    front, behind = np.array([[[0.0, 0.0, 200.0], [60.0, -40.0, 180.0]]]), np.array([[[0.0, 0.0, -200.0], [60.0, -40.0, -180.0]]])
    secondary = respond((mirror,), coil).in_phase_field(front)
    assert np.abs(secondary - image.field(front)).max() < 0.06 * np.abs(image.field(front)).max()
    through = coil.field(behind) + respond((mirror,), coil).in_phase_field(behind)
    assert np.abs(through).max() < 0.06 * np.abs(coil.field(behind)).max()


def test_a_sheets_field_is_that_of_its_meshes_moments_far_away() -> None:
    one = sheet(place((0.0, 0.0, 0.0)))
    far = np.array([[[3e3, 2e3, 4e3]]])
    moments = one.meshes.patterns.T.sum(axis=1) * one.meshes.area * 200.0**2
    r = far[0, 0]
    dipole = MU0 / (4.0 * np.pi) * (3.0 * r * r[2] / np.linalg.norm(r) ** 5 - np.array([0.0, 0.0, 1.0]) / np.linalg.norm(r) ** 3)
    basis = one.basis_field(far)[0, 0]
    strong = np.argmax(np.abs(moments))
    assert basis[:, strong] == pytest.approx(dipole * moments[strong], rel=2e-3)


def test_smooth_patterns_give_what_all_meshes_give() -> None:
    smooth = ALL[2]
    assert isinstance(smooth, Sheet)
    full = replace(smooth, meshes_across=16, patterns_across=16)
    assert make_meshes(1.4, 10, 10).patterns.shape[1] == 140 and smooth.unknowns == 35
    a, b = (respond((one,), planar_generator()).in_phase_field(POINTS) for one in (smooth, full))
    assert np.abs(a - b).max() < 0.04 * np.abs(b).max()


def test_what_a_coil_sends_through_metal_another_would_send_back() -> None:
    # Two small coils at one frequency: the flux that the metal carries from the first to the second is that from the second to the first.
    centers, axes = np.array([[0.0, 0.0, -20.0], [40.0, 30.0, -170.0]]), np.array([[0.6, 0.0, 0.8], [0.0, 0.8, -0.6]])
    pair = Generator(centers, axes, np.array([0.5, 0.5]), np.repeat(OMEGA, 2))
    response = respond(ALL, pair)
    for part in ("real", "imag"):
        amplitudes = [getattr(a, part) for a in response.amplitudes]
        field = sum(body.field(centers[None], a) for body, a in zip(ALL, amplitudes, strict=True))[0]  # type: ignore[arg-type]
        there, back = field[1, 0] @ axes[1], field[0, 1] @ axes[0]
        # Received by quadrature over the meshes, sent by filaments: equal to the quadrature's error.
        assert there == pytest.approx(back, rel=2e-2), part


def test_the_order_of_the_bodies_does_not_matter_and_they_do_see_each_other() -> None:
    one = respond(ALL, planar_generator()).in_phase_field(POINTS)
    other = respond(ALL[::-1], planar_generator()).in_phase_field(POINTS)
    assert np.abs(one - other).max() < 1e-9 * np.abs(one).max()
    alone = sum(respond((body,), planar_generator()).in_phase_field(POINTS) for body in ALL)
    assert np.abs(one - alone).max() > 0.01 * np.abs(one).max()


def test_currents_lag_behind_and_resistance_turns_their_phase() -> None:
    # Mostly inductive: the current opposes the flux; mostly resistive: it lags by 90 degrees and the demodulator sees little of it.
    T = place((0.0, 0.0, -300.0))
    phases = [np.angle(-respond((ring(T, 80.0, 4.0, s),), planar_generator()).amplitudes[0][0, 0, 0]) for s in (SUPER, 1e4)]
    flux = ring(T).received(planar_generator())[0, 0, 0]
    signed = np.rad2deg(phases) if flux > 0 else np.rad2deg(phases) - 180.0
    assert np.cos(np.deg2rad(signed[0])) == pytest.approx(1.0, abs=1e-6)
    assert np.sin(np.deg2rad(signed[1])) > 0.99


def test_distances_from_the_bodies_are_those_of_their_shapes() -> None:
    T = place((10.0, 0.0, 0.0))
    points = np.array([[[10.0, 0.0, 50.0], [130.0, 0.0, 0.0], [10.0, 80.0, 0.0], [10.0, 30.0, 0.0], [190.0, 140.0, 0.0]]])
    assert ring(T, 80.0, 4.0).distance(points)[0] == pytest.approx(
        [np.hypot(80.0, 50.0) - 4.0, 36.0, -4.0, 46.0, np.hypot(180, 140) - 84.0]
    )
    assert rod(T, 60.0, 8.0).distance(points)[0] == pytest.approx([-8.0, 112.0, 72.0, 22.0, np.hypot(180.0, 140.0) - 8.0])
    assert sheet(T, 200.0, 1.0, aspect=1.4).distance(points)[0] == pytest.approx([49.5, -0.5, -0.5, -0.5, np.hypot(40.0, 40.0) - 0.5])
    near = (ring(T, 80.0, 4.0), sheet(place((10.0, 0.0, 20.0))), ring(place((10.0, 0.0, 9.0)), 80.0, 4.0))
    assert apart(near[:2]).all() and not apart(near[1:]).all() and apart(near[:1]).all()


def test_placements_are_independent() -> None:
    T = place((10.0, -20.0, -330.0), (0.0, 0.0, -250.0), turn=(0.3, 0.5, 0.0))
    both = respond((ring(T), sheet(place((0.0, 0.0, -400.0), (9.0, 0.0, -390.0)))), planar_generator())
    second = respond((ring(T[1:]), sheet(place((9.0, 0.0, -390.0)))), planar_generator())
    points = np.repeat(POINTS, 2, axis=0)
    assert np.abs(both.in_phase_field(points)[1] - second.in_phase_field(POINTS)[0]).max() < 1e-12 * OHM * MU0
