"""Joint calibration of two trackers on one tool, and the time offset of their streams, on motions of known truth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lodestone_core import joint_model, se3
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.formats.tracking_text import read_em_tracking, read_optical_tracking
from lodestone_core.hand_eye import (
    JointConfig,
    PoseStream,
    StreamConfig,
    TimeOffsetConfig,
    as_pose_stream,
    calibrate_joint,
    calibrate_streams,
    estimate_time_offset,
)
from lodestone_core.least_squares import Loss
from lodestone_core.types import Array

# An optical tracker a metre away from a field generator, two sensors on a tool.
T_REF_EM = se3.exp(np.array([-320.0, 63.0, -1136.0, 0.6, -1.9, -0.4]))
T_SENSOR_MARKER = {
    "tip": se3.exp(np.array([-11.0, -1.0, -51.0, 0.2, -2.3, -1.2])),
    "hilt": se3.exp(np.array([-13.0, -40.0, -22.0, -0.4, -2.5, 0.7])),
}
SECOND = 1_000_000_000


def motion(t_s: Array, turn_rad: float = 0.25) -> Array:
    """T_ref_marker of a hand that moves the tool smoothly about a working volume, 40 mm/s or so."""
    phases = np.outer(t_s, [0.9, 0.7, 0.5, 0.6, 0.8, 1.1])
    wave = np.sin(phases + np.arange(6))
    centre = np.array([-100.0, 120.0, -1100.0])
    R = se3.exp(np.concatenate([np.zeros((len(t_s), 3)), turn_rad * wave[:, 3:]], axis=1))[:, :3, :3]
    return se3.make(R, centre + wave[:, :3] * (60.0, 40.0, 50.0))


def sensor_poses(T_ref_marker: Array, name: str) -> Array:
    return np.asarray(se3.inverse(T_REF_EM) @ T_ref_marker @ se3.inverse(T_SENSOR_MARKER[name]))


def shaken(T: Array, rng: np.random.Generator, mm: float, rad: float) -> Array:
    """Poses with independent errors of position and of rotation about the body's own origin."""
    turn = se3.exp(np.concatenate([np.zeros((len(T), 3)), rng.normal(scale=rad, size=(len(T), 3))], axis=1))
    return se3.make(turn[:, :3, :3] @ T[:, :3, :3], T[:, :3, 3] + rng.normal(scale=mm, size=(len(T), 3)))


def stream(stamps_s: Array, T: Array) -> PoseStream:
    return as_pose_stream("stream", np.round(stamps_s * SECOND).astype(np.int64), T)


def test_two_sensors_share_one_registration_exactly_without_noise() -> None:
    Q = motion(np.linspace(0.0, 30.0, 100))
    found = calibrate_joint({name: sensor_poses(Q, name) for name in T_SENSOR_MARKER}, dict.fromkeys(T_SENSOR_MARKER, Q))
    np.testing.assert_allclose(found.T_ref_em, T_REF_EM, atol=1e-7)
    for name, T in T_SENSOR_MARKER.items():
        np.testing.assert_allclose(found.sensors[name].T_sensor_marker, T, atol=1e-7)
        np.testing.assert_allclose(found.marker(name, sensor_poses(Q, name)), Q, atol=1e-6)
    assert found.unobserved == ()


def test_covariance_tells_the_scatter_of_repeated_calibrations() -> None:
    rng = np.random.default_rng(0)
    Q = motion(np.linspace(0.0, 60.0, 300))
    E = sensor_poses(Q, "tip")
    nees = []
    for _ in range(40):
        found = calibrate_joint(shaken(E, rng, 0.3, 0.004), shaken(Q, rng, 0.2, 0.002))
        turn = se3.log(found.T_ref_em @ se3.inverse(T_REF_EM))[3:]
        error = np.concatenate([found.T_ref_em[:3, 3] - T_REF_EM[:3, 3], turn])
        nees.append(error @ np.linalg.solve(found.covariance, error))
    # 40 chi-square values with 6 degrees: the mean has a standard deviation of 0.55; clusters of poses add some.
    assert np.mean(nees) == pytest.approx(6.0, abs=2.2)


@pytest.mark.parametrize("loss", list(Loss))
def test_every_loss_calibrates_clean_noise_to_a_few_tenths(loss: Loss) -> None:
    rng = np.random.default_rng(1)
    Q = motion(np.linspace(0.0, 60.0, 300))
    found = calibrate_joint(shaken(sensor_poses(Q, "tip"), rng, 0.3, 0.004), Q, JointConfig(loss=loss))
    error = found.marker("sensor", sensor_poses(Q, "tip"))[:, :3, 3] - Q[:, :3, 3]
    assert np.sqrt(np.mean(np.sum(error**2, axis=1))) < 0.2


def test_a_tenth_of_wild_poses_does_not_move_the_calibration() -> None:
    rng = np.random.default_rng(2)
    Q = motion(np.linspace(0.0, 60.0, 300))
    E = shaken(sensor_poses(Q, "tip"), rng, 0.3, 0.004)
    E[::10] = shaken(E[::10], rng, 80.0, 0.8)
    found = calibrate_joint(E, Q)
    error = found.marker("sensor", sensor_poses(Q, "tip"))[:, :3, 3] - Q[:, :3, 3]
    assert np.sqrt(np.mean(np.sum(error**2, axis=1))) < 0.3
    assert np.all(found.sensors["sensor"].weights[::10] < 0.2)


def test_a_tool_that_never_turned_leaves_the_offset_open_and_says_so() -> None:
    Q = motion(np.linspace(0.0, 30.0, 100), turn_rad=0.0)
    found = calibrate_joint(sensor_poses(Q, "tip"), Q)
    text = " and ".join(direction.text for direction in found.unobserved)
    assert len(found.unobserved) == 3
    assert "translation" in text
    assert "T_ref_em" in text
    assert "T_sensor_marker" in text
    assert found.covariance.max() > 1e3


def test_a_known_offset_is_kept_and_holds_what_the_motion_leaves_open() -> None:
    Q = motion(np.linspace(0.0, 30.0, 100), turn_rad=0.0)
    found = calibrate_joint({"tip": sensor_poses(Q, "tip")}, {"tip": Q}, T_sensor_marker={"tip": T_SENSOR_MARKER["tip"]})
    np.testing.assert_allclose(found.T_ref_em, T_REF_EM, atol=1e-6)
    np.testing.assert_array_equal(found.sensors["tip"].T_sensor_marker, T_SENSOR_MARKER["tip"])
    assert found.unobserved == ()


def test_derivatives_of_the_model_equal_differences() -> None:
    rng = np.random.default_rng(3)
    Q = motion(np.linspace(0.0, 9.0, 7))
    E = shaken(sensor_poses(Q, "tip"), rng, 5.0, 0.3)
    X, B = T_REF_EM, T_SENSOR_MARKER["tip"]
    h = 1e-5
    by_X, by_B = joint_model.jacobians(X, B, E, Q)
    for k in range(6):
        step = h * np.eye(6)[k]
        ahead, behind = (joint_model.residuals(se3.exp(s * step) @ X, B, E, Q) for s in (1, -1))
        np.testing.assert_allclose(by_X[:, :, k], (ahead - behind) / (2 * h), atol=1e-4)
        ahead, behind = (joint_model.residuals(X, se3.exp(s * step) @ B, E, Q) for s in (1, -1))
        np.testing.assert_allclose(by_B[:, :, k], (ahead - behind) / (2 * h), atol=1e-4)


@pytest.mark.parametrize("offset_s", [-0.31, 0.0, 0.0023, 0.12])
def test_finds_the_time_offset_between_streams_of_different_rates(offset_s: float) -> None:
    rng = np.random.default_rng(4)
    t_em, t_ref = np.sort(rng.uniform(0.0, 50.0, 330)), np.arange(0.0, 50.0, 0.06)
    E = shaken(sensor_poses(motion(t_em), "tip"), rng, 0.3, 0.004)
    Q = shaken(motion(t_ref), rng, 0.2, 0.002)
    a, b = stream(1000.0 + t_em, E), stream(1000.0 + t_ref + offset_s, Q)
    found = estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T)
    assert found.sigma_s < 2e-3
    assert abs(found.seconds - offset_s) < 4.0 * found.sigma_s


def test_sigma_of_the_offset_tells_its_scatter_under_jitter_of_the_stamps() -> None:
    rng = np.random.default_rng(5)
    t_em, t_ref = np.arange(0.0, 50.0, 0.15), np.arange(0.0, 50.5, 0.12)
    scores = []
    for _ in range(12):
        a = stream(t_em, sensor_poses(motion(t_em + rng.normal(scale=0.01, size=t_em.size)), "tip"))
        b = stream(t_ref, shaken(motion(t_ref), rng, 0.1, 0.001))
        found = estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T)
        scores.append(found.seconds / found.sigma_s)
    # RMS of 12 standard normal values: 1 with a standard deviation of 0.2.
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.7


def test_each_sensor_has_its_own_offset_and_the_calibration_is_that_of_one_instant() -> None:
    rng = np.random.default_rng(6)
    t_em, t_ref = np.arange(0.3, 50.0, 0.15), np.arange(0.0, 51.0, 0.07)
    delays = {"tip": 0.003, "hilt": -0.006}
    em = {name: stream(t_em, shaken(sensor_poses(motion(t_em + delay), name), rng, 0.2, 0.003)) for name, delay in delays.items()}
    found = calibrate_streams(em, stream(t_ref, motion(t_ref)))
    for name, delay in delays.items():
        assert abs(found.offsets[name].seconds - delay) < 4.0 * found.offsets[name].sigma_s < 0.006
        assert found.joint.sensors[name].rms_mm < 0.45


def test_a_gap_in_the_reference_is_left_out_and_not_bridged() -> None:
    t_em, t_ref = np.arange(0.3, 40.0, 0.15), np.arange(0.0, 41.0, 0.1)
    em = {"tip": stream(t_em, sensor_poses(motion(t_em), "tip"))}
    whole = stream(t_ref, motion(t_ref))
    seen = (t_ref < 10.0) | (t_ref > 14.0)
    found = calibrate_streams(em, stream(t_ref[seen], motion(t_ref[seen])))
    assert not whole.covers(np.array([42 * SECOND])).any()
    expected = np.count_nonzero((t_em < 9.9) | (t_em > 14.1))
    assert abs(len(found.joint.sensors["tip"].residuals_mm) - expected) <= 2
    assert found.joint.sensors["tip"].rms_mm < 0.1


def test_a_jump_of_the_reference_is_not_interpolated() -> None:
    T = se3.make(np.eye(3), np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [400.0, 0.0, 0.0], [401.0, 0.0, 0.0]]))
    track = stream(np.arange(4) * 0.1, T)
    at = np.array([5, 15, 25], dtype=np.int64) * (SECOND // 100)
    np.testing.assert_array_equal(track.covers(at), [True, False, True])


def test_a_stream_is_put_in_the_order_of_its_stamps_and_a_repeat_is_dropped() -> None:
    T = se3.make(np.eye(3), np.arange(12.0).reshape(4, 3))
    track = as_pose_stream("log", np.array([10, 30, 20, 30]), T)
    np.testing.assert_array_equal(track.stamps_ns, [10, 20, 30])
    np.testing.assert_array_equal(track.T[:, :3, 3], [[0, 1, 2], [6, 7, 8], [3, 4, 5]])


def test_interpolation_meets_the_samples_and_the_middle() -> None:
    track = stream(np.array([1.0, 1.2]), motion(np.array([0.0, 0.2])))
    np.testing.assert_allclose(track.at(track.stamps_ns), track.T, atol=1e-12)
    middle = track.at(track.stamps_ns[:1], 0.1)[0]
    np.testing.assert_allclose(middle[:3, 3], track.T[:, :3, 3].mean(axis=0), atol=1e-9)
    assert se3.geodesic(middle, track.T[0]) == pytest.approx(se3.geodesic(middle, track.T[1]), abs=1e-9)


def test_refuses_a_tool_at_rest_as_a_clock() -> None:
    rng = np.random.default_rng(7)
    t = np.arange(0.0, 10.0, 0.1)
    rest = np.repeat(motion(np.zeros(1)), t.size, axis=0)
    a, b = stream(t, shaken(sensor_poses(rest, "tip"), rng, 0.3, 0.004)), stream(t, shaken(rest, rng, 0.2, 0.002))
    with pytest.raises(InputError, match=r"standard deviation.*move the tool"):
        estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T)


def test_refuses_an_offset_outside_the_search() -> None:
    t = np.arange(0.0, 40.0, 0.1)
    a, b = stream(t, sensor_poses(motion(t), "tip")), stream(t + 0.9, motion(t))
    with pytest.raises(InputError, match="raise max_offset_s"):
        estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T)
    wide = TimeOffsetConfig(max_offset_s=2.0)
    assert estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T, wide).seconds == pytest.approx(0.9, abs=1e-3)


def test_refuses_streams_of_different_clocks() -> None:
    t = np.arange(0.0, 20.0, 0.1)
    a, b = stream(t, motion(t)), stream(5000.0 + t, motion(t))
    with pytest.raises(InputError, match="both stamps come from one clock"):
        estimate_time_offset(a.stamps_ns, a.T, b.stamps_ns, b.T)


def test_refuses_stamps_in_seconds() -> None:
    with pytest.raises(InputError, match="integers in nanoseconds, got float64"):
        as_pose_stream("em", np.arange(5.0), motion(np.arange(5.0)))


def test_refuses_sensors_without_partners_and_pairs_that_do_not_match() -> None:
    Q = motion(np.linspace(0.0, 30.0, 100))
    with pytest.raises(InputError, match="the same sensors"):
        calibrate_joint({"tip": sensor_poses(Q, "tip")}, {"hilt": Q})
    with pytest.raises(InputError, match="100 and 99"):
        calibrate_joint(sensor_poses(Q, "tip"), Q[:-1])
    with pytest.raises(InputError, match="at least 10 poses, got 4"):
        calibrate_joint(sensor_poses(Q, "tip")[:4], Q[:4])
    with pytest.raises(InputError, match="leave out sensors without poses"):
        calibrate_joint(sensor_poses(Q, "tip"), Q, T_sensor_marker={"hilt": np.eye(4)})


def test_the_configuration_of_streams_reads_as_any_other() -> None:
    config = load_config(StreamConfig, {"joint": {"loss": "tukey"}, "pairing": {"max_gap_s": 0.5}})
    assert config.joint.loss is Loss.TUKEY
    assert config.pairing.max_gap_s == 0.5


@pytest.mark.data
def test_a_real_aurora_calibrated_on_one_recording_meets_the_optical_tracker_in_another() -> None:
    folder = Path(os.environ.get("LODESTONE_DATA", "data")) / "em_optical"
    if not folder.is_dir():
        pytest.skip("em_optical is not here: set LODESTONE_DATA to the recordings")

    def streams(run: int) -> tuple[dict[str, PoseStream], PoseStream]:
        em = read_em_tracking(folder / f"EMTrackingcont_{run}.txt")
        ref = read_optical_tracking(folder / f"OpticalTrackingcont_{run}.txt")
        valid = {str(k): as_pose_stream(str(k), s.stamps_ns[s.valid], s.T_tracker_body[s.valid]) for k, s in em.items()}
        return valid, as_pose_stream("optical", ref.stamps_ns[ref.valid], ref.T_tracker_body[ref.valid])

    found = calibrate_streams(*streams(1))
    em, reference = streams(2)
    for name, limit_mm in {"0": 0.75, "1": 0.80}.items():
        offset_s = found.offsets[name].seconds
        used = reference.covers(em[name].stamps_ns, offset_s)
        assert np.count_nonzero(used) == len(used) > 400
        T = found.joint.marker(name, em[name].T[used])
        error = (T - reference.at(em[name].stamps_ns[used], offset_s))[:, :3, 3]
        assert np.sqrt(np.mean(np.sum(error**2, axis=1))) <= limit_mm
