"""The damped least squares: known answers, honest covariances, outliers, and directions named in words."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_core import robust_loss, se3
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, SolverConfig, Values, solve
from lodestone_core.types import Array

FAR = se3.exp(np.array([-320.0, 63.0, -1136.0, 0.6, -1.9, -0.4]))
CLOUD = np.random.default_rng(5).normal(scale=80.0, size=(40, 3))


def points_problem(source: Array, target: Array, start: Array, analytic: bool = False) -> Problem:
    """Rigid fit of points: the smallest problem on SE(3)."""

    def residuals(values: Values) -> Array:
        return (se3.transform(values["T"], source) - target).ravel()

    def jacobian(values: Values) -> dict[str, Array]:
        lever = -se3.hat(se3.transform(values["T"], source))
        return {"T": np.concatenate([np.broadcast_to(np.eye(3), lever.shape), lever], axis=2).reshape(-1, 6)}

    return Problem({"T": start}, residuals, jacobian if analytic else None, group=3)


def line_problem(x: Array, y: Array) -> Problem:
    return Problem({"line": np.zeros(2)}, lambda values: values["line"][0] + values["line"][1] * x - y)


@pytest.mark.parametrize("analytic", [True, False], ids=["analytic", "differences"])
def test_finds_a_far_pose_from_a_start_that_is_sixty_degrees_off(analytic: bool) -> None:
    start = se3.exp(np.array([100.0, -50.0, 30.0, 0.9, 0.3, -0.4])) @ FAR
    solution = solve(points_problem(CLOUD, se3.transform(FAR, CLOUD), start, analytic))
    np.testing.assert_allclose(solution.values["T"], FAR, atol=1e-8)
    assert solution.converged
    assert solution.unobserved == ()


def test_differences_and_analytic_derivatives_give_the_same_covariance() -> None:
    target = se3.transform(FAR, CLOUD) + np.random.default_rng(0).normal(size=CLOUD.shape)
    analytic, differences = (solve(points_problem(CLOUD, target, FAR, a)) for a in (True, False))
    np.testing.assert_allclose(differences.values["T"], analytic.values["T"], atol=1e-7)
    scale = np.sqrt(np.outer(*[np.diag(analytic.covariance)] * 2))
    np.testing.assert_allclose(differences.covariance / scale, analytic.covariance / scale, atol=1e-5)


def test_follows_the_curved_valley_of_rosenbrock_to_its_end() -> None:
    problem = Problem({"x": np.array([-1.2, 1.0])}, lambda v: np.array([10.0 * (v["x"][1] - v["x"][0] ** 2), 1.0 - v["x"][0]]))
    solution = solve(problem, SolverConfig(noise_sigma=1.0))
    np.testing.assert_allclose(solution.values["x"], [1.0, 1.0], atol=1e-8)


def test_too_few_steps_are_a_result_and_not_an_error() -> None:
    start = se3.exp(np.array([0.0, 0.0, 0.0, 0.0, 2.0, 0.0])) @ FAR
    solution = solve(points_problem(CLOUD, se3.transform(FAR, CLOUD), start), SolverConfig(max_iterations=1))
    assert not solution.converged


@pytest.mark.parametrize("loss", list(Loss))
def test_covariance_tells_the_scatter_of_repeated_fits_for_every_loss(loss: Loss) -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 2.0, 60)
    truth = np.array([3.0, -2.0])
    nees = []
    for _ in range(400):
        solution = solve(line_problem(x, truth[0] + truth[1] * x + rng.normal(scale=0.3, size=x.size)), SolverConfig(loss=loss))
        error = solution.values["line"] - truth
        nees.append(error @ np.linalg.solve(solution.covariance, error))
    # Mean of 400 chi-square values with 2 degrees: standard deviation 0.1; the estimated noise adds a few percent.
    assert np.mean(nees) == pytest.approx(2.0, abs=0.4)


def test_covariance_of_a_pose_tells_the_scatter_in_the_message_convention() -> None:
    rng = np.random.default_rng(2)
    nees = []
    for _ in range(200):
        target = se3.transform(FAR, CLOUD) + rng.normal(scale=0.5, size=CLOUD.shape)
        solution = solve(points_problem(CLOUD, target, FAR, analytic=True))
        T = solution.values["T"]
        turn = se3.log(T @ se3.inverse(FAR))[3:]
        error = np.concatenate([T[:3, 3] - FAR[:3, 3], turn])
        nees.append(error @ np.linalg.solve(solution.message_covariance("T"), error))
    # 200 chi-square values with 6 degrees: the mean has a standard deviation of 0.25.
    assert np.mean(nees) == pytest.approx(6.0, abs=0.9)


def test_clustered_covariance_is_honest_where_neighbours_share_their_error() -> None:
    rng = np.random.default_rng(3)
    x = np.linspace(-1.0, 2.0, 120)
    clustered, independent = [], []
    for _ in range(200):
        y = np.repeat(rng.normal(scale=0.3, size=30), 4) + rng.normal(scale=0.05, size=x.size)
        problem = line_problem(x, y)
        for found, cluster in ((clustered, 4), (independent, 0)):
            solution = solve(Problem(problem.initial, problem.residuals, cluster=cluster))
            found.append(solution.values["line"] @ np.linalg.solve(solution.covariance, solution.values["line"]))
    assert np.mean(clustered) == pytest.approx(2.0, abs=0.6)
    assert np.mean(independent) > 5.0, "the case does not need clusters"


def test_known_noise_sets_the_covariance_without_asking_the_residuals() -> None:
    x = np.linspace(0.0, 1.0, 30)
    solution = solve(line_problem(x, 1.0 + x), SolverConfig(noise_sigma=0.2))
    A = np.stack([np.ones(30), x], axis=1)
    np.testing.assert_allclose(solution.covariance, 0.04 * np.linalg.inv(A.T @ A), rtol=1e-6)


@pytest.mark.parametrize("loss", [Loss.HUBER, Loss.CAUCHY, Loss.TUKEY])
def test_robust_losses_hold_where_a_fifth_of_the_points_are_far_off(loss: Loss) -> None:
    rng = np.random.default_rng(4)
    target = se3.transform(FAR, CLOUD) + rng.normal(scale=0.1, size=CLOUD.shape)
    target[:8] += [60.0, 0.0, -40.0]
    solution = solve(points_problem(CLOUD, target, FAR), SolverConfig(loss=loss))
    plain = solve(points_problem(CLOUD, target, FAR))
    assert np.linalg.norm(solution.values["T"][:3, 3] - FAR[:3, 3]) < 0.15
    assert np.linalg.norm(plain.values["T"][:3, 3] - FAR[:3, 3]) > 5.0
    assert np.all(solution.weights[:8] < 0.02)


@pytest.mark.parametrize("loss", list(Loss))
@pytest.mark.parametrize("dimensions", [1, 3])
def test_weight_and_curvature_are_derivatives_of_the_cost(loss: Loss, dimensions: int) -> None:
    limit = robust_loss.threshold(loss, dimensions)
    length = np.linspace(0.05, 9.0, 91) + 0.003
    h = 1e-5
    slope = (robust_loss.cost(loss, length + h, limit) - robust_loss.cost(loss, length - h, limit)) / (2 * h)
    np.testing.assert_allclose(robust_loss.weight(loss, length, limit) * length, slope, atol=1e-8)
    pull = [robust_loss.weight(loss, at, limit) * at for at in (length + h, length - h)]
    np.testing.assert_allclose(robust_loss.curvature(loss, length, limit), (pull[0] - pull[1]) / (2 * h), atol=1e-4)


def test_points_on_a_line_leave_the_rotation_about_it_open() -> None:
    on_z = np.outer(np.linspace(-60.0, 60.0, 9), [0.0, 0.0, 1.0])
    T = se3.make(np.eye(3), np.array([400.0, -900.0, 30.0]))
    solution = solve(points_problem(on_z, se3.transform(T, on_z) + 1e-3, T))
    assert [str(direction) for direction in solution.unobserved] == ["rotation about z of T"]
    assert solution.message_covariance("T")[5, 5] == pytest.approx((2.0 * np.pi) ** 2)
    assert solution.message_covariance("T")[3, 3] < 1e-3


def test_an_open_rotation_about_an_axis_of_the_child_is_named_so() -> None:
    on_x = np.outer(np.linspace(-60.0, 60.0, 9), [1.0, 0.0, 0.0])
    solution = solve(points_problem(on_x, se3.transform(FAR, on_x), FAR))
    assert [direction.text for direction in solution.unobserved] == ["rotation about the child's x of T"]


def test_every_axis_of_a_space_of_open_directions_is_named_by_itself() -> None:
    one = np.zeros((5, 3))
    T = se3.make(np.eye(3), np.array([10.0, 20.0, 30.0]))
    solution = solve(points_problem(one, se3.transform(T, one), T))
    assert {direction.text for direction in solution.unobserved} == {f"rotation about {axis} of T" for axis in "xyz"}


def test_two_offsets_that_only_count_as_a_sum_are_named_together() -> None:
    data = np.random.default_rng(0).normal(size=(6, 3))
    problem = Problem({"a": np.zeros(3), "b": np.zeros(3)}, lambda v: (data - v["a"] - v["b"] * (1.0, 1.0, 0.5)).ravel())
    texts = [direction.text for direction in solve(problem).unobserved]
    assert len(texts) == 3
    assert "x of a together with x of b" in texts


def test_a_number_that_nothing_depends_on_is_named_without_an_axis() -> None:
    problem = Problem({"used": np.zeros(1), "offset_s": np.zeros(1)}, lambda v: np.arange(4.0) - v["used"][0])
    assert [direction.text for direction in solve(problem).unobserved] == ["offset_s"]


def test_refuses_fewer_residuals_than_the_noise_needs_and_says_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"more than 2 residuals.*got 2.*noise_sigma"):
        solve(line_problem(np.arange(2.0), np.arange(2.0)))


@pytest.mark.parametrize("bad", [np.full(3, np.nan), np.zeros((2, 3))])
def test_refuses_a_start_that_is_no_pose_and_no_finite_vector(bad: Array) -> None:
    with pytest.raises(InputError, match="initial value of x"):
        solve(Problem({"x": bad}, lambda v: np.zeros(9)))


def test_refuses_residuals_that_are_not_finite_at_the_start() -> None:
    with pytest.raises(InputError, match="1 not finite"):
        solve(line_problem(np.arange(5.0), np.array([0.0, 1.0, np.inf, 3.0, 4.0])))
