"""Counts to joint angles on the world's encoders: homing, every way of losing counts, wraps, restarts, exchanged cables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lodestone_core.errors import InputError
from us_motion.arm_calibration import ArmCalibration
from us_motion.drivers.joint_counter import JointCounter, Reading, TrustConfig
from us_motion.drivers.stored_home import StoredHome
from us_motion.kinematics import Chain
from us_motion.types import JointStatus

MakeRig = Callable[..., Any]
COUNTS = 2.5
"""An angle may be off by so many counts: floor of the reference, floor of the count, width of the index."""


def rad(calibration: ArmCalibration, counts: float) -> np.ndarray:
    return np.array([counts * abs(joint.rad_per_count) for joint in calibration.joints])


def ages(samples: list[Any], joint: int, status: JointStatus) -> list[int]:
    """The frames in which a joint has this bit."""
    return [i for i, sample in enumerate(samples) if sample.status[joint] & status]


def test_every_joint_has_its_angle_after_the_homing_move_and_none_before_its_index(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    for sample in r.run(4.0):
        at_s = sample.device_time_us * 1e-6
        truth = r.records.encoders.world.joint_positions(at_s)
        known = np.isfinite(sample.positions)
        assert np.array_equal(known, [status == JointStatus.OK for status in sample.status])
        assert (np.abs(sample.positions - truth)[known] < rad(calibration, COUNTS)[known]).all()
    assert r.samples[-1].valid and r.samples[-1].detail == ""
    first, last = r.samples[0], r.samples[-1]
    at_index = last.positions + rad(calibration, 1.0) * np.sign([joint.rad_per_count for joint in calibration.joints]) * (
        last.index_counts - last.counts
    )
    assert at_index == pytest.approx([joint.index_rad for joint in calibration.joints], abs=1e-3)
    assert not any(count for count, status in zip(first.index_counts, first.status, strict=True) if status)
    assert "us_arm_joint1: its index has not been passed yet" in first.detail


def test_angles_stay_within_their_counts_over_a_long_sweep(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(5.0)
    samples = r.run(30.0)
    truth = r.records.encoders.world.joint_positions(np.array([sample.device_time_us for sample in samples]) * 1e-6)
    assert all(sample.valid for sample in samples)
    assert (np.abs(np.array([sample.positions for sample in samples]) - truth).max(axis=0) < rad(calibration, COUNTS)).all()


def test_lost_counts_are_found_at_the_next_index_and_healed_by_the_one_after(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(6.0)
    epoch = r.samples[-1].epoch
    r.do("lose_counts", joint=6, counts=50)
    samples = r.run(3.0) + r.until_valid()
    missed = ages(samples, 5, JointStatus.MISSED_COUNTS)
    assert 0 < len(missed) < 800 and missed == list(range(missed[0], missed[-1] + 1))
    assert re.search("us_arm_joint6: counts were lost, its index pulse came (49|50|51) counts", samples[missed[0]].detail)
    assert all(np.isnan(samples[i].positions[5]) and not samples[i].valid for i in missed)
    assert r.samples[-1].valid and r.samples[-1].epoch > epoch
    assert (r.error_rad() < rad(calibration, COUNTS)).all()


def test_on_hold_missed_counts_stay_until_a_person_accepts_them(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig(trust=TrustConfig(after_missed_counts="hold"))
    r.run(6.0)
    assert r.tracker.accept() == "no counts are in question"
    r.do("lose_counts", joint=6, counts=-70)
    r.run(12.0)
    assert r.samples[-1].status[5] == JointStatus.MISSED_COUNTS
    assert re.fullmatch("us_arm_joint6: the reference moves by (69|70|71) counts", r.tracker.accept())
    r.run(0.01)
    assert r.samples[-1].valid and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_home_lets_go_of_a_reference_in_question_and_says_which_index_is_needed(rig: MakeRig) -> None:
    r = rig(trust=TrustConfig(after_missed_counts="hold"))
    assert r.tracker.home().startswith("move over their index: us_arm_joint1, us_arm_joint2")
    r.run(6.0)
    assert r.tracker.home() == "all joints are homed"
    r.do("lose_counts", joint=6, counts=50)
    r.run(6.0)
    assert r.tracker.home() == "move over their index: us_arm_joint6"
    r.run(0.01)
    assert r.samples[-1].status[5] == JointStatus.NOT_HOMED
    r.until_valid()
    assert r.samples[-1].valid


def test_a_false_index_pulse_is_not_taken_for_a_reference(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(6.0)
    epoch = r.samples[-1].epoch
    for _ in range(3):  # a burst of them, as from a loose plug
        r.do("false_index", joint=1)
        r.run(0.01)
    assert r.samples[-1].status[0] & JointStatus.MISSED_COUNTS
    r.until_valid()
    assert r.samples[-1].valid and r.samples[-1].epoch == epoch and (r.error_rad() < rad(calibration, COUNTS)).all()


@pytest.mark.parametrize(
    ("fault", "fields", "said"),
    [
        ("illegal", {"joint": 4}, "both its channels changed at once"),
        ("illegal", {"joint": 4, "times": 3, "counts": 7}, "both its channels changed at once"),
        ("weak", {"joint": 4, "for_s": 0.3}, "its signal was weak"),
        ("dead", {"joint": 4, "for_s": 0.5}, "its encoder does not answer"),
        ("lose_counts", {"joint": 4, "counts": 4000}, "its counter jumped"),
    ],
)
def test_whatever_may_have_cost_counts_takes_the_angle_until_an_index_has_settled_it(
    rig: MakeRig, calibration: ArmCalibration, fault: str, fields: dict[str, Any], said: str
) -> None:
    r = rig()
    r.run(6.0)
    r.do(fault, **fields)
    (sample,) = r.run(0.01)
    assert said in sample.detail and np.isnan(sample.positions[3]) and np.isfinite(np.delete(sample.positions, 3)).all()
    wrong = [s for s in r.until_valid() + r.run(5.0) if np.isfinite(s.positions[3])]
    truth = r.records.encoders.world.joint_positions(np.array([s.device_time_us for s in wrong]) * 1e-6)[:, 3]
    assert len(wrong) > 450, "it must come back"
    assert np.abs(np.array([s.positions[3] for s in wrong]) - truth).max() < rad(calibration, COUNTS)[3]


def test_a_dead_encoder_is_missing_as_long_as_it_is_dead(rig: MakeRig) -> None:
    r = rig()
    r.run(6.0)
    r.do("dead", joint=2, for_s=1.0)
    assert len(ages(r.run(3.0), 1, JointStatus.MISSING)) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("begin_s", [9.0, 10.0, 12.0, 17.0])
def test_one_index_pulse_gives_an_encoder_that_was_dead_its_place_again(rig: MakeRig, calibration: ArmCalibration, begin_s: float) -> None:
    r = rig()
    r.run(begin_s)
    r.do("dead", joint=2, for_s=1.0)
    lost = r.records.encoders.state.zero[1]
    r.run(1.0)
    assert abs(r.records.encoders.state.zero[1] - lost) > 40, "it moved while it was dead, and did not count"
    pulses = r.records.encoders.state.pulses[1]
    while r.records.encoders.state.pulses[1] == pulses:
        (sample,) = r.run(0.01)
        assert np.isnan(sample.positions[1]) or r.records.encoders.state.pulses[1] > pulses
    assert sample.status[1] == JointStatus.OK
    assert all((r.error_rad() < rad(calibration, COUNTS)).all() for _ in range(500) if r.run(0.01))


def test_a_plug_that_bounces_is_not_taken_for_the_index(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(9.0)
    r.do("dead", joint=2, for_s=0.5)
    r.run(0.45)
    assert r.next().status[1] & JointStatus.MISSING
    while r.next().status[1] & JointStatus.MISSING:
        r.do("false_index", joint=2)
    r.do("false_index", joint=2)
    (sample,) = r.run(0.01)
    assert sample.status[1] == JointStatus.SIGNAL and "did not answer" in sample.detail
    r.until_valid()
    assert (r.error_rad() < rad(calibration, COUNTS)).all()


def test_on_hold_what_a_dead_encoder_lost_is_for_a_person_to_accept(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig(trust=TrustConfig(after_missed_counts="hold"))
    r.run(9.0)
    r.do("dead", joint=2, for_s=1.0)
    r.run(15.0)
    assert r.samples[-1].status[1] & JointStatus.MISSED_COUNTS
    assert "us_arm_joint2: the reference moves by" in r.tracker.accept()
    assert r.next().valid and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_a_counter_that_has_forgotten_its_index_was_without_power_whatever_the_clock_says(
    rig: MakeRig, calibration: ArmCalibration
) -> None:
    r = rig()
    r.run(6.3)
    r.records.encoders.power_on()  # and the device's clock and sequence go on; some joints are near where they were switched on
    samples = r.run(1.0) + r.until_valid()
    assert all(status & JointStatus.NOT_HOMED for status in samples[0].status) and r.tracker.counters.restarts == 0
    truth = r.records.encoders.world.joint_positions(np.array([sample.device_time_us for sample in samples]) * 1e-6)
    errors = np.abs(np.array([sample.positions for sample in samples]) - truth)
    assert (np.nanmax(errors, axis=0) < rad(calibration, COUNTS)).all()


@pytest.mark.parametrize("encoders", [{"first_count": 2**31 - 300}, {"first_count": -(2**31) + 300}, {"counter_bits": 16}])
def test_counters_that_wrap_do_not_show(rig: MakeRig, calibration: ArmCalibration, encoders: dict[str, Any]) -> None:
    r = rig(encoders)
    r.run(4.0)
    samples = r.run(6.0)
    assert all(sample.valid for sample in samples) and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_a_restarted_device_must_be_homed_again(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(6.0)
    r.restart_device()
    sample = r.next()
    assert all(status & JointStatus.NOT_HOMED for status in sample.status) and r.tracker.counters.restarts == 1
    assert np.isnan(sample.positions).all() and sample.skipped == 0
    r.until_valid()
    assert r.samples[-1].valid and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_a_restart_that_was_not_seen_is_told_by_the_devices_clock(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(5.0)
    r.restart_device()  # its hello is the same, and its first ten seconds are not heard: sequence and clock are ahead of the old ones
    r.run(10.0, heard=False)
    sample = r.next()
    assert r.tracker.counters.restarts == 1 and (r.error_rad() < rad(calibration, COUNTS))[np.isfinite(sample.positions)].all()


def test_a_gap_costs_no_reference_and_is_counted(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(6.0)
    r.run(3.0, heard=False)
    (sample,) = r.run(0.01)
    assert sample.skipped == 300 and sample.valid and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_a_narrow_counter_may_go_round_unseen_in_a_gap_and_is_homed_again(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig({"counter_bits": 16})
    r.run(6.0)
    r.run(3.0, heard=False)
    (sample,) = r.run(0.01)
    assert all(status == JointStatus.NOT_HOMED for status in sample.status)
    r.until_valid()
    assert r.samples[-1].valid and (r.error_rad() < rad(calibration, COUNTS)).all()


def test_a_driver_that_comes_later_takes_the_index_that_the_device_has_latched(rig: MakeRig, calibration: ArmCalibration) -> None:
    r = rig()
    r.run(8.0, heard=False)
    sample = r.next()
    assert sample.valid and (r.error_rad() < rad(calibration, COUNTS)).all()
    r.do("illegal", joint=1)
    r.restart_driver()
    sample = r.next()
    assert sample.status[0] == JointStatus.SIGNAL, "what came before the driver started is not known to have been settled"


def test_duplicates_are_dropped_and_sequences_wrap(rig: MakeRig) -> None:
    r = rig()
    r.sequence = 2**32 - 7
    r.run(0.1)
    assert [sample.sequence for sample in r.samples] == [2**32 - 2, 2**32 - 1, 0, 1, 2] and not any(s.skipped for s in r.samples)
    body = r.records.record(2, r.device_us(), r.world_s)
    r.give(body)
    assert len(r.samples) == 5 and r.tracker.counters.duplicates == 1


def test_stamps_are_the_triggers_less_the_latency(rig: MakeRig) -> None:
    r = rig()
    samples = r.run(5.0)[-100:]
    triggers_ns = np.array([sample.device_time_us * 1000 for sample in samples])
    assert np.abs(np.array([sample.stamp_ns - 10**18 for sample in samples]) - triggers_ns - 2_000_000).max() < 50_000


def test_without_a_calibration_there_are_counts_and_no_angles(rig: MakeRig) -> None:
    r = rig(calibrated=False)
    sample = r.next()
    assert np.isnan(sample.positions).all() and not sample.valid and sample.detail == "no calibration is loaded"
    assert sample.counts.tolist() == r.records.encoders.advance(r.world_s).tolist() and sample.names[0] == "encoder0"


def test_nothing_is_said_before_the_device_has_said_what_it_is(rig: MakeRig) -> None:
    r = rig()
    assert r.tracker.request() == b""
    r.tracker = r.make()
    assert r.run(0.1) == [] and r.tracker.request() == b"\xf1\x01"
    r.hello()
    assert len(r.run(0.1)) == 5 and r.tracker.request() == b"", "the first 50 ms tell how the device's clock stands"
    r.opening += 1
    r.run(0.01)
    assert r.tracker.request() == b"\xf1\x01", "behind a new opening may be another device"


def test_exchanged_encoders_of_different_kinds_are_named_at_once(rig: MakeRig) -> None:
    r = rig()
    r.do("exchange", joint=3, other=6)
    r.tracker = r.make()
    r.hello()
    sample = r.next()
    assert sample.detail == "the encoders of us_arm_joint3 and us_arm_joint6 are exchanged" and np.isnan(sample.positions).all()
    assert "exchange their cables" in r.tracker.problem.remedy


def test_exchanged_encoders_of_one_kind_are_named_when_limits_are_passed_that_the_exchange_would_keep(
    calibration: ArmCalibration, chain: Chain, rig: MakeRig
) -> None:
    # joint4 may turn 1.8 rad either way, joint5 no further up than 1.0.
    r = rig()
    wide = replace(r.records.encoders.world.config.sweep, tilt_deg=(10.0, 8.0, 75.0), home_s=2.0, home_swing_rad=0.4)
    r.records.encoders.world.config = replace(r.records.encoders.world.config, sweep=wide)
    r.do("exchange", joint=4, other=5)
    r.tracker = r.make()
    r.hello()
    details = {sample.detail for sample in r.run(20.0)}
    assert any("the encoders of us_arm_joint4 and us_arm_joint5 are exchanged" in detail for detail in details), details


def test_another_number_of_encoders_another_device_and_other_discs_are_named(
    calibration: ArmCalibration, chain: Chain, rig: MakeRig
) -> None:
    r = rig({"counts_per_revolution": (40000, 40000, 36000, 32768, 32768, 20000)})
    assert r.tracker.problem.text == "us_arm_joint3 has 36000 counts per revolution, its calibration 40000"
    r = rig({"serial": 7})
    assert r.tracker.problem.text == "the calibration was measured on encoders 1, serial 1001, this is encoders 1, serial 7"
    r = rig({"device_id": 3})
    assert r.reason == "device 3 sends, device 1 is configured"
    r = rig()
    r.arm = replace(r.arm, calibration=replace(calibration, joints=calibration.joints[:5]))
    r.restart_driver()
    assert r.tracker.problem.text == "the device has 6 encoders, the calibration 5 joints"


def test_a_geared_encoder_finds_out_which_of_its_index_pulses_it_passed(calibration: ArmCalibration, chain: Chain) -> None:
    joint = replace(calibration.joints[0], gear_ratio=5.0, index_rad=0.1)
    counter = JointCounter(joint, (-2.0, 2.0), 32, TrustConfig())

    def at(angle_rad: float, pulses: int, index_rad: float) -> Reading:
        counts = [int(np.floor((angle - 0.7) / joint.rad_per_count)) for angle in (angle_rad, index_rad)]
        return Reading(*counts, pulses > 0, False, False, pulses % 4, 0)

    spacing = 2 * np.pi / 5
    counter.update(at(0.7, 0, 0.0), 0.01)
    for angle in np.arange(0.7, 1.9, 0.01):  # over the pulse at 0.1 + one spacing = 1.357
        counter.update(at(angle, int(angle > 0.1 + spacing), 0.1 + spacing), 0.01)
    assert counter.reference is not None and "3 of its index pulses fit its limits" in counter.reason and np.isnan(counter.position_rad)
    for angle in np.arange(1.9, -1.8, -0.01):
        counter.update(at(angle, 1, 0.1 + spacing), 0.01)
    assert counter.position_rad == pytest.approx(angle, abs=1e-4) and counter.turn == 1


def test_a_homing_that_was_kept_holds_while_the_device_has_power_and_no_longer(
    rig: MakeRig, calibration: ArmCalibration, tmp_path: Path
) -> None:
    path = tmp_path / "home.yaml"
    first = StoredHome(path)
    r = rig(home=first)
    r.run(6.0)
    first.flush()
    r.records.encoders.state.seen[:] = False  # a device that does not keep its latches
    kept = StoredHome(path)
    r.arm = replace(r.arm, home=kept)
    r.restart_driver()
    sample = r.next()
    assert sample.valid and (r.error_rad() < rad(calibration, COUNTS)).all()
    assert kept.said.startswith(f"homed from {path}: us_arm_joint1")
    r.restart_device()
    r.restart_driver()
    assert not any(status == JointStatus.OK for status in r.next().status[:3]) and "without power" in kept.said


def test_a_homing_that_was_let_go_of_does_not_come_back_from_the_file(rig: MakeRig, calibration: ArmCalibration, tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    first = StoredHome(path)
    r = rig(home=first)
    r.run(6.0)
    first.flush()
    r.arm = replace(r.arm, home=StoredHome(path))
    r.restart_driver()
    assert r.next().valid
    r.do("lose_counts", joint=6, counts=70)
    while not r.samples[-1].status[5]:
        r.run(0.01)
    assert r.tracker.home() == "move over their index: us_arm_joint6"
    r.opening += 1  # the cable is pulled and plugged in again before the joint has passed its index
    assert r.next().status[5] == JointStatus.NOT_HOMED
    r.until_valid()
    assert (r.error_rad() < rad(calibration, COUNTS)).all()


@pytest.mark.parametrize(
    "text", ["", "a: 1", "format: 1\ndevice: x\nboot_ns: 1\nuptime_us: 2\nreferences: {a: [1]}", "[1]", "format: 2", "{"]
)
def test_a_file_that_keeps_no_homing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "home.yaml").write_text(text)
    with pytest.raises(InputError, match=r"home\.yaml"):
        StoredHome(tmp_path / "home.yaml")
