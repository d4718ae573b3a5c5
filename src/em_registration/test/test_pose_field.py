"""The field over pose: held against dense algebra, refits and known worlds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from em_registration.field import kernel, kriging
from em_registration.field.calibration import few_points, groups, inflation
from em_registration.field.config import RIGID, Hypotheses, PoseFieldConfig, hypotheses
from em_registration.field.pose_field import PoseField, fit_pose_field, pose_field_from
from em_registration.field.scenes import predict_scenes
from em_registration.methods.interface import Correspondences, correspondences
from em_registration.methods.registry import METHODS
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

CONFIG = PoseFieldConfig(hypotheses=64)
T_IMAGE_TRACKER = se3.make(Rotation.from_rotvec([0.3, -0.8, 1.1]).as_matrix(), np.array([30.0, -400.0, 120.0]))


def poses(count: int, seed: int, spread_rad: float = 0.5) -> Array:
    rng = np.random.default_rng(seed)
    R = Rotation.from_rotvec(spread_rad * rng.standard_normal((count, 3))).as_matrix()
    return se3.make(R, rng.uniform([-120.0, -120.0, -330.0], [120.0, 120.0, -130.0], (count, 3)))


def bent(T: Array, amount_mm: float = 6.0) -> Array:
    """What a tracker says of tools at T: a smooth shift, half of it with the orientation."""
    x = T[:, :3, 3]
    shift = np.stack([np.sin(x[:, 1] / 110.0), np.cos(x[:, 2] / 90.0), np.sin(x[:, 0] / 130.0 + T[:, 0, 2])], axis=1)
    moved = T.copy()
    moved[:, :3, 3] += amount_mm * shift
    return moved


def pairs(count: int, seed: int, amount_mm: float, noise_mm: float = 0.1) -> Correspondences:
    T = poses(count, seed)
    seen = bent(T, amount_mm)
    seen[:, :3, 3] += noise_mm * np.random.default_rng(seed + 1).standard_normal((count, 3))
    return correspondences(seen, se3.transform(T_IMAGE_TRACKER, T[:, :3, 3]))


def errors(field: PoseField, T: Array, amount_mm: float) -> Array:
    truth = se3.transform(T_IMAGE_TRACKER, T[:, :3, 3])
    return np.linalg.norm(field(bent(T, amount_mm)).mean_mm - truth, axis=1)


def one_hypothesis() -> Hypotheses:
    values = {"ratio": 8.0, "length_mm": 150.0, "turn_rad": 0.8, "turned_share": 0.4, "growth": 1.5, "warp": 0.3, "swing": 1.0}
    return Hypotheses(**{k: np.array([v]) for k, v in values.items()}, noise_growth=np.array([1.2]), log_prior=np.zeros(1))


def dense(data: Correspondences) -> tuple[Array, Array, Array]:
    """Covariance (3n, 3n) of the residuals in the image, design (3n, 6) and residuals (3n,) of `one_hypothesis`, entry by entry."""
    h, n = one_hypothesis(), len(data)
    field = _fitted(data)
    scale = np.sqrt(np.mean(np.sum(data.tracker_mm**2, axis=1)))
    reach = np.linalg.norm(data.tracker_mm, axis=1) / scale
    R = field.frame.T_image_tracker[0, :3, :3]
    C = np.zeros((3 * n, 3 * n))
    axes = []
    for x in data.tracker_mm:
        u, z = x / np.linalg.norm(x), np.array([0.0, 0.0, -1.0])
        turn = np.cross(z, u)
        angle = np.arctan2(np.linalg.norm(turn), z @ u)
        axes.append(R @ Rotation.from_rotvec(h.swing[0] * angle * turn / np.linalg.norm(turn)).as_matrix())
    for i in range(n):
        for j in range(n):
            a, b = data.tracker_mm[i] * reach[i] ** -h.warp[0], data.tracker_mm[j] * reach[j] ** -h.warp[0]
            d = np.sqrt(5.0) * np.linalg.norm(a - b) / h.length_mm[0]
            relative = Rotation.from_matrix(data.T_tracker_tool[i, :3, :3].T @ data.T_tracker_tool[j, :3, :3])
            by_turn = 1.0 - 0.4 + 0.4 * np.exp(-(1.0 - np.cos(relative.magnitude())) / h.turn_rad[0] ** 2)
            k = 64.0 * (reach[i] * reach[j]) ** h.growth[0] * by_turn * (1.0 + d + d * d / 3.0) * np.exp(-d)
            C[3 * i : 3 * i + 3, 3 * j : 3 * j + 3] = (k + (i == j) * reach[i] ** (2.0 * h.noise_growth[0])) * axes[i] @ axes[j].T
    mapped = field.frame.mapped(data.tracker_mm[None])[0]
    q = mapped - field.frame.centroid_mm[0]
    H = np.concatenate([np.concatenate([np.eye(3), -se3.hat(point)], axis=1) for point in q])
    return C, H, (data.image_mm - mapped).ravel()


def _fitted(data: Correspondences) -> PoseField:
    mapping = fit_pose_field(data, CONFIG).to_mapping()
    h = one_hypothesis()
    mapping["hypotheses"] = {name: getattr(h, name).tolist() for name in mapping["hypotheses"]}
    mapping["weights"] = [1.0]
    return pose_field_from(mapping, "test")


def test_the_fit_is_that_of_dense_algebra() -> None:
    data = pairs(9, 3, 5.0)
    field = _fitted(data)
    C, H, r = dense(data)
    P = np.linalg.inv(C)
    A = H.T @ P @ H
    xi = np.linalg.solve(A, H.T @ P @ r)
    assert field.fits.xi[0] == pytest.approx(xi, rel=1e-8, abs=1e-10)
    misfit = (r - H @ xi) @ P @ (r - H @ xi)
    assert field.fits.total[0] == pytest.approx(CONFIG.noise_weight * CONFIG.noise_mm**2 + misfit, rel=1e-9)
    assert field.fits.log_det[0] == pytest.approx(np.linalg.slogdet(C)[1] + np.linalg.slogdet(A)[1], rel=1e-9)


def test_leaving_out_in_closed_form_is_refitting() -> None:
    data = pairs(10, 4, 5.0)
    C, H, r = dense(data)
    field = _fitted(data)
    together = np.array([0, 0, 1, 1, 1, 2, 3, 4, 5, 6])
    found = kriging.leave_out(field.fits, field.L_inverse, together)
    axes = field.frame.axes(kernel.axes(field.places, field.chosen))
    errors_image, _ = kriging.along(axes, found.errors, found.covariance)
    for group in (0, 1, 3):
        out = np.repeat(together == group, 3)
        P = np.linalg.inv(C[~out][:, ~out])
        xi = np.linalg.solve(H[~out].T @ P @ H[~out], H[~out].T @ P @ r[~out])
        predicted = H[out] @ xi + C[out][:, ~out] @ P @ (r[~out] - H[~out] @ xi)
        assert errors_image[0][together == group].ravel() == pytest.approx(predicted - r[out], rel=1e-7, abs=1e-9)


def test_without_distortion_it_is_as_good_as_rigid_and_says_so() -> None:
    worse, evidence = [], []
    for seed in range(12):
        data = pairs(12, 10 * seed, 0.0, noise_mm=0.3)
        T = poses(30, 10 * seed + 5)
        field, rigid = fit_pose_field(data, CONFIG), METHODS["rigid"](data)
        truth = se3.transform(T_IMAGE_TRACKER, T[:, :3, 3])
        worse.append(np.linalg.norm(rigid(T).mean_mm - truth, axis=1).mean() - errors(field, T, 0.0).mean())
        evidence.append(field.evidence_non_rigid)
    assert np.mean(worse) > -0.03 and np.median(evidence) < 0.5


def test_with_distortion_it_follows_and_says_so() -> None:
    data, T = pairs(60, 1, 6.0), poses(200, 2)
    field, rigid = fit_pose_field(data, CONFIG), METHODS["rigid"](data)
    truth = se3.transform(T_IMAGE_TRACKER, T[:, :3, 3])
    rigid_error = np.linalg.norm(rigid(bent(T)).mean_mm - truth, axis=1)
    found = field(bent(T))
    error = np.linalg.norm(found.mean_mm - truth, axis=1)
    assert error.mean() < 0.4 * rigid_error.mean() and field.evidence_non_rigid > 0.99
    assert 0.85 < (error <= found.radius_95_mm).mean() <= 1.0


def test_the_covariance_grows_away_from_the_data_and_so_does_the_domain_ratio() -> None:
    field = fit_pose_field(pairs(40, 7, 6.0), CONFIG)
    inside, beyond = bent(poses(20, 8)), bent(poses(20, 8))
    beyond[:, :3, 3] += [500.0, 0.0, 0.0]
    turned = inside.copy()
    turned[:, :3, :3] = inside[:, :3, :3] @ Rotation.from_rotvec([2.5, 0.0, 0.0]).as_matrix()
    assert field(beyond).radius_95_mm.mean() > 2.0 * field(inside).radius_95_mm.mean()
    assert field.domain_ratio(field.data.T_tracker_tool).max() < 0.1 and np.median(field.domain_ratio(inside)) < 0.3
    assert field.domain_ratio(beyond).min() > 0.9 and field.domain_ratio(turned).mean() > 0.3


def test_of_map_leaves_the_noise_of_the_pose_out() -> None:
    field, T = fit_pose_field(pairs(40, 7, 6.0), CONFIG), bent(poses(5, 8))
    of_map, whole = field.of_map(T), field(T)
    assert np.array_equal(of_map.mean_mm, whole.mean_mm)
    assert np.linalg.eigvalsh(whole.covariance - of_map.covariance).min() > 0.0


def test_a_rigid_motion_of_the_image_moves_the_answers_with_it() -> None:
    data, T = pairs(15, 20, 4.0), bent(poses(6, 21))
    M = se3.make(Rotation.from_rotvec([1.0, 2.0, -0.5]).as_matrix(), np.array([1000.0, -300.0, 50.0]))
    one = fit_pose_field(data, CONFIG)
    two = fit_pose_field(correspondences(data.T_tracker_tool, se3.transform(M, data.image_mm)), CONFIG)
    assert two(T).mean_mm == pytest.approx(se3.transform(M, one(T).mean_mm), abs=1e-6)
    assert two.T_image_tracker == pytest.approx(M @ one.T_image_tracker, abs=1e-6)


def test_what_is_written_reads_back_to_the_last_bit() -> None:
    field, T = fit_pose_field(pairs(25, 30, 4.0), CONFIG), bent(poses(6, 31))
    again = pose_field_from(field.to_mapping(), "file")
    assert np.array_equal(again(T).mean_mm, field(T).mean_mm) and np.array_equal(again(T).covariance, field(T).covariance)
    assert again.evidence_non_rigid == field.evidence_non_rigid


@pytest.mark.parametrize("broken", [{"image_mm": [[0.0, 0.0]]}, {"hypotheses": {}}, {"T_tracker_tool": "none"}])
def test_a_broken_mapping_is_refused_by_name(broken: dict[str, object]) -> None:
    mapping = fit_pose_field(pairs(8, 30, 4.0), CONFIG).to_mapping()
    with pytest.raises(InputError):
        pose_field_from({**mapping, **broken}, "file")


def test_a_touch_of_a_known_point_corrects_the_field_there() -> None:
    field, touched = fit_pose_field(pairs(12, 40, 6.0), CONFIG), poses(1, 999)
    before = errors(field, touched, 6.0)[0]
    after = field.updated(correspondences(bent(touched), se3.transform(T_IMAGE_TRACKER, touched[:, :3, 3])))
    assert errors(after, touched, 6.0)[0] < 0.2 * before and len(after.data) == 13


def test_a_mislabelled_landmark_is_found_and_mistrusted() -> None:
    data, T = pairs(20, 100, 3.0), poses(30, 101)
    image = data.image_mm.copy()
    image[4] += [40.0, -25.0, 10.0]
    honest, spoilt = fit_pose_field(data, CONFIG), fit_pose_field(correspondences(data.T_tracker_tool, image), CONFIG)
    assert np.argmax(spoilt.inverse_weights) == 4 and np.count_nonzero(spoilt.inverse_weights > 1.0) == 1
    assert errors(spoilt, T, 3.0).mean() < 1.3 * errors(honest, T, 3.0).mean()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda c: correspondences(c.T_tracker_tool[:2], c.image_mm[:2]), "at least 3"),
        (lambda c: correspondences(c.T_tracker_tool, c.image_mm * [1.0, 1.0, -1.0]), "mirrored"),
        (lambda c: correspondences(c.T_tracker_tool, c.image_mm / 1000.0), "metres"),
        (lambda c: correspondences(c.T_tracker_tool, c.image_mm[[1, 0, *range(2, len(c))]]), "point 1"),
        (lambda c: correspondences(c.T_tracker_tool, c.image_mm[:1] + np.outer(np.arange(len(c)), [40.0, 4.0, 9.0])), "line|collinear"),
    ],
)
def test_what_no_registration_follows_from_is_refused_by_name(spoil: Callable[[Correspondences], Correspondences], named: str) -> None:
    with pytest.raises(InputError, match=named):
        fit_pose_field(spoil(pairs(10, 5, 1.0)), CONFIG)


def test_one_place_may_be_touched_twice_from_two_sides() -> None:
    data = pairs(10, 6, 3.0)
    T = data.T_tracker_tool.copy()
    T[1, :3, 3], image = T[0, :3, 3], data.image_mm.copy()
    image[1] = image[0]
    assert np.isfinite(fit_pose_field(correspondences(T, image), CONFIG)(T).covariance).all()


def test_many_scenes_at_once_are_the_single_ones() -> None:
    data, T = [pairs(8, seed, 3.0) for seed in (50, 60, 70)], bent(poses(4, 80))
    answers = predict_scenes(
        np.stack([d.T_tracker_tool for d in data]), np.stack([d.image_mm for d in data]), np.stack([T] * 3), np.zeros(3), CONFIG
    )
    for i, one in enumerate(data):
        field = fit_pose_field(one, CONFIG)
        assert answers.prediction.mean_mm[i] == pytest.approx(field(T).mean_mm, abs=1e-6)
        assert answers.prediction.covariance[i] == pytest.approx(field(T).covariance, rel=1e-4, abs=1e-8)
        assert answers.evidence_non_rigid[i] == pytest.approx(field.evidence_non_rigid, abs=1e-9)


@pytest.mark.parametrize("off_the_line_mm", [1.0, 1e-3, 1e-7])
def test_a_set_that_is_a_line_without_one_of_its_points_has_an_answer(off_the_line_mm: float) -> None:
    T = np.tile(np.eye(4), (6, 4, 1, 1))
    rng = np.random.default_rng(0)
    line = np.array([[0.0, 0.0, -200.0], [50.0, 0.0, -200.0], [100.0, 0.0, -200.0], [0.0, 80.0, -230.0]])
    T[:, :, :3, 3] = line + off_the_line_mm * rng.standard_normal((6, 4, 3))
    image = T[..., :3, 3] + 0.1 * rng.standard_normal((6, 4, 3))
    radii = predict_scenes(T, image, T, np.zeros(3), CONFIG).prediction.radius_95_mm
    assert np.isfinite(radii).all() and np.median(radii) < 5.0
    assert np.isfinite(fit_pose_field(correspondences(T[0], image[0]), CONFIG)(T[0]).radius_95_mm).all()


def test_three_points_are_enough_and_their_covariance_is_wide() -> None:
    few, many = (fit_pose_field(pairs(n, 90, 0.0), CONFIG) for n in (3, 30))
    T = poses(10, 91)
    assert few.of_map(T).radius_95_mm.mean() > 2.0 * many.of_map(T).radius_95_mm.mean()


def test_left_out_errors_that_are_too_large_inflate_the_covariance() -> None:
    radii = np.ones(400)
    honest = np.random.default_rng(0).chisquare(3, 400) ** 0.5 / 7.815**0.5
    none = np.zeros(())
    assert inflation(honest, radii, none, 0.0) == pytest.approx(1.0, abs=0.12)
    assert inflation(2.0 * honest, radii, none, 0.0) == pytest.approx(4.0, rel=0.15)
    assert few_points(4, np.ones(()), 2.2) == pytest.approx((1.0 + 2.2 / 4**0.75) ** 2)


def test_few_correspondences_are_left_out_alone_and_many_in_folds() -> None:
    assert len(set(groups(19, 0).tolist())) == 19
    assert np.bincount(groups(60, 0)).tolist() == [12] * 5


def test_the_prior_holds_rigid_hypotheses_and_adds_up_to_one() -> None:
    h = hypotheses(CONFIG)
    assert np.count_nonzero(h.ratio == 0.0) == RIGID and np.exp(h.log_prior).sum() == pytest.approx(1.0)
