"""The protocol on places where a tool lay: reading, folds that never change, and a run on a made-up tracker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from em_registration.protocols import em_static
from em_registration.protocols.static_poses import folds, read_static_poses
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def wxyz(T: Array) -> Array:
    q, t = se3.to_quaternion(T)
    return np.concatenate([q[:, [3, 0, 1, 2]], t], axis=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One sensor 30 mm from the marker in a field that is bent by some millimetres; one place without a pose."""
    rng = np.random.default_rng(0)
    T = se3.make(Rotation.random(50, random_state=rng).as_matrix(), rng.uniform([-100, -100, -350], [100, 100, -150], (50, 3)))
    X = se3.make(Rotation.from_rotvec([0.4, 1.0, -0.7]).as_matrix(), np.array([50.0, 0.0, -900.0]))
    marker = X @ T @ se3.make(Rotation.from_rotvec([1.0, 0.0, 0.5]).as_matrix(), np.array([10.0, 0.0, 28.0]))
    seen = T.copy()
    seen[:, :3, 3] += 4.0 * np.sin(T[:, [1, 2, 0], 3] / 90.0)
    em = wxyz(seen)
    em[7] = -3.7e28
    path = tmp_path / "poses.npz"
    np.savez(path, a_em_pose_wxyz_mm=em[:, None], a_ot_pose_wxyz_mm=wxyz(marker))
    return path


def test_places_without_a_pose_are_left_out(file: Path) -> None:
    (sensor,) = read_static_poses(file, "a")
    assert len(sensor) == 49 and 7 not in sensor.index


@pytest.mark.parametrize("name", ["b", "a_em"])
def test_a_missing_set_is_named(file: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}_em_pose_wxyz_mm"):
        read_static_poses(file, name)


def test_a_file_that_is_none_and_other_shapes_are_refused(file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no arrays")
    with pytest.raises(InputError):
        read_static_poses(text, "a")
    flat = tmp_path / "flat.npz"
    np.savez(flat, a_em_pose_wxyz_mm=np.zeros((5, 7)), a_ot_pose_wxyz_mm=np.zeros((5, 7)))
    with pytest.raises(InputError, match="N, S, 7"):
        read_static_poses(flat, "a")


def test_folds_are_even_differ_by_seed_and_never_change() -> None:
    assert np.bincount(folds(91, 5, 0)).tolist() == [19, 18, 18, 18, 18]
    assert not np.array_equal(folds(91, 5, 0), folds(91, 5, 1))
    assert folds(10, 5, 0).tolist() == [0, 3, 2, 4, 0, 3, 1, 2, 4, 1]


def test_the_field_beats_rigid_at_places_that_were_left_out(file: Path, tmp_path: Path) -> None:
    settings = {"sets": ["a"], "split_seeds": [0], "targets": ["sensor"]}
    protocol = {"protocol": "em_static", "title": "", "seed": 0, "methods": ["pose_field", "rigid", "affine", "bernstein_5"]}
    result = em_static.run({**protocol, "settings": settings, "thresholds": []}, {"static_poses": file}, tmp_path)
    rms = {row.method: row.value for row in result.rows if row.metric == "rms"}
    assert rms["pose_field"] < 0.6 * rms["rigid"] and "bernstein_5" not in rms
    refused = next(table for table in result.tables if table.name == "refused")
    assert [row[1] for row in refused.rows] == ["bernstein_5"], "49 places are too few for 216 coefficients, and it says so"
