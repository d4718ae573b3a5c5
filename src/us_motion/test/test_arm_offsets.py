"""Index offsets from a tracker's poses, on the simulated arm: what was wrong is found, what does not show is left, bad data are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_core import se3
from lodestone_core.errors import InputError
from us_motion import arm_offsets
from us_motion.arm_calibration import ArmCalibration
from us_motion.arm_offsets import OffsetsConfig, calibrate_offsets
from us_motion.kinematics import Chain

WIDE = SweepConfig(amplitude_mm=(120.0, 90.0, 80.0), tilt_deg=(25.0, 20.0, 40.0))
T_REF_BASE = se3.exp(np.array([-650.0, 180.0, 40.0, 0.1, -0.2, 1.4]))
T_PROBE_SENSOR = se3.exp(np.array([20.0, -5.0, -60.0, 0.5, 1.2, -0.3]))
OFFSETS = np.array([0.0, 0.08, -0.12, 0.05, 0.1, 0.0])


def recording(seed: int = 0, noise: float = 1.0, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Angles as a calibration without the offsets gives them, and the tracker's poses with 0.3 mm and 0.15 degrees of noise."""
    world, rng = ArmWorld(ArmConfig(sweep=WIDE)), np.random.default_rng(seed)
    q = world.joint_positions(np.linspace(6.0, 90.0, count))
    xi = noise * rng.standard_normal((count, 6)) * ([0.3] * 3 + [0.0026] * 3)
    T = T_REF_BASE @ world.T_base_probe(q) @ T_PROBE_SENSOR
    T[:, :3, 3] += xi[:, :3]
    T[:, :3, :3] = se3.exp(np.concatenate([np.zeros((count, 3)), xi[:, 3:]], axis=1))[:, :3, :3] @ T[:, :3, :3]
    return q - OFFSETS, T


def test_offsets_are_found_to_the_trackers_accuracy_and_the_ends_are_left(chain: Chain, calibration: ArmCalibration) -> None:
    found = calibrate_offsets(chain, calibration, *recording())
    assert found.offsets_rad == pytest.approx(OFFSETS, abs=2e-3) and found.offsets_rad[[0, 5]].tolist() == [0.0, 0.0]
    assert np.isnan(found.sigma_rad[[0, 5]]).all() and found.found == chain.names[1:-1] and found.reversed_joints == ()
    assert [j.index_rad for j in found.calibration.joints] == pytest.approx(
        [j.index_rad + offset for j, offset in zip(calibration.joints, found.offsets_rad, strict=True)]
    )
    assert found.rms_mm == pytest.approx(0.3 * np.sqrt(3), rel=0.15)
    assert found.rms_mm < found.held_out_mm < 2.5, "a stretch that was left out is extrapolated"
    assert found.T_ref_base == pytest.approx(T_REF_BASE, abs=1.0)


def test_without_noise_the_truth_comes_out(chain: Chain, calibration: ArmCalibration) -> None:
    found = calibrate_offsets(chain, calibration, *recording(noise=0.0, count=60))
    assert found.offsets_rad == pytest.approx(OFFSETS, abs=1e-8) and found.held_out_mm < 1e-5


def test_stated_sigmas_cover_the_errors(chain: Chain, calibration: ArmCalibration) -> None:
    scores = []
    for seed in range(6):
        found = calibrate_offsets(chain, calibration, *recording(seed, count=120), OffsetsConfig(max_reversed=0, folds=2))
        scores.append(((found.offsets_rad - OFFSETS) / found.sigma_rad)[1:-1])
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.6


def test_a_joint_that_counts_the_other_way_is_found(chain: Chain, calibration: ArmCalibration) -> None:
    q, T = recording()
    index = np.array([joint.index_rad for joint in calibration.joints])
    q[:, 3] = 2 * index[3] - q[:, 3]
    found = calibrate_offsets(chain, calibration, q, T, OffsetsConfig(max_reversed=1))
    assert found.reversed_joints == ("us_arm_joint4",) and found.calibration.joints[3].sign == -calibration.joints[3].sign
    assert found.offsets_rad[[1, 2, 4]] == pytest.approx(OFFSETS[[1, 2, 4]], abs=2e-3)
    # About its index the joint is turned: the offset that it had shows with the other sign.
    assert found.offsets_rad[3] == pytest.approx(OFFSETS[3], abs=2e-3)


def test_bad_recordings_are_refused_with_the_reason(chain: Chain, calibration: ArmCalibration) -> None:
    q, T = recording()
    with pytest.raises(InputError, match="T_ref_sensor"):
        calibrate_offsets(chain, calibration, q[:20], T[:20])
    still = q.copy()
    still[:, 2] = 1.9
    with pytest.raises(InputError, match=r"joint us_arm_joint3: expected 0\.2 rad of travel"):
        calibrate_offsets(chain, calibration, still, T)
    with pytest.raises(InputError, match="a held-out error of at most"):
        calibrate_offsets(chain, calibration, q[::-1], T, OffsetsConfig(max_reversed=0))
    with pytest.raises(InputError, match="positions"):
        calibrate_offsets(chain, calibration, q[:, :5], T)


def test_a_calibration_in_another_order_is_improved_joint_by_joint(chain: Chain, calibration: ArmCalibration) -> None:
    shuffled = replace(calibration, joints=calibration.joints[::-1])
    found = calibrate_offsets(chain, shuffled, *recording(count=100), OffsetsConfig(max_reversed=0))
    assert found.calibration.joints[-2].index_rad - calibration.joints[1].index_rad == pytest.approx(OFFSETS[1], abs=4e-3)


def test_the_derivatives_are_those_of_the_errors(chain: Chain, calibration: ArmCalibration) -> None:
    q, T = recording(count=12)
    data = arm_offsets._Data(chain, np.zeros(6), q, T, OffsetsConfig())
    values = {"T_ref_base": T_REF_BASE, "T_probe_sensor": T_PROBE_SENSOR, "offsets": OFFSETS[1:-1] + 0.05}
    found = arm_offsets._derivatives(data, values)
    for name, size in (("T_ref_base", 6), ("T_probe_sensor", 6), ("offsets", 4)):
        for k in range(size):
            step = 1e-5 * np.eye(size)[k]
            ends = [values | {name: values[name] + s if name == "offsets" else se3.exp(s) @ values[name]} for s in (step, -step)]
            slope = (arm_offsets._errors(data, ends[0]) - arm_offsets._errors(data, ends[1])) / 2e-5
            assert found[name][:, :, k] == pytest.approx(slope, abs=1e-4)
