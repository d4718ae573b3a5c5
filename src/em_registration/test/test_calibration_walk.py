"""A walk through the volume: cells, the most helpful place, when it is enough, and both ways to collect."""

from __future__ import annotations

import numpy as np
import pytest

from em_registration.calibration.assess import Verdict, assess, farthest, predicted_errors_mm, verdict
from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.guide import PairsGuide, PointsGuide, ToolAndTip
from em_registration.calibration.pairs import PairedStreams
from em_registration.calibration.space import STRAIGHT, Space, space_of
from em_registration.calibration.walk import Walk
from em_registration.config import RegistrationConfig, SessionConfig
from em_registration.field.pose_field import fit_pose_field
from em_registration.methods.interface import Correspondences, correspondences
from em_registration.paired_poses import Provenance
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array, ToolSample, ToolStatus, TrackedFrame

CONFIG = CalibrationConfig()
TIP_MM = np.array([0.0, 0.0, 50.0])
T_IMAGE_TRACKER = se3.exp(np.array([30.0, -10.0, 20.0, 0.3, 0.1, -0.4]))
BOX = (np.full(3, -90.0), np.full(3, 90.0))
PROVENANCE = Provenance("2026-01-01T00:00:00+00:00", "0.1.0")


def bent(points: Array, size_mm: float) -> Array:
    x, y, z = points.T / 60.0
    return points + size_mm * np.stack([np.sin(y + z), np.cos(x), np.tanh(x - y)], axis=1)


def touches(image: Array, seed: int = 0, size_mm: float = 2.0) -> Correspondences:
    """The tool held upright in the image, a little turned, with its tip at these points, as a distorted tracker sees it."""
    rng = np.random.default_rng(seed)
    turn = se3.exp(np.concatenate([np.zeros((len(image), 3)), rng.normal(scale=0.1, size=(len(image), 3))], axis=1))[:, :3, :3]
    R = se3.inverse(T_IMAGE_TRACKER)[:3, :3] @ turn
    tips = bent(se3.transform(se3.inverse(T_IMAGE_TRACKER), image), size_mm) + rng.normal(scale=0.05, size=image.shape)
    return correspondences(se3.make(R, tips - R @ TIP_MM), image, TIP_MM)


def upright(low: Array = BOX[0], high: Array = BOX[1]) -> Space:
    return Space(low, high, 3, np.eye(3), np.array([0.0, 0.0, 1.0]), CONFIG.straight_rad, CONFIG.tilt_rad)


def test_cells_and_tilts_number_every_pose_that_they_ask_for() -> None:
    space = upright()
    poses = space.poses_at(space.centres_mm)
    counts = space.covered(poses)
    np.testing.assert_array_equal(counts, np.ones((27, 5)))
    assert space.cells_of(np.array([[0.0, 0.0, 0.0], [90.0, 90.0, 90.0], [-90.1, 0.0, 0.0]])).tolist() == [13, 26, -1]
    assert [space.side_name(turn) for turn in range(5)] == [
        "held straight",
        *(f"tilted towards {name}" for name in ("+x", "+y", "-x", "-y")),
    ]
    # A roll about the tool's own axis is no tilt.
    roll = se3.exp(np.array([0, 0, 0, 0, 0, 1.2]))[:3, :3]
    assert space.turns_of(roll[None])[0] == STRAIGHT


def test_the_place_asked_for_is_where_nothing_was_collected_and_going_there_lowers_the_predicted_error_most() -> None:
    rng = np.random.default_rng(3)
    image = rng.uniform(-90.0, 90.0, (120, 3))
    image = image[~np.all(image > 0.0, axis=1)]  # one corner of the box was left out
    data = touches(image)
    space = upright()
    corner = space.centres_mm[26]
    found = assess(data, space, space.centres_mm, space.centres_mm, CONFIG)
    assert np.linalg.norm(found.next.T_image_tip[:3, 3] - corner) < 100.0
    assert found.next.gain_mm > 0.0
    field = fit_pose_field(data, CONFIG.field)

    def mean_error(more: Array) -> float:
        T = se3.inverse(field.T_image_tracker) @ more @ se3.make(np.eye(3), -TIP_MM)
        wider = field.updated(correspondences(T, field(T).mean_mm, TIP_MM))
        poses = se3.inverse(field.T_image_tracker) @ space.poses_at(space.centres_mm)[::5] @ se3.make(np.eye(3), -TIP_MM)
        return float(predicted_errors_mm(wider, poses).mean())

    covered = space.poses_at(image[:1])[:1]
    assert mean_error(found.next.T_image_tip[None]) < mean_error(covered)


def test_the_predicted_error_falls_as_the_volume_is_covered_and_holds_the_error_there() -> None:
    rng = np.random.default_rng(1)
    image, space = rng.uniform(-90.0, 90.0, (120, 3)), upright()
    targets = rng.uniform(-70.0, 70.0, (200, 3))
    errors = {}
    for count in (10, 30, 120):
        errors[count] = assess(touches(image[:count]), space, space.centres_mm, space.centres_mm, CONFIG).error_mm
    assert errors[120] < 0.6 * errors[30]
    field, at = fit_pose_field(touches(image), CONFIG.field), touches(targets, seed=5)
    off = np.linalg.norm(field(at.T_tracker_tool).mean_mm - targets, axis=1)
    assert 0.9 <= np.mean(off <= predicted_errors_mm(field, at.T_tracker_tool)) <= 1.0


def falling(*errors_mm: float) -> list[tuple[int, float]]:
    return [(12 + 5 * i, error_mm) for i, error_mm in enumerate(errors_mm)]


@pytest.mark.parametrize(
    ("history", "covered", "expected"),
    [
        ([], 1.0, Verdict.COLLECT),
        ([(8, 0.1)], 1.0, Verdict.COLLECT),
        (falling(4.0, 3.0, 1.4), 1.0, Verdict.ENOUGH),
        (falling(4.0, 3.0, 1.4), 0.2, Verdict.COLLECT),
        (falling(5.0, 4.4, 4.0, 3.7, 3.4, 3.1, 2.9, 2.7), 1.0, Verdict.COLLECT),
        (falling(5.0, 3.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5), 1.0, Verdict.LEVEL),
        (falling(2.0, 2.0, 2.0, 2.0, 3.0, 3.5, 4.0), 1.0, Verdict.COLLECT),
        ([(100, 3.0), (200, 2.9)], 0.2, Verdict.FULL),
    ],
)
def test_enough_is_a_low_predicted_error_or_one_that_no_longer_falls(
    history: list[tuple[int, float]], covered: float, expected: Verdict
) -> None:
    assert verdict(history, covered, CONFIG) is expected


def test_the_farthest_point_comes_first_while_no_field_can_be_fitted() -> None:
    points = np.array([[0.0, 0, 0], [10, 0, 0], [0, 100, 0], [50, 50, 0]])
    assert farthest(points, np.empty((0, 3))) == 2
    assert farthest(points, points[[2]]) == 1


def frames(poses: Array, start: int = 0, name: str = "0", period_ns: int = 25_000_000) -> list[TrackedFrame]:
    return [
        TrackedFrame((start + i) * period_ns, 0, start + i, (ToolSample(name, ToolStatus.VALID, T, 0.1, 6),)) for i, T in enumerate(poses)
    ]


def test_known_points_are_touched_as_asked_and_the_registration_says_what_is_distorted() -> None:
    rng = np.random.default_rng(8)
    points = {f"p{i}": point for i, point in enumerate(rng.uniform(-80.0, 80.0, (14, 3)))}
    config = RegistrationConfig(session=SessionConfig(samples=10))
    guide = PointsGuide(CONFIG, config, points, ToolAndTip("0", TIP_MM))
    number, asked = 0, []
    for visit in range(20):
        asked.append(guide._touched.expected)
        goal = touches(points[asked[-1]][None], seed=visit)
        away = goal.T_tracker_tool[0] @ se3.make(np.eye(3), [0.0, 0.0, -60.0])
        moving = se3.interpolate(np.repeat(away[None], 12, 0), np.repeat(goal.T_tracker_tool, 12, 0), np.linspace(0.0, 1.0, 12))
        resting = np.repeat(goal.T_tracker_tool, 25, axis=0)
        resting[:, :3, 3] += rng.normal(scale=0.05, size=(25, 3))
        for frame in frames(np.concatenate([moving, resting]), number):
            guide.add_frame(frame)
        number += 37
        guide.look()
        assert len(guide._touched.fiducials) == visit + 1, guide.status
    assert len(set(asked[:6])) == 6
    assert guide.walk.assessment is not None
    assert guide.walk.assessment.evidence_non_rigid > 0.86
    assert "rest the tip on" in guide.asked()
    model = guide.result(PROVENANCE)
    assert model.fields["0"].evidence_non_rigid > 0.86
    for name in {fiducial.name for fiducial in model.fiducials if "#" not in fiducial.name}:
        touched = next(fiducial for fiducial in model.fiducials if fiducial.name == name)
        np.testing.assert_array_equal(touched.image_mm, points[name])


def swinging(seconds: float, rate_hz: float) -> tuple[Array, Array]:
    """Times and true poses of a tool that sweeps slowly through the box, turning."""
    t = np.arange(0.0, seconds, 1.0 / rate_hz)
    place = np.stack([80 * np.sin(t / 5.1), 75 * np.sin(t / 3.7 + 1.0), 70 * np.sin(t / 7.3)], axis=1)
    turn = np.stack([0.6 * np.sin(t / 2.3), 0.5 * np.sin(t / 3.1), 0.6 * np.sin(t / 4.7)], axis=1)
    return t, se3.make(se3.exp(np.concatenate([np.zeros_like(turn), turn], axis=1))[:, :3, :3], place)


def test_a_tool_under_two_trackers_gives_pairs_at_new_places_and_a_registration_of_all() -> None:
    T_tool_marker = se3.exp(np.array([20.0, 10.0, 30.0, 0.2, -0.3, 0.4]))
    guide = PairsGuide(CalibrationConfig(max_speed_mm_s=200.0), RegistrationConfig())
    _, T = swinging(32.0, 12.5)
    _, T_slow = swinging(32.0, 10.0)
    rng = np.random.default_rng(4)
    T_measured = T.copy()
    T_measured[:, :3, 3] = bent(T[:, :3, 3], 1.0) + rng.normal(scale=0.1, size=(len(T), 3))
    assert guide.look() is Verdict.COLLECT
    for frame in frames(T_measured, period_ns=80_000_000):
        guide.add_frame(frame)
    for i, pose in enumerate(T_slow):
        guide.add_reference(i * 100_000_000, T_IMAGE_TRACKER @ pose @ T_tool_marker)
    guide.look()
    found = guide.walk.assessment
    assert found is not None, guide.status
    assert found.count > 30
    model = guide.result(PROVENANCE)
    np.testing.assert_allclose(model.tools["0"].T_tool_reference[:3, 3], T_tool_marker[:3, 3], atol=1.5)
    assert model.fields["0"].evidence_non_rigid > 0.9
    assert np.sqrt(np.mean(model.fields["0"].leave_one_out_mm ** 2)) < 0.6 * model.fre_mm
    assert "mm along" in guide.asked() or "here" in guide.asked()


def test_pairs_stand_apart_and_fast_or_unseen_movement_gives_none() -> None:
    streams = PairedStreams(CalibrationConfig(max_speed_mm_s=10.0))
    _, T = swinging(10.0, 40.0)
    for frame in frames(T):
        streams.add_frame(frame)
    for i, pose in enumerate(T):
        streams.add_reference(i * 25_000_000, pose)
    model = streams.register(PROVENANCE)
    with pytest.raises(InputError, match="move more slowly"):
        streams.correspondences("0", model)
    slow = PairedStreams(CalibrationConfig(max_speed_mm_s=500.0, most=11))
    slow._tools, slow._reference = streams._tools, streams._reference
    kept = slow.correspondences("0", model)
    assert len(kept) == 11
    for i in range(11):
        near = np.linalg.norm(kept.T_tracker_tool[:i, :3, 3] - kept.T_tracker_tool[i, :3, 3], axis=1) < CONFIG.spacing_mm
        assert not (se3.geodesic(kept.T_tracker_tool[:i][near], kept.T_tracker_tool[i]) < CONFIG.spacing_rad).any()


def test_a_walk_looks_only_when_there_is_something_new() -> None:
    walk = Walk(CONFIG, BOX)
    data = touches(np.random.default_rng(2).uniform(-80.0, 80.0, (12, 3)))
    assert walk.look(data.take(np.arange(4)), T_IMAGE_TRACKER) is Verdict.COLLECT
    assert walk.assessment is None
    walk.look(data, T_IMAGE_TRACKER)
    first = walk.assessment
    walk.look(data, T_IMAGE_TRACKER)
    assert walk.assessment is first
    assert space_of(T_IMAGE_TRACKER @ data.T_tracker_tool, TIP_MM, None, CONFIG).cells == CONFIG.cells
