"""The arm of the world and its encoders: a pure function of time, smooth, over every index in time; counts and latches in place."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lodestone_bench.emulators.arm import ArmRecords
from lodestone_bench.emulators.encoders import Encoders
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_bench.world.sections import read_world
from lodestone_core.errors import InputError

TIMES = np.arange(0.0, 60.0, 0.005)


@pytest.fixture(scope="module")
def world() -> ArmWorld:
    return ArmWorld()


def test_every_process_sees_the_same_arm(world: ArmWorld) -> None:
    assert np.array_equal(world.T_bench_probe(TIMES)[777], ArmWorld().T_bench_probe(float(TIMES[777])))
    assert world.T_bench_probe(np.zeros((2, 3))).shape == (2, 3, 4, 4)


def test_the_probe_sweeps_over_the_patient_looking_down(world: ArmWorld) -> None:
    T = world.T_bench_probe(TIMES[TIMES > 6.0])
    assert np.abs(T[:, :3, 3] - [700.0, 0.0, 250.0]).max(axis=0) == pytest.approx([45.0, 35.0, 4.0], abs=0.5)
    assert T[:, 2, 2].max() < -0.95
    assert T[:, :3, :3] @ np.swapaxes(T[:, :3, :3], 1, 2) == pytest.approx(np.broadcast_to(np.eye(3), (len(T), 3, 3)))


def test_the_motion_has_no_jump_in_speed_or_acceleration(world: ArmWorld) -> None:
    q = world.joint_positions(TIMES)
    speed, acceleration = np.diff(q, axis=0) / 0.005, np.diff(q, 2, axis=0) / 0.005**2
    assert np.abs(speed).max() < 1.5 and np.abs(acceleration).max() < 6.0
    assert np.abs(np.diff(acceleration, axis=0)).max() < 0.5


def test_every_index_is_passed_while_homing_and_again_and_again_afterwards(world: ArmWorld) -> None:
    beyond = world.joint_positions(TIMES) > np.array(world.config.encoders.index_rad)
    crossings = np.diff(beyond, axis=0)
    assert (crossings[TIMES[1:] < 4.0].sum(axis=0) >= 3).all()
    for start in (6.0, 20.0, 40.0):
        assert crossings[(TIMES[1:] > start) & (TIMES[1:] < start + 14.0)].any(axis=0).all()


def test_axes_that_deviate_move_the_probe_and_not_the_joints() -> None:
    true, drawn = ArmWorld(ArmConfig(deviation_mm=0.2, deviation_deg=0.05), seed=3), ArmWorld()
    assert np.array_equal(true.joint_positions(TIMES), drawn.joint_positions(TIMES))
    off = np.linalg.norm((true.T_bench_probe(TIMES) - drawn.T_bench_probe(TIMES))[:, :3, 3], axis=1)
    assert 0.05 < off.mean() < 3.0
    again = ArmWorld(ArmConfig(deviation_mm=0.2, deviation_deg=0.05), seed=3)
    assert np.array_equal(again.T_bench_probe(1.0), true.T_bench_probe(1.0))


def test_a_sweep_out_of_reach_is_refused() -> None:
    with pytest.raises(InputError, match="a sweep within reach"):
        ArmWorld(ArmConfig(sweep=SweepConfig(center_mm=(700.0, -500.0, 250.0))))


def test_counts_are_floors_of_the_angle_and_an_index_latches_its_own_place_from_both_sides(world: ArmWorld) -> None:
    encoders, c = Encoders(world), world.config.encoders
    per_rad = np.array(c.sign) * np.array(c.counts_per_revolution) / (2 * np.pi)
    first = world.joint_positions(0.0)
    passed = np.zeros(6, dtype=int)
    index = np.floor(per_rad * c.index_rad) - np.floor(per_rad * first)
    side = per_rad * (first - c.index_rad) > 0
    for t in TIMES[:3000:2]:
        q = world.joint_positions(t)
        assert np.array_equal(encoders.advance(t), np.floor(per_rad * q) - np.floor(per_rad * first))
        now = per_rad * (q - c.index_rad) > 0
        passed += now != side
        side = now
    seen = encoders.state.seen
    assert seen.all() and (np.abs(encoders.state.latched - index) <= c.index_width_counts + 1).all()
    assert np.abs(encoders.state.pulses - passed).max() <= 1


def test_pulses_of_a_gap_are_counted(world: ArmWorld) -> None:
    steady, gappy = Encoders(world), Encoders(world)
    for t in TIMES[:2000:2]:
        steady.advance(t)
    gappy.advance(0.0)
    assert np.array_equal(gappy.advance(float(TIMES[1998])), steady.advance(float(TIMES[1998])))
    assert np.array_equal(gappy.state.pulses, steady.state.pulses) and np.array_equal(gappy.state.latched, steady.state.latched)


def test_a_hello_that_overtakes_a_record_changes_no_counter(world: ArmWorld) -> None:
    # The host asks between a trigger and the making of its record: the hello's clock is ahead of the record's.
    asked, alone = ArmRecords(world), ArmRecords(world)
    for k in range(500):
        asked.hello(10_000 * k + 700)
        assert asked.record(k, 10_000 * k, 0.01 * k) == alone.record(k, 10_000 * k, 0.01 * k)


def test_counters_begin_anew_with_the_power_and_only_then(world: ArmWorld) -> None:
    records = ArmRecords(world)
    for k in range(500):
        records.record(k, 10_000 * k, 0.01 * k)
    assert records.encoders.state.seen.all()
    records.power_on()
    assert not records.encoders.advance(5.0).any() and not records.encoders.state.seen.any()


def test_an_encoder_that_was_dead_in_a_gap_has_lost_what_it_did_not_see_and_no_more(world: ArmWorld) -> None:
    whole, dead = Encoders(world), Encoders(world)
    dead.advance(10.0)
    before, lost, after = (whole.advance(time_s)[3] for time_s in (10.0, 11.0, 12.0))
    dead.dead_until_s[3] = 11.0
    assert abs(lost - before) > 100 and abs(after - lost) > 100
    assert dead.advance(12.0)[3] == pytest.approx(after - (lost - before), abs=60), "a step of 20 ms, at 0.5 rad/s"


def test_a_narrow_counter_wraps_with_its_sign(world: ArmWorld) -> None:
    config = replace(world.config, encoders=replace(world.config.encoders, counter_bits=16, first_count=32767))
    records = ArmRecords(ArmWorld(config))
    records.record(0, 0, 0.0)
    body = records.record(1, 10_000, 0.01)
    counts = [struct.unpack_from("<i", body, 17 + 9 * i)[0] for i in range(6)]
    assert len(body) == 71 and all(-32768 <= count <= 32767 for count in counts) and min(counts) < -32000


def test_a_world_file_may_be_given_as_empty() -> None:
    assert read_world(Path()) == {}
