"""Random scenes: inside the stated ranges, in their cells, repeatable, with noise of the stated size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_bench.em_physics.anatomy import FREE, LANDMARKS, POSES, draw_anatomy
from lodestone_bench.em_physics.kits import KINDS, apart, clear_of_generator, draw_kit
from lodestone_bench.em_physics.pool import Pool, rigid_residual_mm, scene_pool
from lodestone_core import se3


@pytest.fixture(scope="module")
def pool() -> Pool:
    return scene_pool((0.0, 1.0, 5.0), 12, seed=3)


def test_bodies_lie_in_front_of_the_generator_with_targets_inside() -> None:
    anatomy = draw_anatomy(np.random.default_rng(0), 100)
    distance = np.linalg.norm(anatomy.T_field_body[:, :3, 3], axis=1)
    assert distance.min() >= 150.0 and distance.max() <= 330.0
    T = anatomy.with_landmarks(np.random.default_rng(1), np.arange(100))
    assert T.shape == (100, POSES, 4, 4) and T[..., 2, 3].max() < -40.0
    local = se3.transform(se3.inverse(anatomy.T_field_body)[:, None], T[..., :3, 3]) / anatomy.semi_axes_mm[:, None]
    depth = np.linalg.norm(local, axis=-1)
    assert depth[:, :LANDMARKS] == pytest.approx(np.ones((100, LANDMARKS))) and depth[:, LANDMARKS:].max() <= 0.92


def test_landmarks_are_spread_for_every_number_of_them() -> None:
    anatomy = draw_anatomy(np.random.default_rng(0), 30)
    T = anatomy.with_landmarks(np.random.default_rng(1), np.arange(30))
    for count in (4, 6, 12, 24, 60):
        places = T[:, :count, :3, 3]
        apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1) + 1e9 * np.eye(count)
        others = T[:, LANDMARKS - count : LANDMARKS, :3, 3]
        apart_of_last = np.linalg.norm(others[:, :, None] - others[:, None], axis=-1) + 1e9 * np.eye(count)
        assert np.median(apart.min(axis=(1, 2)) / apart_of_last.min(axis=(1, 2))) > (0.99 if count == 60 else 1.3)


def test_a_tool_is_held_about_one_orientation_a_scene() -> None:
    anatomy = draw_anatomy(np.random.default_rng(0), 50)
    T = anatomy.with_landmarks(np.random.default_rng(1), np.arange(50))
    local = np.swapaxes(anatomy.R_field_hold, 1, 2)[:, None] @ T[..., :3, :3]
    assert np.rad2deg(np.arccos(local[..., 2, 2])).max() < 30.01
    assert np.abs(np.linalg.det(T[..., :3, :3]) - 1.0).max() < 1e-9
    angle = Rotation.from_matrix(local.reshape(-1, 3, 3)).magnitude()
    assert np.rad2deg(angle).max() < 45.0 and np.rad2deg(angle).max() > 35.0, "tilt and roll together"
    free = draw_anatomy(np.random.default_rng(0), 200, FREE)
    turns = np.swapaxes(free.R_field_hold, 1, 2)[:, None] @ free.T_field_target[..., :3, :3]
    assert np.abs(turns[..., 2, 2].mean()) < 0.05, "as many up as down"


@pytest.mark.parametrize("kind", KINDS)
def test_metal_stays_outside_the_body_at_its_gap(kind: str) -> None:
    rng = np.random.default_rng(5)
    anatomy = draw_anatomy(rng, 40)
    kit = draw_kit(rng, anatomy, kind)
    for gap in (15.0, 120.0):
        bodies = kit.at(np.full(40, gap), np.arange(40))
        outline = np.concatenate([body.outline() for body in bodies], axis=1) - anatomy.T_field_body[:, None, :3, 3]
        beyond = np.einsum("spi,si->sp", outline, kit.away) - anatomy.support(kit.away)[:, None]
        assert beyond.min() > gap - 1e-6
    assert apart(kit.bodies).mean() > 0.6, "most touch nothing; the others are not used"
    assert clear_of_generator(kit.at(np.full(40, 300.0), np.arange(40))).mean() > 0.5


def test_every_cell_holds_its_scenes_at_its_distortion(pool: Pool) -> None:
    assert pool.cells[0.0].distortion_mm.max() < 1e-8 and set(pool.cells[0.0].kinds) == {"none"}
    for nominal in (1.0, 5.0):
        cell = pool.cells[nominal]
        assert len(cell) == 12 and np.abs(cell.distortion_mm / nominal - 1.0).max() <= 0.2
        true, seen = cell.T_true[:, LANDMARKS:, :3, 3], cell.T_measured[:, LANDMARKS:, :3, 3]
        for i in range(12):  # the best rigid map by another library
            rotation, _ = Rotation.align_vectors(true[i] - true[i].mean(axis=0), seen[i] - seen[i].mean(axis=0))
            left = rotation.apply(seen[i] - seen[i].mean(axis=0)) + true[i].mean(axis=0) - true[i]
            assert np.linalg.norm(left, axis=1).mean() == pytest.approx(cell.distortion_mm[i], rel=1e-6)


def test_the_image_is_a_rigid_view_of_the_truth(pool: Pool) -> None:
    cell = pool.cells[5.0]
    assert rigid_residual_mm(cell.T_true[..., :3, 3], cell.image_mm).max() < 1e-9
    assert np.abs(cell.image_mm - cell.T_true[..., :3, 3]).max() > 100.0, "but not the same frame"


def test_noise_has_the_stated_size_over_the_scene(pool: Pool) -> None:
    cell = pool.cells[5.0]
    rng = np.random.default_rng(7)
    moved = np.stack([cell.noisy(0.4, rng).T[..., :3, 3] for _ in range(60)]) - cell.T_measured[..., :3, 3]
    rms = np.sqrt(np.square(moved).sum(axis=-1).mean(axis=(0, 2)))
    assert rms == pytest.approx(np.full(12, 0.4), rel=0.1)
    still = cell.noisy(0.0, rng)
    assert np.abs(still.T - cell.T_measured).max() < 1e-12
    quiet, loud = pool.cells[0.0].noisy(0.4, rng).indicator_mm, cell.noisy(0.4, rng).indicator_mm
    assert 0.2 < np.median(quiet) < 0.5 < 0.8 < np.median(loud)


def test_the_same_seed_draws_the_same_scenes(pool: Pool) -> None:
    again = scene_pool((0.0, 1.0, 5.0), 12, seed=3)
    assert np.array_equal(again.cells[5.0].T_measured, pool.cells[5.0].T_measured)
    assert again.counts == pool.counts and pool.counts["drawn"] > 24
