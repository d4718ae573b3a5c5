"""The in-context network: what must hold whatever it was trained on, and that it does no harm where there is nothing to correct."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("torch", reason="the imaging requirements are not installed")

from em_registration.methods import in_context
from em_registration.methods.batched import rigid as rigid_fit
from em_registration.methods.interface import correspondences, poses_at
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

CENTRE_MM = np.array([20.0, -10.0, 200.0])


def poses(rng: np.random.Generator, points: Array) -> Array:
    """Poses at points (..., 3), turned by about half a radian from one another."""
    turn = Rotation.from_rotvec(0.5 * rng.normal(size=(points.size // 3, 3))).as_matrix()
    return se3.make(turn.reshape(*points.shape, 3), points)


def pushed(T: Array) -> Array:
    """Where the tips of poses truly are: what lies 130 mm below the body's middle pushes as the cube of the distance, 2 mm there."""
    d = T[..., :3, 3] - CENTRE_MM + (0.0, 0.0, 130.0)
    r = np.linalg.norm(d, axis=-1, keepdims=True)
    return np.asarray(T[..., :3, 3] + 2.0 * d / r * (130.0 / r) ** 3)


@pytest.fixture(scope="module")
def scene(landmarks: Callable[[int], Array], targets: Array) -> tuple[Array, Array, Array]:
    """Poses of 20 landmarks, their pushed image points with noise, and poses of 16 targets."""
    rng = np.random.default_rng(5)
    T, T_query = poses(rng, landmarks(20)), poses(rng, targets)
    return T, pushed(T) + 0.1 * rng.normal(size=(20, 3)), T_query


def answer(T: Array, image: Array, T_query: Array) -> tuple[Array, Array]:
    mean, C = in_context.predict_batch(T[None], image[None], T_query[None])
    return mean[0], C[0]


def test_order_of_the_correspondences_does_not_matter(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    order = np.random.default_rng(0).permutation(len(T))
    mean, C = answer(T, image, T_query)
    mean_2, C_2 = answer(T[order], image[order], T_query)
    np.testing.assert_allclose(mean_2, mean, atol=1e-3)
    np.testing.assert_allclose(C_2, C, rtol=1e-3, atol=1e-4)


def test_a_motion_of_the_tracker_changes_nothing(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    G = se3.make(Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix(), np.array([300.0, -50.0, 80.0]))
    mean, C = answer(T, image, T_query)
    mean_2, C_2 = answer(G @ T, image, G @ T_query)
    np.testing.assert_allclose(mean_2, mean, atol=2e-3)
    np.testing.assert_allclose(C_2, C, rtol=5e-3, atol=1e-3)


def test_a_motion_of_the_image_moves_the_answer_with_it(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    G = se3.make(Rotation.from_rotvec([-2.0, 0.3, 0.9]).as_matrix(), np.array([-120.0, 40.0, 900.0]))
    mean, C = answer(T, image, T_query)
    mean_2, C_2 = answer(T, se3.transform(G, image), T_query)
    np.testing.assert_allclose(mean_2, se3.transform(G, mean), atol=2e-3)
    np.testing.assert_allclose(C_2, G[:3, :3] @ C @ G[:3, :3].T, rtol=5e-3, atol=2e-3)


def test_queries_do_not_see_one_another(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    mean, C = answer(T, image, T_query)
    alone, C_alone = answer(T, image, T_query[3:4])
    np.testing.assert_allclose(alone[0], mean[3], atol=1e-3)
    np.testing.assert_allclose(C_alone[0], C[3], rtol=1e-3)


@pytest.mark.parametrize("count", [3, 4, 30, 200])
def test_covariance_is_positive_definite(count: int, landmarks: Callable[[int], Array], targets: Array) -> None:
    rng = np.random.default_rng(count)
    T, far = poses(rng, landmarks(count)), poses(rng, CENTRE_MM + 40.0 * (targets - CENTRE_MM))
    for image in (T[:, :3, 3], pushed(T), T[:, :3, 3] + 20.0 * rng.normal(size=(count, 3))):
        _, C = answer(T, image, far)
        assert np.array_equal(C, np.swapaxes(C, 1, 2))
        assert np.linalg.eigvalsh(C).min() > 0.0


def test_variance_grows_with_the_distance_from_the_body(scene: tuple[Array, Array, Array]) -> None:
    T, image, _ = scene
    model = in_context.fit_in_context(correspondences(T, image))
    rays = Rotation.random(6, rng=1).as_matrix()[:, 0]
    radii = [np.median(model(poses_at(CENTRE_MM + d * rays)).radius_95_mm) for d in (100.0, 150.0, 200.0, 300.0, 600.0, 1200.0, 5000.0)]
    assert np.all(np.diff(radii) > 0.0)
    # Beyond the border it grows as a rigid fit's does, or more: in proportion to the distance.
    assert radii[-1] / radii[-2] > 0.95 * 5000.0 / 1200.0


def test_a_push_that_no_dipole_made_is_corrected_all_the_same(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    truth = pushed(T_query)
    mean, _ = answer(T, image, T_query)
    rigid = rigid_fit(T[None, :, :3, 3], image[None], T_query[None, :, :3, 3]).mean_mm[0]
    assert np.linalg.norm(mean - truth, axis=1).mean() < 0.7 * np.linalg.norm(rigid - truth, axis=1).mean()


@pytest.mark.parametrize(("count", "noise_mm"), [(4, 0.3), (8, 0.7), (24, 0.3)])
def test_with_even_noise_alone_it_is_worse_than_rigid_by_less_than_the_protocols_margin(
    count: int, noise_mm: float, landmarks: Callable[[int], Array], targets: Array
) -> None:
    rng = np.random.default_rng(count)
    points, inner = np.tile(landmarks(count), (60, 1, 1)), np.tile(targets, (60, 1, 1))
    T, T_query = poses(rng, points), poses(rng, inner)
    T[..., :3, 3] += noise_mm / np.sqrt(3.0) * rng.normal(size=points.shape)
    mean, _ = in_context.predict_batch(T, points, T_query)
    rigid = rigid_fit(T[..., :3, 3], points, T_query[..., :3, 3]).mean_mm
    error, rigid_error = (np.linalg.norm(x - inner, axis=-1).mean() for x in (mean, rigid))
    # Rigid is the best there is here; em_internal allows the larger of 2 % and 0.03 mm.
    assert error <= rigid_error + max(0.02 * rigid_error, 0.03)


def test_a_model_answers_for_the_tip_wherever_it_is_on_the_tool(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    tip = np.array([3.0, -4.0, 120.0])
    at_tip = in_context.fit_in_context(correspondences(T, image))
    behind = se3.make(np.eye(3), -tip)
    with_tip = in_context.fit_in_context(correspondences(T @ behind, image, tip))
    np.testing.assert_allclose(with_tip(T_query @ behind).mean_mm, at_tip(T_query).mean_mm, atol=1e-3)


def test_the_card_states_the_hash_of_the_weights() -> None:
    digest = hashlib.sha256(in_context.WEIGHTS.read_bytes()).hexdigest()
    assert digest in in_context.WEIGHTS.with_suffix(".md").read_text()
    assert in_context.WEIGHTS.stat().st_size < 5_000_000


def test_too_few_correspondences_are_refused(scene: tuple[Array, Array, Array]) -> None:
    T, image, T_query = scene
    with pytest.raises(InputError, match="at least 3"):
        in_context.predict_batch(T[None, :2], image[None, :2], T_query[None])
    with pytest.raises(InputError, match="at least 3"):
        in_context.fit_in_context(correspondences(T[:2], image[:2]))
