"""Pivot calibration: known tips, outliers, and motions that cannot tell the tip."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.pivot import PivotConfig, calibrate_pivot
from lodestone_core.types import Array

TIP = np.array([-14.5, 394.0, -7.0])
PIVOT = np.array([-804.0, -86.0, -2112.0])


def pivot_poses(rng: np.random.Generator, count: int = 60, swing_rad: float = 0.6, noise_mm: float = 0.0) -> Array:
    """Poses of a tool that swings to all sides about its tip; the noise is the tracker's, on the tool's origin."""
    tilt = rng.uniform(-swing_rad / 2, swing_rad / 2, size=(count, 3))
    R = Rotation.from_rotvec(tilt).as_matrix() @ Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    return se3.make(R, PIVOT - R @ TIP + rng.normal(scale=noise_mm, size=(count, 3)))


def test_finds_tip_and_pivot_exactly_without_noise() -> None:
    found = calibrate_pivot(pivot_poses(np.random.default_rng(0)))
    np.testing.assert_allclose(found.tip_tool_mm, TIP, atol=1e-8)
    np.testing.assert_allclose(found.pivot_reference_mm, PIVOT, atol=1e-8)
    assert found.inliers.all()
    assert found.rms_mm < 1e-8


def test_leaves_out_the_outliers_and_only_these() -> None:
    rng = np.random.default_rng(1)
    T = pivot_poses(rng, noise_mm=0.2)
    wrong = np.arange(0, 60, 4)
    T[wrong, :3, 3] += rng.uniform(5.0, 60.0, size=(15, 3))
    found = calibrate_pivot(T)
    np.testing.assert_array_equal(np.flatnonzero(~found.inliers), wrong)
    # Tip and pivot sway together about a lever of 394 mm: compare with the standard deviation that is claimed.
    assert np.all(np.abs(found.tip_tool_mm - TIP) < 4.0 * np.sqrt(np.diag(found.tip_covariance)))
    assert found.rms_mm == pytest.approx(0.2 * np.sqrt(3.0), rel=0.15)
    assert found.rms_all_mm > 10.0


def test_covariance_tells_the_scatter_of_repeated_calibrations() -> None:
    rng = np.random.default_rng(2)
    truth = np.concatenate([TIP, PIVOT])
    nees = []
    for _ in range(60):
        found = calibrate_pivot(pivot_poses(rng, noise_mm=0.3), PivotConfig(subsets=30))
        error = np.concatenate([found.tip_tool_mm, found.pivot_reference_mm]) - truth
        nees.append(error @ np.linalg.solve(found.covariance, error))
    # 60 chi-square values with 6 degrees: the mean has a standard deviation of 0.45.
    assert np.mean(nees) == pytest.approx(6.0, abs=1.5)


def test_the_same_poses_give_the_same_result_to_the_last_bit() -> None:
    T = pivot_poses(np.random.default_rng(3), noise_mm=0.5)
    np.testing.assert_array_equal(calibrate_pivot(T).tip_tool_mm, calibrate_pivot(T).tip_tool_mm)


def test_refuses_a_tool_that_turned_about_one_axis_only() -> None:
    R = Rotation.from_rotvec(np.outer(np.linspace(-0.6, 0.6, 40), [0.0, 1.0, 0.0])).as_matrix()
    T = se3.make(R, PIVOT - R @ TIP + np.random.default_rng(4).normal(scale=0.3, size=(40, 3)))
    with pytest.raises(InputError, match=r"direction \(-?0.00, -?1.00, -?0.00\) swings by 0.0 degrees.*tilt the tool"):
        calibrate_pivot(T)


def test_refuses_a_second_swing_that_only_the_outliers_have() -> None:
    rng = np.random.default_rng(5)
    R = Rotation.from_rotvec(np.outer(np.linspace(-0.6, 0.6, 40), [0.0, 1.0, 0.0])).as_matrix()
    R[:4] = Rotation.random(4, rng=rng).as_matrix()
    T = se3.make(R, PIVOT - R @ TIP + rng.normal(scale=0.2, size=(40, 3)))
    T[:4, :3, 3] += 50.0
    with pytest.raises(InputError, match="swing"):
        calibrate_pivot(T)


def test_refuses_poses_without_a_common_pivot() -> None:
    rng = np.random.default_rng(6)
    T = pivot_poses(rng)
    T[:35, :3, 3] += rng.uniform(-90.0, 90.0, size=(35, 3))
    with pytest.raises(InputError, match=r"within 5 mm of one pivot.*got \d+.* mm over \d+ of 60 poses.*in the divot"):
        calibrate_pivot(T)


def test_refuses_a_recording_of_which_too_small_a_share_is_a_pivot() -> None:
    T = pivot_poses(np.random.default_rng(8), noise_mm=0.2)
    T[::3, :3, 3] += 40.0
    with pytest.raises(InputError, match=r"at least 54 that agree on one pivot, got 40 of 60"):
        calibrate_pivot(T, PivotConfig(min_inlier_share=0.9))


def test_refuses_too_few_poses() -> None:
    with pytest.raises(InputError, match="at least 10 poses, got 6"):
        calibrate_pivot(pivot_poses(np.random.default_rng(7), count=6))


@pytest.mark.data
def test_a_real_pointer_pivot_loses_its_outliers() -> None:
    folder = Path(os.environ.get("LODESTONE_DATA", "data")) / "pointer_pivot"
    if not folder.is_dir():
        pytest.skip("pointer_pivot is not here: set LODESTONE_DATA to the recordings")
    T = np.array([np.loadtxt(path) for path in sorted(folder.glob("*.txt"))])
    found = calibrate_pivot(T)
    assert len(T) == 57
    assert 45 <= np.count_nonzero(found.inliers) <= 54
    assert found.rms_mm < 2.2 < 3.0 < found.rms_all_mm
    np.testing.assert_allclose(found.tip_tool_mm, [-14.8, 393.1, -7.1], atol=2.5)
