"""The pipeline on a known registration: what comes out, with which state, and that replay repeats it bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from em_registration.config import GateConfig, RegistrationConfig
from em_registration.detection.config import DetectorConfig
from em_registration.pipeline import Pipeline, adoption
from em_registration.registration import Registration, ToolCalibration
from em_registration.types import Event, EventKind, Update
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

T_TRACKER_IMAGE = se3.exp(np.array([20.0, -30.0, 400.0, 0.3, -0.2, 1.1]))
T_TOOL_TIP = se3.exp(np.array([0.0, 0.0, 80.0, 0.0, 0.0, 0.0]))
NOISE = np.diag([0.04, 0.04, 0.09, 1e-5, 1e-5, 2e-5])
MODEL = Registration(
    method="test",
    T_tracker_image=T_TRACKER_IMAGE,
    covariance=np.diag([0.01, 0.01, 0.02, 1e-6, 1e-6, 1e-6]),
    fre_mm=0.3,
    n=12,
    created="2026-01-01T00:00:00+00:00",
    version="0.1.0",
    tools={"0": ToolCalibration(T_TOOL_TIP, NOISE, 0.4, 100)},
)
CONFIG = RegistrationConfig()
POSE = se3.exp(np.array([5.0, 6.0, 7.0, 0.1, 0.2, 0.3]))
TOOL = ToolSample("0", ToolStatus.VALID, POSE, rms_error_mm=0.2, degrees_of_freedom=6)


def frame(stamp_ns: int, *tools: ToolSample) -> TrackedFrame:
    return TrackedFrame(stamp_ns, stamp_ns + 1000, stamp_ns // 25_000_000, tools)


def registered(config: RegistrationConfig = CONFIG) -> Pipeline:
    pipeline = Pipeline(config)
    pipeline.request(adoption(MODEL, "test"))
    return pipeline


def corrected(update: Update | None) -> Estimate:
    assert update is not None
    return next(estimate for estimate in update.estimates if estimate.child != "image")


def test_the_corrected_pose_is_the_tool_in_the_image() -> None:
    estimate = corrected(registered().update(frame(1_000, TOOL)))
    assert estimate.T_parent_child is not None
    expected = np.linalg.solve(T_TRACKER_IMAGE, POSE)
    np.testing.assert_allclose(estimate.T_parent_child, expected, atol=1e-9)
    assert (estimate.parent, estimate.child, estimate.state) == ("image", "em_tool_0_corrected", State.OK)


def test_the_covariance_agrees_with_sampled_registrations_and_measurements() -> None:
    estimate = corrected(registered().update(frame(1_000, TOOL)))
    assert estimate.T_parent_child is not None and estimate.covariance is not None
    rng = np.random.default_rng(0)
    about_axes = []
    for registration, measurement in zip(
        rng.multivariate_normal(np.zeros(6), MODEL.covariance, 20_000), rng.multivariate_normal(np.zeros(6), NOISE, 20_000), strict=True
    ):
        T = np.linalg.solve(moved(T_TRACKER_IMAGE, registration), moved(POSE, measurement))
        rotation = se3.log(se3.make(T[:3, :3] @ estimate.T_parent_child[:3, :3].T, np.zeros(3)))[3:]
        about_axes.append(np.concatenate([T[:3, 3] - estimate.T_parent_child[:3, 3], rotation]))
    sampled = np.cov(np.array(about_axes).T)
    scale = np.sqrt(np.outer(np.diag(sampled), np.diag(sampled)))
    np.testing.assert_allclose(estimate.covariance / scale, sampled / scale, atol=0.05)


def moved(T: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """T disturbed about its parent's axes at its own origin, as messages define it."""
    rotation = se3.exp(np.concatenate([np.zeros(3), xi[3:]]))[:3, :3]
    return se3.make(rotation @ T[:3, :3], T[:3, 3] + xi[:3])


def test_expected_tre_grows_with_the_lever_arm_of_the_tip() -> None:
    near = corrected(registered().update(frame(1_000, TOOL))).expected_tre_mm
    far_model = replace(MODEL, tools={"0": ToolCalibration(se3.exp(np.array([0, 0, 300.0, 0, 0, 0])), NOISE, 0.4, 100)})
    pipeline = Pipeline(CONFIG)
    pipeline.request(adoption(far_model, "test"))
    assert corrected(pipeline.update(frame(1_000, TOOL))).expected_tre_mm > 1.5 * near


def test_without_a_registration_there_is_no_pose_and_it_says_what_to_do() -> None:
    update = Pipeline(CONFIG).update(frame(1_000, TOOL))
    assert update is not None
    assert {estimate.state for estimate in update.estimates} == {State.INITIALISING}
    assert all(estimate.T_parent_child is None and "registration" in estimate.detail for estimate in update.estimates)


@pytest.mark.parametrize("status", [status for status in ToolStatus if status is not ToolStatus.VALID])
def test_a_tool_that_is_not_valid_is_reported_and_never_posed(status: ToolStatus) -> None:
    estimate = corrected(registered().update(frame(1_000, ToolSample("0", status, None))))
    assert estimate.state is State.INVALID
    assert estimate.T_parent_child is None
    assert estimate.reasons and estimate.detail


def test_a_5_dof_sensor_has_the_variance_of_an_unknown_angle_about_its_axis_only() -> None:
    estimate = corrected(registered().update(frame(1_000, replace(TOOL, degrees_of_freedom=5))))
    assert estimate.T_parent_child is not None and estimate.covariance is not None
    axis = estimate.T_parent_child[:3, 2]
    across = estimate.T_parent_child[:3, 0]
    assert axis @ estimate.covariance[3:, 3:] @ axis == pytest.approx((2 * math.pi) ** 2, rel=1e-4)
    assert across @ estimate.covariance[3:, 3:] @ across < 1e-3
    assert estimate.reasons & Reason.UNOBSERVED_DIRECTION
    # The tip lies on the axis that is not observed, so the error there stays what it is for six degrees of freedom.
    assert estimate.state is State.OK


@pytest.mark.parametrize(("rms_mm", "state"), [(0.9, State.OK), (1.1, State.DEGRADED), (3.1, State.INVALID)])
def test_the_trackers_own_error_indicator_degrades_and_invalidates(rms_mm: float, state: State) -> None:
    config = RegistrationConfig(gates=GateConfig(degraded_tre_mm=20.0, max_tre_mm=20.0))
    assert corrected(registered(config).update(frame(1_000, replace(TOOL, rms_error_mm=rms_mm)))).state is state


def test_the_covariance_is_never_below_what_the_tracker_says_of_this_sample() -> None:
    estimate = corrected(registered().update(frame(1_000, replace(TOOL, rms_error_mm=2.0))))
    assert estimate.covariance is not None
    assert np.trace(estimate.covariance[:3, :3]) >= 4.0


def test_frames_that_are_not_newer_are_passed_over() -> None:
    pipeline = registered()
    assert pipeline.update(frame(2_000, TOOL)) is not None
    assert pipeline.update(frame(2_000, TOOL)) is None
    assert pipeline.update(frame(1_000, TOOL)) is None
    pipeline.clock_stepped_back()
    assert pipeline.update(frame(1_000, TOOL)) is not None


def test_every_adoption_and_reset_begins_a_new_epoch_and_is_reported_with_its_first_stamp() -> None:
    pipeline = registered()
    first = pipeline.update(frame(1_000, TOOL))
    pipeline.request(Event(EventKind.RESET))
    second = pipeline.update(frame(2_000, TOOL))
    assert first is not None and second is not None
    assert (first.events[0].stamp_ns, first.events[0].epoch) == (1_000, 1)
    assert (second.events[0].stamp_ns, second.events[0].epoch) == (2_000, 2)
    assert corrected(second).state is State.INITIALISING


def test_recorded_events_replayed_at_their_stamps_give_the_same_estimates_to_the_last_bit() -> None:
    live = Pipeline(CONFIG)
    updates = []
    for number in range(1, 40):
        if number == 10:
            live.request(adoption(MODEL, "test"))
        if number == 30:
            live.request(Event(EventKind.RESET))
        updates.append(live.update(frame(number * 25_000_000, TOOL)))
    replayed = Pipeline(CONFIG)
    for event in (event for update in updates if update for event in update.events):
        replayed.request(event)
    for number, update in enumerate(updates, 1):
        again = replayed.update(frame(number * 25_000_000, TOOL))
        assert update is not None and again is not None
        one, other = corrected(update), corrected(again)
        assert (one.state, one.epoch, repr(one.expected_tre_mm)) == (other.state, other.epoch, repr(other.expected_tre_mm))
        assert (one.T_parent_child is None) == (other.T_parent_child is None)
        if one.T_parent_child is not None:
            np.testing.assert_array_equal(one.T_parent_child, other.T_parent_child)


def test_gates_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(InputError, match="degraded_tre_mm"):
        GateConfig(degraded_tre_mm=5.0, max_tre_mm=4.0)


def test_tools_of_one_frame_are_corrected_together_as_they_are_alone_to_the_last_bit() -> None:
    turned = POSE @ se3.exp(np.array([40.0, 0.0, -9.0, 1.0, -2.0, 0.5]))
    tools = (
        TOOL,
        ToolSample("unknown", ToolStatus.VALID, turned, rms_error_mm=1.4, degrees_of_freedom=5),
        ToolSample("gone", ToolStatus.MISSING, None),
        ToolSample("silent", ToolStatus.VALID, POSE @ turned),
    )
    update = registered().update(frame(1_000, *tools))
    assert update is not None
    assert [estimate.child for estimate in update.estimates[1:]] == [f"em_tool_{tool.name}_corrected" for tool in tools]
    for together, tool in zip(update.estimates[1:], tools, strict=True):
        alone = corrected(registered().update(frame(1_000, tool)))
        assert (together.state, together.reasons, together.detail) == (alone.state, alone.reasons, alone.detail)
        assert repr(together.expected_tre_mm) == repr(alone.expected_tre_mm)
        np.testing.assert_array_equal(together.T_parent_child, alone.T_parent_child)
        np.testing.assert_array_equal(together.covariance, alone.covariance)


def test_the_registrations_own_estimate_comes_with_every_frame_in_its_stamp_and_epoch() -> None:
    pipeline = registered()
    first, second = pipeline.update(frame(1_000, TOOL)), pipeline.update(frame(2_000))
    assert first is not None and second is not None
    for update in (first, second):
        image = update.estimates[0]
        assert (image.parent, image.child, image.stamp_ns, image.epoch) == ("em_field_generator", "image", update.stamp_ns, 1)
        np.testing.assert_array_equal(image.T_parent_child, T_TRACKER_IMAGE)
    assert len(second.estimates) == 1


def distorted_run(pipeline: Pipeline, indicator_mm: float = 0.9) -> list[Update]:
    """A tool swings for 40 s; the error indicator is high from 20 to 28 s."""
    rng = np.random.default_rng(5)
    updates = []
    for number in range(1, 1600):
        metal = 800 <= number < 1120
        error = (indicator_mm if metal else 0.2) + 0.02 * rng.standard_normal()
        place = se3.exp(np.array([30 * math.sin(number / 90), 20 * math.cos(number / 70), 0.0, 0.0, 0.0, 0.0]))
        update = pipeline.update(frame(number * 25_000_000, replace(TOOL, T_tracker_tool=POSE @ place, rms_error_mm=error)))
        assert update is not None
        updates.append(update)
    return updates


def test_metal_in_the_field_degrades_the_pose_with_a_reason_and_its_removal_brings_it_back() -> None:
    # The gate of the indicator itself is out of the way: what is seen is that it is not what it was.
    gates = GateConfig(degraded_rms_error_mm=5.0, max_rms_error_mm=5.0, degraded_tre_mm=50.0, max_tre_mm=50.0)
    updates = distorted_run(registered(RegistrationConfig(gates=gates)))
    before, during, after = corrected(updates[790]), corrected(updates[1000]), corrected(updates[1590])
    assert (before.state, before.reasons) == (State.OK, Reason.NONE)
    assert during.state in (State.DEGRADED, State.INVALID)
    assert during.reasons & Reason.DISTORTION
    assert "move metal away" in during.detail
    assert (after.state, after.reasons) == (State.OK, Reason.NONE)
    alarmed = next(number for number, update in enumerate(updates, 1) if corrected(update).reasons & Reason.DISTORTION)
    assert 800 <= alarmed < 820


def test_what_the_watch_says_is_the_same_on_replay_and_nothing_where_it_is_off() -> None:
    first, again = distorted_run(registered()), distorted_run(registered())
    for one, other in zip(first, again, strict=True):
        a, b = corrected(one), corrected(other)
        assert (a.state, a.reasons, a.detail) == (b.state, b.reasons, b.detail)
    off = distorted_run(registered(RegistrationConfig(detector=DetectorConfig(enabled=False))))
    assert not [update for update in off if corrected(update).reasons & Reason.DISTORTION]
