"""Triangles, spline labels, the four metrics and the weights of the losses, on cases with known answers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from em_registration.attention.config import LandmarkConfig, LossConfig
from em_registration.attention.experiment import Experiment, ExperimentConfig, prepare
from em_registration.attention.labels import nonrigid_rms, spline_labels
from em_registration.attention.landmark_file import COLUMNS, read_landmarks
from em_registration.attention.metrics import chamfer, figures, local_feature_preservation, mapping_accuracy
from em_registration.attention.needle import insertion
from em_registration.attention.triangles import barycentric_grid, distinct, split, surfaces
from em_registration.attention.weights import loss_weights
from em_registration.methods.interface import correspondences, poses_at
from em_registration.methods.registry import METHODS
from lodestone_core import se3
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.results import load_protocol
from lodestone_core.types import Array

PROTOCOL = Path(__file__).parents[3] / "evaluation" / "protocols" / "em_paper.yaml"
OWN = tuple(ExperimentConfig.__dataclass_fields__)


def experiment() -> Experiment:
    settings = load_protocol(PROTOCOL)["settings"]
    return prepare(load_config(ExperimentConfig, {key: value for key, value in settings.items() if key in OWN}))


def grid_points(seed: int = 3) -> Array:
    """A triangle's grid, bent a little so that no two distances are equal."""
    points = barycentric_grid(12) @ np.array([[0.0, 0.0, 0.0], [110.0, 10.0, 0.0], [30.0, 90.0, 20.0]])
    return np.asarray(points + np.random.default_rng(seed).normal(0.0, 0.3, points.shape))


# --- triangles and labels ---------------------------------------------------------------------------------------------


def test_six_landmarks_make_twenty_triangles_whose_grids_contain_their_corners() -> None:
    landmarks = np.random.default_rng(0).normal(0.0, 80.0, (6, 3))
    found = surfaces(landmarks, 5)
    assert len(found) == 20 == len({surface.name for surface in found})
    for surface in found:
        assert len(surface.points_mm) == 21 and surface.inner.sum() == 6
        for corner in surface.corners:
            assert np.min(np.linalg.norm(surface.points_mm - landmarks[corner], axis=1)) < 1e-12


def test_a_barycentric_grid_is_uniform_and_its_weights_add_up_to_one() -> None:
    weights = barycentric_grid(16)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert len(weights) == 17 * 18 // 2 and weights.min() == 0.0
    assert len(distinct(weights)) == len(weights)
    np.testing.assert_allclose(np.unique(np.diff(np.unique(weights))), 1.0 / 16.0)


def test_no_scored_point_is_a_training_point() -> None:
    made = experiment()
    training = np.concatenate([surface.points_mm for surface in made.training])
    scored = np.concatenate(made.scored(made.held_out)[0])
    assert len(scored) == 4 * 105
    nearest = np.min(np.linalg.norm(scored[:, None] - training[None], axis=2), axis=1)
    assert nearest.min() > 0.5


def test_the_protocol_displaces_the_grid_by_five_millimetres_beyond_the_best_rigid_map() -> None:
    made = experiment()
    points = np.concatenate([surface.points_mm for surface in (*made.training, *made.held_out)])
    assert nonrigid_rms(points, made.labels(points)) == pytest.approx(5.0, abs=0.005)
    assert np.ptp(made.image_mm, axis=0).max() == pytest.approx(236.0, abs=1.0)


def test_the_spline_goes_through_the_landmarks_and_is_affine_for_an_affine_image() -> None:
    rng = np.random.default_rng(1)
    source, A = rng.normal(0.0, 80.0, (6, 3)), rng.normal(0.0, 1.0, (3, 3))
    labels = spline_labels(source, source @ A.T + 7.0)
    query = rng.normal(0.0, 60.0, (50, 3))
    np.testing.assert_allclose(labels(source), source @ A.T + 7.0, atol=1e-9)
    np.testing.assert_allclose(labels(query), query @ A.T + 7.0, atol=1e-8)


def test_the_baseline_spline_is_the_truth_itself_so_its_row_is_zero_by_construction() -> None:
    made = experiment()
    model = METHODS["tps"](correspondences(poses_at(made.tracker_mm), made.image_mm))
    found = made.figures(lambda points: model(poses_at(points)).mean_mm)
    assert found.rmse < 1e-6 and found.chamfer < 1e-6
    assert (found.lfpr, found.epma) == (100.0, 100.0)


@pytest.mark.parametrize("held_out", [["1-2-7"], ["3-1-2"], []])
def test_triangles_that_are_none_are_refused_by_name(held_out: list[str]) -> None:
    with pytest.raises(InputError, match="held_out"):
        split(surfaces(np.eye(6, 3), 4), held_out)


def test_landmarks_without_a_partner_are_refused() -> None:
    with pytest.raises(InputError, match="18 and 15 numbers"):
        LandmarkConfig(tuple("abcdef"), tuple(map(float, range(18))), tuple(map(float, range(15)))).points()


def test_landmarks_that_were_exchanged_are_named_before_anything_is_trained() -> None:
    config = experiment().config
    image = list(config.landmarks.image_mm)
    image[0:3], image[6:9] = image[6:9], image[0:3]
    with pytest.raises(InputError, match=r"xiphoid.*right_flank|right_flank.*xiphoid"):
        prepare(replace(config, landmarks=replace(config.landmarks, image_mm=tuple(image))))


def test_landmarks_come_back_from_a_file_and_one_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.csv"
    lines = [f"l{i},{i},{i + 0.5},2,{-i},0,{i * i}" for i in range(6)]
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    tracker, image = read_landmarks(path).points()
    np.testing.assert_array_equal(tracker[3], [3.0, 3.5, 2.0])
    np.testing.assert_array_equal(image[3], [-3.0, 0.0, 9.0])
    path.write_text(path.read_text().replace("3.5", "3;5"))
    with pytest.raises(InputError, match="line 5"):
        read_landmarks(path)
    path.write_text("x,y,z\n1,2,3\n")
    with pytest.raises(InputError, match="line 1"):
        read_landmarks(path)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_a_shift_shorter_than_half_the_grid_is_its_own_rmse_and_twice_that_as_chamfer_distance() -> None:
    points = grid_points()
    found = figures([points + np.array([0.3, 0.4, 0.0])], [points], neighbours=8, tolerance_mm=1.0)
    assert found.rmse == pytest.approx(0.5)
    assert found.chamfer == pytest.approx(1.0)
    assert (found.lfpr, found.epma) == (100.0, 100.0)


def test_chamfer_distance_asks_both_ways_round() -> None:
    one, two = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    assert chamfer(one, two) == pytest.approx(5.0)
    assert chamfer(two, one) == pytest.approx(5.0)


def test_mapping_accuracy_counts_errors_below_the_tolerance_only() -> None:
    truth = np.zeros((4, 3))
    predicted = np.array([[0.99, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.5], [3.0, 0.0, 0.0]])
    assert mapping_accuracy(predicted, truth, 1.0) == 50.0


def test_neighbours_are_kept_by_every_similarity_and_lost_by_a_shuffle() -> None:
    points = grid_points()
    moved = 1.7 * se3.transform(se3.exp(np.array([5.0, -80.0, 3.0, 0.4, 0.2, -1.0])), points)
    assert local_feature_preservation(moved, points, 8) == 100.0
    shuffled = points[np.random.default_rng(0).permutation(len(points))]
    # Of 90 other points 8 are kept by chance: 9 %.
    assert local_feature_preservation(shuffled, points, 8) < 20.0


def test_neighbour_sets_agree_with_a_count_of_all_distances() -> None:
    points = grid_points()
    predicted = points + np.random.default_rng(5).normal(0.0, 4.0, points.shape)

    def near(x: Array) -> list[set[int]]:
        apart = np.linalg.norm(x[:, None] - x[None], axis=2) + np.diag(np.full(len(x), np.inf))
        return [set(row[:8]) for row in np.argsort(apart, axis=1).tolist()]

    share = np.mean([len(a & b) / 8.0 for a, b in zip(near(predicted), near(points), strict=True)])
    assert local_feature_preservation(predicted, points, 8) == pytest.approx(100.0 * share)


def test_coinciding_predictions_are_neighbours_of_each_other_and_no_point_its_own() -> None:
    assert local_feature_preservation(np.zeros((12, 3)), grid_points()[:12], 8) < 100.0


def test_too_few_points_for_their_neighbours_are_refused() -> None:
    with pytest.raises(InputError, match="points of a surface"):
        local_feature_preservation(np.zeros((9, 3)), np.zeros((9, 3)), 8)


# --- weights of the losses, needle ------------------------------------------------------------------------------------


def test_the_weights_go_from_the_sets_to_the_points_as_the_paper_says() -> None:
    assert loss_weights(0.0, LossConfig()) == pytest.approx((0.9, 0.1))
    assert loss_weights(1.0, LossConfig()) == pytest.approx((0.9 * math.exp(-2.0), 0.1 + 0.8 * (1.0 - math.exp(-3.0))))
    assert loss_weights(0.5, LossConfig(contrastive=False))[0] == 0.0


def test_static_weights_are_the_mean_of_the_dynamic_ones() -> None:
    steps = [loss_weights(t, LossConfig()) for t in (np.arange(2000) + 0.5) / 2000]
    assert loss_weights(0.3, LossConfig(dynamic=False)) == pytest.approx(np.mean(steps, axis=0), abs=1e-6)


def test_a_needle_ends_at_its_target_whatever_the_sensor_does_behind_the_tip() -> None:
    entry, target = np.array([10.0, -80.0, 40.0]), np.array([-20.0, 5.0, -30.0])
    needle = insertion(entry, target)
    np.testing.assert_allclose(needle.tips_mm[0], entry, atol=1e-9)
    assert np.linalg.norm(needle.tips_mm[-1] - target) < 1e-9
    behind = needle.T_tracker_sensor[:, :3, 3] - needle.tips_mm
    np.testing.assert_allclose(np.linalg.norm(behind, axis=1), 12.0)
    assert needle.depth_mm[-1] == pytest.approx(np.linalg.norm(target - entry))
