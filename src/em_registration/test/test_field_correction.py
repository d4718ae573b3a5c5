"""A registration with a distortion field: in its file, in the pipeline, in its covariance, and beyond its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from em_registration.config import GateConfig, RegistrationConfig
from em_registration.correction import adopt, image_from_tools, tool_noise
from em_registration.field.config import PoseFieldConfig
from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.methods.interface import correspondences
from em_registration.pipeline import Pipeline, adoption
from em_registration.registration import EVERY_TOOL, Registration, ToolCalibration, load_registration, parse_registration
from em_registration.types import Event, Update
from lodestone_core import covariance, se3
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.types import Array, ToolSample, ToolStatus, TrackedFrame

T_IMAGE_TRACKER = se3.exp(np.array([20.0, -30.0, 40.0, 0.3, -0.2, 1.1]))
TIP_MM = np.array([0.0, 5.0, 60.0])
NOISE = np.diag([0.01, 0.01, 0.02, 1e-6, 1e-6, 2e-6])
CONFIG = RegistrationConfig(gates=GateConfig(degraded_tre_mm=8.0, max_tre_mm=20.0))


def bent(points: Array) -> Array:
    """A smooth distortion of about 3 mm RMS, of no family that any method fits."""
    x, y, z = points.T / 90.0
    return np.stack([3.0 * np.sin(y + 0.4 * z), 2.5 * np.cos(x * z), 2.0 * np.tanh(x - y)], axis=1)


def poses(count: int, seed: int, reach_mm: float = 100.0) -> Array:
    rng = np.random.default_rng(seed)
    return se3.make(se3.exp(rng.normal(scale=0.3, size=(count, 6)))[:, :3, :3], rng.uniform(-reach_mm, reach_mm, (count, 3)))


def truth(T_tracker_tool: Array) -> Array:
    """Where the tips are in the image."""
    tips = se3.transform(T_tracker_tool, TIP_MM)
    return se3.transform(T_IMAGE_TRACKER, tips) + bent(tips)


def field(count: int = 60) -> PoseField:
    T = poses(count, 1)
    return fit_pose_field(correspondences(T, truth(T) + np.random.default_rng(2).normal(scale=0.05, size=(count, 3)), TIP_MM))


FIELD = field()


def registration(tool: str = "0", **changes: object) -> Registration:
    model = Registration(
        method="fiducials and a distortion field",
        T_tracker_image=se3.inverse(FIELD.T_image_tracker),
        covariance=np.diag([0.01, 0.01, 0.02, 1e-6, 1e-6, 1e-6]),
        fre_mm=2.0,
        n=60,
        created="2026-01-01T00:00:00+00:00",
        version="0.1.0",
        tools={name: ToolCalibration(se3.make(np.eye(3), TIP_MM), NOISE, 0.2, 60) for name in "01"},
        fields={tool: FIELD},
    )
    return replace(model, **changes)  # type: ignore[arg-type]


def sample(name: str, T: Array) -> ToolSample:
    return ToolSample(name, ToolStatus.VALID, T, 0.1, 6)


def frame(number: int, *tools: ToolSample) -> TrackedFrame:
    return TrackedFrame(number * 25_000_000, number * 25_000_000 + 9, number, tools)


def pipeline(model: Registration, config: RegistrationConfig = CONFIG) -> Pipeline:
    made = Pipeline(config)
    made.request(adoption(model, "test"))
    return made


def estimates(update: Update | None) -> list[Estimate]:
    assert update is not None
    return [estimate for estimate in update.estimates if estimate.child != "image"]


def test_the_tip_is_where_the_field_says_and_nearer_to_the_truth_than_a_rigid_correction() -> None:
    T = poses(50, 3, reach_mm=80.0)

    def errors(model: Registration) -> Array:
        chain, found = pipeline(model), []
        for number, pose in enumerate(T, 1):
            (estimate,) = estimates(chain.update(frame(number, sample("0", pose))))
            assert estimate.T_parent_child is not None
            found.append(np.linalg.norm(se3.transform(estimate.T_parent_child, TIP_MM) - truth(pose[None])[0]))
        return np.array(found)

    with_field, rigid = errors(registration()), errors(registration(fields={}))
    assert with_field.mean() < 0.4 * rigid.mean()
    (estimate,) = estimates(pipeline(registration()).update(frame(1, sample("0", T[0]))))
    assert estimate.T_parent_child is not None
    np.testing.assert_allclose(se3.transform(estimate.T_parent_child, TIP_MM), FIELD(T[:1]).mean_mm[0], atol=1e-9)
    # The direction is the rigid registration's.
    np.testing.assert_allclose(estimate.T_parent_child[:3, :3], (FIELD.T_image_tracker @ T[0])[:3, :3], atol=1e-12)


def test_the_covariance_at_the_tip_is_the_fields_and_the_measurements_together() -> None:
    T = poses(8, 4)
    tools = [sample("0", pose) for pose in T]
    adopted = adopt(registration(), CONFIG)
    found = image_from_tools(adopted, CONFIG, tools)
    C_measured = covariance.seen_from(adopted.T_image_tracker, tool_noise(adopted.model, CONFIG, tools, T))
    expected = FIELD.of_map(T).covariance + covariance.tre_covariance_at(found.T_image_tool, C_measured, TIP_MM)
    np.testing.assert_allclose(covariance.tre_covariance_at(found.T_image_tool, found.covariance, TIP_MM), expected, rtol=1e-9, atol=1e-12)
    # The turn that a distortion of this size may give a sensor is in the rotation's covariance.
    rotation = found.covariance[:, 3:, 3:] - C_measured[:, 3:, 3:]
    assert np.all(np.linalg.eigvalsh(rotation) > 1e-5)


def test_the_radius_holds_the_truth_in_about_95_of_100_cases() -> None:
    T = poses(300, 5, reach_mm=90.0)
    measured = se3.make(T[:, :3, :3], T[:, :3, 3] + np.random.default_rng(6).normal(scale=0.1, size=(300, 3)))
    adopted = adopt(registration(), CONFIG)
    found = image_from_tools(adopted, CONFIG, [sample("0", pose) for pose in measured])
    radius = covariance.expected_radius_95(covariance.tre_covariance_at(found.T_image_tool, found.covariance, TIP_MM))
    inside = np.linalg.norm(se3.transform(found.T_image_tool, TIP_MM) - truth(T), axis=1) <= radius
    assert 0.9 <= inside.mean() <= 1.0


def test_a_tool_that_nobody_calibrated_has_the_noise_that_the_fields_data_show() -> None:
    T = poses(40, 1)
    tips = se3.transform(T_IMAGE_TRACKER, T[:, :3, 3]) + bent(T[:, :3, 3])
    own = fit_pose_field(correspondences(T, tips + np.random.default_rng(2).normal(scale=0.3, size=(40, 3))))
    model = registration(fields={"new": own})
    tools = [sample("new", T[0]), sample("stranger", T[0])]
    C = tool_noise(model, CONFIG, tools, T[:2])
    assert 0.1 < np.sqrt(C[0, 0, 0]) < 0.5 == np.sqrt(C[1, 0, 0])


def test_far_from_the_data_a_pose_degrades_and_then_is_invalid_and_says_what_to_do() -> None:
    # A distortion of which the data say nothing beyond 150 mm.
    T = poses(60, 1)
    short = fit_pose_field(correspondences(T, truth(T), TIP_MM), PoseFieldConfig(longest_mm=150.0, steepest_growth=0.0))
    chain = pipeline(registration(fields={"0": short}), replace(CONFIG, gates=GateConfig(degraded_tre_mm=1e3, max_tre_mm=1e3)))
    near = poses(1, 7, reach_mm=20.0)[0]
    found = []
    for number, distance_mm in enumerate((0.0, 135.0, 8000.0), 1):
        pose = near.copy()
        pose[:3, 3] += distance_mm
        found += estimates(chain.update(frame(number, sample("0", pose))))
    inside, outside, _ = found
    assert [estimate.state for estimate in found] == [State.OK, State.DEGRADED, State.INVALID]
    assert [estimate.reasons for estimate in found][:2] == [Reason.NONE, Reason.OUT_OF_DOMAIN]
    assert "touch a known point" in outside.detail
    assert outside.expected_tre_mm > 3.0 * inside.expected_tre_mm


def test_a_shared_field_serves_tools_with_its_tip_and_a_tools_own_field_that_tool_only() -> None:
    T = poses(2, 8)
    tools = sample("0", T[0]), sample("1", T[1]), sample("unknown", T[0])
    rigid = estimates(pipeline(registration(fields={})).update(frame(1, *tools)))
    for model, corrected in ((registration(EVERY_TOOL), ("0", "1")), (registration("1"), ("1",))):
        for one, other, tool in zip(estimates(pipeline(model).update(frame(1, *tools))), rigid, tools, strict=True):
            assert np.array_equal(one.T_parent_child, other.T_parent_child) == (tool.name not in corrected)


def test_a_file_with_a_field_comes_back_to_the_last_bit_and_so_does_what_it_corrects(tmp_path: Path) -> None:
    registration().save(tmp_path / "registration.yaml")
    read = load_registration(tmp_path / "registration.yaml")
    assert read.to_yaml() == registration().to_yaml()
    assert load_registration(tmp_path / "registration.yaml").sha256 == read.sha256


def test_a_file_of_the_first_format_is_still_read() -> None:
    lines = registration(fields={}).to_yaml().replace("em_registration/2", "em_registration/1").splitlines()
    older = parse_registration("\n".join(line for line in lines if not line.startswith("fields")))
    np.testing.assert_array_equal(older.T_tracker_image, registration().T_tracker_image)
    assert not older.fields


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("    image_mm", "    imago_mm", "fields.0"),
        ("    ratio: [", "    ratio: [x, ", "fields.0"),
        ("tip_tool_mm: [0.0, 5.0, 60.0]", "tip_tool_mm: [0.0, 5.0, 61.0]", "tip_tool_mm"),
    ],
)
def test_a_damaged_field_is_named(old: str, new: str, named: str) -> None:
    text = registration().to_yaml()
    assert old in text
    with pytest.raises(InputError, match=named):
        parse_registration(text.replace(old, new, 1))


def test_recorded_events_replayed_give_the_corrected_poses_to_the_last_bit() -> None:
    T = poses(16, 9)
    live, updates = pipeline(registration()), []
    for number in range(1, 9):
        if number == 5:
            live.request(adoption(registration(EVERY_TOOL), "fitted again"))
        updates.append(live.update(frame(number, sample("0", T[number]), sample("1", T[number + 5]))))
    replayed = Pipeline(CONFIG)
    for event in (event for update in updates if update for event in update.events):
        # A bag holds the text only.
        replayed.request(Event(event.kind, event.stamp_ns, model=event.model, model_sha256=event.model_sha256))
    for number, update in enumerate(updates, 1):
        again = replayed.update(frame(number, sample("0", T[number]), sample("1", T[number + 5])))
        for one, other in zip(estimates(update), estimates(again), strict=True):
            assert (one.state, one.reasons, one.epoch, one.detail) == (other.state, other.reasons, other.epoch, other.detail)
            assert repr(one.expected_tre_mm) == repr(other.expected_tre_mm)
            np.testing.assert_array_equal(one.T_parent_child, other.T_parent_child)
            np.testing.assert_array_equal(one.covariance, other.covariance)
    assert [estimates(update)[0].epoch for update in updates] == [1] * 4 + [2] * 4
