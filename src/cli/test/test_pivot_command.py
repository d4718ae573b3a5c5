"""`lodestone calibrate pivot` writes a tip with its uncertainty and where it comes from, and never overwrites one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from lodestone_cli.commands import pivot
from lodestone_cli.recordings.places import data_folder
from lodestone_core.bags.typestore import message_types
from lodestone_core.bags.writer import BagWriter
from lodestone_core.errors import InputError

TIP_TOOL_MM = np.array([1.0, -2.0, 150.0])
PIVOT_MM = np.array([10.0, 20.0, -300.0])


def poses(count: int = 40) -> np.ndarray:
    """A tool that turns to all sides about its resting tip, without noise."""
    rng = np.random.default_rng(5)
    rotations = Rotation.from_rotvec(rng.uniform(-0.6, 0.6, (count, 3))).as_matrix()
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = rotations
    T[:, :3, 3] = PIVOT_MM - rotations @ TIP_TOOL_MM
    return T


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "poses"
    path.mkdir()
    for number, T in enumerate(poses()):
        np.savetxt(path / f"{number:03d}.txt", T, fmt="%.12f")
    return path


def test_the_tip_is_found_in_a_folder_of_matrices_and_comes_with_its_provenance(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "tip.yaml"
    assert pivot.run(folder, out, None, None) == 0
    written = yaml.safe_load(out.read_text())
    assert written["tip_tool_mm"] == pytest.approx(TIP_TOOL_MM, abs=1e-6)
    assert written["pivot_reference_mm"] == pytest.approx(PIVOT_MM, abs=1e-6)
    assert written["poses"] == written["inliers"] == 40
    names = sorted(path.name for path in folder.iterdir())
    lines = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    assert written["provenance"]["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert written["provenance"]["input"] == "poses"
    assert {"date", "commit", "version"} <= set(written["provenance"])


def test_a_calibration_that_exists_is_never_overwritten(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "tip.yaml"
    out.write_text("in use")
    with pytest.raises(InputError, match="expected a new file"):
        pivot.run(folder, out, None, None)
    assert out.read_text() == "in use"


def write_bag(path: Path, topics: tuple[str, ...]) -> None:
    """A bag with the poses, in metres as messages carry them, on each of the topics."""
    types = message_types().store.types
    Stamp, Header = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    Point, Quaternion = types["geometry_msgs/msg/Point"], types["geometry_msgs/msg/Quaternion"]
    Pose, PoseStamped = types["geometry_msgs/msg/Pose"], types["geometry_msgs/msg/PoseStamped"]
    with BagWriter(path) as writer:
        numbers = [writer.add_topic(topic, "geometry_msgs/msg/PoseStamped") for topic in topics]
        for index, T in enumerate(poses()):
            q = Rotation.from_matrix(T[:3, :3]).as_quat()
            pose = Pose(Point(*(T[:3, 3] / 1000.0)), Quaternion(*q))
            message = PoseStamped(Header(Stamp(index, 0), "em_field_generator"), pose)
            data = bytes(message_types().store.serialize_cdr(message, "geometry_msgs/msg/PoseStamped"))
            for number in numbers:
                writer.write(number, data, index * 10**9, index * 10**9)


def test_the_tip_is_found_on_the_only_topic_of_a_bag(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", ("/aurora/0/measured_cp",))
    assert pivot.run(tmp_path / "bag", tmp_path / "tip.yaml", None, None) == 0
    written = yaml.safe_load((tmp_path / "tip.yaml").read_text())
    assert written["tip_tool_mm"] == pytest.approx(TIP_TOOL_MM, abs=1e-6)


def test_with_two_topics_one_has_to_be_named(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", ("/aurora/0/measured_cp", "/aurora/1/measured_cp"))
    with pytest.raises(InputError, match=r"got 2 such topics; name one with --topic: /aurora/0/measured_cp, /aurora/1/measured_cp"):
        pivot.read_poses(tmp_path / "bag", None)
    with pytest.raises(InputError, match="got '/other'"):
        pivot.read_poses(tmp_path / "bag", "/other")
    assert pivot.read_poses(tmp_path / "bag", "/aurora/1/measured_cp") == pytest.approx(poses(), abs=1e-9)


def test_limits_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "limits.yaml").write_text("min_poses: 41\n")
    with pytest.raises(InputError, match="41"):
        pivot.run(folder, tmp_path / "tip.yaml", None, tmp_path / "limits.yaml")
    assert not (tmp_path / "tip.yaml").exists()


@pytest.mark.data
def test_a_real_pointer_is_calibrated_without_its_outliers(tmp_path: Path) -> None:
    folder = data_folder(os.environ) / "pointer_pivot"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    assert pivot.run(folder, tmp_path / "tip.yaml", None, None) == 0
    written = yaml.safe_load((tmp_path / "tip.yaml").read_text())
    # 3.05 mm is the RMS of a plain fit to all 57 poses.
    assert written["rms_mm"] < 2.5 < written["rms_all_mm"]
    assert 45 <= written["inliers"] < 57
