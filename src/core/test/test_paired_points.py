"""Paired-point registration: known answers, honest errors at targets, and every refusal by name."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.covariance import expected_radius_95
from lodestone_core.errors import InputError
from lodestone_core.paired_points import leave_one_out, register_points
from lodestone_core.types import Array

T_TRUE = se3.exp(np.array([250.0, -80.0, 900.0, 1.1, -0.7, 0.4]))
# Six skin markers on a chest, irregular on purpose, and a target 120 mm away from them.
FIDUCIALS = np.array([[0, 0, 0], [90, 10, 5], [20, 110, -10], [100, 95, 30], [55, 40, 60], [-30, 60, 45]], dtype=float)
TARGET = np.array([40.0, 60.0, -120.0])


def landed(source: Array, rng: np.random.Generator | None = None, sigma: float = 0.0) -> Array:
    exact = se3.transform(T_TRUE, source)
    return exact if rng is None else exact + rng.normal(scale=sigma, size=source.shape)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 1.0, np.pi - 1e-7, np.pi])
def test_finds_a_known_transform_without_noise(angle: float) -> None:
    T = se3.make(Rotation.from_rotvec([0.0, 0.6 * angle, 0.8 * angle]).as_matrix(), np.array([500.0, 0.0, -3.0]))
    found = register_points(FIDUCIALS, se3.transform(T, FIDUCIALS))
    np.testing.assert_allclose(found.T_target_source, T, atol=1e-9)
    assert found.fre_mm < 1e-9


def test_three_points_are_enough() -> None:
    found = register_points(FIDUCIALS[:3], landed(FIDUCIALS[:3]))
    np.testing.assert_allclose(found.T_target_source, T_TRUE, atol=1e-8)


def test_fle_and_fre_follow_the_degrees_of_freedom_that_the_fit_takes() -> None:
    rng = np.random.default_rng(0)
    fits = [register_points(FIDUCIALS, landed(FIDUCIALS, rng, 0.4)) for _ in range(400)]
    # <FRE^2> = (1 - 2 / N) <FLE^2> (Sibson 1979); FLE^2 is 3 sigma^2.
    assert np.mean([fit.fre_mm**2 for fit in fits]) == pytest.approx((1 - 2 / 6) * 3 * 0.16, rel=0.08)
    assert np.mean([fit.fle_mm**2 for fit in fits]) == pytest.approx(3 * 0.16, rel=0.08)


def test_tre_covariance_tells_the_scatter_at_a_target_outside_the_fiducials() -> None:
    rng = np.random.default_rng(1)
    C = np.diag([0.09, 0.09, 0.09])
    errors = []
    for _ in range(500):
        fit = register_points(FIDUCIALS, landed(FIDUCIALS, rng, 0.3), C_target=C)
        errors.append(se3.transform(fit.T_target_source, TARGET) - landed(TARGET))
    predicted = register_points(FIDUCIALS, landed(FIDUCIALS), C_target=C).tre_covariance(TARGET)
    # 500 draws: a variance is known to 6 %, a covariance to that share of the variances.
    np.testing.assert_allclose(np.cov(np.array(errors).T), predicted, atol=0.2 * np.max(np.diag(predicted)))


def test_tre_agrees_with_the_formula_for_equal_errors() -> None:
    # J. M. Fitzpatrick et al. 1998: <TRE^2> = FLE^2 / N (1 + 1/3 sum d_k^2 / f_k^2) over the principal axes.
    fit = register_points(FIDUCIALS, landed(FIDUCIALS), C_target=0.25 * np.eye(3))
    centred = FIDUCIALS - FIDUCIALS.mean(axis=0)
    _, _, axes = np.linalg.svd(centred)
    d2 = [np.sum(v**2) - (v @ a) ** 2 for v in [TARGET - FIDUCIALS.mean(axis=0)] for a in axes]
    f2 = [np.mean(np.sum(centred**2, axis=1) - (centred @ a) ** 2) for a in axes]
    expected = 0.75 / 6 * (1 + sum(d / f for d, f in zip(d2, f2, strict=True)) / 3)
    assert np.trace(fit.tre_covariance(TARGET)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [3, 4, 6])
def test_the_95_percent_radius_holds_even_when_the_noise_comes_from_few_residuals(count: int) -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(300):
        fit = register_points(FIDUCIALS[:count], landed(FIDUCIALS[:count], rng, 0.3))
        error = se3.transform(fit.T_target_source, TARGET) - landed(TARGET)
        inside.append(np.linalg.norm(error) <= fit.tre(TARGET))
    # 300 draws at 0.95: standard deviation 0.013; the F factor is exact for an error of equal axes only.
    assert 0.90 <= np.mean(inside) <= 0.99


def test_tre_takes_any_number_of_points_and_is_larger_far_out() -> None:
    fit = register_points(FIDUCIALS, landed(FIDUCIALS), C_target=0.1 * np.eye(3))
    near, far = fit.tre(np.array([FIDUCIALS.mean(axis=0), [0.0, 0.0, 900.0]]))
    assert far > 3.0 * near
    assert near == pytest.approx(expected_radius_95(fit.tre_covariance(FIDUCIALS.mean(axis=0))))


def test_known_anisotropic_errors_beat_equal_weights_and_are_told_rightly() -> None:
    rng = np.random.default_rng(3)
    # A depth camera: good across, poor along z of the target frame; the CT side has thick slices along its own z.
    C_target, C_source = np.diag([0.02, 0.02, 1.5]), np.diag([0.01, 0.01, 0.4])
    nees, wise, plain = [], [], []
    for _ in range(150):
        source = FIDUCIALS + rng.multivariate_normal(np.zeros(3), C_source, size=6)
        target = landed(FIDUCIALS) + rng.multivariate_normal(np.zeros(3), C_target, size=6)
        fit = register_points(source, target, C_source=C_source, C_target=C_target)
        error = se3.transform(fit.T_target_source, TARGET) - landed(TARGET)
        nees.append(error @ np.linalg.solve(fit.tre_covariance(TARGET), error))
        wise.append(error @ error)
        equal = se3.transform(register_points(source, target).T_target_source, TARGET) - landed(TARGET)
        plain.append(equal @ equal)
    # 150 chi-square values with 3 degrees: the mean has a standard deviation of 0.2.
    assert np.mean(nees) == pytest.approx(3.0, abs=0.8)
    assert np.mean(wise) < 0.9 * np.mean(plain)


def test_chi_square_of_known_errors_has_its_degrees_of_freedom() -> None:
    rng = np.random.default_rng(4)
    fits = [register_points(FIDUCIALS, landed(FIDUCIALS, rng, 0.3), C_target=0.09 * np.eye(3)) for _ in range(200)]
    assert fits[0].freedom == 12
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(12.0, abs=1.2)


def test_isotropic_covariances_give_the_closed_form_with_weights() -> None:
    rng = np.random.default_rng(5)
    target = landed(FIDUCIALS, rng, 0.5)
    variances = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
    weighted = register_points(FIDUCIALS, target, weights=1.0 / variances)
    known = register_points(FIDUCIALS, target, C_target=variances[:, None, None] * np.eye(3))
    np.testing.assert_allclose(weighted.T_target_source, known.T_target_source, atol=1e-8)


def test_leaving_one_out_errs_more_than_the_residuals_show() -> None:
    target = landed(FIDUCIALS, np.random.default_rng(6), 0.3)
    errors = leave_one_out(FIDUCIALS, target)
    assert errors.shape == (6,)
    assert np.sqrt(np.mean(errors**2)) > register_points(FIDUCIALS, target).fre_mm


def test_noise_of_a_third_of_the_spacing_is_no_reason_to_claim_a_wrong_pairing() -> None:
    rng = np.random.default_rng(7)
    for _ in range(100):
        target = landed(FIDUCIALS, rng, 12.0)
        assert register_points(FIDUCIALS, target).fre_mm > 1.0


def refused(source: Array, target: Array) -> str:
    with pytest.raises(InputError) as caught:
        register_points(source, target, names=[f"F{i}" for i in range(len(source))])
    return str(caught.value)


def test_refuses_two_points() -> None:
    assert "at least 3 points, got 2" in refused(FIDUCIALS[:2], landed(FIDUCIALS[:2]))


def test_refuses_a_missing_partner() -> None:
    text = refused(FIDUCIALS, landed(FIDUCIALS)[:5])
    assert "6 and 5" in text
    assert "pair them by name" in text


def test_refuses_points_on_a_line() -> None:
    line = np.outer([0.0, 30.0, 70.0, 100.0], [1.0, 0.2, 0.1]) + np.random.default_rng(8).normal(scale=0.2, size=(4, 3))
    assert "4 collinear points" in refused(line, landed(line))


def test_refuses_the_same_point_twice_and_names_both() -> None:
    twice = np.concatenate([FIDUCIALS, FIDUCIALS[1:2] + 0.1])
    assert "F1 and F6 0.173 mm apart" in refused(twice, landed(twice))


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "metres"), (0.1, "centimetres"), (1 / 25.4, "inches")])
def test_refuses_other_units_on_either_side_and_names_them(factor: float, unit: str) -> None:
    assert f"the source points look like {unit}" in refused(FIDUCIALS * factor, landed(FIDUCIALS))
    assert f"the target points look like {unit}" in refused(FIDUCIALS, landed(FIDUCIALS) * factor)


def test_refuses_metres_on_both_sides() -> None:
    assert "give millimetres if these are metres" in refused(FIDUCIALS * 1e-3, landed(FIDUCIALS) * 1e-3)


def test_refuses_sets_of_different_size_for_which_no_unit_speaks() -> None:
    assert "check units and pairing" in refused(FIDUCIALS * 2.0, landed(FIDUCIALS))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_refuses_a_mirrored_set_and_says_so(axis: int) -> None:
    flip = np.ones(3)
    flip[axis] = -1.0
    text = refused(FIDUCIALS * flip, landed(FIDUCIALS, np.random.default_rng(9), 0.2))
    assert "mirrored sets" in text
    assert "LPS against RAS" in text


def test_refuses_two_swapped_names_and_says_which() -> None:
    target = landed(FIDUCIALS, np.random.default_rng(10), 0.2)[[0, 1, 4, 3, 2, 5]]
    text = refused(FIDUCIALS, target)
    assert "source F4 with target F2, source F2 with target F4" in text


def test_refuses_names_turned_round_among_nine_points() -> None:
    rng = np.random.default_rng(11)
    source = rng.uniform(-90.0, 90.0, size=(9, 3))
    text = refused(source, landed(source, rng, 0.2)[[1, 2, 0, 3, 4, 5, 6, 7, 8]])
    assert "source F1 with target F0" in text
    assert "F8" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [1, 1, 1, 1, 1, 0]}, "positive"),
        ({"weights": [1, 1, 1]}, "shape"),
        ({"C_target": np.diag([1.0, 1.0, 0.0])}, "a direction without any"),
        ({"C_target": np.eye(3), "weights": np.ones(6)}, "leave the weights out"),
        ({"names": ["a"]}, "one name a pair"),
    ],
)
def test_refuses_errors_and_names_that_do_not_fit(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        register_points(FIDUCIALS, landed(FIDUCIALS), **arguments)  # type: ignore[arg-type]
